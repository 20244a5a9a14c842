"""Who runs a step, and what is kept of it.

Every write here carries the fence ``run, lease_token, status``: it finds its job only while the caller still holds
it, all three being in the one row it locks, so a check can't pass on an old picture of another row. ``None`` as an
answer always means: someone else decides about this job by now, and nothing was written.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from schema.events import Event
from storage.db import Database, Transaction
from storage.engine.leases import FENCE, RESTS, WORKS_ON, Lease
from storage.events import TOLD, told
from storage.notices.outbox import noticed, noticing

#: The shape of checkpoints. A worker that meets another number hands the job back instead of guessing.
CHECKPOINT_FORMAT = 1


@dataclass(frozen=True)
class Claimed:
    """A step that may begin now: its lease, the job's facts a step needs, and every checkpoint so far."""

    lease: Lease
    job_type: str
    payload: dict[str, Any]
    course_id: str | None
    parent_job_id: UUID | None
    created_by: str | None
    started_at: datetime
    worked_seconds: float
    retry_count: int
    max_retries: int
    checkpoints: dict[tuple[str, str], Any]
    formats: frozenset[int]
    #: How far the whole job is, 0 to 100, and how much of its way each step is (none: the built-in shares).
    progress: float = 0.0
    step_shares: Sequence[float] | None = None


def claim(
    db: Database,
    job_id: UUID,
    run: int,
    step: str,
    index: int,
    holder: str,
    events: Sequence[Event],
    message: str,
    patience_seconds: float,
) -> Claimed | None:
    """Take the job for ``step`` if it is due, its run is ``run``, and that step is the one it stands at. Without
    progress for ``patience_seconds`` the step will count as stuck."""
    with db.statement() as tx:
        row = tx.run(
            f"""WITH held AS (
              UPDATE jobs SET status = 'processing', lease_token = lease_token + 1, due_at = NULL, sent_at = NULL,
                sends = 0, started_at = COALESCE(started_at, clock_timestamp()), working_since = clock_timestamp(),
                current_step_index = :index,
                progress_message = :message, error = NULL, last_seq = last_seq + :told, updated_at = clock_timestamp()
              WHERE id = :job AND run = :run AND current_step = :step AND status IN ('pending', 'processing')
                AND due_at <= clock_timestamp()
              RETURNING *
            ), lease AS (
              INSERT INTO job_leases (job_id, organization_id, token, step, holder, patience_seconds)
              SELECT id, organization_id, lease_token, :step, :holder, :patience FROM held
              ON CONFLICT (job_id) DO UPDATE SET token = EXCLUDED.token, step = EXCLUDED.step,
                holder = EXCLUDED.holder, patience_seconds = EXCLUDED.patience_seconds,
                heartbeat_at = clock_timestamp(), progress_at = clock_timestamp()
            ), {TOLD}
            SELECT held.*, p.payload,
              (SELECT jsonb_agg(jsonb_build_array(s.step, s.part, s.format, s.result))
               FROM job_steps s WHERE s.job_id = held.id) AS kept
            FROM held JOIN job_payloads p ON p.job_id = held.id""",
            {
                "job": job_id,
                "run": run,
                "step": step,
                "index": index,
                "holder": holder,
                "message": message,
                "patience": patience_seconds,
                **told(events),
            },
        ).one_or_none()
    if row is None:
        return None
    kept = row.kept or []
    return Claimed(
        lease=Lease(job_id, row.organization_id, run, row.lease_token),
        job_type=row.job_type,
        payload=row.payload,
        course_id=row.course_id,
        parent_job_id=row.parent_job_id,
        created_by=row.created_by,
        started_at=row.started_at,
        worked_seconds=row.worked_seconds,
        retry_count=row.retry_count,
        max_retries=row.max_retries,
        checkpoints={(name, part): result for name, part, _, result in kept},
        formats=frozenset(form for _, _, form, _ in kept),
        progress=row.progress,
        step_shares=row.step_shares,
    )


@dataclass(frozen=True)
class Ending:
    """What becomes true when a step ends: its checkpoint, its events, and where the job goes from here.

    ``next_step`` is none when it was the last. With ``go_on`` the same holder begins the next step in the same
    write (its lease gets a new token, and ``patience_seconds`` is the next step's); without, the next step waits for
    its message."""

    step: str
    result: dict[str, Any]
    seconds: float
    events: Sequence[Event]
    progress: float
    message: str
    next_step: str | None
    next_index: int
    go_on: bool
    patience_seconds: float
    result_path: str | None = None
    media_pending: int = 0


