"""What an operator wants to see of a job beside the job: how each attempt ended, who holds it, what it has kept."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from schema.clock import iso
from storage.db import Database


def inspect(db: Database, organization_id: UUID, job_id: UUID) -> dict[str, Any]:
    """All of it for one job: ``{attempts, lease, checkpoints}``."""
    return {
        "attempts": attempts(db, organization_id, [job_id])[job_id],
        "lease": lease(db, organization_id, job_id),
        "checkpoints": checkpoints(db, organization_id, job_id),
    }


def attempts(db: Database, organization_id: UUID, job_ids: Sequence[UUID]) -> dict[UUID, list[dict[str, Any]]]:
    """Every attempt that failed, by job, oldest first: ``{attempt, run, step, error, at, nextRunAt}``.

    They are read from the events, so they go when those are purged; a dead letter's stay as long as it does. ``run``
    is none for an event from before events carried it, and ``nextRunAt`` where nothing followed by itself."""
    with db.statement() as tx:
        rows = tx.run(
            """SELECT job_id, type, body, created_at FROM job_events
            WHERE job_id = ANY(CAST(:jobs AS uuid[])) AND organization_id = :org
              AND type IN ('job_retrying', 'job_failed') ORDER BY job_id, seq""",
            {"jobs": [str(job_id) for job_id in job_ids], "org": organization_id},
        ).all()
    return {job_id: _history(row for row in rows if row.job_id == job_id) for job_id in job_ids}


def _history(events: Iterable[Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    number, failed = 0, False
    for event in events:
        if event.type == "job_failed" and failed:
            continue  # no attempt of its own: an operator made a dead letter of a failed job
        failed = event.type == "job_failed"
        body = event.body
        if body["error"] is None:
            number = 0  # nothing failed: a person took it up again
            continue
        number = body["attempt"] - 1 if not failed else body.get("attempt", number + 1)
        found.append(
            {
                "attempt": number,
                "run": body.get("run"),
                "step": body["failedStep"] if failed else body["step"],
                "error": body["error"],
                "at": iso(event.created_at),
                "nextRunAt": body.get("nextRunAt"),
            }
        )
    return found


def lease(db: Database, organization_id: UUID, job_id: UUID) -> dict[str, Any] | None:
    """Who works on a job, and the signs of life: ``{holder, step, heartbeatAt, progressAt, patienceSeconds}``. None
    when nobody does."""
    with db.statement() as tx:
        row = tx.run(
            "SELECT * FROM job_leases WHERE job_id = :job AND organization_id = :org",
            {"job": job_id, "org": organization_id},
        ).one_or_none()
    if row is None:
        return None
    return {
        "holder": row.holder,
        "step": row.step,
        "heartbeatAt": iso(row.heartbeat_at),
        "progressAt": iso(row.progress_at),
        "patienceSeconds": row.patience_seconds,
    }


def checkpoints(db: Database, organization_id: UUID, job_id: UUID) -> list[dict[str, Any]]:
    """What a job has kept, oldest first, without the contents: ``{step, part, run, seconds, createdAt}``. ``part`` is
    empty for a whole step."""
    with db.statement() as tx:
        rows = tx.run(
            """SELECT step, part, run, seconds, created_at FROM job_steps
            WHERE job_id = :job AND organization_id = :org ORDER BY created_at, part""",
            {"job": job_id, "org": organization_id},
        ).all()
    return [
        {"step": row.step, "part": row.part, "run": row.run, "seconds": row.seconds, "createdAt": iso(row.created_at)}
        for row in rows
    ]
