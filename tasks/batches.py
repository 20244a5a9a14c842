"""The use cases of batches: many jobs asked for at once, all or none, and cancelled together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

import structlog

from schema.audit import Deed
from schema.clock import new_id, short_code
from schema.errors import Conflict, FieldError, Invalid, ModelNotConfigured, NotFound
from schema.events import Event
from schema.job import BATCH_PRIORITY, NewJob, course_slug
from storage import audit, batches, jobs
from storage.db import Transaction
from storage.jobs import NewRow
from tasks import nudge
from tasks.commands import Asker, cancel_job, check_key, row_for
from tasks.deps import Deps
from tasks.estimates import estimated_seconds
from tasks.requests import check_model, completed, exam_titles, named_after, target_field, unknown_exam

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class StartedBatch:
    """The answer to a request for many jobs: their ids, in the order asked. ``fresh`` is false when the same request
    was answered before."""

    batch_id: UUID
    job_ids: list[UUID]
    fresh: bool


def start_batch(deps: Deps, asker: Asker, asked: Sequence[NewJob], idempotency_key: str | None = None) -> StartedBatch:
    """Accept many requests for work, all or none: batch, jobs and their first events commit together.

    Raises ``Invalid`` naming every job that nobody can serve or that wants another one's course or exam, and
    ``Conflict`` (``active_job_exists`` naming each; ``idempotency_conflict``)."""
    asked = completed(deps.db, asker.organization_id, asked)
    titles = exam_titles(deps.db, asker.organization_id, asked)
    rows = _rows(deps, asker, asked, titles)
    faults = _faults(deps, asked, rows, titles)  # they take their time, so not within the transaction
    prints = [row.request_hash for row in rows]
    whole = hashlib.sha256(json.dumps(["batch", prints]).encode()).hexdigest()
    kinds = {new.job_type for new in asked}
    expected = estimated_seconds(deps, asker.organization_id, kinds.pop()) if len(kinds) == 1 else None
    batch_id = new_id()
    with deps.db.transaction() as tx:
        if idempotency_key is not None:
            other = jobs.take_key(tx, asker.organization_id, idempotency_key, rows[0].job_id, whole)
            if other is not None:
                check_key(other, whole)
                started = StartedBatch(*batches.of_job(tx, other.job_id), fresh=False)
                _note_started(tx, asker, started)
                return started
        if faults:
            raise Invalid(faults)
        _insert(tx, batch_id, asked, rows, Event("job_created", {"estimatedDuration": expected}))
        started = StartedBatch(batch_id, [row.job_id for row in rows], fresh=True)
        _note_started(tx, asker, started)
        tx.after_commit(lambda: nudge.dispatch_soon(deps))
        tx.after_commit(lambda: log.info("batch_accepted", batch=str(batch_id), jobs=len(rows)))
    return started


def _note_started(tx: Transaction, asker: Asker, started: StartedBatch) -> None:
    details = {"jobs": len(started.job_ids), "existing": None if started.fresh else True}
    audit.note(tx, Deed(asker.organization_id, "batch.started", "batch", str(started.batch_id), details))


def _insert(tx: Transaction, batch_id: UUID, asked: Sequence[NewJob], rows: Sequence[NewRow], created: Event) -> None:
    """Make the batch and its jobs. Raises ``Conflict`` (``active_job_exists``) when others are at work on a course or
    an exam of it."""
    pairs = zip(asked, rows, strict=True)
    targets = {new.payload["courseId"]: row.target for new, row in pairs if "courseId" in new.payload}
    if busy := jobs.active_on_courses(tx, rows[0].organization_id, targets):
        places = {row.course_id: number for number, row in enumerate(rows)}
        raise _conflict([(places[course], "courseId", job_id) for course, job_id in busy.items()])
    if taken := batches.insert(tx, batch_id, rows, created):
        numbers = {row.target: number for number, row in enumerate(rows)}
        at = [(numbers[one.target], one.job_id) for one in taken]
        raise _conflict([(number, target_field(asked[number]), job_id) for number, job_id in at])


def _rows(deps: Deps, asker: Asker, asked: Sequence[NewJob], titles: Mapping[str, str]) -> list[NewRow]:
    """The jobs to be made. A course without a name gets one that no other of the batch has."""
    named = {new.payload["courseId"] for new in asked if "courseId" in new.payload}
    rows = []
    for new in asked:
        course_id = new.payload.get("courseId")
        while course_id is None or ("courseId" not in new.payload and course_id in named):
            course_id = course_slug(named_after(new, titles), short_code())
        named.add(course_id)
        rows.append(replace(row_for(deps, asker, new, course_id), priority=BATCH_PRIORITY))
    return rows


def _faults(deps: Deps, asked: Sequence[NewJob], rows: Sequence[NewRow], titles: Mapping[str, str]) -> list[FieldError]:
    """Every job that can't be served, and every one whose course or exam an earlier one of the batch is for."""
    faults: list[FieldError] = []
    first_for: dict[tuple[str, str | None], int] = {}
    refusals: dict[str, ModelNotConfigured | None] = {}
    for number, (new, row) in enumerate(zip(asked, rows, strict=True)):
        # Who serves a request takes a millisecond to find out, and doesn't depend on what its course is called.
        wish = json.dumps(new.payload | {"courseId": "", "title": "", "tags": []}, sort_keys=True)
        if wish not in refusals:
            refusals[wish] = _refusal(deps, new)
        refusal = refusals[wish]
        if refusal is not None:
            faults.append(FieldError(f"jobs.{number}.payload.{_decisive(new)}", refusal.code, refusal.message))
        if row.exam_id is not None and row.exam_id not in titles:
            faults.append(unknown_exam(f"jobs.{number}.payload"))
        for field, wanted in (("courseId", row.course_id), ("examId", row.exam_id)):
            earlier = first_for.setdefault((field, wanted), number)
            if wanted is not None and earlier != number:
                words = f"jobs.{earlier} is for the {field.removesuffix('Id')} {wanted} already."
                faults.append(FieldError(f"jobs.{number}.payload.{field}", "duplicate_target", words))
    return faults


