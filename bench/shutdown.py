"""How long a worker with a hundred jobs in flight takes to stop, each of them inside a call that never answers.

A real worker process with a hundred threads, embedded servers, and a model that hangs. Each round asks for a hundred
courses, waits until the model has all their calls, sends SIGTERM, and waits for the end of the process. Afterwards
every job must wait again, at its first run and with no retry counted.

    python -m bench.shutdown [--rounds 3] [--jobs 100]
"""

from __future__ import annotations

import argparse
import signal
import statistics
import time
from contextlib import ExitStack

from bench.cancel import ORGANIZATION, REQUEST, Bench
from bench.engine import fresh_home, running, until
from schema.job import load_new_job
from storage.processes import start, stop
from tests.fakes.model_server import ModelServer


def stop_one(bench: Bench, jobs: int) -> float:
    """Seconds from SIGTERM to the end of a worker with so many jobs in flight."""
    from tasks.commands import Asker, cancel_job, start_job

    asker = Asker(ORGANIZATION, None)
    bench.model.forget(calls=True)
    bench.model.script([{"fault": "hang", "seconds": 120, "times": 2 * jobs}])
    spec = bench.worker(threads=jobs)
    child = start(spec)
    try:
        ids = [start_job(bench.deps, asker, load_new_job(REQUEST)).job_id for _ in range(jobs)]
        until(lambda: len(bench.hung()) == jobs, "all calls", within=120)
        began = time.monotonic()
        child.send_signal(signal.SIGTERM)
        child.wait(120)
        seconds = time.monotonic() - began
    finally:
        stop(spec, child)
    with bench.deps.db.statement() as tx:
        found = tx.run("SELECT DISTINCT status, run, retry_count FROM jobs WHERE id = ANY(:jobs)", {"jobs": ids}).all()
    assert [tuple(row) for row in found] == [("pending", 1, 0)], found
    for job_id in ids:
        cancel_job(bench.deps, asker, job_id, "")
    return seconds


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--jobs", type=int, default=100)
    given = options.parse_args()
    with ExitStack() as stack:
        home = stack.enter_context(fresh_home())
        bench = Bench(home, stack.enter_context(ModelServer()))
        bench.environment |= {name: str(10 * given.jobs) for name in ("DISPATCH_WINDOW", "ORG_MAX_ACTIVE_JOBS")}
        bench.environment["MODEL_CONCURRENCY"] = str(given.jobs)
        stack.enter_context(running(bench.servers))
        bench.prepare()
        stack.callback(bench.deps.close)
        measured = [stop_one(bench, given.jobs) for _ in range(given.rounds)]
    print(f"{given.jobs} jobs in flight, all handed back and none counted; seconds from SIGTERM to the end")
    print(f"  median {statistics.median(measured):.2f}   maximum {max(measured):.2f}   of {given.rounds}")


if __name__ == "__main__":
    main()
