"""The use cases of schedules: making and changing them, and what beat calls when one is due.

A due time and the job it starts commit together, under the schedule's lock. So each time starts one job, however many
beats there are and whoever is killed when; the job's idempotency key, made of schedule and time, is a second belt.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

import structlog

from schema.audit import By, Deed
from schema.clock import iso, new_id
from schema.errors import Conflict, CoursewrightError, Invalid, NotFound, Permanent, Unavailable
from schema.job import NewJob, load_new_job
from schema.schedule import CATCH_UP_SECONDS, MOST_SCHEDULES, as_kept, last_missed, next_time
from storage import audit, schedules, wall
from storage.db import Transaction
from storage.schedules import Schedule
from tasks.commands import Asker, Started, note_started, prepare, start_within
from tasks.deps import Deps
from tasks.requests import check_model, completed, exam_titles, unknown_exam

log = structlog.get_logger(__name__)

# --- by people --------------------------------------------------------------------------------------------------------


def make(deps: Deps, asker: Asker, values: dict[str, Any]) -> dict[str, Any]:
    """Make a schedule of what ``schema.schedule.load_schedule`` gave. Returns it as shown. Raises
    ``ModelNotConfigured`` or ``Invalid`` (``unknown_exam``) for a request that nobody could serve, and ``Conflict``
    (``limit_reached``)."""
    _check_servable(deps, asker, values["request"])
    kept = {**values, "request": as_kept(values["request"])}
    with deps.db.transaction() as tx:
        due = None if kept["paused"] else next_time(kept["cron"], kept["timeZone"], schedules.now(tx))
        made = schedules.insert(tx, new_id(), asker.organization_id, asker.user, kept, due, MOST_SCHEDULES)
        if made is None:
            words = f"An organization may have {MOST_SCHEDULES} schedules. Remove one first."
            raise Conflict(words, code="limit_reached", details={"limit": MOST_SCHEDULES})
        _note(tx, asker, "schedule.made", made["scheduleId"])
    log.info("schedule_made", schedule=made["scheduleId"], by=asker.user)
    return made


def change(deps: Deps, asker: Asker, schedule_id: UUID, values: dict[str, Any]) -> dict[str, Any]:
    """Change what is given. Returns the schedule as shown. Raises ``NotFound``, and what ``make`` raises for a
    request."""
    kept = dict(values)
    if "request" in kept:
        _check_servable(deps, asker, kept["request"])
        kept["request"] = as_kept(kept["request"])
    with deps.db.transaction() as tx:
        now = schedules.lock(tx, asker.organization_id, schedule_id)
        if now is None:
            raise no_such_schedule()
        _note(tx, asker, _change_of(now, kept), schedule_id, changed=sorted(kept))
        return schedules.change(tx, schedule_id, kept, _due_after(tx, now, kept))


def _change_of(now: Schedule, changes: dict[str, Any]) -> str:
    """What the audit log calls a change."""
    if changes.get("paused", now.paused) == now.paused:
        return "schedule.changed"
    return "schedule.paused" if changes["paused"] else "schedule.resumed"


def _note(tx: Transaction, asker: Asker, action: str, schedule_id: UUID, **details: Any) -> None:
    audit.note(tx, Deed(asker.organization_id, action, "schedule", str(schedule_id), details))


def _due_after(tx: Transaction, now: Schedule, changes: dict[str, Any]) -> datetime | None:
    """When a changed schedule is due. One whose times stay as they are keeps the one it waits for."""
    if changes.get("paused", now.paused):
        return None
    if not now.paused and "cron" not in changes and "timeZone" not in changes:
        return now.due_at
    return next_time(changes.get("cron", now.cron), changes.get("timeZone", now.time_zone), schedules.now(tx))


def _check_servable(deps: Deps, asker: Asker, request: NewJob) -> None:
    [whole] = completed(deps.db, asker.organization_id, [request])
    check_model(whole, deps.settings.model.configured)
    if request.job_type == "exam_course" and not exam_titles(deps.db, asker.organization_id, [request]):
        raise Invalid([unknown_exam("request.payload")])


def remove(deps: Deps, asker: Asker, schedule_id: UUID) -> None:
    """Remove a schedule. The jobs it started go on. Raises ``NotFound``."""
    with deps.db.transaction() as tx:
        if not schedules.remove(tx, asker.organization_id, schedule_id):
            raise no_such_schedule()
        _note(tx, asker, "schedule.removed", schedule_id)
    log.info("schedule_removed", schedule=str(schedule_id), by=asker.user)


def run_now(deps: Deps, asker: Asker, schedule_id: UUID) -> Started:
    """Start the schedule's request at once, also while it is paused; its next time stays. Raises ``NotFound``, and
    whatever ``tasks.commands.start_job`` raises."""
    shown = schedules.read(deps.db, asker.organization_id, schedule_id)
    if shown is None:
        raise no_such_schedule()
    prepared = prepare(deps, asker, load_new_job(shown["request"], "request"))
    with deps.db.transaction() as tx:
        if schedules.lock(tx, asker.organization_id, schedule_id) is None:
            raise no_such_schedule()
        started = start_within(deps, tx, prepared)
        schedules.note_started(tx, schedule_id, started.job_id)
        _note(tx, asker, "schedule.run", schedule_id, job=str(started.job_id))
    return started


def no_such_schedule() -> NotFound:
    """The answer to an id the organization doesn't have."""
    return NotFound("There is no such schedule.")


