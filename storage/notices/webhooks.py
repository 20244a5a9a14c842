"""An organization's webhooks. The secret of one leaves here only for signing and for whoever makes it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from schema.clock import iso
from storage.db import Database, Transaction

#: What a change may set, by its name in the API.
_COLUMNS = {"url": "url", "events": "events", "description": "description", "paused": "paused"}


@dataclass(frozen=True)
class NewWebhook:
    """A webhook to be made."""

    webhook_id: UUID
    organization_id: UUID
    url: str
    events: list[str]
    description: str
    paused: bool
    secret: str = field(repr=False)
    created_by: str | None


def as_shown(row: Any) -> dict[str, Any]:
    """A webhook as the API shows it: never with its secret."""
    return {
        "webhookId": str(row.id),
        "url": row.url,
        "events": row.events,
        "description": row.description,
        "paused": row.paused,
        "createdBy": row.created_by,
        "createdAt": iso(row.created_at),
        "updatedAt": iso(row.updated_at),
    }


def of_organization(db: Database, organization_id: UUID) -> list[dict[str, Any]]:
    """All webhooks, the oldest first. There are few."""
    with db.statement() as tx:
        rows = tx.run(
            "SELECT * FROM webhooks WHERE organization_id = :org ORDER BY created_at, id", {"org": organization_id}
        ).all()
    return [as_shown(row) for row in rows]


def read(db: Database, organization_id: UUID, webhook_id: UUID) -> dict[str, Any] | None:
    """One webhook of the organization; none when it has no such one."""
    with db.statement() as tx:
        row = tx.run(
            "SELECT * FROM webhooks WHERE id = :id AND organization_id = :org",
            {"id": webhook_id, "org": organization_id},
        ).one_or_none()
    return as_shown(row) if row else None


def insert(tx: Transaction, new: NewWebhook, most: int) -> dict[str, Any] | None:
    """Make a webhook, unless the organization has ``most`` of them: then none is the answer. Of two that are made at
    once one waits for the other, on the organization's row."""
    tx.run("SELECT 1 FROM organizations WHERE id = :org FOR NO KEY UPDATE", {"org": new.organization_id})
    row = tx.run(
        """INSERT INTO webhooks (id, organization_id, url, events, description, paused, secret, created_by)
        SELECT :id, :org, :url, :events, :description, :paused, :secret, :by
        WHERE (SELECT count(*) FROM webhooks WHERE organization_id = :org) < :most RETURNING *""",
        {
            "id": new.webhook_id,
            "org": new.organization_id,
            "url": new.url,
            "events": new.events,
            "description": new.description,
            "paused": new.paused,
            "secret": new.secret,
            "by": new.created_by,
            "most": most,
        },
    ).one_or_none()
    return as_shown(row) if row else None


def change(
    tx: Transaction, organization_id: UUID, webhook_id: UUID, changes: Mapping[str, Any]
) -> dict[str, Any] | None:
    """Change what is given; none when there is no such webhook. Pausing holds back what is still to be delivered,
    resuming makes it due."""
    sets = ", ".join([f"{_COLUMNS[name]} = :{name}" for name in changes] + ["updated_at = clock_timestamp()"])
    row = tx.run(
        f"UPDATE webhooks SET {sets} WHERE id = :id AND organization_id = :org RETURNING *",
        {**changes, "id": webhook_id, "org": organization_id},
    ).one_or_none()
    if row is None:
        return None
    if "paused" in changes:
        hold(tx, webhook_id, paused=changes["paused"])
    return as_shown(row)


def paused(tx: Transaction, organization_id: UUID, webhook_id: UUID) -> bool | None:
    """Whether a webhook is paused, which it stays until this transaction ends; none when there is no such one."""
    found: bool | None = tx.run(
        "SELECT paused FROM webhooks WHERE id = :id AND organization_id = :org FOR SHARE",
        {"id": webhook_id, "org": organization_id},
    ).scalar_one_or_none()
    return found


def hold(tx: Transaction, webhook_id: UUID, *, paused: bool) -> None:
    """Take the pending deliveries of a webhook out of the line, or put those that are out back into it."""
    due, where = ("NULL", "IS NOT NULL") if paused else ("clock_timestamp()", "IS NULL")
    tx.run(
        f"""UPDATE webhook_deliveries SET due_at = {due}
        WHERE webhook_id = :id AND status = 'pending' AND due_at {where}""",
        {"id": webhook_id},
    )


def rotate(tx: Transaction, organization_id: UUID, webhook_id: UUID, secret: str) -> dict[str, Any] | None:
    """Give a webhook another secret, for everything sent from now on; none when there is no such webhook."""
    row = tx.run(
        """UPDATE webhooks SET secret = :secret, updated_at = clock_timestamp()
        WHERE id = :id AND organization_id = :org RETURNING *""",
        {"id": webhook_id, "org": organization_id, "secret": secret},
    ).one_or_none()
    return as_shown(row) if row else None


def remove(tx: Transaction, organization_id: UUID, webhook_id: UUID) -> bool:
    """Remove a webhook with its deliveries. False when there is no such one."""
    gone = tx.run(
        "DELETE FROM webhooks WHERE id = :id AND organization_id = :org", {"id": webhook_id, "org": organization_id}
    )
    return gone.rowcount == 1
