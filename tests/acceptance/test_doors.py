"""Every port of a running system is open to this machine alone, and asks for credentials."""

from __future__ import annotations

import json
from contextlib import closing
from urllib.parse import urlsplit

import psutil
import psycopg2
import pytest
import urllib3
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError
from redis.retry import Retry

from tests.acceptance.conftest import System
from tests.conftest import eventually
from tests.knocking import over_tls, plainly, ports_of

#: Processes that nobody needs to reach.
SILENT = {"worker", "media", "control", "beat"}


def environment(system: System) -> dict[str, str]:
    read: dict[str, str] = json.loads((system.home / "run" / "environment.json").read_text())
    return read


def ports(system: System) -> dict[str, set[int]]:
    """Where each process listens. All are up when the store's last door is."""
    eventually(lambda: len(ports_of(system.pids()["s3"])) == 10, what="every door of the store")
    return {name: {port for _, port in ports_of(pid)} for name, pid in system.pids().items()}


def test_every_port_is_open_to_this_machine_alone(system: System) -> None:
    found = {name: ports_of(pid) for name, pid in system.pids().items()}
    assert {address for doors in found.values() for address, _ in doors} == {"127.0.0.1"}
    assert {name for name, doors in found.items() if not doors} == SILENT
    # Nothing else that was started here listens, and no child of it: the whole family was asked.
    family = {system.child.pid, *(one.pid for one in psutil.Process(system.child.pid).children(recursive=True))}
    everywhere = {port for _, port in ports_of(*family)}
    assert everywhere == {port for doors in found.values() for _, port in doors}


def test_each_port_is_one_that_is_tried_below(system: System) -> None:
    found = ports(system)
    known = environment(system)
    assert found["postgres"] == {urlsplit(known["DATABASE_URL"]).port}
    assert found["valkey"] == {urlsplit(known["REDIS_URL"]).port}
    assert found["web"] == {urlsplit(system.url).port}
    assert found["flower"] == {urlsplit(system.ready["flowerUrl"]).port}
    assert urlsplit(known["S3_ENDPOINT_URL"]).port in found["s3"]


@pytest.mark.parametrize(
    "user", ["coursewright", "coursewright_web", "coursewright_worker", "coursewright_step", "postgres"]
)
@pytest.mark.parametrize("password", ["", "wrong"])
def test_postgres_lets_nobody_in_without_the_password(system: System, user: str, password: str) -> None:
    url = urlsplit(environment(system)["DATABASE_URL"])
    for database in ("postgres", "template1", url.path[1:]):
        with pytest.raises(psycopg2.OperationalError, match="password"):
            psycopg2.connect(host=url.hostname, port=url.port, user=user, password=password, dbname=database)


def test_postgres_keeps_passwords_as_scram(system: System) -> None:
    kept = system.rows("SELECT rolname, rolpassword FROM pg_authid WHERE rolcanlogin AND rolpassword IS NOT NULL")
    assert {"coursewright"} <= {name for name, _ in kept}
    assert all(password.startswith("SCRAM-SHA-256$") for _, password in kept)
    assert {method for (method,) in system.rows("SELECT auth_method FROM pg_hba_file_rules")} == {"scram-sha-256"}


@pytest.mark.parametrize("command", [("PING",), ("INFO",), ("KEYS", "*"), ("CONFIG", "GET", "requirepass")])
def test_valkey_answers_nobody_without_the_password(system: System, command: tuple[str, ...]) -> None:
    url = urlsplit(environment(system)["REDIS_URL"])
    for password in (None, "wrong"):
        client = Redis(host=str(url.hostname), port=url.port or 0, password=password, retry=Retry(NoBackoff(), 0))
        with closing(client), pytest.raises(AuthenticationError):
            client.execute_command(*command)


def test_the_store_asks_for_a_signature_and_its_parts_for_a_certificate(system: System) -> None:
    outer = urlsplit(environment(system)["S3_ENDPOINT_URL"]).port
    for path in ("", "courses/", "courses/catalog.json", "media-library/"):
        assert system.http.request("GET", f"http://127.0.0.1:{outer}/{path}").status == 403, path
    for port in ports(system)["s3"] - {outer}:
        assert over_tls(port, None) == b""
        said = plainly(port)
        assert said == b"" or b" 400 Bad Request" in said, said


@pytest.mark.parametrize(
    "path",
    [
        *("", "workers", "tasks", "broker", "worker/any", "task/any", "tasks/datatable"),
        *("api/workers", "api/tasks", "api/queues/length", "api/task/info/any", "api/task/types", "metrics"),
    ],
)
def test_flower_shows_nobody_anything_without_the_password(system: System, path: str) -> None:
    url = f"{system.ready['flowerUrl']}/{path}"
    wrong: tuple[dict[str, str], ...] = ({}, urllib3.make_headers(basic_auth="coursewright:wrong"))
    for headers in wrong:
        answer = system.http.request("GET", url, headers=headers, redirect=False)
        assert answer.status == (404 if path == "metrics" else 401), (path, answer.status)


def test_flower_lets_nobody_steer_also_with_the_password(system: System) -> None:
    """What is done there would be in no audit log."""
    secrets = json.loads((system.home / "secrets.json").read_text())
    known = urllib3.make_headers(basic_auth=f"coursewright:{secrets['flower']}")

    def workers() -> dict[str, object]:
        answer = system.http.request("GET", f"{system.ready['flowerUrl']}/api/workers", headers=known)
        assert answer.status == 200
        found: dict[str, object] = answer.json()
        return found

    worker = next(iter(eventually(workers, what="a worker that Flower has heard of")))
    deeds = [
        *(f"api/worker/{deed}/{worker}" for deed in ("shutdown", "pool/restart", "pool/grow", "queue/add-consumer")),
        *(f"api/task/{deed}/coursewright.cron.dispatch" for deed in ("apply", "async-apply", "send-task", "revoke")),
    ]
    body = json.dumps({"args": []})
    for path in deeds:
        url = f"{system.ready['flowerUrl']}/{path}"
        assert system.http.request("POST", url, headers=known, body=body, redirect=False).status == 404, path
        assert system.http.request("POST", url, redirect=False).status == 404, path


def test_the_web_shows_strangers_only_what_is_everybodys(system: System) -> None:
    open_to_all = {"/healthz", "/readyz", "/metrics", "/docs", "/api/openapi.json", "/login"}

    def asked(path: str) -> int:
        return int(system.http.request("GET", system.url + path, redirect=False).status)

    assert {asked(path) for path in open_to_all} == {200}
    for path in ("/", "/audit", "/api/jobs", "/api/audit", "/api/audit.csv", "/api/tokens", "/api/admin/metrics"):
        assert asked(path) == 401, path
