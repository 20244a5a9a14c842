"""How long another organization's single job waits while one has a thousand queued: ``python -m bench.fairness``.

One organization keeps 1,000 jobs of a known length queued. At random moments another asks for a single one. Printed is
how long that one waited to begin, from the making of its row, in units of one job's time, which is what the worker's
places really needed for one, messages and rows included. Measured with one place (the hardest case: only the end of
the very job that runs makes room), with eight, and with a pool of processes.

    python -m bench.fairness [--seconds 0.5] [--rounds 15] [--jobs 1000]
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from bench.engine import Bench, fresh_home, running, until


@dataclass
class Worker:
    """A worker with so many places, and what was measured with it, in seconds."""

    queue: str
    pool: str
    places: int
    job_seconds: float = 0.0
    waited: list[float] = field(default_factory=list)

    def __str__(self) -> str:
        in_jobs = [seconds / self.job_seconds for seconds in self.waited]
        return (
            f"  {self.queue:<7} {self.pool:<8} {self.places} at once   one job {self.job_seconds:.2f} s   waited: "
            f"median {statistics.median(in_jobs):.2f}, maximum {max(in_jobs):.2f}   ({len(in_jobs)} rounds)"
        )


WORKERS = (Worker("course", "threads", 1), Worker("course", "threads", 8), Worker("media", "prefork", 2))


class Fairness:
    """The big organization, the small ones, and the asking."""

    def __init__(self, bench: Bench) -> None:
        from bench import pause
        from schema.settings import settings
        from tasks.app import send
        from tasks.deps import wire

        settings.cache_clear()
        self.bench = bench
        self.kinds = pause.KINDS
        self.deps = wire("bench")
        self.deps.send = send
        self.big = self.organization("big")

    def organization(self, name: str) -> UUID:
        from schema.clock import new_id
        from storage import organizations
        from storage.organizations import Organization

        made = Organization(new_id(), f"{name}-{new_id().hex[:8]}", name)
        organizations.ensure(self.deps.db, made)
        return made.id

    def ask(self, organization: UUID, queue: str, count: int = 1) -> UUID:
        """What the web does for ``count`` requests. Returns the last job's id."""
        from schema.clock import new_id
        from schema.events import Event
        from storage import jobs
        from storage.jobs import NewRow
        from tasks.nudge import dispatch_soon

        kind = self.kinds[queue]
        with self.deps.db.transaction() as tx:
            for _ in range(count):
                row = NewRow(new_id(), organization, kind, queue, {}, kind, 1, 3, None)
                jobs.insert(tx, row, Event("job_created", {"estimatedDuration": None}))
        dispatch_soon(self.deps)
        return row.job_id

    def one(self, statement: str, **values: Any) -> Any:
        with self.deps.db.statement() as tx:
            return tx.run(statement, values).scalar_one()

    def measure(self, worker: Worker, rounds: int, jobs: int, seconds: float) -> None:
        """Let single jobs come while the worker has all hands full."""
        in_status = "SELECT count(*) FROM jobs WHERE queue = :queue AND status = :status"
        queue, name = worker.queue, f"fair-{worker.queue}-{worker.places}"
        argv = ["-m", "celery", "--app", "bench.pause", "worker", "--queues", queue, "--pool", worker.pool]
        argv += [
            "--concurrency",
            str(worker.places),
            "--hostname",
            f"{name}@%h",
            "--without-gossip",
            "--without-mingle",
        ]
        began = self.one("SELECT clock_timestamp()")
        with running([self.bench.worker(name, argv, {"BENCH_SECONDS": str(seconds)})]):
            for _ in range(rounds):
                self.ask(self.big, queue, jobs - self.one(in_status, queue=queue, status="pending"))
                until(lambda: self.one(in_status, queue=queue, status="processing") >= worker.places, "the big one")
                time.sleep(random.uniform(2, 4) * seconds)
                worker.waited.append(self.wait_of(self.ask(self.organization("small"), queue)))
            worker.job_seconds = self.one(
                """SELECT EXTRACT(epoch FROM max(started_at) - min(started_at))::float * :places / (count(*) - 1)
                FROM jobs WHERE queue = :queue AND started_at >= :began""",
                queue=queue,
                places=worker.places,
                began=began,
            )
        with self.deps.db.statement() as tx:
            tx.run("UPDATE jobs SET status = 'cancelled', due_at = NULL, sent_at = NULL WHERE due_at IS NOT NULL")

    def wait_of(self, job_id: UUID) -> float:
        """Seconds from a job's row to its beginning, by the clock of the database."""
        begun = "SELECT count(*) FROM jobs WHERE id = :job AND started_at IS NOT NULL"
        until(lambda: self.one(begun, job=job_id) == 1, "the single job")
        waited = "SELECT EXTRACT(epoch FROM started_at - created_at)::float FROM jobs WHERE id = :job"
        return float(self.one(waited, job=job_id))


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--seconds", type=float, default=0.5)
    options.add_argument("--rounds", type=int, default=15)
    options.add_argument("--jobs", type=int, default=1000)
    given = options.parse_args()
    with ExitStack() as stack:
        home = stack.enter_context(fresh_home())
        bench = Bench(home)
        stack.enter_context(running([bench.postgres, bench.valkey]))
        bench.prepare()
        fairness = Fairness(bench)
        print(
            f"{given.jobs} jobs that pause for {given.seconds} s queued by one organization; how long another's single"
        )
        print("job waited to begin, in units of one job's time:")
        for worker in WORKERS:
            fairness.measure(worker, given.rounds, given.jobs, given.seconds)
            print(worker, flush=True)


if __name__ == "__main__":
    os.environ.setdefault("BENCH_SECONDS", "0")
    main()
