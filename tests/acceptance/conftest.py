"""The whole system as a user starts it: ``coursewright up`` in a folder of its own, spoken to over HTTP."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import psycopg2
import pytest
import urllib3

from tests import hunting
from tests.conftest import eventually
from tests.fakes.model_server import ModelServer

ROOT = Path(__file__).parents[2]
TOKEN = "agent-token-of-the-acceptance-tests"
COMMAND = [sys.executable, "-c", "from web.cli import main; main()"]


class System:
    """A running system. ``organization`` is the demo school."""

    def __init__(self, home: Path, child: subprocess.Popen[str], ready: dict[str, Any]) -> None:
        self.home = home
        self.child = child
        self.ready = ready
        self.url: str = ready["url"]
        self.organization: str = ready["organizationId"]
        self.http = urllib3.PoolManager(
            retries=urllib3.Retry(3, redirect=False, backoff_factor=0.2), timeout=urllib3.Timeout(20)
        )

    def headers(self, **more: str) -> dict[str, str]:
        return {"X-Agent-Token": TOKEN, "X-Organization-Id": self.organization} | more

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> urllib3.BaseHTTPResponse:
        """Call as an agent of the demo school."""
        sent = self.headers(**(headers or {}))
        data = raw if raw is not None else json.dumps(body).encode() if body is not None else None
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        return self.http.request(method, self.url + path, headers=sent, body=data)

    def start_course(self, **payload: Any) -> str:
        """Ask for a course (the water cycle unless told otherwise) and return the job's id."""
        asked = {"subject": "The water cycle", "gradeBand": "3-5", "mode": "options"} | payload
        answer = self.call("POST", "/api/jobs", {"jobType": "course", "payload": asked})
        assert answer.status == 202, answer.data
        return str(answer.json()["jobId"])

    def job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/api/jobs/{job_id}").json()["job"]
        return found

    def finished(self, job_id: str, within: float = 60) -> dict[str, Any]:
        """The job once it is done, pictures included. Fails when it ends otherwise."""

        def look() -> dict[str, Any] | None:
            job = self.job(job_id)
            assert job["status"] not in {"failed", "dead_letter", "cancelled"}, job
            return job if job["status"] == "done" and not job["mediaPending"] else None

        return eventually(look, within, f"job {job_id}") or {}

    def pids(self) -> dict[str, int]:
        table: dict[str, int] = json.loads((self.home / "run" / "processes.json").read_text())
        return table

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Look into the database, or change it, as an operator would."""
        environment = json.loads((self.home / "run" / "environment.json").read_text())
        connection = psycopg2.connect(environment["DATABASE_URL"])
        connection.autocommit = True
        try:
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return list(cursor.fetchall())
        finally:
            connection.close()


def environment_for(home: Path, **more: str) -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "COURSEWRIGHT_HOME": str(home),
        "AGENT_TOKEN": TOKEN,
        "PORT": "0",
        "FLOWER_PORT": "0",
        "LOG_LEVEL": "WARNING",
        "RATE_LIMIT_PER_MINUTE": "1000000",
        **more,
    }


def launch(home: Path, **more: str) -> System:
    """Start a system and wait until it says it is ready."""
    with (home / "up.log").open("a") as log:
        child = subprocess.Popen(
            [*COMMAND, "up", "--json"],
            cwd=ROOT,
            env=environment_for(home, **more),
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        )
    assert child.stdout is not None
    line = child.stdout.readline()
    assert line, (home / "up.log").read_text()
    return System(home, child, json.loads(line))


def halt(system: System) -> None:
    """Stop a system as an operator would, and see that nothing of it is left."""
    family = psutil.Process(system.child.pid).children(recursive=True) if system.child.poll() is None else []
    system.http.clear()  # the web waits some seconds for a client that keeps a connection
    system.child.send_signal(signal.SIGTERM)
    system.child.wait(30)
    if system.child.stdout is not None:
        system.child.stdout.close()
    _, alive = psutil.wait_procs(family, timeout=5)
    assert not alive, f"left running: {alive}"
    told = json.loads((system.home / "secrets.json").read_text()) | {"the agent token": TOKEN}
    assert not hunting.leaks(hunting.logs(system.home), {name: str(secret) for name, secret in told.items()}, ())
    # The object store may be killed: what it acknowledged is safe, and its own stop can take 12 s.
    words = [line for line in (system.home / "up.log").read_text().splitlines() if not line.startswith("s3 ")]
    assert not any("was killed" in line for line in words), words


@contextmanager
def running(**more: str) -> Iterator[System]:
    """A system in a fresh folder, stopped and removed in the end."""
    home = Path(tempfile.mkdtemp(prefix="coursewright-accept-"))
    home.chmod(0o755)
    try:
        system = launch(home, **more)
        try:
            yield system
        finally:
            halt(system)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """First the tests with systems of their own, then those of the shared one, then those of the one with a model:
    neither runs before it is needed, for also an idle system takes the machine's time."""
    here = Path(__file__).parent
    places = [at for at, item in enumerate(items) if here in item.path.parents]

    def turn(item: pytest.Item) -> int:
        needed = getattr(item, "fixturenames", ())
        return 2 if "model_system" in needed else 1 if "system" in needed else 0

    for at, item in zip(places, sorted((items[at] for at in places), key=turn), strict=True):
        items[at] = item


@pytest.fixture(scope="package")
def system() -> Iterator[System]:
    """A system without a model, shared by the tests that don't break anything. Webhooks may lead to this machine."""
    with running(WEBHOOK_PRIVATE_TARGETS="127.0.0.1") as made:
        yield made


@pytest.fixture(scope="package")
def model() -> Iterator[ModelServer]:
    """A scripted model server."""
    with ModelServer() as server:
        yield server


@pytest.fixture(scope="package")
def model_system(model: ModelServer) -> Iterator[System]:
    """A system with that model, in which a lost worker is noticed within seconds. Its processes may be killed."""
    with running(OPENAI_BASE_URL=model.url, STALE_AFTER_SECONDS="3", HEARTBEAT_SECONDS="0.5") as made:
        yield made