def _decisive(new: NewJob) -> str:
    """The field for which a request needs a model."""
    if new.job_type == "exam_course":
        return "examId"
    return "notes" if new.payload["notes"].strip() else "subject"


def _refusal(deps: Deps, new: NewJob) -> ModelNotConfigured | None:
    try:
        check_model(new, deps.settings.model.configured)
    except ModelNotConfigured as error:
        return error
    return None


def _conflict(rivals: Sequence[tuple[int, str, UUID]]) -> Conflict:
    """Each rival: the number of a job of the batch, the field that names what it wants, and the job that has that."""
    named = sorted((number, field, str(job_id)) for number, field, job_id in rivals)
    words = "; ".join(
        f"job {job_id} is at work on the {field.removesuffix('Id')} of jobs.{number}" for number, field, job_id in named
    )
    faults = [{"path": f"jobs.{number}.payload.{field}", "jobId": job_id} for number, field, job_id in named]
    return Conflict(
        f"Nothing was accepted: {words}. Wait for it or cancel it.",
        code="active_job_exists",
        details={"jobId": named[0][2], "jobs": faults},
    )


def cancel_batch(deps: Deps, asker: Asker, batch_id: UUID, reason: str) -> int:
    """Cancel every job of a batch that has not ended, and the pictures finished ones wait for. Returns of how many
    jobs something was cancelled. Raises ``NotFound``, and ``Conflict`` (``batch_finished``) when nothing was left.

    Each job is cancelled in a transaction of its own, so nobody waits for all of them. When this is cut short, some
    are cancelled and the others go on; asking again cancels those. It looks again until nothing is left, because a
    course that was being finished meanwhile has pictures to cancel."""
    cancelled: set[UUID] = set()
    try:
        with audit.as_one():
            _cancel_all(deps, asker, batch_id, reason, cancelled)
    finally:  # also what was done before an end that came early
        if cancelled:
            details = {"reason": reason or None, "jobs": len(cancelled)}
            audit.note_alone(deps.db, Deed(asker.organization_id, "batch.cancelled", "batch", str(batch_id), details))
    if not cancelled:
        raise Conflict("All jobs of this batch have ended; there is nothing to cancel.", code="batch_finished")
    log.info("batch_cancelled", batch=str(batch_id), jobs=len(cancelled))
    return len(cancelled)


def _cancel_all(deps: Deps, asker: Asker, batch_id: UUID, reason: str, cancelled: set[UUID]) -> None:
    """Cancel what lives of a batch, adding to ``cancelled``."""
    for _ in range(5):
        living = batches.living(deps.db, asker.organization_id, batch_id)
        if living is None:
            raise NotFound("There is no such batch.")
        if not living:
            return
        for job_id in living:
            try:
                cancel_job(deps, asker, job_id, reason)
            except (Conflict, NotFound):
                continue  # it has ended between the two looks
            cancelled.add(job_id)
