"""Tells events at a steady rate, in a process of its own, so that it shares no interpreter with who measures. Reads
``{"jobs": [...], "rate": 200}`` on one line of its input, and goes on until its input ends; then it prints how many it
told. Each event's message is the time, in nanoseconds, right before the transaction that tells it."""

from __future__ import annotations

import json
import sys
import threading
import time
from itertools import count
from uuid import UUID

THREADS = 4


def main() -> None:
    from schema.events import Event
    from storage import events
    from tasks.deps import wire

    deps = wire("emitter")
    given = json.loads(sys.stdin.readline())
    jobs = [UUID(job) for job in given["jobs"]]
    numbers, over = count(), threading.Event()
    began = time.monotonic()
    told = [0] * THREADS

    def tell(thread: int) -> None:
        while not over.is_set():
            number = next(numbers)
            over.wait(max(0.0, began + number / given["rate"] - time.monotonic()))
            job_id = jobs[number % len(jobs)]
            step = {"step": "fill", "stepIndex": 1, "totalSteps": 6, "progress": 20}
            with deps.db.transaction() as tx:
                events.append(tx, job_id, [Event("step_progress", {**step, "message": str(time.time_ns())})])
            deps.bus.wake(job_id)
            told[thread] += 1

    threads = [threading.Thread(target=tell, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    sys.stdin.read()
    over.set()
    for thread in threads:
        thread.join()
    deps.close()
    print(sum(told))


if __name__ == "__main__":
    main()
