"""The one wrapper around every step: claim, work, checkpoint, event, error.

    short write   claim: due, this run, this step? take the lease and its token, tell step_started
    no write      the step's own work
    short write   checkpoint, step_completed, and the next step: begun by this same delivery, or due for the next

A delivery goes straight on with the next step while its turn lasts, so a job of short steps costs one message and one
write a step. After its turn it passes the job on along the chain, so that others get theirs. Only the delivery that
committed a checkpoint goes on; every other outcome ends it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from schema.clock import utc_now
from schema.errors import CoursewrightError, Permanent, Unavailable
from schema.events import Event
from storage import steps, wall
from storage.engine import leases
from storage.engine.leases import Lease
from storage.steps import CHECKPOINT_FORMAT, Claimed, Ending
from tasks import nudge
from tasks.deps import Deps
from tasks.ending import settle_error
from tasks.pipeline import Pipeline, Step, first_with
from tasks.retry import deadline_exceeded
from tasks.steps import perform
from tasks.watch import Held
from tasks.work import Outcome, Stopped, Work

log = structlog.get_logger(__name__)


class JobFailed(Exception):
    """The job has failed for good; its row says why. Celery shows the task as failed."""


@dataclass(frozen=True)
class Delivery:
    """What one message led to. ``pass_on``: the chain's link for the next step should travel on."""

    verdict: str
    pass_on: bool = False
    steps_done: int = 0
    failed: str | None = None


def _place(pipeline: Pipeline, step: Step, message: str, progress: float | None) -> dict[str, Any]:
    return {
        "step": step.name,
        "stepIndex": pipeline.index(step.name),
        "totalSteps": len(pipeline.steps),
        "message": message,
        "progress": progress,
    }


def _started(pipeline: Pipeline, step: Step) -> Event:
    """Its progress is left open: that of the job's row, which may have parts of this step already."""
    return Event("step_started", _place(pipeline, step, step.doing, None))


def deliver(
    deps: Deps,
    job_id: UUID,
    run: int,
    step_name: str,
    turn_seconds: float | None = None,
    job_type: str | None = None,
) -> Delivery:
    """Carry out a message: do this step, and following ones while the turn lasts. ``job_type`` is told where several
    kinds of jobs have a step of this name."""
    if deps.watcher.stopping():
        return Delivery("stopped:shutting_down")
    deps.watcher.start()
    pipeline, step = first_with(step_name, job_type)
    try:
        claimed = steps.claim(
            deps.db,
            job_id,
            run,
            step.name,
            pipeline.index(step.name),
            deps.holder,
            [_started(pipeline, step)],
            step.doing,
            step.patience(deps.settings),
        )
    except Unavailable as error:
        # The row still says "due", and the sweep sends it again when the database is back; or the claim was written and
        # only its answer is lost: then the watcher gives it back.
        log.warning("claim_failed", error=error.code)
        return Delivery("stopped:database_away")
    if claimed is None:
        return Delivery("stopped:not_due")
    if claimed.formats - {CHECKPOINT_FORMAT}:
        # Written by newer code: another worker understands it, so this is no failure of the job. Not at once, or
        # while there is no such worker this one would claim it again and again.
        log.warning("unknown_checkpoint_format", formats=sorted(claimed.formats))
        _hand_back(deps, claimed.lease, deps.settings.jobs.resend_after_seconds)
        return Delivery("stopped:unknown_checkpoint_format")
    deps.bus.wake(job_id)
    turn = deps.settings.jobs.turn_seconds if turn_seconds is None else turn_seconds
    # The message names a job, and only its row says whose it is. From here on nobody else's rows can be reached.
    with wall.within(claimed.lease.organization_id):
        return _take_turn(deps, pipeline.weighed(claimed.step_shares), step, claimed, time.monotonic() + turn)


