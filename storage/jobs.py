"""A job's row: made once, read by people, moved only as ``schema.job.MOVES`` allows."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from schema.clock import iso
from schema.events import Event
from schema.job import Status, sources_of
from storage.db import Database, Transaction
from storage.events import TOLD, append, told


def _moving_to(status: Status) -> str:
    """The guard of a move: ``status IN (...)`` with the statuses from which the table allows it."""
    return "status IN (" + ", ".join(f"'{before}'" for before in sources_of(status)) + ")"


# --- making ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NewRow:
    """A job to be made. ``target`` is what only one active job may work on; ``request_hash`` is over kind and body."""

    job_id: UUID
    organization_id: UUID
    job_type: str
    queue: str
    payload: Mapping[str, Any]
    first_step: str
    total_steps: int
    max_retries: int
    created_by: str | None
    target: str | None = None
    course_id: str | None = None
    parent_job_id: UUID | None = None
    batch_id: UUID | None = None
    request_hash: str | None = None


def insert(tx: Transaction, new: NewRow, created: Event) -> bool:
    """Make the job, its payload and its first event, due at once. False when another active job has its target: then
    nothing was written."""
    row = tx.run(
        f"""WITH base AS (
          SELECT max(revision) AS revision FROM documents
          WHERE organization_id = :org AND kind = 'course' AND document_id = :course_id
        ), held AS (
          INSERT INTO jobs (id, organization_id, job_type, status, queue, target, course_id, parent_job_id, batch_id,
            current_step, total_steps, max_retries, created_by, request_hash, base_revision,
            due_at, last_seq, progress_message)
          SELECT :id, :org, :job_type, 'pending', :queue, :target, :course_id, :parent, :batch,
            :first_step, :total_steps, :max_retries, :created_by, :hash, base.revision,
            clock_timestamp(), :told, 'Waiting for a worker'
          FROM base
          ON CONFLICT DO NOTHING
          RETURNING id, organization_id, last_seq
        ), asked AS (
          INSERT INTO job_payloads (job_id, organization_id, payload)
          SELECT id, organization_id, CAST(:payload AS jsonb) FROM held
        ), {TOLD}
        SELECT id FROM held""",
        {
            "id": new.job_id,
            "org": new.organization_id,
            "job_type": new.job_type,
            "queue": new.queue,
            "target": new.target,
            "course_id": new.course_id,
            "parent": new.parent_job_id,
            "batch": new.batch_id,
            "first_step": new.first_step,
            "total_steps": new.total_steps,
            "max_retries": new.max_retries,
            "created_by": new.created_by,
            "hash": new.request_hash,
            "payload": json.dumps(dict(new.payload)),
            **told([created]),
        },
    ).one_or_none()
    return row is not None


@dataclass(frozen=True)
class Rival:
    """A job that was there first: by the same idempotency key, or active on the same target."""

    job_id: UUID
    status: str
    request_hash: str | None


def take_key(tx: Transaction, organization_id: UUID, key: str, job_id: UUID, request_hash: str) -> Rival | None:
    """Take an idempotency key for a job that is about to be made. Returns who had it already, else none.

    Of many at once one takes it; the others wait for that one's commit and are told its job."""
    values = {"org": organization_id, "key": key, "job": job_id, "hash": request_hash}
    taken = tx.run(
        """INSERT INTO idempotency_keys (organization_id, key, job_id, request_hash) VALUES (:org, :key, :job, :hash)
        ON CONFLICT DO NOTHING RETURNING job_id""",
        values,
    ).one_or_none()
    if taken is not None:
        return None
    row = tx.run(
        """SELECT j.id, j.status, k.request_hash FROM idempotency_keys k JOIN jobs j ON j.id = k.job_id
        WHERE k.organization_id = :org AND k.key = :key""",
        values,
    ).one()
    return Rival(row.id, row.status, row.request_hash)


def give_key(tx: Transaction, organization_id: UUID, key: str, job_id: UUID) -> None:
    """Let a key that was just taken name the job that answered its request."""
    tx.run(
        "UPDATE idempotency_keys SET job_id = :job WHERE organization_id = :org AND key = :key",
        {"org": organization_id, "key": key, "job": job_id},
    )


