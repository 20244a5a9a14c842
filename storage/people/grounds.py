"""What an identity rests on, and what is known of that at this moment.

A session, a program's token, a membership: each can end while somebody still acts by it. ``facts`` reads what is known
of many of them in one statement, whichever organizations they belong to; who asks judges.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from schema.clock import iso
from storage.db import Database


@dataclass(frozen=True)
class Grounds:
    """What somebody's standing in an organization rests on: a browser's ``session``, a ``token`` of the organization,
    the environment's token (``mark``, a keyed hash of it), or a user. A ``user`` needs a membership, unless the role is
    ``claimed`` by their token; one that has ended counts in both cases. It ends with ``until`` in any case."""

    organization_id: UUID
    session: UUID | None = None
    token: UUID | None = None
    mark: str | None = None
    user: str | None = None
    claimed: bool = False
    until: datetime | None = None

    def as_json(self) -> dict[str, Any]:
        """For a signed token; what is not set is left out. ``from_json`` reads it."""
        kept = {
            "o": str(self.organization_id),
            "s": str(self.session) if self.session else None,
            "t": str(self.token) if self.token else None,
            "e": self.mark,
            "u": self.user,
            "c": self.claimed or None,
            "x": iso(self.until),
        }
        return {name: value for name, value in kept.items() if value is not None}


def from_json(kept: Mapping[str, Any]) -> Grounds:
    """What ``as_json`` wrote. Raises ``KeyError``, ``TypeError`` and ``ValueError`` for anything else."""
    return Grounds(
        organization_id=UUID(str(kept["o"])),
        session=UUID(str(kept["s"])) if "s" in kept else None,
        token=UUID(str(kept["t"])) if "t" in kept else None,
        mark=kept.get("e"),
        user=kept.get("u"),
        claimed=kept.get("c", False),
        until=datetime.fromisoformat(kept["x"]) if "x" in kept else None,
    )


@dataclass(frozen=True)
class Facts:
    """What is known of some grounds at the moment ``now``, of the database's clock. What there is no row for is none:
    without a session ``way`` is none, without a token ``token_role``, without a membership ``member_role``.
    ``session_expires_at`` is when the session ends unless it is used until then."""

    now: datetime
    slug: str
    way: str | None
    user_id: str | None
    session_role: str | None
    mark: str | None
    session_expires_at: datetime | None
    session_ended_at: datetime | None
    token_id: UUID | None
    token_role: str | None
    scopes: Sequence[str] | None
    token_expires_at: datetime | None
    token_revoked_at: datetime | None
    member_role: str | None
    member_ended_at: datetime | None


def facts(db: Database, asked: Sequence[Grounds]) -> list[Facts | None]:
    """What is known of each, in their order; none where there is no such organization."""
    with db.statement() as tx:
        rows = tx.run(f"SELECT * {_FROM}", {"asked": _asked(asked)}).all()
    found = {row.n: _facts(row) for row in rows}
    return [found.get(number) for number in range(len(asked))]


def facts_in_use(db: Database, session: Grounds, idle: timedelta) -> Facts | None:
    """What is known of a session that is being used now, in one statement with the note that it is: unused it ends
    after ``idle`` from now, never later than it does in any case. The session's organization must be entered."""
    values = {"session": session.session, "org": session.organization_id, "idle": idle, "minute": _NOTED_EVERY}
    with db.statement() as tx:
        row = tx.run(_IN_USE, {"asked": _asked([session]), **values}).one_or_none()
    if row is None:
        return None
    found = _facts(row)
    return found if row.moved_to is None else replace(found, session_expires_at=row.moved_to)


_FROM = "FROM identity_facts(CAST(:asked AS jsonb))"
#: A session that is in use all the time is noted as used once a minute. Others who use it meanwhile don't wait. What
#: lies further ahead than ``idle`` is from before that setting was lowered.
_NOTED_EVERY = timedelta(minutes=1)
_IN_USE = f"""WITH used AS (
  UPDATE sessions SET idle_ends_at = LEAST(expires_at, clock_timestamp() + :idle) WHERE id = (
    SELECT id FROM sessions WHERE id = :session AND organization_id = :org AND ended_at IS NULL
    AND idle_ends_at > clock_timestamp() AND (idle_ends_at > clock_timestamp() + :idle
      OR (idle_ends_at < expires_at AND idle_ends_at < clock_timestamp() + :idle - :minute))
    FOR NO KEY UPDATE SKIP LOCKED)
  RETURNING idle_ends_at)
SELECT *, (SELECT idle_ends_at FROM used) AS moved_to {_FROM}"""


def _asked(asked: Sequence[Grounds]) -> str:
    wanted = [
        {
            "n": number,
            "organization": str(one.organization_id),
            "session": str(one.session) if one.session else None,
            "token": str(one.token) if one.token else None,
            "member": one.user,
        }
        for number, one in enumerate(asked)
    ]
    return json.dumps(wanted)


def _facts(row: Any) -> Facts:
    return Facts(**{one.name: getattr(row, one.name) for one in fields(Facts)})
