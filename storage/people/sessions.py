"""Who is signed in with a browser. A cookie holds a session's id; what it stands for is its row.

Using a session is noted in ``storage.people.grounds``, by the statement that reads what is known of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from storage.db import Transaction


@dataclass(frozen=True)
class NewSession:
    """A session to be made. ``role`` none: that of the token or of the membership, as it is at each moment. It ends at
    ``idle_ends_at`` unless it is used until then, and at ``expires_at`` in any case."""

    session_id: UUID
    organization_id: UUID
    user: str | None
    way: str
    role: str | None
    token_id: UUID | None
    mark: str | None
    expires_at: datetime
    idle_ends_at: datetime


#: Ends those that go on, with one order of locking: two of these at once wait for each other, and neither for both.
_END = """UPDATE sessions SET ended_at = clock_timestamp() WHERE id IN (
  SELECT s.id FROM sessions s WHERE s.organization_id = :org AND s.ended_at IS NULL
  AND LEAST(s.expires_at, s.idle_ends_at) > clock_timestamp() AND {which} ORDER BY s.id FOR NO KEY UPDATE)"""
_OF_USER = _END.format(which="s.user_id = :user")
# For whom an organization's token signs a browser in, only the token says. So it ends what came by it, and no more.
_LIKE_THIS = _END.format(
    which="""EXISTS (SELECT 1 FROM sessions own WHERE own.id = :id AND own.organization_id = :org AND (s.id = own.id
    OR s.user_id = own.user_id AND (own.way <> 'token' OR s.token_id = own.token_id)))"""
)


def insert(tx: Transaction, new: NewSession) -> None:
    tx.run(
        """INSERT INTO sessions (id, organization_id, user_id, way, role, token_id, mark, expires_at, idle_ends_at)
        VALUES (:id, :org, :user, :way, :role, :token, :mark, :expires_at, :idle_ends_at)""",
        {
            "id": new.session_id,
            "org": new.organization_id,
            "user": new.user,
            "way": new.way,
            "role": new.role,
            "token": new.token_id,
            "mark": new.mark,
            "expires_at": new.expires_at,
            "idle_ends_at": new.idle_ends_at,
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


def end_of_user(tx: Transaction, organization_id: UUID, user: str) -> int:
    """End all sessions of a user. Returns how many went on."""
    return tx.run(_OF_USER, {"org": organization_id, "user": user}).rowcount


def end_everywhere(tx: Transaction, organization_id: UUID, session_id: UUID) -> int:
    """End a session and all others of the same user; where no user is known, it alone. Returns how many went on."""
    return tx.run(_LIKE_THIS, {"org": organization_id, "id": session_id}).rowcount
