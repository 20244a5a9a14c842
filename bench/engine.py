"""Jobs per second of the durable pipeline, beside a raw Celery chain and DBOS: ``make bench``.

Six steps that do nothing, two worker processes each, the same embedded servers, in turn (A B C A B C ...), so that a
slow moment of the machine meets all of them. Ours also keeps what every real job keeps: a row, events, checkpoints,
leases. Prints each round, the medians, and the ratios to DBOS.

    python -m bench.engine [--jobs 300] [--rounds 3]
"""

from __future__ import annotations

import argparse
import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import UUID

import psycopg2
from redis import Redis

from schema.settings import DEMO_ORGANIZATION_ID
from storage import embedded, organizations
from storage.db import Database, make_engine
from storage.embedded import read_secrets
from storage.organizations import Organization
from storage.postgres.schema_version import upgrade
from storage.processes import Spec, start, stop, wait_ready

PROCESSES, THREADS = 2, 8
ORGANIZATION = UUID(DEMO_ORGANIZATION_ID)


@contextmanager
def fresh_home() -> Iterator[Path]:
    """A folder for the servers of one benchmark, which other users' processes can reach; gone in the end."""
    home = Path(tempfile.mkdtemp(prefix="coursewright-bench-"))
    home.chmod(0o755)
    try:
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def running(specs: list[Spec]) -> Iterator[None]:
    """Start processes, wait until they are ready, and stop them in the end."""
    children = []
    try:
        children = [(spec, start(spec)) for spec in specs]
        for spec, child in children:
            wait_ready(spec, child)
        yield
    finally:
        for spec, child in reversed(children):
            stop(spec, child)


def until(done: Callable[[], bool], what: str, within: float = 300) -> None:
    """Wait for a condition, at most ``within`` seconds."""
    limit = time.monotonic() + within
    while not done():
        if time.monotonic() > limit:
            sys.exit(f"{what} did not finish within {within} s")
        time.sleep(0.02)


def timed(jobs: int, send: Callable[[], None], done: Callable[[], int], what: str) -> float:
    """Jobs per second from the first send to the last job's end."""
    before = done()
    began = time.monotonic()
    for _ in range(jobs):
        send()
    print(f"    {what}: sent at {jobs / (time.monotonic() - began):.0f}/s")
    until(lambda: done() - before >= jobs, what)
    return jobs / (time.monotonic() - began)


