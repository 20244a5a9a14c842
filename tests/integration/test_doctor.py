"""The doctor on real servers: sound ones, and each fault it should see, made on purpose."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import psycopg2
import pytest
from click.testing import CliRunner
from redis import Redis

from schema.settings import DEMO_ORGANIZATION_ID, S3Settings, Settings
from storage.bus import Bus
from storage.db import Database, make_engine
from storage.objects import ObjectStore
from storage.postgres.connecting import database_of
from tasks import deps as wiring
from tasks.deps import Deps
from tests.conftest import Servers
from tests.integration.stage import change, put_job
from web.cli import cli
from web.doctor import host, servers, work
from web.doctor.finding import Finding
from web.doctor.roles import roles

ORG = UUID(DEMO_ORGANIZATION_ID)
Examined = Callable[[Deps, str], dict[str, dict[str, str]]]
QUEUES = ["course", "media", "control"]


def by_name(findings: Iterator[Finding]) -> dict[str, Finding]:
    return {finding.name: finding for finding in findings}


def states(findings: Iterator[Finding]) -> dict[str, str]:
    return {name: finding.state for name, finding in by_name(findings).items()}


@pytest.fixture
def deps(deps: Deps, owner: Database) -> Deps:
    """The doctor's, who is asked by whoever owns the tables."""
    deps.db = owner
    return deps