def finish(tx: Transaction, lease: Lease, ending: Ending) -> Lease | None:
    """End a step: checkpoint, events and the job's progress in one statement. Returns the lease that holds from now
    on (with ``go_on``: a new token), or none when the fence refused."""
    if ending.next_step is None:
        where, held_on = f"status = 'done', completed_at = clock_timestamp(), due_at = NULL, {RESTS}", "DELETE"
    elif ending.go_on:
        where, held_on = f"lease_token = lease_token + 1, {WORKS_ON}", "UPDATE"
    else:
        # Celery passes the chain's next message on right after this commit, hence sent_at.
        where, held_on = f"due_at = clock_timestamp(), sent_at = clock_timestamp(), sends = 1, {RESTS}", "DELETE"
    lease_write = (
        "DELETE FROM job_leases l USING held WHERE l.job_id = held.id"
        if held_on == "DELETE"
        else "UPDATE job_leases l SET token = held.lease_token, step = held.current_step,"
        " patience_seconds = :patience, heartbeat_at = clock_timestamp(), progress_at = clock_timestamp()"
        " FROM held WHERE l.job_id = held.id"
    )
    row = tx.run(
        f"""WITH held AS (
          UPDATE jobs SET {where}, current_step = COALESCE(:next_step, current_step), current_step_index = :next_index,
            current_topic = NULL, current_topic_index = NULL, total_topics = NULL,
            progress = GREATEST(progress, :progress), progress_message = :message,
            result_path = COALESCE(:result_path, result_path), media_pending = media_pending + :media_pending,
            last_seq = last_seq + :told, updated_at = clock_timestamp()
          WHERE {FENCE} RETURNING *
        ), kept AS (
          INSERT INTO job_steps (job_id, step, part, organization_id, format, run, result, seconds)
          SELECT id, :step, '', organization_id, :format, run, CAST(:result AS jsonb), :seconds FROM held
        ), lease AS ({lease_write}), {TOLD} {noticed(ending.events)}
        SELECT lease_token FROM held""",
        {
            **lease.fence(),
            "step": ending.step,
            "result": json.dumps(ending.result),
            "format": CHECKPOINT_FORMAT,
            "seconds": ending.seconds,
            "progress": ending.progress,
            "message": ending.message,
            "next_step": ending.next_step,
            "next_index": ending.next_index,
            **({"patience": ending.patience_seconds} if held_on == "UPDATE" else {}),
            "result_path": ending.result_path,
            "media_pending": ending.media_pending,
            **told(ending.events),
            **noticing(ending.events),
        },
    ).one_or_none()
    if row is None:
        return None
    return Lease(lease.job_id, lease.organization_id, lease.run, row.lease_token)


@dataclass(frozen=True)
class Topic:
    """Which part of a step is being worked on, as a job shows it. ``index`` counts from 1."""

    name: str
    index: int
    total: int


def tell(
    db: Database,
    lease: Lease,
    events: Sequence[Event],
    *,
    progress: float,
    message: str,
    topic: Topic | None = None,
    keep: tuple[str, str, Any, float] | None = None,
    in_place_of: Sequence[str] = (),
) -> bool:
    """Append events to a running step; with ``keep`` (step, part, result, seconds) also a part's checkpoint, which may
    take the place of those of other parts. False when the fence refused. Progress never goes backwards within a run."""
    kept = ""
    values: dict[str, Any] = {
        **lease.fence(),
        "progress": progress,
        "message": message,
        "topic": topic.name if topic else None,
        "topic_index": topic.index if topic else None,
        "topics": topic.total if topic else None,
        **told(events),
    }
    if keep is not None:
        step, part, result, seconds = keep
        values |= {"step": step, "part": part, "result": json.dumps(result), "seconds": seconds}
        values["format"] = CHECKPOINT_FORMAT
        kept = """kept AS (
          INSERT INTO job_steps (job_id, step, part, organization_id, format, run, result, seconds)
          SELECT id, :step, :part, organization_id, :format, run, CAST(:result AS jsonb), :seconds FROM held
        ),"""
    if keep is not None and in_place_of:
        values["replaced"] = list(in_place_of)
        kept += """replaced AS (
          DELETE FROM job_steps s USING held WHERE s.job_id = held.id AND s.step = :step AND s.part = ANY(:replaced)
        ),"""
    with db.statement() as tx:
        row = tx.run(
            f"""WITH held AS (
              UPDATE jobs SET progress = GREATEST(progress, :progress), progress_message = :message,
                current_topic = COALESCE(:topic, current_topic),
                current_topic_index = COALESCE(:topic_index, current_topic_index),
                total_topics = COALESCE(:topics, total_topics),
                last_seq = last_seq + :told, updated_at = clock_timestamp()
              WHERE {FENCE} RETURNING *
            ), {kept} lease AS (
              UPDATE job_leases l SET progress_at = clock_timestamp() FROM held WHERE l.job_id = held.id
            ), {TOLD}
            SELECT 1 FROM held""",
            values,
        ).one_or_none()
    return row is not None


def holds(tx: Transaction, lease: Lease) -> bool:
    """Lock the job's row and say whether the lease still holds. For steps that write more than their checkpoint."""
    return tx.run(f"SELECT 1 FROM jobs WHERE {FENCE} FOR NO KEY UPDATE", lease.fence()).one_or_none() is not None