class Bench:
    """Everything the rounds need."""

    def __init__(self, home: Path) -> None:
        self.home = home
        keys = read_secrets(home)
        self.postgres, self.database_url = embedded.postgres(home, keys)
        self.valkey, self.redis_url = embedded.valkey(home, keys)
        self.environment = {
            "DATABASE_URL": self.database_url,
            **embedded.role_urls(self.database_url, keys),
            "REDIS_URL": self.redis_url,
            "S3_ENDPOINT_URL": "http://127.0.0.1:1",
            "S3_ACCESS_KEY": "unused",
            "S3_SECRET_KEY": "unused",
            "SECRET_KEY": keys.secret_key,
            "DBOS_URL": self.database_url.rsplit("/", 1)[0] + "/dbos_bench",
            "BENCH_CONCURRENCY": str(THREADS),
            "LOG_LEVEL": "WARNING",
        }

    def prepare(self) -> None:
        """Tables, the organization, and a database for DBOS."""
        os.environ.update(self.environment)
        self.db = Database(make_engine(self.database_url, name="bench", pool_size=4))
        upgrade(self.db.engine)
        organizations.ensure(self.db, Organization(ORGANIZATION, "bench", "Bench"))
        connection = psycopg2.connect(self.database_url)
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute("CREATE DATABASE dbos_bench")
        connection.close()

    def worker(self, name: str, argv: list[str], extra: dict[str, str] | None = None) -> Spec:
        log = self.home / "logs" / f"{name}.log"
        return Spec(name, [sys.executable, *argv], log, {**self.environment, **(extra or {})}, grace=5)

    def celery(self, app: str, queue: str, *pool: str, extra: dict[str, str] | None = None) -> list[Spec]:
        """Worker processes of a Celery app, prefork (one with two children) or threads (two processes)."""
        base = ["-m", "celery", "--app", app, "worker", "--queues", queue, "--without-gossip", "--without-mingle"]
        count = 1 if "prefork" in pool else PROCESSES
        return [
            self.worker(f"{app}-{number}", [*base, *pool, "--hostname", f"{app}{number}@%h"], extra)
            for number in range(count)
        ]

    # --- contenders -------------------------------------------------------------------------------------------------

    def ours(self, jobs: int, turn_seconds: float) -> float:
        """Our pipeline. Sending is what the web does: the row, the event, and a nudge to dispatch."""
        from bench import noop  # noqa: F401 - adds its kind of job before the app is made
        from schema.clock import new_id
        from schema.events import Event
        from schema.settings import settings
        from storage import jobs as rows
        from storage.jobs import NewRow
        from tasks.app import send
        from tasks.deps import wire
        from tasks.nudge import dispatch_soon

        settings.cache_clear()
        deps = wire("bench")
        deps.send = send

        def ask() -> None:
            row = NewRow(new_id(), ORGANIZATION, "noop", "course", {}, "noop1", 6, 3, None)
            with deps.db.statement() as tx:
                rows.insert(tx, row, Event("job_created", {"estimatedDuration": None}))
            dispatch_soon(deps)

        def done() -> int:
            with self.db.statement() as tx:
                return int(tx.run("SELECT count(*) FROM jobs WHERE status = 'done'").scalar_one())

        threads = ("--pool", "threads", "--concurrency", str(THREADS))
        workers = self.celery("bench.noop", "course", *threads, extra={"TURN_SECONDS": str(turn_seconds)})
        with running(workers):
            timed(20, ask, done, "ours, warming up")
            return timed(jobs, ask, done, "ours")

    def raw(self, jobs: int) -> float:
        """A Celery chain with nothing durable."""
        from bench import raw_chain

        counter = Redis.from_url(self.redis_url)
        with running(self.celery("bench.raw_chain", "raw", "--pool", "prefork", "--concurrency", str(PROCESSES))):
            args = (raw_chain.send, lambda: int(counter.get(raw_chain.DONE) or 0))
            timed(20, *args, "raw Celery, warming up")
            return timed(jobs, *args, "raw Celery")

    def dbos(self, jobs: int) -> float:
        """DBOS workflows from a queue."""
        from dbos import DBOSClient

        workers = [self.worker(f"dbos-{number}", ["-m", "bench.dbos_worker"]) for number in range(PROCESSES)]
        with running(workers):
            until(lambda: all("ready" in spec.log.read_text() for spec in workers), "DBOS starting")
            client = DBOSClient(system_database_url=self.environment["DBOS_URL"])
            counting = psycopg2.connect(self.environment["DBOS_URL"])
            counting.autocommit = True

            def send() -> None:
                client.enqueue({"queue_name": "bench", "workflow_name": "six_steps", "app_version": "bench"})

            def done() -> int:
                with counting.cursor() as cursor:
                    cursor.execute("SELECT count(*) FROM dbos.workflow_status WHERE status = 'SUCCESS'")
                    row = cursor.fetchone()
                return int(row[0]) if row else 0

            try:
                timed(20, send, done, "DBOS, warming up")
                return timed(jobs, send, done, "DBOS")
            finally:
                client.destroy()
                counting.close()
                for spec in workers:
                    spec.log.unlink()


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--jobs", type=int, default=300)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--only", choices=["ours", "chain", "raw", "dbos"], help="measure one of them alone")
    given = options.parse_args()
    with ExitStack() as stack:
        home = stack.enter_context(fresh_home())
        bench = Bench(home)
        stack.enter_context(running([bench.postgres, bench.valkey]))
        bench.prepare()
        contenders: dict[str, Callable[[], float]] = {
            "ours": lambda: bench.ours(given.jobs, 1.0),
            "chain": lambda: bench.ours(given.jobs, 0.0),
            "raw": lambda: bench.raw(given.jobs),
            "dbos": lambda: bench.dbos(given.jobs),
        }
        if given.only:
            contenders = {given.only: contenders[given.only]}
        figures: dict[str, list[float]] = {name: [] for name in contenders}
        for number in range(1, given.rounds + 1):
            for name, measure in contenders.items():
                figures[name].append(measure())
            print(f"round {number}: " + "  ".join(f"{name} {all_[-1]:.0f}/s" for name, all_ in figures.items()))
        report(figures, given.jobs)


def report(figures: dict[str, list[float]], jobs: int) -> None:
    """Medians, and each contender's ratio to DBOS round by round."""
    words = {
        "ours": "ours, steps in turns of 1 s",
        "chain": "ours, every step its own message",
        "raw": "raw Celery chain, nothing durable",
        "dbos": "DBOS, one workflow of six steps",
    }
    print(f"\n{jobs} jobs of six no-op steps, {PROCESSES} worker processes; median (lowest to highest) jobs/s")
    for name, all_ in figures.items():
        line = f"  {words[name]:<36} {statistics.median(all_):6.0f}  ({min(all_):.0f} to {max(all_):.0f})"
        if "dbos" in figures:
            ratios = [mine / theirs for mine, theirs in zip(all_, figures["dbos"], strict=True)]
            line += f"   {statistics.median(ratios):.2f} x DBOS"
        print(line)


if __name__ == "__main__":
    main()