# --- by the clock -----------------------------------------------------------------------------------------------------


def run_due(deps: Deps) -> int:
    """Start what is due. Returns how many jobs were started. Raises ``Unavailable``."""
    started = 0
    for seen in schedules.due(deps.db):
        with wall.within(seen.organization_id):
            started += _come(deps, seen)
    return started


def _come(deps: Deps, seen: Schedule) -> bool:
    """One schedule's time has come. Returns whether a job was started."""
    try:
        return _start(deps, seen)
    except Unavailable:
        raise
    except CoursewrightError as error:
        _refuse(deps, seen, error)
    except Exception:
        # An outer door: a fault in one schedule must not keep the others from their time, tick after tick.
        log.exception("schedule_crashed", schedule=str(seen.schedule_id))
        fault = "Something went wrong on our side. The log has the details."
        _refuse(deps, seen, Permanent(fault, code="internal_error"))
    return False


def _start(deps: Deps, seen: Schedule) -> bool:
    """Start a schedule's job and move on to its next time, in one transaction."""
    asker = Asker(seen.organization_id, seen.created_by)
    prepared = prepare(deps, asker, load_new_job(seen.request, "request"))
    with deps.db.transaction() as tx:
        now = schedules.take(tx, seen)
        if now is None or seen.due_at is None:
            return False
        at = last_missed(seen.cron, seen.time_zone, seen.due_at, now)
        if (now - at).total_seconds() > CATCH_UP_SECONDS:
            _move_on(tx, seen, now, at, error=_missed(at))
            tx.after_commit(lambda: _tell_skipped(seen, at, started=False))
            return False
        started = start_within(deps, tx, prepared, f"schedule:{seen.schedule_id}:{iso(at)}")
        if not started.fresh and not started.by_key:
            words = f"Job {started.job_id}, which makes the same, is still at work."
            raise Conflict(words, code="active_job_exists")
        _move_on(tx, seen, now, at, job_id=started.job_id)
        with audit.acting(By("schedule", str(seen.schedule_id))):
            note_started(tx, prepared, started)
        if at != seen.due_at:
            tx.after_commit(lambda: _tell_skipped(seen, at, started=True))
    log.info("schedule_started", schedule=str(seen.schedule_id), job=str(started.job_id), due=iso(at))
    return started.fresh


def _refuse(deps: Deps, seen: Schedule, error: CoursewrightError) -> None:
    """Write down why nothing was started, and go on to the next time. What was tried is undone already."""
    with deps.db.transaction() as tx:
        now = schedules.take(tx, seen)
        if now is None or seen.due_at is None:
            return
        told = {"code": error.code, "message": error.message, "at": iso(now)}
        _move_on(tx, seen, now, seen.due_at, error=told)
    log.warning("schedule_refused", schedule=str(seen.schedule_id), error=error.code, message=error.message)


def _move_on(
    tx: Transaction,
    seen: Schedule,
    now: datetime,
    at: datetime,
    *,
    job_id: UUID | None = None,
    error: dict[str, Any] | None = None,
) -> None:
    following = next_time(seen.cron, seen.time_zone, now)
    schedules.move_on(tx, seen.schedule_id, last_due_at=at, due_at=following, job_id=job_id, error=error)


def _missed(at: datetime) -> dict[str, Any]:
    words = f"Nothing was started at {iso(at)}: the system was away, and came back over an hour later."
    return {"code": "schedule_missed", "message": words, "at": iso(at)}


def _tell_skipped(seen: Schedule, until: datetime, *, started: bool) -> None:
    log.warning(
        "schedule_skipped", schedule=str(seen.schedule_id), since=iso(seen.due_at), until=iso(until), started=started
    )
