"""Metrics: true, cheap at any size, and told also when a server is away."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient
from kombu import Connection
from structlog.testing import capture_logs

from schema.clock import new_id
from schema.settings import DEMO_ORGANIZATION_ID
from storage import catalog, documents
from storage.bus import Bus
from storage.db import Database, Transaction, make_engine
from storage.documents import Author
from storage.figures import metrics
from storage.health import broker_lengths
from storage.objects import ObjectStore
from storage.postgres.schema_version import head
from storage.spending import brakes, calls
from storage.spending.calls import Beginning
from tasks import deps as wiring
from tasks.deps import Deps
from tasks.step import deliver
from tests.conftest import Servers, use
from tests.integration.stage import change, held, lose_worker, put_job, rows
from web.app import create_app
from web.metrics import KEPT_SECONDS, Kept, shown

ROOT = Path(__file__).parents[2]
ORG = UUID(DEMO_ORGANIZATION_ID)


@pytest.fixture
def app(deps: Deps) -> Flask:
    return create_app()


@pytest.fixture
def client(app: Flask) -> Iterator[FlaskClient]:
    with app.test_client() as made:
        yield made


def scraped(client: FlaskClient) -> dict[str, float]:
    """Every series with its value, as Prometheus would read them now."""
    client.application.extensions.pop("coursewright_metrics", None)
    text = client.get("/metrics").get_data(as_text=True)
    return {name: float(value) for name, value in re.findall(r"^(coursewright\S+) (\S+)$", text, re.MULTILINE)}


class TestFigures:
    def test_an_idle_system_shows_zeros_so_that_a_rise_can_be_seen(self, client: FlaskClient) -> None:
        seen = scraped(client)
        assert seen['coursewright_jobs{job_type="course",status="dead_letter"}'] == 0
        assert seen['coursewright_queue_depth{queue="media"}'] == 0
        assert seen['coursewright_checkpoints_last_five_minutes{step="fill"}'] == 0
        assert seen['coursewright_dependency_up{dependency="database"}'] == 1
        assert seen['coursewright_dependency_up{dependency="objects"}'] == 1
        assert seen[f'coursewright_build_info{{migration="{head()}",version="0.1.0"}}'] == 1

    def test_jobs_queues_and_movement(self, deps: Deps, client: FlaskClient) -> None:
        moving, waiting, dead, later = (put_job(deps, ORG) for _ in range(4))
        deliver(deps, moving, 1, "skeleton", turn_seconds=0)
        change(deps, "UPDATE jobs SET due_at = clock_timestamp() - interval '90 s' WHERE id = :id", id=waiting)
        change(
            deps,
            "UPDATE jobs SET due_at = clock_timestamp() + interval '90 s', retry_count = 2 WHERE id = :id",
            id=later,
        )
        ended = "due_at = NULL, completed_at = clock_timestamp()"
        change(deps, f"UPDATE jobs SET status = 'dead_letter', {ended} WHERE id = :id", id=dead)
        seen = scraped(client)
        assert seen['coursewright_jobs{job_type="course",status="pending"}'] == 2
        assert seen['coursewright_jobs{job_type="course",status="dead_letter"}'] == 1
        assert seen['coursewright_jobs_ended_last_five_minutes{job_type="course",status="dead_letter"}'] == 1
        assert seen["coursewright_retries"] == 2
        assert seen['coursewright_queue_depth{queue="course"}'] == 2
        assert seen['coursewright_queue_later{queue="course"}'] == 1
        assert 89 < seen['coursewright_oldest_waiting_seconds{queue="course"}'] < 120
        assert seen['coursewright_checkpoints_last_minute{step="skeleton"}'] == 1
        change(deps, "UPDATE job_steps SET created_at = clock_timestamp() - interval '2 minutes'")
        seen = scraped(client)
        assert seen['coursewright_checkpoints_last_minute{step="skeleton"}'] == 0
        assert seen['coursewright_checkpoints_last_five_minutes{step="skeleton"}'] == 1

    def test_leases_by_their_signs_of_life(self, deps: Deps, client: FlaskClient) -> None:
        silent, stuck = put_job(deps, ORG), put_job(deps, ORG)
        held(deps, silent), held(deps, stuck)
        lose_worker(deps, silent, 120)
        change(
            deps,
            "UPDATE job_leases SET progress_at = clock_timestamp() - interval '1 day' WHERE job_id = :id",
            id=stuck,
        )
        seen = scraped(client)
        assert (seen["coursewright_leases"], seen["coursewright_leases_without_heartbeat"]) == (2, 1)
        assert seen["coursewright_leases_without_progress"] == 1
        assert 119 < seen["coursewright_oldest_heartbeat_seconds"] < 150
        assert seen["coursewright_oldest_progress_seconds"] > 86000

    def test_calls_of_today_are_counted_also_when_they_are_folded(self, deps: Deps, client: FlaskClient) -> None:
        job_id = put_job(deps, ORG)
        call = {
            **dict.fromkeys(("prompt_version", "error_code")),
            "input_tokens": 5,
            "output_tokens": 7,
            "cost_usd": 0.25,
        }
        for model in ("small", "small", "large"):
            more = {"purpose": "plan", "model": model, "seconds": 0.5, "outcome": "ok"}
            calls.record(deps.db, ORG, job_id, 1, "fill", {"id": new_id(), **call, **more})
        change(deps, "UPDATE model_calls SET created_at = created_at - interval '25 hours' WHERE model = 'large'")
        folded = "(clock_timestamp() AT TIME ZONE 'UTC')::date, 'call', 'small', 'ok', 3, 1.5, '{3}', 30, 40, 1"
        change(
            deps,
            f"""INSERT INTO daily_stats (organization_id, day, kind, name, outcome, count, seconds, durations,
              input_tokens, output_tokens, cost_usd) SELECT :org, {folded}""",
            org=ORG,
        )
        seen = scraped(client)
        labels = '{model="small",outcome="ok"}'
        assert seen[f"coursewright_model_calls_total{labels}"] == 5
        assert seen[f"coursewright_model_call_seconds_total{labels}"] == 2.5
        assert seen[f"coursewright_model_cost_usd_total{labels}"] == 1.5
        assert seen['coursewright_model_tokens_total{direction="output",model="small",outcome="ok"}'] == 54
        assert not [name for name in seen if "large" in name]

    def test_brakes_corrections_and_what_is_behind(self, deps: Deps, client: FlaskClient) -> None:
        brakes.close(deps.db, "https://models.example/v1", "small", 60)
        change(deps, "INSERT INTO corrections (kind, count) VALUES ('lost', 3)")
        seen = scraped(client)
        labels = '{endpoint="https://models.example/v1",model="small"}'
        assert 50 < seen[f"coursewright_brake_closed_seconds{labels}"] <= 60
        assert seen[f"coursewright_brake_failures{labels}"] == 0
        assert seen['coursewright_corrections_total{kind="lost"}'] == 3
        assert seen['coursewright_corrections_total{kind="stale"}'] == 0, "so that its first rise can be seen"

    def test_under_load_what_is_just_being_written_is_not_behind(self, deps: Deps, client: FlaskClient) -> None:
        def changed() -> None:
            with deps.db.transaction() as tx:
                documents.lock(tx, ORG, "course", "sums")
                documents.save(tx, ORG, "course", "sums", {}, Author("system", None), "edited")
                catalog._bump(tx, ORG, ORG, "sums", "updated", None)

        def behind() -> tuple[float, float]:
            seen = scraped(client)
            return seen["coursewright_documents_behind"], seen["coursewright_catalogs_behind"]

        def older(table: str, column: str) -> None:
            change(deps, f"UPDATE {table} SET {column} = {column} - interval '61 seconds'")

        changed()
        assert behind() == (0, 0)
        older("catalog_updates", "created_at"), older("catalogs", "updated_at"), older("documents", "updated_at")
        assert behind() == (1, 1)
        changed()
        assert behind()[1] == 1, "a newer change does not make the file any younger"
        change(deps, "UPDATE catalogs SET file_version = version - 1 WHERE version > 1")
        assert behind()[1] == 0, "only the newest change is missing"
        change(deps, "DELETE FROM catalog_updates")
        older("catalogs", "updated_at")
        assert behind()[1] == 1

    def test_calls_that_go_on_are_no_counters(self, deps: Deps, client: FlaskClient) -> None:
        lease = held(deps, put_job(deps, ORG)).lease
        for _ in range(2):
            calls.started(deps.db, lease, Beginning(new_id(), "plan", "plan/1", "small"))
        seen = scraped(client)
        assert seen['coursewright_model_calls_in_flight{model="small"}'] == 2
        assert not [
            name for name in seen if name.startswith(("coursewright_model_calls_total", "coursewright_model_t"))
        ]
        change(deps, "UPDATE model_calls SET outcome = 'ok'")
        seen = scraped(client)
        assert seen['coursewright_model_calls_in_flight{model="small"}'] == 0
        assert seen['coursewright_model_calls_total{model="small",outcome="ok"}'] == 2

    def test_messages_of_every_priority_count(self, deps: Deps) -> None:
        with Connection(deps.settings.redis_url) as connection:
            producer = connection.SimpleQueue("course")
            for priority in (0, 3, 9):
                producer.put({}, priority=priority)
            producer.close()
        assert broker_lengths(deps.bus, ["media", "course"]) == {"media": 0, "course": 3}

    def test_requests_are_counted_by_part_and_status(self, client: FlaskClient) -> None:
        name = 'coursewright_http_requests_total{blueprint="jobs",method="GET",status="401"}'
        before = scraped(client).get(name, 0)
        client.get("/api/jobs")
        client.open("/nothing", method="BREW")
        seen = scraped(client)
        assert seen[name] == before + 1
        assert seen['coursewright_http_request_duration_seconds_count{blueprint="jobs"}'] >= 1
        assert [series for series in seen if 'method="other"' in series and 'blueprint="none"' in series]


def plan_of(tx: Transaction, name: str) -> str:
    """How Postgres would answer what the function of these figures asks."""
    asked = tx.run("SELECT prosrc FROM pg_proc WHERE proname = :name", {"name": f"figures_{name}"}).scalar_one()
    statement = re.sub("=> (stale|behind)", "=> 60", asked)
    return "\n".join(row[0] for row in tx.run(f"EXPLAIN {statement}").all())


class TestCost:
    @pytest.mark.parametrize("name", metrics.FIGURES)
    def test_no_statement_reads_a_table_that_grows(self, deps: Deps, name: str) -> None:
        """With whole reads forbidden the planner still takes one where no index will do. Small tables may be read."""
        with deps.db.transaction() as tx:
            tx.run("SET LOCAL enable_seqscan = off")
            plan = plan_of(tx, name)
        whole = set(re.findall(r"Seq Scan on (\w+)", plan))
        assert whole <= {"job_leases", "catalogs", "corrections", "schedules", "pg_database"}, plan

    @pytest.mark.parametrize(
        ("name", "indexes"),
        [
            ("ended", ["ix_jobs_ended"]),
            ("moved", ["ix_job_steps_created_at"]),
            ("calls", ["ix_model_calls_created_at", "ix_daily_stats_day"]),
            ("told", ["ix_webhook_deliveries_attempted_at", "ix_mails_attempted_at"]),
        ],
    )
    def test_a_window_is_searched_in_its_index(self, deps: Deps, name: str, indexes: list[str]) -> None:
        """An index that is merely walked from end to end would do for the test above, and cost as much as the table."""
        with deps.db.transaction() as tx:
            tx.run("SET LOCAL enable_seqscan = off")
            plan = plan_of(tx, name)
        for index in indexes:
            cond = r"\b[^\n]*\n\s*Index Cond: \(+(?:COALESCE|created_at|attempted_at|day)"
            assert re.search(index + cond, plan), plan

    def test_many_scrapes_cost_one_reading(self, deps: Deps) -> None:
        kept = Kept(deps)
        first = kept.get()
        put_job(deps, ORG)
        assert kept.get() is first
        assert KEPT_SECONDS <= 5
        assert Kept(deps, seconds=0).get() is not first


class TestOutages:
    def test_without_redis_the_rows_are_told(self, deps: Deps) -> None:
        use(replace(deps, bus=Bus("redis://127.0.0.1:1/0")))
        seen = scraped(create_app().test_client())
        assert seen['coursewright_dependency_up{dependency="redis"}'] == 0
        assert seen['coursewright_dependency_up{dependency="database"}'] == 1
        assert "coursewright_leases" in seen
        assert not [name for name in seen if name.startswith("coursewright_broker")]

    def test_without_a_database_the_rest_is_told(self, deps: Deps, servers: Servers) -> None:
        engine = make_engine(servers.database_url("nowhere"), name="test", pool_size=1)
        wiring.use(replace(deps, db=Database(engine)))
        seen = scraped(create_app().test_client())
        assert seen['coursewright_dependency_up{dependency="database"}'] == 0
        assert 'coursewright_broker_messages{queue="course"}' in seen
        assert not [name for name in seen if name.startswith("coursewright_jobs")]
        engine.dispose()

    def test_without_the_store_all_figures_are_told(self, deps: Deps) -> None:
        nowhere = replace(deps.settings.s3, endpoint_url="http://127.0.0.1:1")
        use(replace(deps, objects=ObjectStore(nowhere)))
        seen = scraped(create_app().test_client())
        assert seen['coursewright_dependency_up{dependency="objects"}'] == 0
        assert seen['coursewright_dependency_up{dependency="database"}'] == 1
        assert "coursewright_leases" in seen and "coursewright_retries" in seen

    @pytest.mark.parametrize("missing", ["DROP TABLE corrections", "ALTER TABLE model_brakes DROP COLUMN failures"])
    def test_code_that_is_newer_than_the_tables_tells_the_rest(self, deps: Deps, owner: Database, missing: str) -> None:
        """As between a new release and its ``db upgrade``."""
        with owner.engine.connect() as connection:
            connection.exec_driver_sql("BEGIN")
            connection.exec_driver_sql(missing)

            class Older(Database):
                @contextmanager
                def statement(self) -> Iterator[Transaction]:
                    connection.exec_driver_sql("SAVEPOINT before")
                    try:
                        yield Transaction(connection)
                    finally:
                        connection.exec_driver_sql("ROLLBACK TO before")

            kept = Kept(replace(deps, db=Older(owner.engine)), seconds=0)
            with capture_logs() as lines:
                readings = [kept.get() for _ in range(3)]
            connection.exec_driver_sql("ROLLBACK")
        assert [line["event"] for line in lines] == ["figures_not_read"]
        seen = shown(readings[-1]).decode()
        assert 'coursewright_dependency_up{dependency="database"} 1.0' in seen
        assert "coursewright_broker_messages" in seen and "coursewright_leases" not in seen


def test_what_a_killed_web_left_behind_is_removed_by_the_next(environ: dict[str, str]) -> None:
    place = Path("/dev/shm")
    if not place.is_dir():
        pytest.skip("this machine has no /dev/shm")
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()  # so its process id is nobody's
    left, other = place / f"coursewright-web-{child.pid}-left", place / f"coursewright-web-{os.getpid()}-used"
    left.mkdir(), other.mkdir()
    try:
        command = (
            "import web.gunicorn_settings as at, os; print(os.environ['PROMETHEUS_MULTIPROC_DIR']); at.on_exit(None)"
        )
        made = subprocess.run([sys.executable, "-c", command], cwd=ROOT, env=environ, capture_output=True, text=True)
        assert made.returncode == 0, made.stderr
        assert not left.exists() and other.exists()
        assert not Path(made.stdout.strip()).exists()
    finally:
        other.rmdir()


def test_the_reading_holds_what_the_tables_say(deps: Deps) -> None:
    put_job(deps, ORG)
    figures = metrics.read(deps.db, stale_after_seconds=60)
    assert figures.living == {("pending", "course"): 1}
    assert rows(deps, "SELECT count(*) FROM jobs") == [(1,)]
    assert 0 < figures.connections < figures.connections_limit
