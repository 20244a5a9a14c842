"""The right to write for a job: who holds it, for how long, and how it is given back.

A lease is valid while the job's row carries its run and token. Its own small row says when its holder was last heard
of and when the step last moved; that row decides nothing, it only tells the reconciler whom to look at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from storage.db import Database

#: The fence before every write of a step. All of it stands in the one row that the write locks, so it can't pass on an
#: old picture of another row.
FENCE = "id = :job AND run = :run AND lease_token = :token AND status = 'processing' AND due_at IS NULL"

#: For how long a job was in somebody's hands. Of a silence no more counts than its step may stand still: beyond that
#: its machine slept, or the database was away, and nobody got on with it. (A heartbeat comes more often than that.)
WORKED = """worked_seconds + GREATEST(COALESCE(EXTRACT(epoch FROM LEAST(clock_timestamp(),
  (SELECT heard.heartbeat_at + make_interval(secs => heard.patience_seconds)
   FROM job_leases heard WHERE heard.job_id = jobs.id)) - working_since), 0), 0)"""
#: Ends the working time of a job's row: from now on it waits.
RESTS = f"worked_seconds = {WORKED}, working_since = NULL"
#: Counts what was worked so far, and counts on from now. It goes before a new heartbeat, which ends a silence.
WORKS_ON = f"worked_seconds = {WORKED}, working_since = clock_timestamp()"


@dataclass(frozen=True)
class Lease:
    """The right to write for a job: valid as long as its row carries this run and token."""

    job_id: UUID
    organization_id: UUID
    run: int
    token: int

    def fence(self) -> dict[str, Any]:
        return {"job": self.job_id, "run": self.run, "token": self.token}


def hand_back(db: Database, lease: Lease, seconds: float = 0) -> bool:
    """Give a step up undone (shutdown): due again in ``seconds``, no attempt counted.

    The job keeps its organization's place, because a copy of its message may still be out and begin it: to the
    dispatcher its message is one that was lost long ago."""
    with db.statement() as tx:
        row = tx.run(
            f"""WITH held AS (
              UPDATE jobs SET status = 'pending', due_at = clock_timestamp() + make_interval(secs => :seconds),
                sent_at = 'epoch', sends = 0, progress_message = 'Waiting for its turn', {RESTS},
                updated_at = clock_timestamp()
              WHERE {FENCE} RETURNING id
            ), lease AS (DELETE FROM job_leases l USING held WHERE l.job_id = held.id)
            SELECT 1 FROM held""",
            {**lease.fence(), "seconds": seconds},
        ).one_or_none()
    return row is not None


def beat(db: Database, leases: Sequence[Lease], idle: Sequence[float]) -> set[UUID]:
    """Renew the heartbeats of all steps this process runs, in one message; ``idle`` says for how many seconds each has
    not moved. Returns the jobs still held.

    Where the last heartbeat is long ago, the job's working time is counted first: from then on nobody could tell the
    silence from work. Job before lease, as all lock them."""
    with db.statement() as tx:
        rows = tx.run(
            f"""UPDATE jobs SET {WORKS_ON}
            FROM job_leases l JOIN unnest(CAST(:jobs AS uuid[]), CAST(:tokens AS bigint[])) AS mine(job_id, token)
              ON l.job_id = mine.job_id AND l.token = mine.token
            WHERE jobs.id = l.job_id AND jobs.lease_token = l.token AND jobs.status = 'processing'
              AND l.heartbeat_at < clock_timestamp() - make_interval(secs => l.patience_seconds);
            UPDATE job_leases l SET heartbeat_at = clock_timestamp(),
              progress_at = GREATEST(l.progress_at, clock_timestamp() - make_interval(secs => mine.idle))
            FROM unnest(CAST(:jobs AS uuid[]), CAST(:tokens AS bigint[]), CAST(:idle AS float8[]))
              AS mine(job_id, token, idle)
            WHERE l.job_id = mine.job_id AND l.token = mine.token RETURNING l.job_id""",
            {
                "jobs": [str(lease.job_id) for lease in leases],
                "tokens": [lease.token for lease in leases],
                "idle": list(idle),
            },
        ).all()
    return {row.job_id for row in rows}


def still_held(db: Database, leases: Sequence[Lease]) -> set[UUID]:
    """Which of these jobs are still ours: neither cancelled nor taken over."""
    with db.statement() as tx:
        rows = tx.run(
            """SELECT j.id FROM unnest(CAST(:jobs AS uuid[]), CAST(:runs AS int[]), CAST(:tokens AS bigint[]))
              AS mine(id, run, token)
            JOIN jobs j ON j.id = mine.id AND j.run = mine.run AND j.lease_token = mine.token
              AND j.status = 'processing'""",
            {
                "jobs": [str(lease.job_id) for lease in leases],
                "runs": [lease.run for lease in leases],
                "tokens": [lease.token for lease in leases],
            },
        ).all()
    return {row.id for row in rows}


def forgotten(db: Database, holder: str, known: Sequence[UUID], older_than_seconds: float) -> list[Lease]:
    """Leases in this process's name that it knows nothing about: the answer to a claim, or to the end of a step, was
    lost with the connection. ``older_than_seconds`` leaves alone those whose answer may still be on its way."""
    with db.statement() as tx:
        rows = tx.run(
            """SELECT j.id, j.organization_id, j.run, j.lease_token FROM job_leases l JOIN jobs j ON j.id = l.job_id
            WHERE l.holder = :holder AND l.job_id <> ALL(CAST(:known AS uuid[])) AND j.lease_token = l.token
              AND j.status = 'processing' AND j.due_at IS NULL
              AND l.heartbeat_at < clock_timestamp() - make_interval(secs => :age)""",
            {"holder": holder, "known": [str(job_id) for job_id in known], "age": older_than_seconds},
        ).all()
    return [Lease(row.id, row.organization_id, row.run, row.lease_token) for row in rows]
