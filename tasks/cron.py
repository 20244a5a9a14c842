"""What beat calls. Each tick may run twice, late, or beside another beat's: whatever one does is decided under a row's
lock or by a conditional write, so a second one finds nothing left to do.
"""

from __future__ import annotations

import threading
from typing import Any

import structlog

from schema.errors import Transient, Unavailable
from storage import queue, retention
from tasks import dispatch as dispatching
from tasks import publish as publishing
from tasks import sweeps
from tasks.app import app
from tasks.deps import Deps, wire
from tasks.reconcile import reconcile

log = structlog.get_logger(__name__)


#: At most one thread of this process waits for the store. When the store hangs, the others go on with the rows.
_at_the_store = threading.Lock()


def _tick(name: str) -> Any:
    return app.task(name=f"coursewright.cron.{name}")


@_tick("dispatch")  # type: ignore[untyped-decorator]
def dispatch_tick() -> None:
    dispatching.dispatch(wire())


def reconcile_in_turn(deps: Deps) -> None:
    """Reconcile the rows, and then the store, unless another thread of this process waits for it."""
    try:
        awake = queue.awake_since(deps.db)
    except Unavailable as error:
        log.warning("tick_waits", reason=error.code)
        return
    reconcile(deps, awake, store=False)
    if _at_the_store.acquire(blocking=False):
        try:
            reconcile(deps, awake, rows=False)
        finally:
            _at_the_store.release()


@_tick("reconcile")  # type: ignore[untyped-decorator]
def reconcile_tick() -> None:
    reconcile_in_turn(wire())


@_tick("publish")  # type: ignore[untyped-decorator]
def publish_tick() -> None:
    if not _at_the_store.acquire(blocking=False):
        return
    try:
        publishing.publish_catalogs(wire())
    except (Unavailable, Transient) as error:
        log.warning("tick_waits", reason=error.code)
    finally:
        _at_the_store.release()


def expire(deps: Deps) -> None:
    """Purge rows past their time, and sweep a stretch of the store. What is away now is there at the next tick."""
    keep = deps.settings.retention
    try:
        purged = retention.purge(deps.db, jobs_hours=keep.job_hours, events_hours=keep.event_hours)
        log.info("expired", **purged)
        sweeps.sweep(deps)
    except (Unavailable, Transient) as error:
        log.warning("tick_waits", reason=error.code)


@_tick("expire")  # type: ignore[untyped-decorator]
def expire_tick() -> None:
    expire(wire())
