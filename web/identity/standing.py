"""Whether somebody still stands in an organization, judged from what is known of the grounds they stand on. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import cast

from schema.access import Role
from storage.people.grounds import Facts, Grounds


@dataclass(frozen=True)
class Standing:
    """In which role, with which scopes (none: all), as which user, and until when at the latest (none: no end is
    known)."""

    role: Role
    scopes: frozenset[str] | None
    user: str | None
    until: datetime | None


def judge(grounds: Grounds, facts: Facts | None, marks: frozenset[str]) -> Standing | None:
    """How somebody stands at the moment of ``facts``; none when not at all. ``marks`` are those of the environment's
    agent tokens that are good. Grounds that name nothing are no grounds."""
    if facts is None or (grounds.until is not None and grounds.until <= facts.now):
        return None
    if grounds.session is not None:
        return _of_session(facts, marks)
    if grounds.token is not None:
        return _of_token(facts, None, None)
    if grounds.mark is not None:
        return Standing("admin", None, grounds.user, grounds.until) if grounds.mark in marks else None
    if grounds.user is not None:
        # What the token claimed was judged when it was shown; who asks later is told the least.
        return _of_member(facts, "viewer" if grounds.claimed else None, grounds.user, grounds.until)
    return None


def _of_session(facts: Facts, marks: frozenset[str]) -> Standing | None:
    ends = facts.session_expires_at
    if ends is None or ends <= facts.now or facts.session_ended_at is not None:
        return None
    claimed = cast("Role | None", facts.session_role)
    if facts.way == "token":
        return _of_token(facts, ends, facts.user_id)
    if facts.way == "user":
        return _of_member(facts, claimed, facts.user_id, ends)
    if claimed is None or (facts.way == "agent" and facts.mark not in marks):
        return None
    return Standing(claimed, None, facts.user_id, ends)


def _of_token(facts: Facts, until: datetime | None, user: str | None) -> Standing | None:
    expires = facts.token_expires_at
    is_over = expires is not None and expires <= facts.now
    if facts.token_role is None or facts.token_revoked_at is not None or is_over:
        return None
    scopes = None if facts.scopes is None else frozenset(facts.scopes)
    ends = [moment for moment in (until, expires) if moment is not None]
    return Standing(cast(Role, facts.token_role), scopes, user, min(ends, default=None))


def _of_member(facts: Facts, claimed: Role | None, user: str | None, until: datetime | None) -> Standing | None:
    """A membership that has ended overrules what a token claims: who was taken out is out at once."""
    role = claimed or cast("Role | None", facts.member_role)
    if role is None or facts.member_ended_at is not None:
        return None
    return Standing(role, None, user, until)
