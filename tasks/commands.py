"""The use cases. A view calls one of these; nothing else writes.

Each opens one transaction, and what must leave the process leaves after its commit.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import structlog

from schema.clock import iso, new_id, short_code, utc_now
from schema.errors import Conflict, NotFound
from schema.events import Event
from schema.job import ACTIVE, RETRYABLE, CourseRequest, NewJob, course_slug
from storage import events, jobs, moves
from storage.db import Transaction
from storage.jobs import NewRow, Rival
from tasks import ending, nudge
from tasks.deps import Deps
from tasks.pipeline import PIPELINES
from tasks.strategies import choose

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Asker:
    """On whose behalf: an organization, and who there (kept for audit, need not be a known user)."""

    organization_id: UUID
    user: str | None


@dataclass(frozen=True)
class Started:
    """The answer to a request for work. ``fresh`` is false when a job for it was there already."""

    job_id: UUID
    status: str
    fresh: bool
    by_key: bool = False


def _fingerprint(new: NewJob) -> str:
    """A hash of what was asked, the same for the same request in any spelling."""
    return hashlib.sha256(json.dumps([new.job_type, new.payload], sort_keys=True).encode()).hexdigest()


def start_job(deps: Deps, asker: Asker, new: NewJob, idempotency_key: str | None = None) -> Started:
    """Accept a request for work: the job, its first event and the intent to send it commit together.

    Raises ``ModelNotConfigured`` when nobody can serve it, and ``Conflict`` (``idempotency_conflict``,
    ``active_job_exists``) when its key or its target is taken by another request."""
    fingerprint = _fingerprint(new)
    course_id = new.payload.get("courseId") or course_slug(new.payload["subject"], short_code())
    pipeline = PIPELINES[new.job_type]
    row = NewRow(
        job_id=new_id(),
        organization_id=asker.organization_id,
        job_type=new.job_type,
        queue=pipeline.queue,
        payload=new.payload,
        first_step=pipeline.steps[0].name,
        total_steps=len(pipeline.steps),
        max_retries=deps.settings.jobs.max_retries,
        created_by=asker.user,
        target=f"course:{course_id}",
        course_id=course_id,
        request_hash=fingerprint,
    )
    with deps.db.transaction() as tx:
        if idempotency_key is not None:
            other = jobs.take_key(tx, asker.organization_id, idempotency_key, row.job_id, fingerprint)
            if other is not None:
                return _same_key(other, fingerprint)
        choose(cast(CourseRequest, new.payload), deps.settings.model.configured)
        started = _insert(tx, row)
        if idempotency_key is not None and not started.fresh:
            jobs.give_key(tx, asker.organization_id, idempotency_key, started.job_id)
        if started.fresh:
            tx.after_commit(lambda: nudge.dispatch_soon(deps))
            tx.after_commit(lambda: log.info("job_accepted", job=str(row.job_id), course=course_id))
    return started


def _same_key(other: Rival, fingerprint: str) -> Started:
    if other.request_hash == fingerprint:
        return Started(other.job_id, other.status, fresh=False, by_key=True)
    words = f"This Idempotency-Key was used for another request (job {other.job_id}). Use a new key."
    raise Conflict(words, code="idempotency_conflict", details={"jobId": str(other.job_id)})


def _insert(tx: Transaction, row: NewRow) -> Started:
    """Make the job, or find the active one that does the very same."""
    created = Event("job_created", {"estimatedDuration": None})
    for _ in range(3):
        if jobs.insert(tx, row, created):
            return Started(row.job_id, "pending", fresh=True)
        other = jobs.active_on(tx, row.organization_id, row.target)
        if other is None:
            continue  # it ended between the two looks, so the target is free now
        if other.request_hash == row.request_hash:
            return Started(other.job_id, other.status, fresh=False)
        words = f"Job {other.job_id} is at work on this course with another request. Wait for it or cancel it."
        raise Conflict(words, code="active_job_exists", details={"jobId": str(other.job_id)})
    raise Conflict("Many jobs for this course begin and end just now. Ask again.", code="active_job_exists")


def cancel_job(deps: Deps, asker: Asker, job_id: UUID, reason: str) -> str:
    """Cancel a job, or the pictures a finished one still waits for. Returns a sentence. Raises ``NotFound``, and
    ``Conflict`` (``job_finished``) when there is nothing left to cancel."""
    with deps.db.transaction() as tx:
        standing = moves.lock(tx, job_id, asker.organization_id)
        if standing is None:
            raise NotFound("There is no such job.")
        children = moves.living_children(tx, job_id)
        ended = [ending.cancel(tx, child, reason) for child in (moves.lock(tx, child) for child in children) if child]
        if standing.status in ACTIVE:
            ending.cancel(tx, standing, reason)
            message = "The job is cancelled. What it has finished so far is kept; a retry goes on from there."
        elif any(ended):
            message = f"The course is done; {len(ended)} of its pictures were cancelled."
        else:
            raise Conflict(f"The job is {standing.status}; there is nothing to cancel.", code="job_finished")
        for woken in (job_id, standing.parent_job_id, *children):
            if woken is not None:
                tx.after_commit(lambda woken=woken: deps.bus.wake(woken))  # type: ignore[misc]
    return message


def retry_job(deps: Deps, asker: Asker, job_id: UUID) -> None:
    """Take up a job that ended badly: a new run from its first step without a checkpoint.

    Raises ``NotFound``, ``Conflict`` (``not_retryable``, or ``active_job_exists`` when its course has another job)."""
    with deps.db.transaction() as tx:
        standing = moves.lock(tx, job_id, asker.organization_id)
        if standing is None:
            raise NotFound("There is no such job.")
        if standing.status not in RETRYABLE:
            words = f"The job is {standing.status}. Only failed, cancelled, stale and dead-letter jobs can be retried."
            raise Conflict(words, code="not_retryable")
        pipeline = PIPELINES[standing.job_type]
        step = pipeline.first_without(moves.finished_steps(tx, job_id))
        if not moves.take_up(tx, job_id, step.name, pipeline.index(step.name), pipeline.at(step.name, 0)):
            raise Conflict("Another active job works on the same course.", code="active_job_exists")
        if standing.parent_job_id is not None and standing.status != "stale":
            moves.expect_children(tx, standing.parent_job_id, 1)
        body: dict[str, Any] = {"step": step.name, "attempt": 1, "nextRunAt": iso(utc_now()), "error": None}
        events.append(tx, job_id, [Event("job_retrying", body)])
        tx.after_commit(lambda: deps.bus.wake(job_id))
        tx.after_commit(lambda: nudge.dispatch_soon(deps))
