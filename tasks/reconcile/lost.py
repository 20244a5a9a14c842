"""Jobs that nobody carries on: their worker fell silent, stands still, or works beyond the job's time."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from uuid import UUID

import structlog

from schema.errors import Transient
from schema.job import Status
from storage.engine import moves, queue
from storage.engine.moves import Standing
from tasks import ending
from tasks.deps import Deps
from tasks.pipeline import carrying
from tasks.retry import GiveUp, deadline_exceeded, decide

log = structlog.get_logger(__name__)

#: What became of a stale job, in the words the corrections are counted by.
_KINDS: dict[Status, str] = {"pending": "requeued", "dead_letter": "dead_letter", "done": "completed"}


def mend_overdue(deps: Deps) -> Iterator[str]:
    """Fail jobs that have worked for longer than they may, and whose worker has had a while to notice."""
    jobs = deps.settings.jobs
    limit, grace = jobs.timeout_seconds, jobs.stale_after_seconds
    for job_id in queue.overdue(deps.db, limit, grace):
        with deps.db.transaction() as tx:
            standing = moves.lock(tx, job_id)
            if standing is None or not queue.is_overdue(tx, job_id, limit, grace):
                continue
            error = {**deadline_exceeded(limit).as_json(), "step": standing.current_step}
            ending.apply(tx, standing, GiveUp(dead_letter=False), error)
        ending.wake(deps, standing)
        log.warning("job_corrected", kind="overdue", job=str(job_id), step=standing.current_step)
        yield "overdue"


def mend_lost(deps: Deps, awake: datetime | None = None) -> Iterator[str]:
    """Mark as stale what is in ``processing`` without a sign of life, or without progress for too long."""
    stale_after = deps.settings.jobs.stale_after_seconds
    for job_id in queue.lost(deps.db, stale_after, awake):
        with deps.db.transaction() as tx:
            standing = moves.lock(tx, job_id)
            # Looked at again under the lock: a heartbeat may have come in since.
            if standing is None or not queue.is_lost(tx, job_id, stale_after, awake):
                continue
            moves.mark_stale(tx, job_id)
        log.warning("job_corrected", kind="stale", job=str(job_id), step=standing.current_step, run=standing.run)
        yield "stale"


def take_up_stale(deps: Deps) -> Iterator[str]:
    """Decide about stale jobs: done when everything is written, else a new run, or a dead letter when their retries
    are used up."""
    for job_id in queue.left_stale(deps.db):
        decided = _take_up(deps, job_id)
        if decided is None:
            continue
        standing, status = decided
        ending.wake(deps, standing)
        kind = _KINDS[status]
        log.warning("job_corrected", kind=kind, job=str(job_id), step=standing.current_step, run=standing.run)
        yield kind


def _take_up(deps: Deps, job_id: UUID) -> tuple[Standing, Status] | None:
    with deps.db.transaction() as tx:
        standing = moves.lock(tx, job_id)
        if standing is None or standing.status != "stale":
            return None
        pipeline = carrying(standing.job_type, standing.current_step)
        if pipeline is not None and {step.name for step in pipeline.steps} <= moves.finished_steps(tx, job_id):
            ending.complete(tx, standing, pipeline)
            return standing, "done"
        lost = Transient("Its worker was lost.", code="worker_lost", retry_after=0)
        error = {**lost.as_json(), "step": standing.current_step}
        decision = decide(lost, standing.retry_count, standing.max_retries, deps.luck())
        return standing, ending.apply(tx, standing, decision, error)
