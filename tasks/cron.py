"""What beat calls. Each tick may run twice, late, or beside another beat's: every correction locks its row and looks
again before it acts, so a second one finds nothing left to do.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import structlog

from schema.errors import Transient, Unavailable
from storage import moves, queue, retention
from tasks import dispatch as dispatching
from tasks import publish as publishing
from tasks import sweeps
from tasks.app import app
from tasks.deps import Deps, wire
from tasks.ending import apply
from tasks.retry import GiveUp, deadline_exceeded, decide

log = structlog.get_logger(__name__)


def reconcile(deps: Deps, awake: datetime | None = None) -> dict[str, int]:
    """Find jobs whose worker is gone and give them a new run, or end them when their retries are used up; end those
    that have worked for longer than they may. ``awake``: silence counts from then on at the earliest."""
    corrected = {"stale": 0, "requeued": 0, "dead_letter": 0, "overdue": 0}
    keep = deps.settings.jobs
    for job_id in queue.overdue(deps.db, keep.timeout_seconds, keep.stale_after_seconds):
        corrected["overdue"] += _end_overdue(deps, job_id)
    for job_id in queue.lost(deps.db, keep.stale_after_seconds, awake):
        corrected["stale"] += _mark_stale(deps, job_id, awake)
    for job_id in queue.left_stale(deps.db):
        status = _take_up_stale(deps, job_id)
        if status is not None:
            corrected["requeued" if status == "pending" else "dead_letter"] += 1
    if any(corrected.values()):
        log.warning("reconciled", **corrected)
    return corrected


def _mark_stale(deps: Deps, job_id: UUID, awake: datetime | None) -> bool:
    with deps.db.transaction() as tx:
        standing = moves.lock(tx, job_id)
        if standing is None or not queue.is_lost(tx, job_id, deps.settings.jobs.stale_after_seconds, awake):
            return False
        return moves.mark_stale(tx, job_id)


def _end_overdue(deps: Deps, job_id: UUID) -> bool:
    """End a job whose worker should have done so itself: it hangs where nobody looks at the clock."""
    keep = deps.settings.jobs
    with deps.db.transaction() as tx:
        standing = moves.lock(tx, job_id)
        if standing is None or not queue.is_overdue(tx, job_id, keep.timeout_seconds, keep.stale_after_seconds):
            return False
        error = {**deadline_exceeded(keep.timeout_seconds).as_json(), "step": standing.current_step}
        apply(tx, standing, GiveUp(dead_letter=False), error)
    _wake(deps, job_id, standing.parent_job_id)
    return True


def _wake(deps: Deps, *job_ids: UUID | None) -> None:
    for job_id in job_ids:
        if job_id is not None:
            deps.bus.wake(job_id)


def _take_up_stale(deps: Deps, job_id: UUID) -> str | None:
    with deps.db.transaction() as tx:
        standing = moves.lock(tx, job_id)
        if standing is None or standing.status != "stale":
            return None
        lost = Transient("Its worker was lost.", code="worker_lost", retry_after=0)
        error = {**lost.as_json(), "step": standing.current_step}
        status = apply(tx, standing, decide(lost, standing.retry_count, standing.max_retries, deps.luck()), error)
    _wake(deps, job_id, standing.parent_job_id)
    return status


def _tick(name: str) -> Any:
    return app.task(name=f"coursewright.cron.{name}")


@_tick("dispatch")  # type: ignore[untyped-decorator]
def dispatch_tick() -> None:
    dispatching.dispatch(wire())


@_tick("reconcile")  # type: ignore[untyped-decorator]
def reconcile_tick() -> None:
    deps = wire()
    try:
        reconcile(deps, queue.awake_since(deps.db))
        publishing.publish_documents(deps, older_than_seconds=5)
    except (Unavailable, Transient) as error:
        log.warning("tick_waits", reason=error.code)


@_tick("publish")  # type: ignore[untyped-decorator]
def publish_tick() -> None:
    try:
        publishing.publish_catalogs(wire())
    except (Unavailable, Transient) as error:
        log.warning("tick_waits", reason=error.code)


@_tick("expire")  # type: ignore[untyped-decorator]
def expire_tick() -> None:
    deps = wire()
    keep = deps.settings.retention
    try:
        purged = retention.purge(deps.db, jobs_hours=keep.job_hours, events_hours=keep.event_hours)
        log.info("expired", **purged)
        sweeps.sweep(deps)
    except (Unavailable, Transient) as error:
        log.warning("tick_waits", reason=error.code)
