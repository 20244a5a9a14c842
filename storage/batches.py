"""Batches: many jobs asked for at once, made in one go, and summed up. How each of them moves is its own affair."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from schema.clock import iso
from schema.events import Event
from schema.job import ACTIVE, STATUSES
from storage import pages
from storage.db import Database, Transaction
from storage.engine.statuses import IS_ACTIVE
from storage.events import TOLD, told
from storage.jobs import NewRow, usage_as_shown
from storage.pages import Position
from storage.people.privacy import IS_PRIVATE_JOB

# --- making ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Taken:
    """A target of a batch on which another active job is at work."""

    target: str
    job_id: UUID


def insert(tx: Transaction, batch_id: UUID, rows: Sequence[NewRow], created: Event) -> list[Taken]:
    """Make a batch and its jobs with their payloads and first events, due at once, in the order given.

    Returns the targets that other active jobs have; then the transaction is to be left."""
    first = rows[0]
    tx.run(
        "INSERT INTO batches (id, organization_id, total, created_by) VALUES (:id, :org, :total, :created_by)",
        {"id": batch_id, "org": first.organization_id, "total": len(rows), "created_by": first.created_by},
    )
    made: set[UUID] = set()
    for _ in range(3):
        made |= _insert_missing(tx, batch_id, rows, created)
        if len(made) == len(rows):
            return []
        taken = _taken(tx, [row for row in rows if row.job_id not in made], batch_id)
        if taken:
            return taken
        # All that were in the way have ended between the two looks, so their targets are free now.
    raise RuntimeError("Targets of a batch are neither free nor taken.")


def _insert_missing(tx: Transaction, batch_id: UUID, rows: Sequence[NewRow], created: Event) -> set[UUID]:
    """Make those jobs of a batch that aren't there yet and whose target is free. Returns which were made."""
    first = rows[0]
    # By target, so that two batches with targets in common wait for each other and never in a ring. The times, a
    # microsecond apart, keep the order in which the jobs were asked for.
    found = tx.run(
        f"""WITH asked AS MATERIALIZED (
          SELECT *, (SELECT clock_timestamp()) + make_interval(secs => (n - :total) * 0.000001) AS moment
          FROM jsonb_to_recordset(CAST(:jobs AS jsonb)) AS asked (n int, id uuid, job_type text, queue text,
            target text, course_id text, exam_id text, first_step text, total_steps int, max_retries int,
            hash text, payload jsonb, step_shares double precision[])
        ), held AS (
          INSERT INTO jobs (id, organization_id, job_type, status, queue, priority, target, course_id, exam_id,
            batch_id, current_step, total_steps, max_retries, created_by, request_hash, base_revision,
            step_shares, due_at, created_at, last_seq, progress_message)
          SELECT id, :org, job_type, 'pending', queue, :priority, target, course_id, exam_id, :batch,
            first_step, total_steps, max_retries, :created_by, hash,
            (SELECT max(revision) FROM documents d
             WHERE d.organization_id = :org AND d.kind = 'course' AND d.document_id = asked.course_id),
            step_shares, moment, moment, :told, 'Waiting for its turn'
          FROM asked ORDER BY target
          ON CONFLICT DO NOTHING
          RETURNING id, organization_id, last_seq, progress
        ), kept AS (
          INSERT INTO job_payloads (job_id, organization_id, payload)
          SELECT id, organization_id, payload FROM held JOIN asked USING (id)
        ), {TOLD}
        SELECT id FROM held""",
        {
            "jobs": json.dumps([_as_asked(number, row) for number, row in enumerate(rows)]),
            "total": len(rows),
            "org": first.organization_id,
            "batch": batch_id,
            "priority": first.priority,
            "created_by": first.created_by,
            **told([created]),
        },
    ).all()
    return {row.id for row in found}


def _as_asked(number: int, row: NewRow) -> dict[str, Any]:
    return {
        "n": number,
        "id": str(row.job_id),
        "job_type": row.job_type,
        "queue": row.queue,
        "target": row.target,
        "course_id": row.course_id,
        "exam_id": row.exam_id,
        "first_step": row.first_step,
        "total_steps": row.total_steps,
        "max_retries": row.max_retries,
        "hash": row.request_hash,
        "step_shares": None if row.step_shares is None else list(row.step_shares),
        "payload": dict(row.payload),
    }


def _taken(tx: Transaction, rows: Sequence[NewRow], batch_id: UUID) -> list[Taken]:
    found = tx.run(
        f"""SELECT target, id FROM jobs WHERE organization_id = :org AND target = ANY(:targets) AND {IS_ACTIVE}
          AND batch_id IS DISTINCT FROM :batch""",
        {"org": rows[0].organization_id, "targets": [row.target for row in rows], "batch": batch_id},
    ).all()
    return [Taken(row.target, row.id) for row in found]