class TestPostgres:
    def test_a_sound_one(self, deps: Deps) -> None:
        assert set(states(servers.postgres(deps)).values()) == {"ok"}

    def test_one_that_is_away_is_told_with_the_reason(self, deps: Deps, servers_: Servers) -> None:
        away = replace(deps, db=Database(make_engine(servers_.database_url("nowhere"), name="test")))
        found = by_name(servers.postgres(away))
        assert states(servers.postgres(away)) == {"database": "fault"}
        assert 'database "nowhere" does not exist' in found["database"].message

    def test_one_that_went_its_own_way(self, deps: Deps) -> None:
        change(deps, "DROP INDEX ix_jobs_due")
        found = by_name(servers.postgres(deps))["migrations"]
        assert found.state == "fault" and "by hand" in found.mend

    def test_one_that_is_older_or_newer_than_the_code(self, deps: Deps) -> None:
        change(deps, "UPDATE alembic_version SET version_num = '0001'")
        found = by_name(servers.postgres(deps))["migrations"]
        assert (found.state, found.mend) == ("fault", "coursewright db upgrade")
        change(deps, "UPDATE alembic_version SET version_num = '9999'")
        assert states(servers.postgres(deps))["migrations"] == "warning"

    def test_a_role_without_rights(self, deps: Deps, servers_: Servers) -> None:
        for statement in (
            "CREATE ROLE poor LOGIN PASSWORD 'poor'",
            "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO poor",
            "REVOKE INSERT ON job_events FROM poor",
            "GRANT SELECT ON alembic_version TO poor",
        ):
            change(deps, statement)
        try:
            url = deps.db.engine.url.set(username="poor", password="poor").render_as_string(hide_password=False)
            poor = replace(deps, db=Database(make_engine(url.replace("+psycopg2", ""), name="poor")))
            found = by_name(servers.postgres(poor))["rights"]
            poor.db.dispose()
            assert found.state == "fault" and "poor may not read and write job_events." in found.message
        finally:
            change(deps, "DROP OWNED BY poor")
            change(deps, "DROP ROLE poor")

    def test_one_without_tables_ends_in_no_traceback(self, deps: Deps, servers_: Servers, examined: Examined) -> None:
        told = examined(deps, servers_.database_url("postgres"))
        assert "has no tables" in told["migrations"]["message"]
        assert told["migrations"]["mend"] == "coursewright db upgrade"
        assert told["work"]["state"] == "fault" and "figures_living() does not exist" in told["work"]["message"]
        assert told["redis"]["state"] == "ok"

    def test_a_column_that_is_missing_ends_in_no_traceback(self, deps: Deps, examined: Examined) -> None:
        change(deps, "ALTER TABLE job_leases DROP COLUMN progress_at")
        told = examined(deps, deps.settings.database_url)
        assert (told["migrations"]["state"], told["work"]["state"]) == ("fault", "fault")

    def test_a_role_without_any_right_ends_in_no_traceback(self, deps: Deps, examined: Examined) -> None:
        change(deps, "CREATE ROLE poorest LOGIN PASSWORD 'poorest'")
        try:
            url = deps.db.engine.url.set(username="poorest", password="poorest").render_as_string(hide_password=False)
            told = examined(deps, url.replace("+psycopg2", ""))
        finally:
            change(deps, "DROP ROLE poorest")
        names = list(told)
        assert names.index("rights") < names.index("migrations")
        assert told["rights"]["state"] == "fault" and "jobs" in told["rights"]["message"]
        assert "permission denied for table alembic_version" in told["migrations"]["message"]
        assert told["migrations"]["mend"] == "As the owner: GRANT SELECT ON alembic_version TO poorest;"
        assert "permission denied for function" in told["work"]["message"]

    def test_a_transaction_left_open(self, deps: Deps, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(servers, "OPEN_SECONDS", 0)
        url = deps.db.engine.url.render_as_string(hide_password=False).replace("+psycopg2", "")
        connection = psycopg2.connect(url, application_name="a forgotten window")
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            found = by_name(servers.postgres(deps))["transactions"]
        connection.close()
        assert found.state == "warning"
        assert "a forgotten window" in found.message and "idle in a transaction" in found.message

    def test_an_index_left_half_built(self, deps: Deps) -> None:
        change(deps, "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_jobs_batch_id'::regclass")
        found = by_name(servers.postgres(deps))["indexes"]
        assert found.state == "warning" and "REINDEX INDEX CONCURRENTLY ix_jobs_batch_id" in found.mend
        change(deps, "UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'ix_jobs_batch_id'::regclass")


class TestRoles:
    def test_a_workers_role_lacks_nothing_and_makes_no_tables(self, deps: Deps, settings: Settings) -> None:
        workers = replace(deps, db=database_of(settings, "worker", pool_size=1))
        found = by_name(servers.postgres(workers))
        workers.db.dispose()
        assert {name: one.message for name, one in found.items() if one.state == "fault"} == {}
        assert "but make no tables" in found["rights"].message

    def test_both_processes_are_looked_at(self, deps: Deps) -> None:
        found = by_name(roles(deps.settings))
        assert set(states(roles(deps.settings)).values()) == {"ok"}
        assert "coursewright_web" in found["role of web"].message
        assert "coursewright_worker" in found["role of worker"].message

    def test_with_the_owners_address_alone_each_becomes_what_it_must(self, deps: Deps) -> None:
        alone = replace(deps.settings, web_database_url=None, worker_database_url=None)
        found = by_name(roles(alone))
        assert (found["role of web"].state, found["role of worker"].state) == ("ok", "ok")
        assert "As coursewright_web " in found["role of web"].message
        assert "As coursewright " in found["role of worker"].message

    def test_a_web_that_is_not_walled_in_is_a_fault(self, deps: Deps) -> None:
        found = by_name(roles(replace(deps.settings, web_database_url=deps.settings.database_url)))["role of web"]
        assert found.state == "fault" and "is a superuser" in found.message and "WEB_DATABASE_URL" in found.mend

    def test_a_worker_whose_steps_could_not_be_walled_in_is_a_fault(self, deps: Deps) -> None:
        found = by_name(roles(replace(deps.settings, worker_database_url=deps.settings.web_database_url)))
        assert found["role of worker"].state == "fault"
        assert "may not become coursewright_step" in found["role of worker"].message

    def test_where_only_a_workers_address_is_known_the_web_cannot_be_judged(self, deps: Deps) -> None:
        told = replace(deps.settings, database_url=str(deps.settings.worker_database_url), web_database_url=None)
        found = by_name(roles(told))
        assert (found["role of web"].state, found["role of worker"].state) == ("warning", "ok")

    def test_a_wrong_password_is_told(self, deps: Deps) -> None:
        wrong = str(deps.settings.web_database_url).replace("coursewright_web:", "coursewright_web:not")
        found = by_name(roles(replace(deps.settings, web_database_url=wrong)))["role of web"]
        assert found.state == "fault" and "password authentication failed" in found.message


@pytest.fixture
def examined(environ: dict[str, str]) -> Examined:
    """What ``coursewright doctor`` tells a program about another database, by name. It finds a fault."""

    def examine(deps: Deps, url: str) -> dict[str, dict[str, str]]:
        db = Database(make_engine(url, name="test"))
        wiring.use(replace(deps, db=db))
        try:
            ended = CliRunner().invoke(cli, ["doctor", "--no-ping", "--json"], env=environ)
        finally:
            db.dispose()
        assert (ended.exit_code, type(ended.exception)) == (1, SystemExit), ended.exception
        return {check["name"]: check for check in json.loads(ended.stdout)["checks"]}

    return examine


@pytest.fixture
def servers_(servers: Servers) -> Servers:
    """The embedded servers, under a name that the module ``servers`` leaves free."""
    return servers


class TestRedis:
    def test_a_sound_one(self, deps: Deps) -> None:
        assert set(states(servers.broker(deps, QUEUES)).values()) == {"ok"}

    def test_one_that_would_forget(self, deps: Deps) -> None:
        client = Redis.from_url(deps.settings.redis_url)
        client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            found = by_name(servers.broker(deps, QUEUES))["redis policy"]
        finally:
            client.config_set("maxmemory-policy", "noeviction")
            client.close()
        assert found.state == "fault" and "noeviction" in found.mend

    def test_a_wrong_password_is_told_from_a_server_that_is_away(self, deps: Deps) -> None:
        host_and_port = deps.settings.redis_url.rpartition("@")[2]
        for url, words in ((f"redis://:wrong@{host_and_port}", "password"), ("redis://127.0.0.1:1/0", "refused")):
            found = by_name(servers.broker(replace(deps, bus=Bus(url)), QUEUES))["redis"]
            assert found.state == "fault" and words in found.message.lower()
            assert ":wrong" not in found.message

    def test_a_queue_nobody_takes_from(self, deps: Deps) -> None:
        for number in range(200):
            deps.bus.client.rpush("course", number)
        assert by_name(servers.broker(deps, QUEUES))["broker queues"].state == "warning"


class Forgetful(ObjectStore):
    """A store that knows nothing of conditions."""

    def _signed_put(self, bucket: str, key: str, body: bytes, headers: Mapping[str, str]) -> Any:
        kept = {name: value for name, value in headers.items() if not name.startswith("If-")}
        return super()._signed_put(bucket, key, body, kept)


class TestStore:
    def test_a_sound_one_is_left_as_it_was(self, deps: Deps) -> None:
        assert states(servers.store(deps)) == {"bucket courses": "ok", "bucket media-library": "ok"}
        for bucket in ("courses", "media-library"):
            assert list(deps.objects.client.list_objects(bucket, prefix="debug/doctor/", recursive=True)) == []

    def test_one_that_ignores_conditions(self, deps: Deps) -> None:
        found = by_name(servers.store(replace(deps, objects=Forgetful(deps.settings.s3))))["bucket courses"]
        assert found.state == "fault" and "ignores If-None-Match" in found.message

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"courses_bucket": "not-there"}, "It is not there."),
            ({"secret_key": "wrong"}, ""),
            ({"endpoint_url": "http://127.0.0.1:1"}, ""),
        ],
    )
    def test_one_that_can_not_be_used(self, deps: Deps, changes: dict[str, str], words: str) -> None:
        given: S3Settings = replace(deps.settings.s3, **changes)
        poor = replace(deps, settings=replace(deps.settings, s3=given), objects=ObjectStore(given))
        found = next(servers.store(poor))
        assert found.state == "fault" and words in found.message


