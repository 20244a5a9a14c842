"""What operators may do with jobs beside what everybody may: the use cases of ``/api/admin`` and the command line.

To requeue a job is what everybody calls to retry it (``tasks.commands.retry_job``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import UUID

import structlog

from schema.audit import Deed
from schema.errors import Conflict, CoursewrightError, NotFound, Unavailable
from schema.job import Status
from storage import audit
from storage.db import Transaction
from storage.engine import dead_letters, moves, queue
from storage.engine.moves import Standing
from tasks import ending
from tasks.commands import Asker, retry_job
from tasks.deps import Deps
from tasks.reconcile import reconcile

log = structlog.get_logger(__name__)


def mark_stale(deps: Deps, asker: Asker, job_id: UUID) -> None:
    """Take a job out of the hands of whoever works on it; the reconciler decides about it within seconds. What its
    worker still writes is refused. Raises ``NotFound``, ``Conflict`` (``wrong_status``)."""
    with deps.db.transaction() as tx:
        standing = moves.lock(tx, job_id, asker.organization_id)
        if standing is None:
            raise _no_such_job()
        if standing.status != "processing" or not moves.mark_stale(tx, job_id):
            raise _wrong_status(standing, "Only jobs in processing can be marked stale.")
        _note(tx, standing, "admin.marked_stale")
    _tell(deps, standing, "job_marked_stale", asker)


def make_dead_letter(deps: Deps, asker: Asker, job_id: UUID) -> None:
    """Put a job that failed or went stale among the dead letters. Raises ``NotFound``, ``Conflict``
    (``wrong_status``)."""
    with deps.db.transaction() as tx:
        standing = moves.lock(tx, job_id, asker.organization_id)
        if standing is None:
            raise _no_such_job()
        if not ending.give_up(tx, standing):
            raise _wrong_status(standing, "Only failed and stale jobs can be made dead letters.")
        _note(tx, standing, "admin.dead_lettered")
    _tell(deps, standing, "job_made_dead_letter", asker)


@dataclass(frozen=True)
class Requeued:
    """What became of one dead letter: requeued, or why not."""

    job_id: UUID
    error: CoursewrightError | None

    def as_json(self) -> dict[str, Any]:
        error = {"code": self.error.code, "message": self.error.message} if self.error else None
        return {"jobId": str(self.job_id), "requeued": error is None, "error": error}


def requeue_dead_letters(
    deps: Deps, asker: Asker, *, code: str | None, job_type: str | None, limit: int
) -> list[Requeued]:
    """Take up the organization's dead letters again, the oldest first, each on its own; with ``code`` those that ended
    with this error."""
    outcomes: list[Requeued] = []
    try:
        with audit.as_one():
            for job_id in dead_letters.ids(deps.db, asker.organization_id, code=code, job_type=job_type, limit=limit):
                try:
                    retry_job(deps, asker, job_id)
                    outcomes.append(Requeued(job_id, None))
                except (NotFound, Conflict, Unavailable) as error:
                    outcomes.append(Requeued(job_id, error))
    except BaseException:
        if outcomes:  # what was done before an end that came early
            _note_requeued(deps, asker, outcomes, code, job_type)
        raise
    _note_requeued(deps, asker, outcomes, code, job_type)
    done = sum(outcome.error is None for outcome in outcomes)
    log.info("dead_letters_requeued", count=done, refused=len(outcomes) - done, by=asker.user)
    return outcomes


def _note_requeued(deps: Deps, asker: Asker, outcomes: list[Requeued], code: str | None, job_type: str | None) -> None:
    jobs = [str(outcome.job_id) for outcome in outcomes if outcome.error is None]
    details = {"code": code, "jobType": job_type, "count": len(jobs), "jobs": jobs}
    audit.note_alone(deps.db, Deed(asker.organization_id, "admin.requeued", "job", details=details))


_DELETABLE: frozenset[Status] = frozenset({"dead_letter", "failed", "cancelled"})


def delete_job(deps: Deps, asker: Asker, job_id: UUID) -> None:
    """Let a job go that ended badly, at once: its payload, checkpoints, events and calls. Its tombstone stays a while,
    its figures stay in the statistics. Raises ``NotFound``, ``Conflict`` (``wrong_status``)."""
    with deps.db.transaction() as tx:
        standing = moves.lock(tx, job_id, asker.organization_id)
        if standing is None:
            raise _no_such_job()
        if standing.status not in _DELETABLE:
            raise _wrong_status(standing, "Only dead letters and failed or cancelled jobs can be deleted.")
        if not dead_letters.let_go(tx, job_id):
            words = "Pictures of it are being made or are dead letters. Cancel or delete those first."
            raise _wrong_status(standing, words)
        _note(tx, standing, "admin.deleted")
    _tell(deps, standing, "job_deleted", asker)


def reconcile_now(deps: Deps) -> dict[str, int]:
    """What beat does every few seconds, now. Returns how often each kind of drift was corrected."""
    return reconcile(deps, queue.awake_since(deps.db))


def _no_such_job() -> NotFound:
    return NotFound("There is no such job.")


def _wrong_status(standing: Standing, rule: str) -> Conflict:
    return Conflict(f"The job is {standing.status}. {rule}", code="wrong_status")


def _note(tx: Transaction, standing: Standing, action: str) -> None:
    deed = Deed(standing.organization_id, action, "job", str(standing.job_id), {"was": standing.status})
    audit.note(tx, deed)


def _tell(deps: Deps, standing: Standing, what: str, asker: Asker) -> None:
    ending.wake(deps, standing)
    log.info(what, job=str(standing.job_id), was=standing.status, by=asker.user)
