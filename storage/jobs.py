"""A job's row: made once, and read by people. How it moves is in ``storage.engine.moves``."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from schema.clock import iso
from schema.events import Event
from schema.job import SINGLE_PRIORITY
from storage import pages
from storage.db import Database, Transaction
from storage.engine.statuses import IS_ACTIVE
from storage.events import TOLD, told
from storage.pages import Position
from storage.people.privacy import IS_PRIVATE_JOB

# --- making ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class NewRow:
    """A job to be made. ``target`` is what only one active job may work on; ``request_hash`` is over kind and body;
    ``rationed`` jobs count for what a person may ask for in an hour. A child job has its parent's ``priority``.
    ``step_shares``: how much of its way each step is, in percent; none for the built-in shares."""

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
    exam_id: str | None = None
    parent_job_id: UUID | None = None
    batch_id: UUID | None = None
    request_hash: str | None = None
    priority: int = SINGLE_PRIORITY
    rationed: bool = False
    step_shares: Sequence[float] | None = None


def insert(tx: Transaction, new: NewRow, created: Event) -> bool:
    """Make the job, its payload and its first event, due at once. False when another active job has its target: then
    nothing was written."""
    row = tx.run(
        f"""WITH base AS (
          SELECT max(revision) AS revision FROM documents
          WHERE organization_id = :org AND kind = 'course' AND document_id = :course_id
        ), held AS (
          INSERT INTO jobs (id, organization_id, job_type, status, queue, target, course_id, exam_id, parent_job_id,
            batch_id, current_step, total_steps, max_retries, created_by, request_hash, base_revision,
            priority, rationed, step_shares, due_at, last_seq, progress_message)
          SELECT :id, :org, :job_type, 'pending', :queue, :target, :course_id, :exam_id, :parent, :batch,
            :first_step, :total_steps, :max_retries, :created_by, :hash, base.revision,
            COALESCE((SELECT parent.priority FROM jobs AS parent WHERE parent.id = :parent), :priority), :rationed,
            CAST(:step_shares AS double precision[]), clock_timestamp(), :told, 'Waiting for its turn'
          FROM base
          ON CONFLICT DO NOTHING
          RETURNING id, organization_id, last_seq, progress
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
            "exam_id": new.exam_id,
            "parent": new.parent_job_id,
            "batch": new.batch_id,
            "first_step": new.first_step,
            "total_steps": new.total_steps,
            "max_retries": new.max_retries,
            "created_by": new.created_by,
            "hash": new.request_hash,
            "priority": new.priority,
            "rationed": new.rationed,
            "step_shares": None if new.step_shares is None else list(new.step_shares),
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
        f"""SELECT id, status, request_hash FROM jobs
        WHERE organization_id = :org AND target = :target AND {IS_ACTIVE}""",
        {"org": organization_id, "target": target},
    ).one_or_none()
    return Rival(row.id, row.status, row.request_hash) if row else None


def active_on_courses(tx: Transaction, organization_id: UUID, targets: Mapping[str, str | None]) -> dict[str, UUID]:
    """Of these courses those that an active job makes for another target than the given one, with that job: a course
    may be named by a request for itself, and by one for an exam."""
    rows = tx.run(
        f"""SELECT course_id, id FROM jobs JOIN jsonb_each_text(CAST(:targets AS jsonb)) AS asked (course, wanted)
          ON course_id = course
        WHERE organization_id = :org AND target <> wanted AND job_type <> 'media' AND {IS_ACTIVE}""",
        {"org": organization_id, "targets": json.dumps(dict(targets))},
    ).all()
    return {row.course_id: row.id for row in rows}


# --- reading --------------------------------------------------------------------------------------------------

_SHOWN = """SELECT j.*, COALESCE(p.payload, '{}') AS payload, l.heartbeat_at,
  EXTRACT(epoch FROM clock_timestamp() - j.working_since)::float AS elapsed,
  u.calls, u.input_tokens, u.output_tokens, u.cost_usd
FROM jobs j LEFT JOIN job_payloads p ON p.job_id = j.id LEFT JOIN job_leases l ON l.job_id = j.id
LEFT JOIN LATERAL (
  SELECT count(*) AS calls, COALESCE(sum(input_tokens), 0) AS input_tokens,
    COALESCE(sum(output_tokens), 0) AS output_tokens, sum(cost_usd) AS cost_usd
  FROM model_calls c WHERE c.job_id = j.id
) u ON true"""


#: How many seconds a job of a type has left that has been at a step for so many; none when nobody can tell.
SecondsLeft = Callable[[str, str, float], float | None]


def _nobody_knows(_job_type: str, _step: str, _elapsed: float) -> None:
    return None


def as_shown(row: Any, seconds_left: SecondsLeft = _nobody_knows) -> dict[str, Any]:
    """A job as the API shows it (public contract 2.2). A job that waits has all of its present step before it."""
    at_work = row.status in ("pending", "processing")
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
        "estimatedSecondsLeft": seconds_left(row.job_type, row.current_step, row.elapsed or 0.0) if at_work else None,
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
        "usage": usage_as_shown(row),
    }


def usage_as_shown(row: Any) -> dict[str, Any]:
    """What calls to models were made and used up. A cost nobody knows is none."""
    return {
        "calls": row.calls,
        "inputTokens": int(row.input_tokens),
        "outputTokens": int(row.output_tokens),
        "costUsd": float(row.cost_usd) if row.cost_usd is not None else None,
    }


def read(
    db: Database, organization_id: UUID, job_id: UUID, seconds_left: SecondsLeft = _nobody_knows
) -> dict[str, Any] | None:
    """One job of the organization as shown; none when it has no such job."""
    found = read_numbered(db, organization_id, job_id, seconds_left)
    return found[0] if found else None


def read_numbered(
    db: Database, organization_id: UUID, job_id: UUID, seconds_left: SecondsLeft = _nobody_knows
) -> tuple[dict[str, Any], int] | None:
    """The same with the ``seq`` of the last event that shows in it: who has the job like this has seen all up to it."""
    with db.statement() as tx:
        row = tx.run(
            f"{_SHOWN} WHERE j.id = :job AND j.organization_id = :org", {"job": job_id, "org": organization_id}
        ).one_or_none()
    return (as_shown(row, seconds_left), row.last_seq) if row else None


def newest(
    db: Database,
    organization_id: UUID,
    filters: Mapping[str, str],
    before: Position | None,
    limit: int,
    seconds_left: SecondsLeft = _nobody_knows,
    *,
    private: bool = True,
) -> list[dict[str, Any]]:
    """Jobs of the organization, newest first, those made before the given one, with or without those of private
    courses. ``filters`` are column names."""
    where = ["j.organization_id = :org", "j.purged_at IS NULL"]
    if not private:
        where.append(f"NOT {IS_PRIVATE_JOB}")
    values: dict[str, Any] = {"org": organization_id}
    for column in ("status", "job_type", "course_id", "created_by", "batch_id"):
        if column in filters:
            where.append(f"j.{column} = :{column}")
            values[column] = filters[column]
    rows = f"{_SHOWN} WHERE {' AND '.join(where)}"
    return pages.newest(db, rows, values, before, limit, lambda row: as_shown(row, seconds_left), of="j.")
