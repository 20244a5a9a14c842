"""How a job ends other than by its last step: an error, a cancel, a dead worker. A child's end is told on its parent
too.

Every function here takes its locks in the one order: parent job, job.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from schema.clock import iso, utc_now
from schema.errors import CoursewrightError, Transient, ValidationFailed
from schema.events import Event, error_body
from schema.job import Status
from storage import events, steps
from storage.db import Transaction
from storage.engine import moves
from storage.engine.leases import Lease
from storage.engine.moves import Standing
from tasks.deps import Deps
from tasks.pipeline import PIPELINES, Pipeline
from tasks.retry import Again, GiveUp, decide


def settle_error(deps: Deps, lease: Lease, step: str, error: CoursewrightError) -> Status | None:
    """Decide what an error of a step means for its job and write that down. None when the job isn't ours any more."""
    with deps.db.transaction() as tx:
        standing = moves.lock(tx, lease.job_id)
        if standing is None or not steps.holds(tx, lease):
            return None
        told = {**error.as_json(), "step": step}
        decision = decide(error, standing.retry_count, standing.max_retries, deps.luck())
        status = apply(tx, standing, decision, told)
        if isinstance(error, ValidationFailed):
            drop_what_failed(tx, standing, error.details)
    wake(deps, standing)
    return status


def wake(deps: Deps, standing: Standing) -> None:
    """Make those look who watch a job or its parent."""
    for job_id in (standing.job_id, standing.parent_job_id):
        if job_id is not None:
            deps.bus.wake(job_id)


def apply(tx: Transaction, standing: Standing, decision: Again | GiveUp, error: Mapping[str, Any]) -> Status:
    """Move a locked job as decided. ``error`` carries code, message, step and details."""
    if isinstance(decision, Again):
        due = moves.try_again(
            tx, standing.job_id, seconds=decision.seconds, error=error, new_run=True, counted=decision.counted
        )
        attempt = {
            "step": error["step"],
            "attempt": standing.retry_count + 2,
            "run": standing.run,
            "nextRunAt": iso(due),
            "error": error_body(dict(error)),
        }
        events.append(tx, standing.job_id, [Event("job_retrying", attempt)])
        return "pending"
    status: Status = "dead_letter" if decision.dead_letter else "failed"
    body = {
        "attempt": standing.retry_count + 1,
        "run": standing.run,
        "error": error_body(dict(error)),
        "failedStep": error["step"],
        "canResume": True,
        "deadLetter": decision.dead_letter,
    }
    moves.fail(tx, standing.job_id, status, error, Event("job_failed", body))
    if standing.parent_job_id is not None:
        _tell_parent(tx, standing, {"error": error_body(dict(error))})
    return status


def give_up(tx: Transaction, standing: Standing) -> bool:
    """Make a dead letter of a locked job that failed or went stale, because an operator says so. False when it stands
    otherwise."""
    if standing.status == "stale":
        lost = Transient("Its worker was lost, and an operator gave it up.", code="worker_lost")
        apply(tx, standing, GiveUp(dead_letter=True), {**lost.as_json(), "step": standing.current_step})
        return True
    error = moves.facts(tx, standing.job_id).error
    if standing.status != "failed" or error is None:
        return False
    # Its failure was told and counted when it happened; that it is a dead letter now is all there is to add.
    told = {"error": error_body(error), "failedStep": error["step"], "canResume": True, "deadLetter": True}
    return moves.fail(tx, standing.job_id, "dead_letter", error, Event("job_failed", told))


def complete(tx: Transaction, standing: Standing, pipeline: Pipeline) -> bool:
    """End a locked stale job well: every step of it has its checkpoint, so there is nothing left to do."""
    facts, last = moves.facts(tx, standing.job_id), pipeline.steps[-1]
    body: dict[str, Any] = {"totalDuration": round(facts.seconds, 3), "mediaPending": standing.media_pending}
    if facts.course_id is not None:
        body["courseId"] = facts.course_id
    event = Event("job_completed", body)
    return moves.complete(tx, standing.job_id, pipeline.index(last.name), last.done, event)


def drop_what_failed(tx: Transaction, standing: Standing, details: Mapping[str, Any]) -> None:
    """Forget what a failed validation came from, so that a retry makes it anew instead of failing again: the failing
    parts, or the plan and all of them when the fault is in no part."""
    pipeline = PIPELINES[standing.job_type]
    if details["failingPlan"]:
        moves.drop_checkpoints(tx, standing.job_id, [*pipeline.plans, pipeline.fills])
    else:
        moves.drop_checkpoints(tx, standing.job_id, [pipeline.fills], list(details["failingParts"]))


def cancel(tx: Transaction, standing: Standing, reason: str) -> bool:
    """Cancel a locked job. False when it can't be cancelled from where it stands."""
    event = Event("job_cancelled", {"reason": reason, "cancelledAt": iso(utc_now())})
    if not moves.cancel(tx, standing.job_id, reason, event):
        return False
    if standing.parent_job_id is not None:
        error = {"code": "cancelled", "message": "The picture was cancelled."}
        _tell_parent(tx, standing, {"error": error})
    return True


def _tell_parent(tx: Transaction, child: Standing, failure: Mapping[str, Any]) -> None:
    """Count a failed child off its (locked) parent and tell it there."""
    if child.parent_job_id is None:
        return
    target = tx.run("SELECT payload->'targetRef' AS ref FROM job_payloads WHERE job_id = :job", {"job": child.job_id})
    told = [
        Event("media_failed", {"mediaJobId": str(child.job_id), "targetRef": target.scalar_one(), **failure}),
        *settled(tx, child.parent_job_id, completed=0, failed=1),
    ]
    events.append(tx, child.parent_job_id, told)


def settled(tx: Transaction, parent_id: UUID, *, completed: int, failed: int) -> list[Event]:
    """Count ended children off their parent; the last one brings ``media_settled``."""
    pending, all_completed, all_failed = moves.settle_child(tx, parent_id, completed=completed, failed=failed)
    return [] if pending else [Event("media_settled", {"completed": all_completed, "failed": all_failed})]
