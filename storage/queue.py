"""Which jobs are handed to the broker next, and which have lost their worker. Rows decide; messages only carry."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from storage.db import Database, Transaction

#: Due, and not sent, or sent so long ago that the message must be taken for lost. The wait doubles with each send,
#: so a long queue is not filled with copies, up to 16 times ``resend``.
_WAITING = """due_at <= clock_timestamp() AND status IN ('pending', 'processing')
  AND (sent_at IS NULL
    OR sent_at < clock_timestamp() - make_interval(secs => :resend * power(2, LEAST(sends, 5) - 1)))"""


@dataclass(frozen=True)
class Sending:
    """One message to send: look at this job, at this run, from this step on."""

    job_id: UUID
    run: int
    job_type: str
    step: str


def waiting_queues(db: Database, *, resend_after_seconds: float) -> list[str]:
    """The queues in which something should be sent now. A cheap look, because most of the time there is nothing."""
    with db.statement() as tx:
        rows = tx.run(f"SELECT DISTINCT queue FROM jobs WHERE {_WAITING}", {"resend": resend_after_seconds}).all()
    return sorted(row.queue for row in rows)


def take_for_sending(db: Database, queue: str, *, window: int, resend_after_seconds: float) -> list[Sending]:
    """Mark due jobs as sent and return them in their order, so that at most ``window`` are sent and not begun.

    Organizations take turns, older jobs first within each; what an organization has sent or at work already counts
    as turns it took, so nobody waits behind another's long queue. Two dispatchers at once never take the same job."""
    values = {"queue": queue, "resend": resend_after_seconds, "window": window}
    with db.statement() as tx:
        rows = tx.run(
            f"""WITH taken AS (
              SELECT organization_id, count(*) AS turns, count(*) FILTER (WHERE due_at IS NOT NULL) AS sent
              FROM jobs WHERE queue = :queue AND status IN ('pending', 'processing')
                AND (sent_at IS NOT NULL OR due_at IS NULL)
              GROUP BY organization_id
            ), ranked AS (
              SELECT id, sent_at IS NOT NULL AS again, priority, due_at, COALESCE(turns, 0)
                + row_number() OVER (PARTITION BY organization_id ORDER BY priority, due_at, id) AS turn
              FROM jobs LEFT JOIN taken USING (organization_id) WHERE queue = :queue AND {_WAITING}
            ), room AS (
              SELECT :window - COALESCE(sum(sent), 0) AS free FROM taken
            ), picked AS (
              SELECT id FROM ranked ORDER BY again DESC, priority, turn, due_at, id
              LIMIT (SELECT GREATEST(free, 0) + (SELECT count(*) FROM ranked WHERE again) FROM room)
            ), locked AS (
              SELECT id FROM jobs WHERE id IN (SELECT id FROM picked) AND {_WAITING} FOR NO KEY UPDATE SKIP LOCKED
            ), marked AS (
              UPDATE jobs SET sent_at = clock_timestamp(), sends = sends + 1 FROM locked WHERE jobs.id = locked.id
              RETURNING jobs.id, jobs.run, jobs.job_type, jobs.current_step
            )
            SELECT marked.* FROM marked JOIN ranked USING (id) ORDER BY again DESC, priority, turn, due_at, id""",
            values,
        ).all()
    return [Sending(row.id, row.run, row.job_type, row.current_step) for row in rows]


def next_due(db: Database, queues: list[str]) -> Sending | None:
    """The next due job, for a worker that takes work straight from the database instead of the broker."""
    with db.statement() as tx:
        row = tx.run(
            """SELECT id, run, job_type, current_step FROM jobs WHERE queue = ANY(:queues)
              AND due_at <= clock_timestamp() AND status IN ('pending', 'processing')
            ORDER BY priority, due_at LIMIT 1""",
            {"queues": queues},
        ).one_or_none()
    return Sending(row.id, row.run, row.job_type, row.current_step) if row else None


#: Lost: its process is silent, or the step itself has not moved for longer than its own patience. While the database
#: was away nobody could beat, so both count from ``:awake`` (when it came back) at the earliest; null: don't care.
LOST = """j.status = 'processing' AND j.due_at IS NULL AND (
  GREATEST(COALESCE(l.heartbeat_at, j.updated_at), CAST(:awake AS timestamptz))
    < clock_timestamp() - make_interval(secs => :stale)
  OR GREATEST(l.progress_at, CAST(:awake AS timestamptz))
    < clock_timestamp() - make_interval(secs => l.patience_seconds))"""
#: Worked on for longer than a job may, and its worker has not noticed for ``:grace`` seconds.
OVERDUE = """j.status = 'processing' AND j.due_at IS NULL
  AND j.worked_seconds + EXTRACT(epoch FROM clock_timestamp() - j.working_since) > :limit + :grace"""


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
            f"SELECT j.id FROM jobs j WHERE {OVERDUE} ORDER BY j.id LIMIT :most",
            {"limit": limit_seconds, "grace": grace_seconds, "most": limit},
        ).all()
    return [row.id for row in rows]


def is_overdue(tx: Transaction, job_id: UUID, limit_seconds: float, grace_seconds: float) -> bool:
    """Whether a locked job is overdue still."""
    found = tx.run(
        f"SELECT 1 FROM jobs j WHERE j.id = :job AND {OVERDUE}",
        {"job": job_id, "limit": limit_seconds, "grace": grace_seconds},
    ).one_or_none()
    return found is not None


def left_stale(db: Database, limit: int = 100) -> list[UUID]:
    """Jobs marked ``stale`` and not decided about yet."""
    with db.statement() as tx:
        rows = tx.run("SELECT id FROM jobs WHERE status = 'stale' ORDER BY id LIMIT :limit", {"limit": limit}).all()
    return [row.id for row in rows]
