"""The use cases. A view calls one of these; nothing else writes.

Each opens one transaction, and what must leave the process leaves after its commit.
"""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

import structlog

from schema.audit import Deed
from schema.clock import iso, new_id, short_code, utc_now
from schema.errors import Conflict, NotFound, TooMany
from schema.events import Event
from schema.job import ACTIVE, RETRYABLE, NewJob, course_slug
from storage import audit, events, jobs
from storage.db import Transaction
from storage.engine import moves
from storage.jobs import NewRow, Rival
from storage.spending import rations
from tasks import ending, nudge
from tasks.deps import Deps
from tasks.estimates import estimated_seconds, step_shares
from tasks.pipeline import PIPELINES, carrying
from tasks.requests import check_model, completed, exam_titles, hold_exam, named_after, target_of

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Asker:
    """On whose behalf: an organization, and who there (kept for audit, need not be a known user). ``rationed``: may ask
    for ``USER_JOBS_PER_HOUR`` jobs one by one."""

    organization_id: UUID
    user: str | None
    rationed: bool = False


@dataclass(frozen=True)
class Started:
    """The answer to a request for work. ``fresh`` is false when a job for it was there already."""

    job_id: UUID
    status: str
    fresh: bool
    by_key: bool = False


def _fingerprint(new: NewJob) -> str:
    """A hash of what was asked, the same for the same request in any spelling, and whatever the organization's settings
    add to it."""
    asked = {name: value for name, value in new.payload.items() if name not in new.filled_in}
    return hashlib.sha256(json.dumps([new.job_type, asked], sort_keys=True).encode()).hexdigest()


def row_for(deps: Deps, asker: Asker, new: NewJob, course_id: str) -> NewRow:
    """The job that a request is about to become, at the first of its steps."""
    pipeline = PIPELINES[new.job_type]
    return NewRow(
        job_id=new_id(),
        organization_id=asker.organization_id,
        job_type=new.job_type,
        queue=pipeline.queue,
        payload=new.payload,
        first_step=pipeline.steps[0].name,
        total_steps=len(pipeline.steps),
        max_retries=deps.settings.jobs.max_retries,
        created_by=asker.user,
        target=target_of(new, course_id),
        course_id=course_id,
        exam_id=new.payload.get("examId"),
        request_hash=_fingerprint(new),
        step_shares=step_shares(deps, asker.organization_id, new.job_type),
    )


@dataclass(frozen=True)
class Prepared:
    """A request that is about to become a job: whose, for what, the row, and how long such jobs take in seconds."""

    asker: Asker
    new: NewJob
    row: NewRow
    expected_seconds: float | None


def prepare(deps: Deps, asker: Asker, new: NewJob) -> Prepared:
    """What can be found out before the transaction that starts a job, and must be: it needs connections of its own."""
    [new] = completed(deps.db, asker.organization_id, [new])
    titles = exam_titles(deps.db, asker.organization_id, [new])
    course_id = new.payload.get("courseId") or course_slug(named_after(new, titles), short_code())
    row = replace(row_for(deps, asker, new, course_id), rationed=asker.rationed)
    return Prepared(asker, new, row, estimated_seconds(deps, row.organization_id, row.job_type))


def start_job(deps: Deps, asker: Asker, new: NewJob, idempotency_key: str | None = None) -> Started:
    """Accept a request for work: the job, its first event and the intent to send it commit together.

    Raises ``ModelNotConfigured`` when nobody can serve it, ``Invalid`` (``unknown_exam``), ``Conflict``
    (``idempotency_conflict``, ``active_job_exists``) when its key, its target or its course is taken by another
    request, and ``TooMany`` (``user_job_limit``) when a person has asked for as many within the hour as one may."""
    prepared = prepare(deps, asker, new)
    with deps.db.transaction() as tx:
        started = start_within(deps, tx, prepared, idempotency_key)
        note_started(tx, prepared, started)
        return started


def note_started(tx: Transaction, prepared: Prepared, started: Started, action: str = "job.started") -> None:
    """Write down that a job was asked for."""
    row = prepared.row
    details = {"jobType": row.job_type, "courseId": row.course_id if started.fresh else None, "examId": row.exam_id}
    existing = None if started.fresh else True
    audit.note(tx, Deed(row.organization_id, action, "job", str(started.job_id), {**details, "existing": existing}))


def start_within(deps: Deps, tx: Transaction, prepared: Prepared, idempotency_key: str | None = None) -> Started:
    """The same, to commit with something else. After an error the transaction must be left."""
    asker, new, row = prepared.asker, prepared.new, prepared.row
    fingerprint = _fingerprint(new)
    if idempotency_key is not None:
        other = jobs.take_key(tx, asker.organization_id, idempotency_key, row.job_id, fingerprint)
        if other is not None:
            return _same_key(other, fingerprint)
    check_model(new, deps.settings.model.configured)
    hold_exam(tx, asker.organization_id, new)
    if "courseId" in new.payload:
        _check_course(tx, row.organization_id, row.course_id, row.target)
    if asker.rationed:
        rations.take_turn(tx, asker.organization_id, asker.user)
    started = _insert(tx, row, prepared.expected_seconds)
    if asker.rationed and started.fresh:
        _check_ration(tx, asker, row.job_id, deps.settings.jobs.user_per_hour)
    if idempotency_key is not None and not started.fresh:
        jobs.give_key(tx, asker.organization_id, idempotency_key, started.job_id)
    if started.fresh:
        tx.after_commit(lambda: nudge.dispatch_soon(deps))
        tx.after_commit(lambda: log.info("job_accepted", job=str(row.job_id), course=row.course_id))
    return started


