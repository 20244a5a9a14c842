"""The use cases of an organization's agent tokens: making one, changing what it may, revoking it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import structlog

from schema.access import within
from schema.agent_token import MOST_TOKENS, PREFIX_LENGTH, AgentToken
from schema.audit import Deed
from schema.clock import new_id, short_code, utc_now
from schema.errors import Conflict, FieldError, Forbidden, Invalid, NotFound
from storage import audit
from storage.db import Transaction
from storage.people import agent_tokens
from storage.people.agent_tokens import NewToken
from tasks.commands import Asker
from tasks.deps import Deps

log = structlog.get_logger(__name__)

#: How far away a token's end may be.
_LONGEST = timedelta(days=3660)
#: Whoever makes a token may have scopes of their own, and gives no more; none: all.
Held = frozenset[str] | None


def make(deps: Deps, asker: Asker, given: Mapping[str, Any], held: Held = None) -> dict[str, Any]:
    """Make a token of what ``NewTokenSchema`` loaded. Returns it as shown, with the token itself, which nobody is told
    again. Raises ``Invalid``, ``Forbidden`` (``scope_missing``), and ``Conflict`` (``limit_reached``)."""
    _check(given, held)
    token = AgentToken(short_code(PREFIX_LENGTH), secrets.token_urlsafe(32))
    new = NewToken(
        token_id=new_id(),
        organization_id=asker.organization_id,
        name=given["name"],
        prefix=token.prefix,
        hash=token.hash,
        role=given["role"],
        scopes=given["scopes"],
        expires_at=given["expiresAt"],
        created_by=asker.user,
    )
    with deps.db.transaction() as tx:
        made = agent_tokens.insert(tx, new, MOST_TOKENS)
        if made is None:
            words = f"An organization may have {MOST_TOKENS} tokens. Revoke one first."
            raise Conflict(words, code="limit_reached", details={"limit": MOST_TOKENS})
        _note(tx, asker, "token.made", new.token_id, role=new.role, scopes=new.scopes, prefix=new.prefix)
    log.info("token_made", token=made["tokenId"], by=asker.user)
    return {**made, "token": token.text}


def change(deps: Deps, asker: Asker, token_id: UUID, changes: Mapping[str, Any], held: Held = None) -> dict[str, Any]:
    """Change what is given. Returns the token as shown. Raises ``NotFound``, also for one that is revoked, ``Invalid``
    and ``Forbidden`` (``scope_missing``)."""
    _check(changes, held)
    with deps.db.transaction() as tx:
        changed = agent_tokens.change(tx, asker.organization_id, token_id, changes)
        if changed is None:
            raise no_such_token()
        # Also what it already has: whoever gives it another year gives that.
        if not within(changed["scopes"], held):
            raise _too_much()
        _note(tx, asker, "token.changed", token_id, changed=sorted(changes))
    return changed


def revoke(deps: Deps, asker: Asker, token_id: UUID) -> dict[str, Any]:
    """Revoke a token; whatever rests on it ends, open streams within a minute. Returns it as shown. Raises
    ``NotFound``."""
    with deps.db.transaction() as tx:
        revoked = agent_tokens.revoke(tx, asker.organization_id, token_id)
        if revoked is None:
            raise no_such_token()
        _note(tx, asker, "token.revoked", token_id, prefix=revoked["prefix"])
    log.info("token_revoked", token=str(token_id), by=asker.user)
    return revoked


def _check(given: Mapping[str, Any], held: Held) -> None:
    _check_end(given.get("expiresAt"), utc_now())
    if "scopes" in given and not within(given["scopes"], held):
        raise _too_much()


def _check_end(expires_at: datetime | None, now: datetime) -> None:
    if expires_at is not None and not now < expires_at < now + _LONGEST:
        words = "Must be in the future, and at most ten years away."
        raise Invalid([FieldError("expiresAt", "invalid_value", words)])


def _too_much() -> Forbidden:
    words = "Your own token has not all of these scopes, so it can't give them. Leave out what it lacks."
    return Forbidden(words, code="scope_missing")


def _note(tx: Transaction, asker: Asker, action: str, token_id: UUID, **details: Any) -> None:
    audit.note(tx, Deed(asker.organization_id, action, "token", str(token_id), details))


def no_such_token() -> NotFound:
    """The answer to an id the organization doesn't have."""
    return NotFound("There is no such token.")
