"""How the status of a cell follows from its line. Read from top to bottom: what comes first decides."""

from __future__ import annotations

from uuid import UUID

from schema.access import allows, reaches
from tests.access.people import Person
from tests.access.table import HEADS, NO_COOKIE, Line
from tests.access.things import Thing


def expected(line: Line, method: str, person: Person, thing: Thing | None, owner: UUID) -> int:
    """The status of a cell. ``thing`` is of the organization ``owner``; none where the line names none."""
    status = _of_the_door(line, person, thing)
    if status is None:
        status = _of_rights(line, person)
    if status is None:
        status = _of_the_thing(line, person, thing, owner)
    return HEADS.get(line.rule, status) if method == "HEAD" and status == line.status else status


def _of_the_door(line: Line, person: Person, thing: Thing | None) -> int | None:
    """Whether somebody is let in at all."""
    if line.who == "everybody":
        return None
    if person.refused:
        return person.refused
    if line.by_pass and person.pass_for is not None:
        is_for_this = thing is not None and thing.names["job_id"] == person.pass_for
        return line.status if is_for_this else 401
    if person.nobody and line.who != "anybody":
        return 401
    return None


def _of_rights(line: Line, person: Person) -> int | None:
    """Whether they may do such a thing."""
    if person.forged and line.writes and line.who != "everybody":
        return 403
    if line.who in {"everybody", "anybody"}:
        return None
    if person.role is None or not reaches(person.role, line.who):  # type: ignore[arg-type]
        return 403
    if line.scope and not allows(person.held(line.scope), line.scope, writing=line.writes):  # type: ignore[arg-type]
        return 403
    if (line.method, line.rule) == NO_COOKIE and person.cookie is not None:
        return 400
    return None


def _of_the_thing(line: Line, person: Person, thing: Thing | None, owner: UUID) -> int:
    """Whether it is there, for them."""
    if thing is None or (thing.visibility == "public" and line.who in {"everybody", "anybody"}):
        return line.status
    if line.who == "anybody" and person.nobody:
        return 401  # which also says nothing of what is there
    is_there = line.who != "everybody" and thing.visibility is not None and person.organization_id == owner
    hidden = thing.visibility == "private" and person.role == "viewer"
    if not is_there or hidden:
        return line.absent
    if line.who == "anybody" and not allows(person.held(line.scope), line.scope, writing=False):  # type: ignore[arg-type]
        return 403
    return line.status
