"""What beat calls. Each tick may run twice, late, or beside another beat's: whatever one does is decided under a row's
lock or by a conditional write, so a second one finds nothing left to do.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import structlog
from celery import signals

from schema.errors import Transient, Unavailable
from storage import retention
from storage.engine import queue
from tasks import dispatch as dispatching
from tasks import publish as publishing
from tasks import schedules, sweeps
from tasks.app import app
from tasks.deps import Deps, wire
from tasks.notices import senders
from tasks.reconcile import reconcile
from tasks.watch import LONGEST_SHUTDOWN

log = structlog.get_logger(__name__)

#: For so many seconds a tick purges; the next one goes on.
PURGE_SECONDS = 60.0

#: At most one thread of this process waits for the store, and one purges. The others go on with the rows.
_at_the_store = threading.Lock()
_at_the_purge = threading.Lock()
#: The threads of this process that are in a tick.
_ticking: set[int] = set()


@contextmanager
def _alone(lock: threading.Lock) -> Iterator[bool]:
    """Whether this thread is the only one here. It never waits for another."""
    free = lock.acquire(blocking=False)
    try:
        yield free
    finally:
        if free:
            lock.release()


def _tick(name: str) -> Callable[[Callable[[Deps], object]], Any]:
    def made(do: Callable[[Deps], object]) -> Any:
        @app.task(name=f"coursewright.cron.{name}")  # type: ignore[untyped-decorator]
        def tick() -> None:
            _ticking.add(threading.get_ident())
            try:
                do(wire())
            finally:
                _ticking.discard(threading.get_ident())

        return do

    return made


@signals.worker_shutting_down.connect  # type: ignore[untyped-decorator]
def _end_in_time(**_: Any) -> None:
    """Whoever stops a process gives it 15 s, and a tick may wait longer for the store or for a large statement. Nothing
    is lost with it: what a tick does commits whole or not at all, and the next one does the rest."""
    timer = threading.Timer(LONGEST_SHUTDOWN, _end_if_ticking)
    timer.daemon = True
    timer.start()


def _end_if_ticking() -> None:
    if _ticking:
        log.error("shutdown_does_not_wait", ticks=len(_ticking))
        os._exit(os.EX_TEMPFAIL)


@_tick("dispatch")
def dispatch(deps: Deps) -> None:
    """Send what is due."""
    dispatching.dispatch(deps)


@_tick("reconcile")
def reconcile_in_turn(deps: Deps) -> None:
    """Reconcile the rows, and then the store, unless another thread of this process waits for it."""
    try:
        awake = queue.awake_since(deps.db)
    except Unavailable as error:
        log.warning("tick_waits", reason=error.code)
        return
    reconcile(deps, awake, store=False)
    with _alone(_at_the_store) as free:
        if free:
            reconcile(deps, awake, rows=False)


@_tick("publish")
def publish(deps: Deps) -> None:
    """Write the catalogs whose files are behind, unless another thread of this process waits for the store."""
    try:
        with _alone(_at_the_store) as free:
            if free:
                publishing.publish_catalogs(deps)
    except (Unavailable, Transient) as error:
        log.warning("tick_waits", reason=error.code)


@_tick("notify")
def notify(deps: Deps) -> None:
    """Have webhooks and mails sent that are due, by threads beside this one."""
    senders.look(deps)


@_tick("schedule")
def schedule(deps: Deps) -> None:
    """Start what users have scheduled for now."""
    try:
        schedules.run_due(deps)
    except Unavailable as error:
        log.warning("tick_waits", reason=error.code)


@_tick("expire")
def expire(deps: Deps) -> None:
    """Purge rows past their time, and sweep a stretch of the store, each unless another thread of this process is at
    it. What is left, or away now, is there at the next tick."""
    try:
        with _alone(_at_the_purge) as free:
            if free:
                _purge(deps)
        with _alone(_at_the_store) as free:
            if free:
                sweeps.sweep(deps)
    except (Unavailable, Transient) as error:
        log.warning("tick_waits", reason=error.code)


def _purge(deps: Deps) -> None:
    keep, until = deps.settings.retention, time.monotonic() + PURGE_SECONDS

    def go_on() -> bool:
        return time.monotonic() < until and not deps.watcher.stopping()

    purged = retention.purge(
        deps.db,
        jobs_hours=keep.job_hours,
        events_hours=keep.event_hours,
        audit_hours=keep.audit_hours,
        go_on=go_on,
    )
    log.info("expired", **purged)