def active_on(tx: Transaction, organization_id: UUID, target: str | None) -> Rival | None:
    """The active job that works on this target; none when it has just ended."""
    row = tx.run(
        """SELECT id, status, request_hash FROM jobs
        WHERE organization_id = :org AND target = :target AND status IN ('pending', 'processing', 'stale')""",
        {"org": organization_id, "target": target},
    ).one_or_none()
    return Rival(row.id, row.status, row.request_hash) if row else None


# --- reading --------------------------------------------------------------------------------------------------

_SHOWN = """SELECT j.*, COALESCE(p.payload, '{}') AS payload, l.heartbeat_at,
  u.calls, u.input_tokens, u.output_tokens, u.cost_usd
FROM jobs j LEFT JOIN job_payloads p ON p.job_id = j.id LEFT JOIN job_leases l ON l.job_id = j.id
LEFT JOIN LATERAL (
  SELECT count(*) AS calls, COALESCE(sum(input_tokens), 0) AS input_tokens,
    COALESCE(sum(output_tokens), 0) AS output_tokens, sum(cost_usd) AS cost_usd
  FROM model_calls c WHERE c.job_id = j.id
) u ON true"""


def as_shown(row: Any) -> dict[str, Any]:
    """A job as the API shows it (public contract 2.2)."""
    return {
        "jobId": str(row.id),
        "jobType": row.job_type,
        "status": row.status,
        "runNumber": row.run,
        "payload": row.payload,
        "courseId": row.course_id,
        "lectureId": row.lecture_id,
        "examId": row.exam_id,
        "batchId": str(row.batch_id) if row.batch_id else None,
        "parentJobId": str(row.parent_job_id) if row.parent_job_id else None,
        "currentStep": row.current_step,
        "currentStepIndex": row.current_step_index,
        "totalSteps": row.total_steps,
        "currentTopic": row.current_topic,
        "currentTopicIndex": row.current_topic_index,
        "totalTopics": row.total_topics,
        "progress": round(row.progress, 1),
        "progressMessage": row.progress_message,
        "estimatedSecondsLeft": None,
        "retryCount": row.retry_count,
        "maxRetries": row.max_retries,
        "nextRunAt": iso(row.due_at) if row.status == "pending" else None,
        "startedAt": iso(row.started_at),
        "completedAt": iso(row.completed_at),
        "lastHeartbeat": iso(row.heartbeat_at),
        "resultPath": row.result_path,
        "mediaPending": row.media_pending,
        "error": row.error,
        "cancelledAt": iso(row.cancelled_at),
        "cancellationReason": row.cancellation_reason or None,
        "createdBy": row.created_by,
        "createdAt": iso(row.created_at),
        "updatedAt": iso(row.updated_at),
        "usage": {
            "calls": row.calls,
            "inputTokens": int(row.input_tokens),
            "outputTokens": int(row.output_tokens),
            "costUsd": float(row.cost_usd) if row.cost_usd is not None else None,
        },
    }


def read(db: Database, organization_id: UUID, job_id: UUID) -> dict[str, Any] | None:
    """One job of the organization as shown; none when it has no such job."""
    with db.statement() as tx:
        row = tx.run(
            f"{_SHOWN} WHERE j.id = :job AND j.organization_id = :org", {"job": job_id, "org": organization_id}
        ).one_or_none()
    return as_shown(row) if row else None


def newest(
    db: Database, organization_id: UUID, filters: Mapping[str, str], before: tuple[datetime, UUID] | None, limit: int
) -> list[dict[str, Any]]:
    """Jobs of the organization, newest first, those made before the given one. ``filters`` are column names."""
    where = ["j.organization_id = :org", "j.purged_at IS NULL"]
    values: dict[str, Any] = {"org": organization_id, "limit": limit}
    for column in ("status", "job_type", "course_id", "created_by"):
        if column in filters:
            where.append(f"j.{column} = :{column}")
            values[column] = filters[column]
    if before is not None:
        where.append("(j.created_at, j.id) < (:before_at, :before_id)")
        values |= {"before_at": before[0], "before_id": before[1]}
    with db.statement() as tx:
        rows = tx.run(
            f"{_SHOWN} WHERE {' AND '.join(where)} ORDER BY j.created_at DESC, j.id DESC LIMIT :limit", values
        ).all()
    return [{**as_shown(row), "_position": (row.created_at, row.id)} for row in rows]


