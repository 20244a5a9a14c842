"""Which users belong to an organization. Who was taken out keeps a row, so that no token's claim lets them in again."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from schema.clock import iso
from storage.db import Database, Transaction

_COLUMNS = ("role", "name", "email")


def as_shown(row: Any) -> dict[str, Any]:
    """A member as the API shows one."""
    return {
        "userId": row.user_id,
        "role": row.role,
        "name": row.name,
        "email": row.email,
        "createdBy": row.created_by,
        "createdAt": iso(row.created_at),
    }


def page(db: Database, organization_id: UUID, after: str, limit: int) -> list[dict[str, Any]]:
    """The members by their ids, those after ``after``."""
    with db.statement() as tx:
        rows = tx.run(
            """SELECT * FROM memberships WHERE organization_id = :org AND ended_at IS NULL
            AND user_id COLLATE "C" > :after ORDER BY user_id COLLATE "C" LIMIT :limit""",
            {"org": organization_id, "after": after, "limit": limit},
        ).all()
    return [as_shown(row) for row in rows]


def read(db: Database, organization_id: UUID, user_id: str) -> dict[str, Any] | None:
    """A member; none for somebody who is none, or not any more."""
    with db.statement() as tx:
        row = tx.run(
            "SELECT * FROM memberships WHERE organization_id = :org AND user_id = :user AND ended_at IS NULL",
            {"org": organization_id, "user": user_id},
        ).one_or_none()
    return as_shown(row) if row else None


def lock(tx: Transaction, organization_id: UUID) -> None:
    """Let one change of the members wait for the other, on the organization's row."""
    tx.run("SELECT 1 FROM organizations WHERE id = :org FOR NO KEY UPDATE", {"org": organization_id})


def is_last_admin(tx: Transaction, organization_id: UUID, user_id: str) -> bool:
    """Whether a member is an admin, and no other is. The members must be locked."""
    found: bool = tx.run(
        """SELECT EXISTS (SELECT 1 FROM memberships WHERE organization_id = :org AND user_id = :user
            AND role = 'admin' AND ended_at IS NULL)
          AND NOT EXISTS (SELECT 1 FROM memberships WHERE organization_id = :org AND user_id <> :user
            AND role = 'admin' AND ended_at IS NULL)""",
        {"org": organization_id, "user": user_id},
    ).scalar_one()
    return found


def add(tx: Transaction, organization_id: UUID, new: Mapping[str, Any], by: str | None) -> dict[str, Any] | None:
    """Make somebody a member, also one who was one before; none when they are one already."""
    row = tx.run(
        """INSERT INTO memberships (organization_id, user_id, role, name, email, created_by)
        VALUES (:org, :userId, :role, :name, :email, :by)
        ON CONFLICT (organization_id, user_id) DO UPDATE SET role = EXCLUDED.role, name = EXCLUDED.name,
          email = EXCLUDED.email, created_by = EXCLUDED.created_by, created_at = clock_timestamp(), ended_at = NULL
        WHERE memberships.ended_at IS NOT NULL RETURNING *""",
        {"org": organization_id, "by": by, **new},
    ).one_or_none()
    return as_shown(row) if row else None


def change(tx: Transaction, organization_id: UUID, user_id: str, changes: Mapping[str, Any]) -> dict[str, Any] | None:
    """Change what is given of a member; none when they are none."""
    sets = ", ".join(f"{name} = :{name}" for name in _COLUMNS if name in changes) or "role = role"
    row = tx.run(
        f"""UPDATE memberships SET {sets} WHERE organization_id = :org AND user_id = :user AND ended_at IS NULL
        RETURNING *""",
        {"org": organization_id, "user": user_id, **changes},
    ).one_or_none()
    return as_shown(row) if row else None


def end(tx: Transaction, organization_id: UUID, user_id: str) -> bool:
    """End a membership. False when there is none. The row stays, and forgets who it was to people."""
    ended = tx.run(
        """UPDATE memberships SET ended_at = clock_timestamp(), name = NULL, email = NULL
        WHERE organization_id = :org AND user_id = :user AND ended_at IS NULL""",
        {"org": organization_id, "user": user_id},
    )
    return ended.rowcount == 1


def keep(tx: Transaction, organization_id: UUID, user_id: str) -> bool:
    """Whether nobody has taken somebody out. Nobody does before this transaction has ended."""
    row = tx.run(
        "SELECT ended_at FROM memberships WHERE organization_id = :org AND user_id = :user FOR SHARE",
        {"org": organization_id, "user": user_id},
    ).one_or_none()
    return row is None or row.ended_at is None