def of_job(tx: Transaction, job_id: UUID) -> tuple[UUID, list[UUID]]:
    """The batch a job was made with, and all its jobs in their order."""
    rows = tx.run(
        """SELECT batch_id, id FROM jobs WHERE batch_id = (SELECT batch_id FROM jobs WHERE id = :job)
        ORDER BY created_at, id""",
        {"job": job_id},
    ).all()
    return rows[0].batch_id, [row.id for row in rows]


# --- reading --------------------------------------------------------------------------------------------------


def _summed(total: str, of: str) -> str:
    return f"""SELECT b.id, b.created_by, b.created_at, {total} AS total, s.by_status, s.progress, u.* FROM batches b
CROSS JOIN LATERAL (
  SELECT jsonb_object_agg(status, n) AS by_status, sum(n) AS n, sum(progress) / NULLIF(sum(n), 0) AS progress FROM (
    SELECT status, count(*) AS n, sum(CASE WHEN {IS_ACTIVE} THEN progress ELSE 100 END) AS progress
    FROM jobs j WHERE {of} GROUP BY status
  ) AS each_status
) AS s
CROSS JOIN LATERAL (
  SELECT count(*) AS calls, COALESCE(sum(input_tokens), 0) AS input_tokens,
    COALESCE(sum(output_tokens), 0) AS output_tokens, sum(cost_usd) AS cost_usd
  FROM jobs j JOIN model_calls c ON c.job_id = j.id WHERE {of}
) AS u WHERE b.organization_id = :org"""


_OF_ALL = _summed("b.total", "j.batch_id = b.id")
#: For those who don't see private courses: of the jobs they see, and none where they see none.
_OF_SEEN = _summed("s.n::integer", f"j.batch_id = b.id AND NOT {IS_PRIVATE_JOB}") + " AND s.n > 0"


def as_shown(row: Any) -> dict[str, Any]:
    """A batch as the API shows it. A job that has ended counts as all of its way, however it ended."""
    by_status: dict[str, int] = dict.fromkeys(STATUSES, 0) | (row.by_status or {})
    return {
        "batchId": str(row.id),
        "total": row.total,
        "createdBy": row.created_by,
        "createdAt": iso(row.created_at),
        "byStatus": by_status,
        "done": by_status["done"],
        "failed": by_status["failed"] + by_status["dead_letter"],
        "progress": round(row.progress, 1) if row.progress is not None else 100.0,
        "usage": usage_as_shown(row),
        "finished": not any(by_status[status] for status in ACTIVE),
    }


def read(db: Database, organization_id: UUID, batch_id: UUID, *, private: bool = True) -> dict[str, Any] | None:
    """One batch of the organization, summed up, with or without jobs of private courses; none when it has no such
    batch, or nothing of it is left."""
    summed = _OF_ALL if private else _OF_SEEN
    with db.statement() as tx:
        row = tx.run(f"{summed} AND b.id = :batch", {"batch": batch_id, "org": organization_id}).one_or_none()
    return as_shown(row) if row else None


def newest(
    db: Database, organization_id: UUID, before: Position | None, limit: int, *, private: bool = True
) -> list[dict[str, Any]]:
    """Batches of the organization, newest first, those made before the given one, each as ``read`` sums it up."""
    summed = _OF_ALL if private else _OF_SEEN
    return pages.newest(db, summed, {"org": organization_id}, before, limit, as_shown, of="b.")


def members(db: Database, batch_id: UUID, *, private: bool = True) -> list[dict[str, Any]]:
    """The jobs of a batch in their order, with or without those of private courses: how each stands, and what its error
    is (its details are in the job)."""
    with db.statement() as tx:
        rows = tx.run(
            f"""SELECT id, status, course_id, error - 'details' AS error FROM jobs j WHERE batch_id = :batch
            AND (:private OR NOT {IS_PRIVATE_JOB}) ORDER BY created_at, id""",
            {"batch": batch_id, "private": private},
        ).all()
    return [{"jobId": str(row.id), "status": row.status, "courseId": row.course_id, "error": row.error} for row in rows]


def living(db: Database, organization_id: UUID, batch_id: UUID) -> list[UUID] | None:
    """The jobs of a batch that can be cancelled, or whose pictures can: first those that nobody has begun. None when
    the organization has no such batch."""
    with db.statement() as tx:
        rows = tx.run(
            f"""SELECT j.id FROM batches b
            LEFT JOIN jobs j ON j.batch_id = b.id AND (j.{IS_ACTIVE} OR media_pending > 0)
            WHERE b.id = :batch AND b.organization_id = :org
            ORDER BY j.status <> 'pending', j.created_at, j.id""",
            {"batch": batch_id, "org": organization_id},
        ).all()
    return [row.id for row in rows if row.id is not None] if rows else None
