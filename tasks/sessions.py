"""The use cases of browser sessions: starting one, and ending it."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from schema.access import Role
from schema.audit import Deed
from schema.clock import new_id, utc_now
from storage import audit, sessions
from storage.db import Transaction
from storage.grounds import Grounds
from storage.sessions import NewSession
from tasks.deps import Deps

#: How long a browser stays signed in at the most. Sooner if what it signed in with ends sooner.
LONGEST = timedelta(days=7)


def start(
    deps: Deps, grounds: Grounds, *, role: Role | None, user: str | None, expires_at: datetime | None = None
) -> tuple[UUID, datetime]:
    """Sign a browser in, on these grounds: a token of the organization, the environment's (``mark``), a user's, or none
    of them, which is a login link. ``role`` none: that of the token or of the membership, as it is at each moment.
    Returns the session's id and when it ends."""
    latest = utc_now() + LONGEST
    ends = min(latest, expires_at or latest)
    new = NewSession(
        session_id=new_id(),
        organization_id=grounds.organization_id,
        user=user,
        way=_way(grounds),
        role=role,
        token_id=grounds.token,
        mark=grounds.mark,
        expires_at=ends,
    )
    with deps.db.transaction() as tx:
        sessions.insert(tx, new)
        _note(tx, grounds.organization_id, "session.begun", new.session_id, user, way=new.way, role=role)
    return new.session_id, ends


def _note(
    tx: Transaction, organization_id: UUID, action: str, session_id: UUID, user: str | None, **details: str | None
) -> None:
    """Write it down. On the pages for everybody nobody is known yet, or any more: it was who has the session."""
    by = audit.by()
    if by.way == "unknown":
        by = replace(by, way="cookie", actor=user or f"session:{session_id}")
    audit.note(tx, Deed(organization_id, action, "session", str(session_id), details, by))


def _way(grounds: Grounds) -> str:
    if grounds.token is not None:
        return "token"
    if grounds.mark is not None:
        return "agent"
    return "link" if grounds.user is None else "user"


def end(deps: Deps, organization_id: UUID, session_id: UUID) -> None:
    """Sign a browser out. What rests on its session ends, open streams within a minute."""
    with deps.db.transaction() as tx:
        if sessions.end(tx, organization_id, session_id):
            _note(tx, organization_id, "session.ended", session_id, None)
