"""Stopping workers: what runs is handed back, nothing is lost or counted. ``bench.shutdown`` says how long it takes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from tasks.commands import Asker
from tasks.deps import Deps
from tests.conftest import eventually
from tests.fakes.model_server import ModelServer
from tests.integration.stage import WATER, one, put_job, request, rows

ROOT = Path(__file__).parents[2]
FISH = {"subject": "Fish of the deep sea", "gradeBand": "6", "mode": "options", "itemsPerGroup": 3, "levelsCount": 1}


@contextmanager
def worker(
    environ: dict[str, str], name: str, concurrency: int, log: Path, queue: str = "course"
) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of one queue, ended in any case."""
    command = [sys.executable, "-m", "celery", "--app", "tasks.app", "worker", "--queues", queue]
    shape = ["--pool", "threads", "--concurrency", str(concurrency), "--hostname", f"{name}@test"]
    with log.open("wb") as out:
        child = subprocess.Popen(
            [*command, *shape, "--without-gossip", "--without-mingle"],
            cwd=ROOT,
            env={**os.environ, **environ, "LOG_LEVEL": "INFO"},
            stdout=out,
            stderr=out,
        )
    try:
        eventually(lambda: b" ready" in log.read_bytes() or child.poll() is not None, within=60, what=name)
        assert child.poll() is None, log.read_text()
        yield child
    finally:
        if child.poll() is None:
            child.kill()
        child.wait(10)


def stop(child: subprocess.Popen[bytes]) -> None:
    """Ask a worker to stop, and wait until it has. Its calls would go on for longer than that."""
    child.send_signal(signal.SIGTERM)
    assert child.wait(60) == 0


def send_due(environ: dict[str, str]) -> None:
    """Send what is due to the real broker, as the clock would."""
    command = "from tasks.deps import wire; from tasks.dispatch import dispatch; dispatch(wire())"
    subprocess.run([sys.executable, "-c", command], cwd=ROOT, env={**os.environ, **environ}, check=True, timeout=60)


@pytest.fixture
def shared(environ: dict[str, str]) -> dict[str, str]:
    """What all processes of a test find in their environment."""
    return environ | {"DISPATCH_WINDOW": "1000", "ORG_MAX_ACTIVE_JOBS": "1000", "PYTHONPATH": str(ROOT)}


@pytest.mark.usefixtures("empty_store")
def test_a_hundred_jobs_in_flight_are_handed_back(
    deps: Deps, asker: Asker, shared: dict[str, str], model: ModelServer, tmp_path: Path
) -> None:
    model.script([{"fault": "hang", "times": 200, "seconds": 300}])
    job_ids = [put_job(deps, asker.organization_id, payload=request(**FISH).payload) for _ in range(100)]
    environ = shared | {"OPENAI_BASE_URL": model.url, "MODEL_CONCURRENCY": "100"}
    with worker(environ, "full", 100, tmp_path / "worker.log") as child:
        send_due(environ)
        assert model.wait_for(lambda calls: len(calls) == 100, 60), len(model.calls())
        stop(child)
    assert model.wait_for(lambda calls: all(call.hungUp for call in calls), 5), "no call goes on without its job"
    found = rows(deps, "SELECT id, status, run, retry_count, due_at <= clock_timestamp() AS due FROM jobs")
    assert {row.id for row in found} == set(job_ids)
    assert {(row.status, row.run, row.retry_count, row.due) for row in found} == {("pending", 1, 0, True)}
    assert one(deps, "SELECT count(*) FROM job_leases") == 0


@pytest.mark.usefixtures("empty_store")
def test_a_rolling_restart_under_load_loses_nothing_and_counts_nothing(
    deps: Deps, asker: Asker, shared: dict[str, str], tmp_path: Path
) -> None:
    def ask(count: int) -> list[UUID]:
        return [put_job(deps, asker.organization_id, payload=request(**WATER).payload) for _ in range(count)]

    done = "SELECT count(*) FROM jobs WHERE status = 'done'"
    with (
        worker(shared, "first", 4, tmp_path / "first.log") as first,
        worker(shared, "second", 4, tmp_path / "second.log") as second,
    ):
        job_ids = ask(100)
        send_due(shared)
        eventually(lambda: one(deps, done) >= 5, within=60, what="the first jobs")
        assert one(deps, done) < 100, "the old worker is told to go while there is work"
        stop(first)

        def all_done() -> bool:
            send_due(shared)
            return bool(one(deps, done) == 100)

        eventually(all_done, within=90, what="all jobs")
        stop(second)
    found = rows(deps, "SELECT id, run, retry_count FROM jobs")
    assert {row.id for row in found} == set(job_ids)
    assert {(row.run, row.retry_count) for row in found} == {(1, 0)}
    assert one(deps, "SELECT count(*) FROM document_revisions") == 100


def test_control_does_not_wait_for_a_store_that_hangs(shared: dict[str, str], tmp_path: Path) -> None:
    """It would wait for 30 s, and whoever stops a process gives it 15."""
    log = tmp_path / "control.log"
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(60)
        environ = shared | {"S3_ENDPOINT_URL": f"http://127.0.0.1:{silent.getsockname()[1]}"}
        with worker(environ, "control", 2, log, queue="control") as child:
            tick = "from tasks.cron import app; app.send_task('coursewright.cron.expire', queue='control')"
            subprocess.run(
                [sys.executable, "-c", tick], cwd=ROOT, env={**os.environ, **environ}, check=True, timeout=60
            )
            asking, _ = silent.accept()
            with asking:
                child.send_signal(signal.SIGTERM)
                assert child.wait(60) == os.EX_TEMPFAIL
    assert b"shutdown_does_not_wait" in log.read_bytes()
