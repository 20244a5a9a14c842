"""A job's moves: where it stands, and every way its status changes outside a running step.

Each move is guarded by ``schema.job.MOVES``, ends the job's lease, and happens under the
row's lock, its parent's first.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.exc import IntegrityError

from schema.events import Event
from schema.job import Status, sources_of
from storage.db import Transaction
from storage.engine.leases import RESTS
from storage.engine.statuses import IS_ACTIVE, is_one_of
from storage.events import append


def _moving_to(status: Status) -> str:
    """The guard of a move: ``status IN (...)`` with the statuses from which the table allows it."""
    return is_one_of(sources_of(status))


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
    step_shares: Sequence[float] | None = None


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
        step_shares=row.step_shares,
    )


def _move(
    tx: Transaction, job_id: UUID, status: Status, changes: str, values: Mapping[str, Any], worked: str = RESTS
) -> bool:
    """Move a job, if the table allows it from where it stands, and end its lease."""
    moved = tx.run(
        f"""UPDATE jobs SET status = '{status}', sent_at = NULL, sends = 0, updated_at = clock_timestamp(),
          current_topic = NULL, current_topic_index = NULL, total_topics = NULL, {worked}, {changes}
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
    """A person's retry: a new run from ``step``, its retry count and its working time at 0. A child whose parent is
    only a tombstone goes on alone. False when another active job has the target (then the transaction is broken and
    must be left)."""
    try:
        return _move(
            tx,
            job_id,
            "pending",
            """due_at = clock_timestamp(), run = run + 1, retry_count = 0, error = NULL, completed_at = NULL,
            cancelled_at = NULL, cancellation_reason = NULL, current_step = :step, current_step_index = :index,
            progress = :progress, progress_message = 'Waiting for its turn',
            parent_job_id = (SELECT p.id FROM jobs p WHERE p.id = jobs.parent_job_id AND p.purged_at IS NULL)""",
            {"step": step, "index": index, "progress": progress},
            worked="worked_seconds = 0, working_since = NULL",
        )
    except IntegrityError:
        return False


def complete(tx: Transaction, job_id: UUID, index: int, message: str, event: Event) -> bool:
    """Move to ``done``: everything was written, only the word of it was lost. ``index`` is that of the last step."""
    moved = _move(
        tx,
        job_id,
        "done",
        "due_at = NULL, completed_at = clock_timestamp(), error = NULL, progress = 100, current_step_index = :index,"
        " progress_message = :message",
        {"index": index, "message": message},
    )
    if moved:
        append(tx, job_id, [event])
    return moved


@dataclass(frozen=True)
class Facts:
    """What the end of a job tells about it. ``seconds`` since it was begun."""

    course_id: str | None
    seconds: float
    error: dict[str, Any] | None


def facts(tx: Transaction, job_id: UUID) -> Facts:
    """What is known of a locked job's work."""
    row = tx.run(
        """SELECT course_id, error, EXTRACT(epoch FROM clock_timestamp() - COALESCE(started_at, created_at))::float
          AS seconds FROM jobs WHERE id = :job""",
        {"job": job_id},
    ).one()
    return Facts(row.course_id, row.seconds, row.error)


def mark_stale(tx: Transaction, job_id: UUID) -> bool:
    """Move to ``stale``: nobody has been seen working on it for too long. It worked until it was last heard of."""
    heard = """worked_seconds = worked_seconds + GREATEST(COALESCE((SELECT EXTRACT(epoch FROM
      l.heartbeat_at - jobs.working_since) FROM job_leases l WHERE l.job_id = jobs.id), 0), 0), working_since = NULL"""
    return _move(tx, job_id, "stale", "due_at = NULL", {}, worked=heard)


def living_children(tx: Transaction, job_id: UUID) -> list[UUID]:
    """A job's active child jobs by id, locked in that order."""
    rows = tx.run(
        f"""SELECT id FROM jobs WHERE parent_job_id = :job AND {IS_ACTIVE}
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
    """Count children that were taken up again back onto their parent, unless that is only a tombstone."""
    tx.run(
        """UPDATE jobs SET media_pending = media_pending + :count, media_failed = GREATEST(media_failed - :count, 0)
        WHERE id = :job AND purged_at IS NULL""",
        {"job": parent_id, "count": count},
    )


def finished_steps(tx: Transaction, job_id: UUID) -> set[str]:
    """The steps that have a whole checkpoint."""
    rows = tx.run("SELECT step FROM job_steps WHERE job_id = :job AND part = ''", {"job": job_id}).all()
    return {row.step for row in rows}


def kept_of(tx: Transaction, job_id: UUID, step: str) -> float:
    """How much of an unfinished step is kept, 0 to 1: its finished parts, of as many as its last event of a topic told.
    0 when it has no parts, or nobody knows any more how many there are. Parts of a topic are none by themselves."""
    row = tx.run(
        """SELECT count(*) AS parts, (SELECT (body->>'totalTopics')::int FROM job_events
            WHERE job_id = :job AND type IN ('topic_started', 'topic_completed') ORDER BY seq DESC LIMIT 1) AS total
          FROM job_steps WHERE job_id = :job AND step = :step AND part <> ''
            AND part NOT LIKE 'answered:%' AND part NOT LIKE 'lesson:%'""",
        {"job": job_id, "step": step},
    ).one()
    return min(1.0, row.parts / row.total) if row.total else 0.0


def drop_checkpoints(tx: Transaction, job_id: UUID, steps: Sequence[str], parts: Sequence[str] | None = None) -> None:
    """Forget checkpoints of these steps: all of them, or those of the given parts and of the whole step."""
    tx.run(
        """DELETE FROM job_steps WHERE job_id = :job AND step = ANY(:steps)
          AND (CAST(:parts AS text[]) IS NULL OR part = '' OR part = ANY(:parts))""",
        {"job": job_id, "steps": list(steps), "parts": list(parts) if parts is not None else None},
    )