@contextmanager
def endpoint(status: int, body: bytes) -> Iterator[str]:
    """A model's endpoint that gives one answer, to those who know the key."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            known = self.headers["Authorization"] == "Bearer sk-of-the-tests" and self.path == "/v1/models"
            self.send_response(status if known else 401)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()
    thread.join()


class TestModel:
    def asked(self, deps: Deps, url: str, key: str = "sk-of-the-tests") -> Finding:
        model = replace(deps.settings.model, base_url=url, api_key=key, text_model="big-1")
        return host.model(replace(deps, settings=replace(deps.settings, model=model)), ask=True)

    def test_none_is_no_fault(self, deps: Deps) -> None:
        assert host.model(deps, ask=True).state == "ok"

    @pytest.mark.parametrize(
        ("status", "body", "state"),
        [(200, b'{"data": [{"id": "big-1"}]}', "ok"), (200, b'{"data": []}', "warning"), (404, b"", "warning")],
    )
    def test_its_list_is_read(self, deps: Deps, status: int, body: bytes, state: str) -> None:
        with endpoint(status, body) as url:
            assert self.asked(deps, url).state == state

    def test_a_wrong_key_and_a_wrong_address(self, deps: Deps) -> None:
        with endpoint(200, b"") as url:
            assert "OPENAI_API_KEY" in self.asked(deps, url, "sk-wrong").mend
        assert "OPENAI_BASE_URL" in self.asked(deps, url).mend


class TestWork:
    def test_an_idle_system(self, deps: Deps) -> None:
        assert set(states(work.movement(deps)).values()) == {"ok"}

    def test_what_is_left_lying(self, deps: Deps) -> None:
        waiting, dead = put_job(deps, ORG), put_job(deps, ORG)
        change(deps, "UPDATE jobs SET due_at = clock_timestamp() - interval '1 hour' WHERE id = :id", id=waiting)
        change(deps, "UPDATE jobs SET status = 'dead_letter', due_at = NULL WHERE id = :id", id=dead)
        found = states(work.movement(deps))
        assert (found["queue"], found["dead letters"]) == ("fault", "warning")


class TestCommand:
    def test_without_a_system_it_says_so(self, tmp_path: Path) -> None:
        ended = CliRunner().invoke(cli, ["doctor"], env={"COURSEWRIGHT_HOME": str(tmp_path), "DATABASE_URL": ""})
        assert ended.exit_code == 2
        assert "Nothing is running from" in ended.output and "coursewright up" in ended.output

    def test_faulty_settings_are_all_told_and_nothing_else_is_asked(self, tmp_path: Path) -> None:
        env = {"COURSEWRIGHT_HOME": str(tmp_path), "DATABASE_URL": "mysql://x", "REDIS_URL": "", "SECRET_KEY": ""}
        ended = CliRunner().invoke(cli, ["doctor", "--json"], env=env)
        told = json.loads(ended.output)
        assert (ended.exit_code, told["state"]) == (1, "fault")
        names = [check["message"].split()[0] for check in told["checks"] if check["state"] == "fault"]
        assert {"DATABASE_URL", "REDIS_URL", "SECRET_KEY", "S3_ENDPOINT_URL"} <= set(names)
        assert {check["name"] for check in told["checks"]} == {"settings", "disk"}
