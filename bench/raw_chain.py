"""A plain Celery chain of six tasks that do nothing and keep nothing; the last counts itself in Redis."""

from __future__ import annotations

import os

from celery import Celery, chain
from redis import Redis

app = Celery("raw", broker=os.environ["REDIS_URL"])
app.conf.update(
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_send_task_events=True,
    task_default_queue="raw",
    worker_hijack_root_logger=False,
)
counter = Redis.from_url(os.environ["REDIS_URL"])
DONE = "bench:raw:done"


@app.task(name="raw.step")
def step(number: int) -> None:
    if number == 6:
        counter.incr(DONE)


def send() -> None:
    """Put one chain on the broker."""
    chain(*(step.si(number) for number in range(1, 7))).apply_async()
