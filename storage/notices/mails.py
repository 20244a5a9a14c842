"""Mails about ended jobs: each a row for each recipient, claimed and tried again like deliveries to webhooks."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from storage.db import Database
from storage.notices.deliveries import CLAIM_SECONDS


@dataclass(frozen=True)
class Taken:
    """A mail to be sent now. ``title`` is the course's as the catalog has it, else what was asked for, else
    none."""

    mail_id: UUID
    organization_id: UUID
    event: str
    recipient: str
    job: dict[str, Any]
    title: str | None
    attempts: int
    attempted_at: datetime


def take(db: Database) -> Taken | None:
    """Claim the mail that has been due for longest; none when none is due."""
    with db.statement() as tx:
        row = tx.run(
            """WITH taken AS (
              UPDATE mails SET attempts = attempts + 1, attempted_at = clock_timestamp(),
                due_at = clock_timestamp() + make_interval(secs => :claim), error = NULL
              WHERE id = (SELECT id FROM mails WHERE due_at <= (SELECT clock_timestamp())
                ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
              RETURNING *
            )
            SELECT taken.*, COALESCE(listed.title, p.payload->>'title', p.payload->>'subject', exams.title) AS title
            FROM taken LEFT JOIN job_payloads p ON p.job_id = taken.job_id
            LEFT JOIN exams ON exams.organization_id = taken.organization_id
              AND CAST(exams.id AS text) = taken.body->>'examId'
            LEFT JOIN course_metadata listed ON listed.organization_id = taken.organization_id
              AND listed.course_id = taken.body->>'courseId'""",
            {"claim": CLAIM_SECONDS},
        ).one_or_none()
    if row is None:
        return None
    return Taken(
        mail_id=row.id,
        organization_id=row.organization_id,
        event=row.event,
        recipient=row.recipient,
        job=row.body,
        title=row.title,
        attempts=row.attempts,
        attempted_at=row.attempted_at,
    )


def sent(db: Database, taken: Taken) -> None:
    """The mail server took it."""
    _settle(db, taken, "status = 'sent', sent_at = clock_timestamp(), due_at = NULL", None)


def put_off(db: Database, taken: Taken, error: str, seconds: float) -> None:
    """Try again in so many seconds."""
    _settle(db, taken, "due_at = clock_timestamp() + make_interval(secs => :pause)", error, pause=seconds)


def give_up(db: Database, taken: Taken, error: str) -> None:
    """It can't be sent, or was tried for long enough."""
    _settle(db, taken, "status = 'failed', due_at = NULL", error)


def _settle(db: Database, taken: Taken, sets: str, error: str | None, **values: float) -> None:
    with db.statement() as tx:
        tx.run(
            f"UPDATE mails SET {sets}, error = :error WHERE id = :id AND attempted_at = :at AND status = 'pending'",
            {"id": taken.mail_id, "at": taken.attempted_at, "error": error, **values},
        )