def _take_turn(deps: Deps, pipeline: Pipeline, first: Step, claimed: Claimed, until: float) -> Delivery:
    limit = deps.settings.jobs.timeout_seconds
    held = deps.watcher.hold(claimed.lease, limit - claimed.worked_seconds)
    done = 0
    step: Step | None = first
    try:
        while step is not None:
            structlog.contextvars.bind_contextvars(step=step.name, organization=str(claimed.lease.organization_id))
            work = Work(deps, held, pipeline, step.name, claimed, claimed.checkpoints)
            work.check()
            following = pipeline.following(step.name)
            goes_on = _run_step(work, step, following, until)
            done += 1
            if following is None:
                nudge.dispatch_soon(deps)
                return Delivery("done", steps_done=done)
            if not goes_on:
                return Delivery("passed_on", pass_on=True, steps_done=done)
            step = following
    except Stopped:
        if held.overdue:
            return _settle(deps, held, step or first, deadline_exceeded(limit))
        if deps.watcher.stopping() and _hand_back(deps, held.lease):
            return Delivery("stopped:handed_back")
        return Delivery("stopped:not_ours")
    except CoursewrightError as error:
        return _settle(deps, held, step or first, error)
    except Exception:
        # The outer door: a fault in our own code must not leave the job hanging, and its trace belongs in the log.
        log.exception("step_crashed")
        fault = Permanent("Something went wrong on our side. The log has the details.", code="internal_error")
        return _settle(deps, held, step or first, fault)
    finally:
        deps.watcher.release(held)
    raise AssertionError("A pipeline has at least one step.")


def _run_step(work: Work, step: Step, following: Step | None, until: float) -> bool:
    """Do one step and end it. Returns whether this delivery goes on with the following one."""
    began = time.monotonic()
    outcome = perform(work)
    work.settle_calls()
    work.check()
    seconds = time.monotonic() - began
    goes_on = following is not None and time.monotonic() < until and not work.deps.watcher.stopping()
    with work.held.renewing:
        work.held.move()
        work.held.lease = _end(work, step, following, outcome, seconds, goes_on)
    work.checkpoints[step.name, ""] = outcome.result
    log.info("step_completed", step=step.name, seconds=round(seconds, 4))
    work.deps.bus.wake(work.job_id)
    if outcome.after_commit is not None:
        outcome.after_commit()
    return goes_on


def _end(work: Work, step: Step, following: Step | None, outcome: Outcome, seconds: float, goes_on: bool) -> Lease:
    with work.deps.db.transaction() if outcome.writes else work.deps.db.statement() as tx:
        if outcome.locks is not None:
            outcome.locks(tx)
        if outcome.writes is not None:
            if not steps.holds(tx, work.lease):
                raise Stopped
            outcome.result.update(outcome.writes(tx))
        renewed = steps.finish(tx, work.lease, _ending(work, step, following, outcome, seconds, goes_on))
        if renewed is None:
            raise Stopped
    return renewed


def _ending(work: Work, step: Step, following: Step | None, outcome: Outcome, seconds: float, goes_on: bool) -> Ending:
    pipeline = work.pipeline
    message = outcome.words() or step.done
    told = work.rising(outcome.events)
    progress = work.reach(1)
    completed = {**_place(pipeline, step, message, progress), "duration": round(seconds, 3)}
    events = [*told, Event("step_completed", completed)]
    if following is None:
        total = (utc_now() - work.claimed.started_at).total_seconds()
        body: dict[str, Any] = {"totalDuration": round(total, 3), "mediaPending": outcome.media_pending}
        if work.claimed.course_id is not None:
            body["courseId"] = work.claimed.course_id
        events.append(Event("job_completed", body))
    elif goes_on:
        events.append(_started(pipeline, following))
        message = following.doing
    return Ending(
        step=step.name,
        result=outcome.result,
        seconds=seconds,
        events=events,
        progress=progress,
        message=message,
        next_step=following.name if following else None,
        next_index=pipeline.index(following.name) if following else pipeline.index(step.name),
        go_on=goes_on,
        patience_seconds=following.patience(work.deps.settings) if following else 0,
        result_path=outcome.result_path,
        media_pending=outcome.media_pending,
    )


def _hand_back(deps: Deps, lease: Lease, seconds: float = 0) -> bool:
    try:
        return leases.hand_back(deps.db, lease, seconds)
    except Unavailable:
        return False  # the watcher, or at last the reconciler, finds the lease


def _settle(deps: Deps, held: Held, step: Step, error: CoursewrightError) -> Delivery:
    log.warning("step_failed", step=step.name, error=error.code, message=error.message)
    try:
        status = settle_error(deps, held.lease, step.name, error)
    except Unavailable:
        return Delivery("stopped:database_away")  # the watcher finds the lease when the database is back
    if status is None:
        return Delivery("stopped:not_ours")
    nudge.dispatch_soon(deps)  # its place is free for another job of its organization
    if status == "pending":
        return Delivery("stopped:tries_again")
    return Delivery(f"stopped:{status}", failed=error.code)
