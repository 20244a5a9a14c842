"""Deliveries to webhooks: each a row, from the moment its job ended until it was received or given up.

Whoever sends one claims it first: its ``due_at`` moves on by ``CLAIM_SECONDS``. One whose sender dies is due again
then, so it arrives at least once; what was learnt is written only by whoever made the last attempt.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from schema.clock import iso
from storage import pages
from storage.db import Database, Transaction
from storage.notices.webhooks import hold
from storage.pages import Position

#: Longer than an attempt takes: five seconds for the name and ten for the exchange; and than a mail server needs.
CLAIM_SECONDS = 90.0


@dataclass(frozen=True)
class Taken:
    """A delivery to be tried now, and where it goes. ``attempted_at`` names this attempt."""

    delivery_id: UUID
    organization_id: UUID
    webhook_id: UUID
    event: str
    job: dict[str, Any] | None
    attempts: int
    attempted_at: datetime
    created_at: datetime
    url: str
    secret: str = field(repr=False)


@dataclass(frozen=True)
class Tried:
    """What an attempt brought: the answer's status and beginning, if there was one, how long it took, and in a sentence
    what was wrong."""

    seconds: float
    status: int | None = None
    start: str | None = None
    error: str | None = None


def take(db: Database, besides: Sequence[UUID] = ()) -> Taken | None:
    """Claim the delivery that has been due for longest, of an organization that is not among ``besides``. None when
    nothing is due."""
    with db.statement() as tx:
        row = tx.run(
            """UPDATE webhook_deliveries d SET attempts = d.attempts + 1, attempted_at = clock_timestamp(),
              due_at = clock_timestamp() + make_interval(secs => :claim), error = NULL
            FROM webhooks w WHERE w.id = d.webhook_id AND d.id = (
              SELECT c.id FROM webhook_deliveries c JOIN webhooks h ON h.id = c.webhook_id
              WHERE c.due_at <= (SELECT clock_timestamp()) AND NOT h.paused
                AND c.organization_id <> ALL (CAST(:besides AS uuid[]))
              ORDER BY c.due_at LIMIT 1 FOR UPDATE OF c SKIP LOCKED)
            RETURNING d.*, w.url, w.secret""",
            {"claim": CLAIM_SECONDS, "besides": [str(one) for one in besides]},
        ).one_or_none()
    if row is None:
        return None
    return Taken(
        delivery_id=row.id,
        organization_id=row.organization_id,
        webhook_id=row.webhook_id,
        event=row.event,
        job=row.body or None,
        attempts=row.attempts,
        attempted_at=row.attempted_at,
        created_at=row.created_at,
        url=row.url,
        secret=row.secret,
    )


#: Writes down what the last attempt brought, unless somebody has made another one since.
_TRIED = """response_status = :status, response_start = :start, seconds = :seconds, error = :error
  WHERE id = :id AND attempted_at = :at AND status = 'pending'"""


def _values(taken: Taken, tried: Tried) -> dict[str, Any]:
    return {
        "id": taken.delivery_id,
        "at": taken.attempted_at,
        "status": tried.status,
        "start": tried.start,
        "seconds": tried.seconds,
        "error": tried.error,
    }


def received(db: Database, taken: Taken, tried: Tried) -> None:
    """The receiver took it."""
    with db.statement() as tx:
        tx.run(
            f"""UPDATE webhook_deliveries SET status = 'delivered', delivered_at = clock_timestamp(), due_at = NULL,
            {_TRIED}""",
            _values(taken, tried),
        )


def put_off(db: Database, taken: Taken, tried: Tried, seconds: float) -> None:
    """Try again in so many seconds; when the webhook was paused meanwhile, once it is resumed."""
    with db.statement() as tx:
        tx.run(
            f"""UPDATE webhook_deliveries SET due_at = CASE
              WHEN (SELECT paused FROM webhooks WHERE webhooks.id = webhook_id) THEN NULL
              ELSE clock_timestamp() + make_interval(secs => :pause) END, {_TRIED}""",
            {**_values(taken, tried), "pause": seconds},
        )


def give_up(tx: Transaction, taken: Taken, tried: Tried) -> None:
    """It was tried for long enough."""
    tx.run(f"UPDATE webhook_deliveries SET status = 'failed', due_at = NULL, {_TRIED}", _values(taken, tried))


def pause(tx: Transaction, taken: Taken) -> bool:
    """Pause the webhook of a delivery whose receiver said that it is gone for good. False when it is paused already,
    or has another URL by now."""
    paused = tx.run(
        """UPDATE webhooks SET paused = true, updated_at = clock_timestamp()
        WHERE id = :id AND url = :url AND NOT paused""",
        {"id": taken.webhook_id, "url": taken.url},
    )
    if paused.rowcount:
        hold(tx, taken.webhook_id, paused=True)
    return paused.rowcount == 1


# --- by hand --------------------------------------------------------------------------------------------------------


def add_test(tx: Transaction, organization_id: UUID, webhook_id: UUID, delivery_id: UUID, event: str) -> dict[str, Any]:
    """A delivery of no job, due at once. The webhook is locked (``storage.notices.webhooks.paused``)."""
    row = tx.run(
        """INSERT INTO webhook_deliveries (id, organization_id, webhook_id, event, body, due_at)
        VALUES (:delivery, :org, :id, :event, '{}', clock_timestamp()) RETURNING *""",
        {"delivery": delivery_id, "id": webhook_id, "org": organization_id, "event": event},
    ).one()
    return as_shown(row)


def again(tx: Transaction, webhook_id: UUID, delivery_id: UUID) -> dict[str, Any] | None:
    """Make a delivery due at once: one that has ended begins anew, one that waits need not wait longer, and one that is
    on its way goes on. None when the (locked) webhook has no such delivery."""
    values = {"delivery": delivery_id, "id": webhook_id}
    tx.run(
        """UPDATE webhook_deliveries SET due_at = clock_timestamp(), delivered_at = NULL,
          attempts = CASE WHEN status = 'pending' THEN attempts ELSE 0 END, status = 'pending'
        WHERE id = :delivery AND webhook_id = :id AND (status <> 'pending' OR attempts = 0 OR error IS NOT NULL)""",
        values,
    )
    row = tx.run("SELECT * FROM webhook_deliveries WHERE id = :delivery AND webhook_id = :id", values).one_or_none()
    return as_shown(row) if row else None


# --- the log --------------------------------------------------------------------------------------------------------


def as_shown(row: Any) -> dict[str, Any]:
    """A delivery as its log shows it."""
    return {
        "deliveryId": str(row.id),
        "webhookId": str(row.webhook_id),
        "event": row.event,
        "jobId": str(row.job_id) if row.job_id else None,
        "status": row.status,
        "attempts": row.attempts,
        "createdAt": iso(row.created_at),
        "attemptedAt": iso(row.attempted_at),
        "deliveredAt": iso(row.delivered_at),
        "nextAttemptAt": iso(row.due_at),
        "responseStatus": row.response_status,
        "responseStart": row.response_start,
        "seconds": round(row.seconds, 3) if row.seconds is not None else None,
        "error": row.error,
    }


def newest(
    db: Database, organization_id: UUID, webhook_id: UUID, before: Position | None, limit: int
) -> list[dict[str, Any]]:
    """Deliveries to a webhook, newest first, those made before the given one."""
    rows = "SELECT * FROM webhook_deliveries WHERE webhook_id = :id AND organization_id = :org"
    return pages.newest(db, rows, {"org": organization_id, "id": webhook_id}, before, limit, as_shown)