@dataclass(frozen=True)
class Standing:
    """Where a job stands, as far as deciding about it needs."""

    job_id: UUID
    organization_id: UUID
    job_type: str
    status: Status
    run: int
    current_step: str
    parent_job_id: UUID | None
    media_pending: int
    retry_count: int
    max_retries: int
    target: str | None


def lock(tx: Transaction, job_id: UUID, organization_id: UUID | None = None) -> Standing | None:
    """Lock a job's row (its parent's first, the one order all use) and read where it stands. None when there is no
    such job, or only its tombstone."""
    tx.run(
        "SELECT 1 FROM jobs WHERE id = (SELECT parent_job_id FROM jobs WHERE id = :job) FOR NO KEY UPDATE",
        {"job": job_id},
    )
    row = tx.run(
        """SELECT * FROM jobs WHERE id = :job AND (CAST(:org AS uuid) IS NULL OR organization_id = :org)
          AND purged_at IS NULL FOR NO KEY UPDATE""",
        {"job": job_id, "org": organization_id},
    ).one_or_none()
    if row is None:
        return None
    return Standing(
        job_id=row.id,
        organization_id=row.organization_id,
        job_type=row.job_type,
        status=row.status,
        run=row.run,
        current_step=row.current_step,
        parent_job_id=row.parent_job_id,
        media_pending=row.media_pending,
        retry_count=row.retry_count,
        max_retries=row.max_retries,
        target=row.target,
    )


# --- moving ---------------------------------------------------------------------------------------------------


def _move(tx: Transaction, job_id: UUID, status: Status, changes: str, values: Mapping[str, Any]) -> bool:
    """Move a job, if the table allows it from where it stands, and end its lease."""
    moved = tx.run(
        f"""UPDATE jobs SET status = '{status}', sent_at = NULL, sends = 0, updated_at = clock_timestamp(),
          current_topic = NULL, current_topic_index = NULL, total_topics = NULL, {changes}
        WHERE id = :job AND {_moving_to(status)} RETURNING id""",
        {"job": job_id, **values},
    ).one_or_none()
    if moved is None:
        return False
    tx.run("DELETE FROM job_leases WHERE job_id = :job", {"job": job_id})
    return True


def cancel(tx: Transaction, job_id: UUID, reason: str, told_at: Event) -> bool:
    """Move to ``cancelled``. Checkpoints stay, so a retry can go on from them."""
    moved = _move(
        tx,
        job_id,
        "cancelled",
        "due_at = NULL, cancelled_at = clock_timestamp(), cancellation_reason = :reason,"
        " progress_message = 'Cancelled'",
        {"reason": reason},
    )
    if moved:
        append(tx, job_id, [told_at])
    return moved


def fail(tx: Transaction, job_id: UUID, status: Status, error: Mapping[str, Any], event: Event) -> bool:
    """Move to ``failed`` or ``dead_letter`` with the error that ended it."""
    moved = _move(
        tx,
        job_id,
        status,
        "due_at = NULL, completed_at = clock_timestamp(), error = CAST(:error AS jsonb), progress_message = :message",
        {"error": json.dumps(dict(error)), "message": f"Failed: {error['message']}"},
    )
    if moved:
        append(tx, job_id, [event])
    return moved