def _check_course(tx: Transaction, organization_id: UUID, course_id: str | None, target: str | None) -> None:
    """Raise ``Conflict`` (``active_job_exists``) when a job with another target makes this course. Of two that ask at
    the very same moment neither sees the other; then the course gets two revisions, one after the other."""
    for other in jobs.active_on_courses(tx, organization_id, {str(course_id): target}).values():
        raise _busy(other)


def _busy(job_id: UUID, on: str = "course") -> Conflict:
    words = f"Job {job_id} is at work on this {on} with another request. Wait for it or cancel it."
    return Conflict(words, code="active_job_exists", details={"jobId": str(job_id)})


def _same_key(other: Rival, fingerprint: str) -> Started:
    check_key(other, fingerprint)
    return Started(other.job_id, other.status, fresh=False, by_key=True)


def check_key(other: Rival, fingerprint: str) -> None:
    """Raise ``Conflict`` (``idempotency_conflict``) unless the key's holder was made by the very same request."""
    if other.request_hash != fingerprint:
        words = f"This Idempotency-Key was used for another request (job {other.job_id}). Use a new key."
        raise Conflict(words, code="idempotency_conflict", details={"jobId": str(other.job_id)})


def _check_ration(tx: Transaction, asker: Asker, job_id: UUID, limit: int) -> None:
    """Undo a job that is one more than its person may ask for in an hour. What was there already is never refused."""
    seconds = rations.seconds_until_free(tx, asker.organization_id, asker.user, limit, besides=job_id)
    if seconds is None:
        return
    seconds = max(1, math.ceil(seconds))
    words = (
        f"You have asked for {limit} jobs within an hour, and USER_JOBS_PER_HOUR allows no more. The next one can be "
        f"asked for in {seconds} seconds. Jobs of a batch are not counted."
    )
    details = {"limit": "USER_JOBS_PER_HOUR", "jobsPerHour": limit, "retryAfterSeconds": seconds}
    raise TooMany(words, code="user_job_limit", retry_after=seconds, details=details)


def _insert(tx: Transaction, row: NewRow, expected_seconds: float | None) -> Started:
    """Make the job, or find the active one that does the very same."""
    created = Event("job_created", {"estimatedDuration": expected_seconds})
    for _ in range(3):
        if jobs.insert(tx, row, created):
            return Started(row.job_id, "pending", fresh=True)
        other = jobs.active_on(tx, row.organization_id, row.target)
        if other is None:
            continue  # it ended between the two looks, so the target is free now
        if other.request_hash == row.request_hash:
            return Started(other.job_id, other.status, fresh=False)
        raise _busy(other.job_id, on="exam" if row.exam_id else "course")
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
        elif count := sum(ended):
            stands = "The course is done" if standing.status == "done" else f"The job is {standing.status} already"
            message = f"{stands}; {count} of its pictures {'was' if count == 1 else 'were'} cancelled."
        else:
            raise Conflict(f"The job is {standing.status}; there is nothing to cancel.", code="job_finished")
        for woken in (job_id, standing.parent_job_id, *children):
            if woken is not None:
                tx.after_commit(lambda woken=woken: deps.bus.wake(woken))  # type: ignore[misc]
        details = {"reason": reason or None, "was": standing.status}
        audit.note(tx, Deed(asker.organization_id, "job.cancelled", "job", str(job_id), details))
    return message


def retry_job(deps: Deps, asker: Asker, job_id: UUID, action: str = "job.retried") -> None:
    """Take up a job that ended badly: a new run from its first step without a checkpoint. ``action`` is what the audit
    log calls it.

    Raises ``NotFound``, ``Conflict`` (``not_retryable``, or ``active_job_exists`` when its course has another job, or
    ``conflict`` when only newer code knows such jobs)."""
    with deps.db.transaction() as tx:
        standing = moves.lock(tx, job_id, asker.organization_id)
        if standing is None:
            raise NotFound("There is no such job.")
        if standing.status not in RETRYABLE:
            words = f"The job is {standing.status}. Only failed, cancelled, stale and dead-letter jobs can be retried."
            raise Conflict(words, code="not_retryable")
        pipeline = carrying(standing.job_type, standing.current_step)
        if pipeline is None:
            kind = f"{standing.job_type} jobs at the step {standing.current_step}"
            raise Conflict(f"This server is too old to know {kind}. Ask again when it has been updated.")
        if standing.job_type != "media":
            course_id = moves.facts(tx, job_id).course_id
            _check_course(tx, standing.organization_id, course_id, standing.target)
        step = pipeline.first_without(moves.finished_steps(tx, job_id))
        progress = pipeline.weighed(standing.step_shares).at(step.name, moves.kept_of(tx, job_id, step.name))
        if not moves.take_up(tx, job_id, step.name, pipeline.index(step.name), progress):
            raise Conflict("Another active job works on the same course.", code="active_job_exists")
        if standing.parent_job_id is not None and standing.status != "stale":
            moves.expect_children(tx, standing.parent_job_id, 1)
        body: dict[str, Any] = {"step": step.name, "attempt": 1, "nextRunAt": iso(utc_now()), "error": None}
        events.append(tx, job_id, [Event("job_retrying", body)])
        audit.note(tx, Deed(asker.organization_id, action, "job", str(job_id), {"was": standing.status}))
        tx.after_commit(lambda: deps.bus.wake(job_id))
        tx.after_commit(lambda: nudge.dispatch_soon(deps))
