"""How long a cancelled job goes on: from the cancel's commit until its open call is closed at the model's server.

A real worker process, embedded servers, and a model that never answers. Each round asks for a course, lets its first
call hang for a random moment, so that cancels fall anywhere between two looks of the watcher and on steps of any age,
cancels the job, and reads from the server when the client hung up. Then the same worker takes the next job, so one that
were not free would stop the benchmark. With ``--streaming`` the call is one whose answer is streamed, and which falls
silent midway.

    python -m bench.cancel [--cancels 20] [--streaming]
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from uuid import UUID

from bench.engine import fresh_home, running, until
from schema.job import load_new_job
from schema.settings import DEMO_ORGANIZATION_ID, read_settings
from storage import embedded, organizations
from storage.db import Database, make_engine
from storage.embedded import read_secrets
from storage.objects import ObjectStore
from storage.organizations import Organization
from storage.postgres.schema_version import upgrade
from storage.processes import Spec
from tests.fakes.model_faults import Call
from tests.fakes.model_server import ModelServer

ORGANIZATION = UUID(DEMO_ORGANIZATION_ID)
#: A subject no pack covers, so that the very first step asks the model.
REQUEST = {"jobType": "course", "payload": {"subject": "Volcanoes", "gradeBand": "5", "mode": "options"}}
#: The call for a plan, which nobody reads along, and one for items.
SILENT = {"fault": "hang", "seconds": 60}
STREAMING = {"fault": "stalls", "purpose": "items", "seconds": 60}


class Bench:
    """A worker process, and this process as the web: it accepts jobs and cancels them."""

    def __init__(self, home: Path, model: ModelServer, fault: dict[str, Any]) -> None:
        self.home = home
        self.model = model
        self.fault = fault
        self.keys = read_secrets(home)
        made = {
            "DATABASE_URL": embedded.postgres(home, self.keys),
            "REDIS_URL": embedded.valkey(home, self.keys),
            "S3_ENDPOINT_URL": embedded.s3(home, self.keys),
        }
        self.servers = [spec for spec, _ in made.values()]
        self.environment = {name: url for name, (_, url) in made.items()} | {
            "S3_ACCESS_KEY": self.keys.s3_access,
            "S3_SECRET_KEY": self.keys.s3_secret,
            "SECRET_KEY": self.keys.secret_key,
            "COURSEWRIGHT_HOME": str(home),
            "OPENAI_BASE_URL": model.url,
            "LOG_LEVEL": "ERROR",
        }

    def prepare(self) -> None:
        """Tables, the organization, buckets, and the deps of this process."""
        os.environ.update(self.environment)
        db = Database(make_engine(self.environment["DATABASE_URL"], name="bench", pool_size=1))
        upgrade(db.engine)
        organizations.ensure(db, Organization(ORGANIZATION, "bench", "Bench"))
        db.dispose()
        ObjectStore(read_settings(os.environ).s3).ensure_buckets()

        from tasks import logs
        from tasks.deps import wire

        logs.configure("ERROR")
        self.deps = wire("bench")

    def worker(self, threads: int = 1) -> Spec:
        pool = ["--pool", "threads", "--concurrency", str(threads), "--hostname", "bench@%h"]
        argv = ["-m", "celery", "--app", "tasks.app", "worker", "--queues", "course", *pool]
        log = self.home / "logs" / "worker.log"
        return Spec("worker", [sys.executable, *argv], log, self.environment, grace=10)

    def hung(self) -> list[Call]:
        return [call for call in self.model.calls() if call.fault == self.fault["fault"]]

    def cancel_one(self, number: int) -> tuple[float, float]:
        """Seconds from the cancel's commit to the closed connection, and how long the command itself took."""
        from tasks.commands import Asker, cancel_job, start_job

        asker = Asker(ORGANIZATION, None)
        self.model.script([self.fault])
        job_id = start_job(self.deps, asker, load_new_job(REQUEST)).job_id
        until(lambda: len(self.hung()) == number, f"call {number}", within=60)
        time.sleep(random.uniform(0, 1.5))
        asked = time.time()
        cancel_job(self.deps, asker, job_id, "")
        committed = time.time()
        until(lambda: self.hung()[-1].hungUp, "the open call", within=30)
        closed_at = self.hung()[-1].hungUpAt
        assert closed_at is not None
        later = [call for call in self.model.calls() if call.at > committed]
        assert not later, "a call began after the cancel"
        return closed_at - committed, committed - asked


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--cancels", type=int, default=20)
    options.add_argument("--streaming", action="store_true", help="cancel in the middle of an answer")
    given = options.parse_args()
    with ExitStack() as stack:
        home = stack.enter_context(fresh_home())
        bench = Bench(home, stack.enter_context(ModelServer()), STREAMING if given.streaming else SILENT)
        stack.enter_context(running(bench.servers))
        bench.prepare()
        stack.callback(bench.deps.close)
        stack.enter_context(running([bench.worker()]))
        measured = [bench.cancel_one(number) for number in range(1, given.cancels + 1)]
    closed = [seconds for seconds, _ in measured]
    commands = [seconds for _, seconds in measured]
    print(f"{given.cancels} cancels, each with one call open at the model; seconds from the commit until it is closed")
    print(f"  median {statistics.median(closed):.3f}   maximum {max(closed):.3f}   minimum {min(closed):.3f}")
    print(f"  (the command itself: median {statistics.median(commands):.3f})")


if __name__ == "__main__":
    main()
