"""The use cases of browser sessions: starting one, and ending it, or all of somebody's."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from uuid import UUID

from schema.access import Role
from schema.audit import Deed
from schema.clock import new_id, utc_now
from schema.errors import Forbidden
from storage import audit
from storage.db import Transaction
from storage.people import memberships, sessions
from storage.people.grounds import Grounds
from storage.people.sessions import NewSession
from tasks.deps import Deps


def start(
    deps: Deps, grounds: Grounds, *, role: Role | None, user: str | None, expires_at: datetime | None = None
) -> NewSession:
    """Sign a browser in, on these grounds: a token of the organization, the environment's (``mark``), a user's, or none
    of them, which is a login link. ``role`` none: that of the token or of the membership, as it is at each moment.
    It ends at ``expires_at`` at the latest. Raises ``Forbidden`` for a user who was taken out at this moment."""
    now, settings = utc_now(), deps.settings.identity
    latest = now + settings.session_longest
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
        idle_ends_at=min(ends, now + settings.session_idle),
    )
    with deps.db.transaction() as tx:
        if grounds.user is not None and not memberships.keep(tx, grounds.organization_id, grounds.user):
            raise Forbidden("You are no member of this organization any more.", code="unknown_organization")
        sessions.insert(tx, new)
        _note(tx, grounds.organization_id, "session.begun", new.session_id, user, way=new.way, role=role)
    return new


def _note(
    tx: Transaction, organization_id: UUID, action: str, session_id: UUID, user: str | None, **details: str | int | None
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


def end_everywhere(deps: Deps, organization_id: UUID, session_id: UUID) -> None:
    """Sign out a browser, and all others of the same user in the organization; where no user is known, it alone."""
    with deps.db.transaction() as tx:
        if ended := sessions.end_everywhere(tx, organization_id, session_id):
            _note(tx, organization_id, "session.ended", session_id, None, sessions=ended)


def end_of_user(deps: Deps, organization_id: UUID, user: str) -> None:
    """Sign out all browsers of a user in the organization."""
    with deps.db.transaction() as tx:
        if ended := sessions.end_of_user(tx, organization_id, user):
            audit.note(tx, Deed(organization_id, "session.ended", "member", user, {"sessions": ended}))
