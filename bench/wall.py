"""What the wall between organizations costs: statements of a job, as the owner whom no policy binds and as the roles
of the processes, in turn, so that a slow moment of the machine meets all of them.

    python -m bench.wall [--rounds 2000]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from uuid import UUID

from bench.engine import fresh_home, running
from schema.clock import new_id
from schema.events import Event
from schema.settings import DEMO_ORGANIZATION_ID
from storage import embedded, events, jobs, organizations, steps, wall
from storage.db import Database, make_engine
from storage.embedded import read_secrets
from storage.jobs import NewRow
from storage.organizations import Organization
from storage.postgres.schema_version import upgrade

ORGANIZATION = UUID(DEMO_ORGANIZATION_ID)
_TOLD = Event("step_progress", {"step": "fill", "stepIndex": 1, "totalSteps": 6, "message": "x", "progress": 1.0})


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=2000)
    rounds = options.parse_args().rounds
    with fresh_home() as home:
        keys = read_secrets(home)
        postgres, url = embedded.postgres(home, keys)
        with running([postgres]):
            urls = embedded.role_urls(url, keys)
            owner = Database(make_engine(url, name="owner", pool_size=1))
            upgrade(owner.engine)
            organizations.ensure(owner, Organization(ORGANIZATION, "bench", "Bench"))
            measure(
                {
                    "owner, no wall": owner,
                    "worker, in a step": Database(
                        make_engine(urls["WORKER_DATABASE_URL"], name="worker", pool_size=1, purpose="worker")
                    ),
                    "web": Database(make_engine(urls["WEB_DATABASE_URL"], name="web", pool_size=1, purpose="web")),
                },
                rounds,
            )


def measure(databases: dict[str, Database], rounds: int) -> None:
    """Medians in milliseconds, and how much each is above the owner's, round by round."""
    lease = begun(databases["owner, no wall"])
    asked: dict[str, Callable[[Database], object]] = {
        "one row by its id": lambda db: events.after(db, ORGANIZATION, lease.job_id, 10**6),
        "progress told, in a transaction of one statement": lambda db: steps.tell(
            db, lease, [_TOLD], progress=1, message="x"
        ),
        "a transaction of two": lambda db: twice(db, lease.job_id),
    }
    for words, ask in asked.items():
        times: dict[str, list[float]] = {name: [] for name in databases}
        with wall.within(ORGANIZATION):
            for _ in range(rounds):
                for name, db in databases.items():
                    began = time.perf_counter()
                    ask(db)
                    times[name].append(time.perf_counter() - began)
        plain = times["owner, no wall"]
        print(words)
        for name, taken in times.items():
            more = statistics.median(mine - theirs for mine, theirs in zip(taken, plain, strict=True))
            print(f"  {name:<18} {statistics.median(taken) * 1000:6.3f} ms   {more * 1000:+.3f} ms")


def begun(db: Database) -> steps.Lease:
    """A job at work."""
    row = NewRow(new_id(), ORGANIZATION, "course", "course", {}, "fill", 6, 3, None)
    with db.statement() as tx:
        jobs.insert(tx, row, Event("job_created", {"estimatedDuration": None}))
    claimed = steps.claim(db, row.job_id, 1, "fill", 1, "bench", [], "At work", 600)
    assert claimed is not None
    return claimed.lease


def twice(db: Database, job_id: UUID) -> None:
    with db.transaction() as tx:
        tx.run("SELECT status FROM jobs WHERE id = :id FOR NO KEY UPDATE", {"id": job_id})
        tx.run("UPDATE jobs SET progress = 2 WHERE id = :id", {"id": job_id})


if __name__ == "__main__":
    main()
