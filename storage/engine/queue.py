"""What is handed to the broker, and which jobs have lost their worker. Rows decide; messages only carry.

Who may begin, and when, is in ``storage.engine.admission``.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from storage.db import Database, Transaction
from storage.engine.leases import WORKED


@dataclass(frozen=True)
class Sending:
    """One message to send: look at this job, at this run, from this step on. Of the messages in one queue, those in a
    lower ``line`` are given out first. ``again``: it was sent before, and nobody began it."""

    job_id: UUID
    run: int
    job_type: str
    step: str
    line: int = 0
    again: bool = False


#: Lost: its process is silent, or the step itself has not moved for longer than its own patience. While the database
#: was away nobody could beat, so both count from ``:awake`` (when it came back) at the earliest; null: don't care.
LOST = """j.status = 'processing' AND j.due_at IS NULL AND (
  GREATEST(COALESCE(l.heartbeat_at, j.updated_at), CAST(:awake AS timestamptz))
    < clock_timestamp() - make_interval(secs => :stale)
  OR GREATEST(l.progress_at, CAST(:awake AS timestamptz))
    < clock_timestamp() - make_interval(secs => l.patience_seconds))"""
#: Worked on for longer than a job may, and its worker has not noticed for ``:grace`` seconds.
OVERDUE = f"status = 'processing' AND due_at IS NULL AND {WORKED} > :limit + :grace"


def awake_since(db: Database) -> datetime:
    """When the database server started."""
    with db.statement() as tx:
        started: datetime = tx.run("SELECT pg_postmaster_start_time()").scalar_one()
    return started


def lost(db: Database, stale_after_seconds: float, awake: datetime | None = None, limit: int = 100) -> list[UUID]:
    """Jobs in ``processing`` whose holder has not been heard of, or has not moved, for too long."""
    with db.statement() as tx:
        rows = tx.run(
            f"""SELECT j.id FROM jobs j LEFT JOIN job_leases l ON l.job_id = j.id WHERE {LOST}
            ORDER BY j.id LIMIT :limit""",
            {"stale": stale_after_seconds, "awake": awake, "limit": limit},
        ).all()
    return [row.id for row in rows]


def is_lost(tx: Transaction, job_id: UUID, stale_after_seconds: float, awake: datetime | None = None) -> bool:
    """Whether a locked job is lost: a heartbeat may have come in since it was listed."""
    found = tx.run(
        f"SELECT 1 FROM jobs j LEFT JOIN job_leases l ON l.job_id = j.id WHERE j.id = :job AND {LOST}",
        {"job": job_id, "stale": stale_after_seconds, "awake": awake},
    ).one_or_none()
    return found is not None


def overdue(db: Database, limit_seconds: float, grace_seconds: float, limit: int = 100) -> list[UUID]:
    """Jobs that have worked for longer than they may, and whose worker has not ended them itself."""
    with db.statement() as tx:
        rows = tx.run(
            f"SELECT id FROM jobs WHERE {OVERDUE} ORDER BY id LIMIT :most",
            {"limit": limit_seconds, "grace": grace_seconds, "most": limit},
        ).all()
    return [row.id for row in rows]


def is_overdue(tx: Transaction, job_id: UUID, limit_seconds: float, grace_seconds: float) -> bool:
    """Whether a locked job is overdue still."""
    found = tx.run(
        f"SELECT 1 FROM jobs WHERE id = :job AND {OVERDUE}",
        {"job": job_id, "limit": limit_seconds, "grace": grace_seconds},
    ).one_or_none()
    return found is not None


def left_stale(db: Database, limit: int = 100) -> list[UUID]:
    """Jobs marked ``stale`` and not decided about yet."""
    with db.statement() as tx:
        rows = tx.run("SELECT id FROM jobs WHERE status = 'stale' ORDER BY id LIMIT :limit", {"limit": limit}).all()
    return [row.id for row in rows]