def try_again(
    tx: Transaction, job_id: UUID, *, seconds: float, error: Mapping[str, Any] | None, new_run: bool, counted: bool
) -> datetime | None:
    """Move back to ``pending``, due in ``seconds``. ``new_run`` fences off whoever held it; ``counted`` raises the
    retry count. Returns when it is due, or none when the job may not move there. The caller appends the event."""
    moved = _move(
        tx,
        job_id,
        "pending",
        """due_at = clock_timestamp() + make_interval(secs => :seconds), run = run + :new_run,
        retry_count = retry_count + :counted, error = CAST(:error AS jsonb), completed_at = NULL,
        progress_message = 'Waiting to try again'""",
        {
            "seconds": seconds,
            "new_run": int(new_run),
            "counted": int(counted),
            "error": json.dumps(dict(error)) if error else None,
        },
    )
    if not moved:
        return None
    due: datetime = tx.run("SELECT due_at FROM jobs WHERE id = :job", {"job": job_id}).scalar_one()
    return due


def take_up(tx: Transaction, job_id: UUID, step: str, index: int, progress: float) -> bool:
    """A person's retry: a new run from ``step``, its retry count at 0. False when another active job has the target
    (then the transaction is broken and must be left)."""
    try:
        return _move(
            tx,
            job_id,
            "pending",
            """due_at = clock_timestamp(), run = run + 1, retry_count = 0, error = NULL, completed_at = NULL,
            cancelled_at = NULL, cancellation_reason = NULL, current_step = :step, current_step_index = :index,
            progress = :progress, progress_message = 'Waiting for a worker'""",
            {"step": step, "index": index, "progress": progress},
        )
    except IntegrityError:
        return False


def mark_stale(tx: Transaction, job_id: UUID) -> bool:
    """Move to ``stale``: nobody has been seen working on it for too long."""
    return _move(tx, job_id, "stale", "due_at = NULL", {})


def living_children(tx: Transaction, job_id: UUID) -> list[UUID]:
    """A job's active child jobs by id, locked in that order."""
    rows = tx.run(
        """SELECT id FROM jobs WHERE parent_job_id = :job AND status IN ('pending', 'processing', 'stale')
        ORDER BY id FOR NO KEY UPDATE""",
        {"job": job_id},
    ).all()
    return [row.id for row in rows]


def settle_child(tx: Transaction, parent_id: UUID, *, completed: int, failed: int) -> tuple[int, int, int]:
    """Count ended children off their parent. Returns media still pending, completed and failed in all."""
    row = tx.run(
        """UPDATE jobs SET media_pending = GREATEST(media_pending - :completed - :failed, 0),
          media_completed = media_completed + :completed, media_failed = media_failed + :failed,
          progress_message = CASE WHEN media_pending <= :completed + :failed THEN 'The course is ready'
            ELSE progress_message END, updated_at = clock_timestamp()
        WHERE id = :job RETURNING media_pending, media_completed, media_failed""",
        {"job": parent_id, "completed": completed, "failed": failed},
    ).one()
    return row.media_pending, row.media_completed, row.media_failed


def expect_children(tx: Transaction, parent_id: UUID, count: int) -> None:
    """Count children that were taken up again back onto their parent."""
    tx.run(
        """UPDATE jobs SET media_pending = media_pending + :count, media_failed = GREATEST(media_failed - :count, 0)
        WHERE id = :job""",
        {"job": parent_id, "count": count},
    )


# --- checkpoints a decision needs ----------------------------------------------------------------------------


def finished_steps(tx: Transaction, job_id: UUID) -> set[str]:
    """The steps that have a whole checkpoint."""
    rows = tx.run("SELECT step FROM job_steps WHERE job_id = :job AND part = ''", {"job": job_id}).all()
    return {row.step for row in rows}


def drop_checkpoints(tx: Transaction, job_id: UUID, steps: Sequence[str], parts: Sequence[str] | None = None) -> None:
    """Forget checkpoints of these steps: all of them, or those of the given parts and of the whole step."""
    tx.run(
        """DELETE FROM job_steps WHERE job_id = :job AND step = ANY(:steps)
          AND (CAST(:parts AS text[]) IS NULL OR part = '' OR part = ANY(:parts))""",
        {"job": job_id, "steps": list(steps), "parts": list(parts) if parts is not None else None},
    )
