"""What beat calls. Each tick may run twice, late, or beside another beat's: every correction locks its row and looks
again before it acts, so a second one finds nothing left to do.
"""

from __future__ import annotations

import random
from typing import Any
from uuid import UUID

import structlog

from schema.errors import Transient, Unavailable
from storage import moves, queue, retention
from tasks import dispatch as dispatching
from tasks import publish as publishing
from tasks.app import app
from tasks.deps import Deps, wire
from tasks.ending import apply
from tasks.retry import decide

log = structlog.get_logger(__name__)


def reconcile(deps: Deps) -> dict[str, int]:
    """Find jobs whose worker is gone and give them a new run, or end them when their retries are used up."""
    corrected = {"stale": 0, "requeued": 0, "dead_letter": 0}
    for job_id in queue.without_heartbeat(deps.db, deps.settings.jobs.stale_after_seconds):
        corrected["stale"] += _mark_stale(deps, job_id)
    for job_id in queue.left_stale(deps.db):
        status = _take_up_stale(deps, job_id)
        if status is not None:
            corrected["requeued" if status == "pending" else "dead_letter"] += 1
    if any(corrected.values()):
        log.warning("reconciled", **corrected)
    return corrected


def _mark_stale(deps: Deps, job_id: UUID) -> bool:
    with deps.db.transaction() as tx:
        standing = moves.lock(tx, job_id)
        # Looked at again under the lock: a heartbeat may have come in since.
        if standing is None or standing.status != "processing":
            return False
        alive = tx.run(
            """SELECT 1 FROM jobs j LEFT JOIN job_leases l ON l.job_id = j.id
            WHERE j.id = :job AND (j.due_at IS NOT NULL
              OR COALESCE(l.heartbeat_at, j.updated_at) >= clock_timestamp() - make_interval(secs => :stale))""",
            {"job": job_id, "stale": deps.settings.jobs.stale_after_seconds},
        ).one_or_none()
        return alive is None and moves.mark_stale(tx, job_id)


def _take_up_stale(deps: Deps, job_id: UUID) -> str | None:
    with deps.db.transaction() as tx:
        standing = moves.lock(tx, job_id)
        if standing is None or standing.status != "stale":
            return None
        lost = Transient("Its worker was lost.", code="worker_lost", retry_after=0)
        error = {**lost.as_json(), "step": standing.current_step}
        status = apply(tx, standing, decide(lost, standing.retry_count, standing.max_retries, random.random()), error)
    for woken in (job_id, standing.parent_job_id):
        if woken is not None:
            deps.bus.wake(woken)
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
        reconcile(deps)
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
    except Unavailable as error:
        log.warning("tick_waits", reason=error.code)
        return
    log.info("expired", **purged)
