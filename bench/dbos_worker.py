"""One DBOS process with a workflow of six steps that do nothing, taken from a queue."""

from __future__ import annotations

import os
import signal
import threading

from dbos import DBOS

QUEUE = "bench"
WORKFLOW = "six_steps"


@DBOS.step()
def nothing(number: int) -> int:
    return number


@DBOS.workflow(name=WORKFLOW)
def six_steps() -> int:
    return sum(nothing(number) for number in range(1, 7))


def main() -> None:
    stopped = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stopped.set())
    DBOS(
        config={
            "name": "bench",
            "system_database_url": os.environ["DBOS_URL"],
            "application_version": "bench",
            "log_level": "WARNING",
        }
    )
    DBOS.launch()
    DBOS.register_queue(QUEUE, worker_concurrency=int(os.environ["BENCH_CONCURRENCY"]), polling_interval_sec=0.05)
    print("ready", flush=True)
    stopped.wait()
    DBOS.destroy()


if __name__ == "__main__":
    main()
