"""The Celery app: one task per step, each a message ``(job_id, run)`` that says "look at this job".

A chain carries a job from step to step. The delivery that ended a step decides what becomes of the chain: it drops
the links it has done itself, lets the rest travel on, or cuts it. Only a job that failed for good raises.
"""

from __future__ import annotations

import mmap
import os
import sys
from typing import Any
from uuid import UUID

import structlog
from celery import Celery, Task, chain, signals

from schema.errors import SettingsError
from schema.settings import settings
from storage.engine.queue import Sending
from storage.processes import end_with_parent
from tasks import logs, tracing
from tasks.deps import wire
from tasks.pipeline import PIPELINES, task_name
from tasks.step import JobFailed, deliver

app = Celery("coursewright")
app.config_from_object("celeryconfig")


def _register(job_type: str, name: str) -> Task:
    @app.task(bind=True, name=task_name(job_type, name), throws=(JobFailed,))  # type: ignore[untyped-decorator]
    def step_task(self: Task, job_id: str, run: int) -> str:
        delivery = deliver(wire(), UUID(job_id), run, name, job_type=job_type)
        if delivery.pass_on:
            # The last link is the next one; steps this delivery did itself are dropped from there.
            for _ in range(delivery.steps_done - 1):
                self.request.chain.pop()
        else:
            self.request.chain = None
        if delivery.failed is not None:
            raise JobFailed(delivery.failed)
        return delivery.verdict

    return step_task


STEP_TASKS: dict[tuple[str, str], Any] = {
    (kind.job_type, step.name): _register(kind.job_type, step.name)
    for kind in PIPELINES.values()
    for step in kind.steps
}


def send(sending: Sending) -> None:
    """Put a job's remaining steps on the broker as one chain. Raises the broker's error when it is away."""
    pipeline = PIPELINES[sending.job_type]
    remaining = pipeline.steps[pipeline.index(sending.step) :]
    # The job keeps its line for all its steps: what a small organization has begun overtakes as its first step did.
    options = {"queue": pipeline.queue, "priority": sending.line}
    links = [
        STEP_TASKS[sending.job_type, step.name].si(str(sending.job_id), sending.run).set(**options)
        for step in remaining
    ]
    with tracing.own_trace():
        chain(*links).apply_async(retry=False)


def ask_dispatch() -> None:
    """Have a worker send what is due, which the web can't see. Lost, it costs a second: the clock asks as well. Raises
    the broker's error when it is away."""
    app.send_task("coursewright.cron.dispatch", queue="control", expires=5, retry=False)


@signals.worker_init.connect  # type: ignore[untyped-decorator]
@signals.beat_init.connect  # type: ignore[untyped-decorator]
def _traced(sender: Any, **_: Any) -> None:
    name = str(getattr(sender, "hostname", None) or "beat").partition("@")[0]
    try:
        tracing.start(settings(), name)
    except SettingsError as error:
        sys.exit(f"coursewright: {error.message}")  # Celery would only log anything less than this


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def _logs(**_: Any) -> None:
    logs.configure(settings().log_level)


#: Memory shared with the children of a prefork pool, who are not told of a shutdown: 1 once it has begun.
_stop = mmap.mmap(-1, 1)


@signals.worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _hand_back(**_: Any) -> None:
    structlog.get_logger(__name__).info("worker_shutting_down")
    _stop[0] = 1
    wire().watcher.shut_down()


@signals.worker_ready.connect  # type: ignore[untyped-decorator]
def _ends_when_it_hangs(sender: Any, **_: Any) -> None:
    wire().watcher.may_end_process(_end_now, hanging=max(1, sender.controller.concurrency // 2))


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def _pool_child(**_: Any) -> None:
    end_with_parent()
    wire().watcher.follow(lambda: _stop[0] == 1)
    wire().watcher.may_end_process(_end_now, hanging=1)


def _end_now() -> None:
    """End the process although threads of it hang, which an ordinary exit would wait for."""
    os._exit(os.EX_TEMPFAIL)


@signals.task_prerun.connect  # type: ignore[untyped-decorator]
def _log_context(task: Task, args: tuple[Any, ...] | None = None, **_: Any) -> None:
    structlog.contextvars.clear_contextvars()
    if task.name.startswith("coursewright.cron."):
        structlog.contextvars.bind_contextvars(tick=task.name.rsplit(".", 1)[1])
    elif args:
        structlog.contextvars.bind_contextvars(job=args[0], run=args[1])
