"""Who is signed in with a browser. A cookie holds a session's id; what it stands for is its row."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from storage.db import Transaction


@dataclass(frozen=True)
class NewSession:
    """A session to be made. ``role`` none: that of the token or of the membership, as it is at each moment."""

    session_id: UUID
    organization_id: UUID
    user: str | None
    way: str
    role: str | None
    token_id: UUID | None
    mark: str | None
    expires_at: datetime


def insert(tx: Transaction, new: NewSession) -> None:
    tx.run(
        """INSERT INTO sessions (id, organization_id, user_id, way, role, token_id, mark, expires_at)
        VALUES (:id, :org, :user, :way, :role, :token, :mark, :expires_at)""",
        {
            "id": new.session_id,
            "org": new.organization_id,
            "user": new.user,
            "way": new.way,
            "role": new.role,
            "token": new.token_id,
            "mark": new.mark,
            "expires_at": new.expires_at,
        },
    )


def end(tx: Transaction, organization_id: UUID, session_id: UUID) -> bool:
    """End a session. False when there is none that goes on."""
    ended = tx.run(
        """UPDATE sessions SET ended_at = clock_timestamp()
        WHERE id = :id AND organization_id = :org AND ended_at IS NULL""",
        {"id": session_id, "org": organization_id},
    )
    return ended.rowcount == 1
