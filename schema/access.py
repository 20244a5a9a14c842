"""Roles and scopes: who may do what. Pure rules; ``web.identity`` asks them at every request."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, get_args

from marshmallow import ValidationError, validate

from schema.fields import Few, Text

Role = Literal["viewer", "author", "admin"]
#: From the least to the most: a viewer reads, an author makes and edits, an admin operates and manages.
ROLES: tuple[Role, ...] = get_args(Role)

Noun = Literal[
    "jobs", "courses", "catalog", "exams", "media", "settings", "webhooks", "schedules", "tokens", "members", "admin",
    "audit",
]  # fmt: skip
NOUNS: tuple[Noun, ...] = get_args(Noun)
#: What a program's token may be limited to. Writing includes reading.
SCOPES: tuple[str, ...] = tuple(f"{noun}:{deed}" for noun in NOUNS for deed in ("read", "write"))


def reaches(role: Role, wanted: Role) -> bool:
    """Whether a role is the wanted one or a higher one."""
    return ROLES.index(role) >= ROLES.index(wanted)


def allows(scopes: frozenset[str] | None, noun: Noun, *, writing: bool) -> bool:
    """Whether scopes cover reading, or writing, of a noun. None: all that the role may."""
    if scopes is None:
        return True
    return f"{noun}:write" in scopes or (not writing and f"{noun}:read" in scopes)


def within(given: Iterable[str] | None, held: frozenset[str] | None) -> bool:
    """Whether somebody who holds some scopes may give these: nobody gives what they don't have."""
    if held is None:
        return True
    if given is None:
        return False
    parts = (scope.partition(":") for scope in given)
    return all(f"{noun}:write" in held or (deed == "read" and f"{noun}:read" in held) for noun, _, deed in parts)


def _once(scopes: list[str]) -> None:
    if len(set(scopes)) < len(scopes):
        raise ValidationError("Names a scope twice.")


def role_field(**more: Any) -> Text:
    """A role in a request or an answer."""
    return Text(validate=validate.OneOf(ROLES, error=f"Use: {', '.join(ROLES)}."), **more)


def scopes_field(**more: Any) -> Few:
    """A list of scopes; null for all that the role may."""
    one = Text(validate=validate.OneOf(SCOPES, error="There is no such scope. Use, say, jobs:write or courses:read."))
    return Few(one, most=len(SCOPES), least=1, validate=[_once], allow_none=True, **more)
