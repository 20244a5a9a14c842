"""A program with an agent token: the environment's, which opens every organization, or one of an organization."""

from __future__ import annotations

import hashlib
import hmac
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from flask import request

from schema.access import Role
from schema.agent_token import AgentToken, read_token
from schema.errors import BadRequest, Forbidden, Unauthenticated
from storage import organizations, wall
from storage.people import agent_tokens
from storage.people.grounds import Grounds
from tasks.deps import Deps
from web.identity.identity import Identity
from web.wiring import deps

#: What a secret is compared with when there is no such token, so that it takes as long.
_NOBODYS = hashlib.sha256(b"nobody's").hexdigest()
#: Stands for a token where none is needed. No header can say it.
_COMMANDS = "\x00commands"
_NOTED_EVERY = timedelta(seconds=agent_tokens.NOTED_EVERY_SECONDS)


def from_agent() -> Identity | None:
    """Who sends an agent token; none when nobody does."""
    token = request.headers.get("X-Agent-Token")
    return None if token is None else of_token(token, request.headers.get("X-Organization-Id", ""))


def of_token(token: str, organization: str) -> Identity:
    """Who this agent token is, for the organization of this id. Raises ``Unauthenticated`` (``invalid_agent_token``),
    ``BadRequest`` and ``Forbidden``."""
    wired = deps()
    if _is_the_environments(wired, token):
        return _of_environment(wired, token, _id_of(organization))
    own = read_token(token)
    if own is None:
        raise _invalid()
    return _of_organization(wired, own, _id_of(organization))


def marks(wired: Deps) -> frozenset[str]:
    """The marks of the environment's tokens that are good: keyed hashes, by which a session knows which it came
    from."""
    keys, tokens = wired.settings.signing_keys, wired.settings.identity.agent_tokens
    return frozenset(_mark(key, token) for key in keys for token in (*tokens, _COMMANDS))


def mark_of_commands(wired: Deps) -> str:
    """The mark of whoever gives commands on this machine, and so has the environment anyway."""
    return _mark(wired.settings.secret_key, _COMMANDS)


def _mark(key: str, token: str) -> str:
    return hmac.new(key.encode(), b"agent-token:" + token.encode(), hashlib.sha256).hexdigest()[:32]


def _is_the_environments(wired: Deps, token: str) -> bool:
    given = token.encode("utf-8", "replace")
    # All are compared, whichever fits.
    fits = [hmac.compare_digest(given, one.encode()) for one in wired.settings.identity.agent_tokens]
    return True in fits


def _of_environment(wired: Deps, token: str, organization_id: UUID) -> Identity:
    wall.enter(organization_id)
    organization = organizations.read(wired.db, organization_id)
    if organization is None:
        raise _unknown()
    mark = _mark(wired.settings.secret_key, token)
    grounds = Grounds(organization_id, mark=mark)
    return Identity(
        organization.id, organization.slug, "admin", _user(), "agent", credential="environment", grounds=grounds
    )


def _of_organization(wired: Deps, token: AgentToken, organization_id: UUID) -> Identity:
    """One that is wrong, or for another organization, or for none there is: all the same answer, after as long."""
    wall.enter(organization_id)
    row = agent_tokens.by_prefix(wired.db, organization_id, token.prefix)
    if not hmac.compare_digest(token.hash, row.hash if row is not None else _NOBODYS) or row is None:
        raise _invalid()
    if row.revoked_at is not None:
        raise _invalid("It was revoked.", expired=True)
    if row.expires_at is not None and row.expires_at <= row.now:
        raise _invalid("It has expired.", expired=True)
    identity = _of_row(row)
    if row.last_used_at is None or row.now - row.last_used_at > _NOTED_EVERY:
        agent_tokens.note_use(wired.db, organization_id, row.id)
    return identity


def _of_row(row: Any) -> Identity:
    return Identity(
        organization_id=row.organization_id,
        organization_slug=row.slug,
        role=cast(Role, row.role),
        user=_user(),
        way="token",
        scopes=None if row.scopes is None else frozenset(row.scopes),
        credential=f"token:{row.id}",
        grounds=Grounds(row.organization_id, token=row.id),
        expires_at=row.expires_at,
    )


def _id_of(organization: str) -> UUID:
    if not organization.strip():
        raise BadRequest("Say for which organization: X-Organization-Id.", code="organization_required")
    try:
        return UUID(organization.strip())
    except ValueError:
        raise _unknown() from None


def _user() -> str | None:
    """Any UUID; it is kept for audit and needs no row."""
    given = request.headers.get("X-User-Id")
    if given is None:
        return None
    try:
        return str(UUID(given))
    except ValueError:
        raise BadRequest("X-User-Id must be a UUID.", code="invalid_user_id") from None


def _invalid(why: str = "", **details: bool) -> Unauthenticated:
    words = f"This agent token is not valid here. {why}".strip()
    return Unauthenticated(words, code="invalid_agent_token", details=details)


def _unknown() -> Forbidden:
    return Forbidden("There is no such organization.", code="unknown_organization")
