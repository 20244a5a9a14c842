"""Every route, as everybody, for everything: the status that follows from the table, and nothing told or changed that
isn't theirs (``tests.access``)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from werkzeug.test import TestResponse

from tests.access.rules import expected
from tests.access.table import LINES
from tests.access.things import MARK, Thing
from tests.access.world import OURS, Cell, World, signed_in_anew, told
from web.openapi import build

#: As whom it is asked. ``test_everybody_comes`` sees to it that nobody is left out.
NAMES = [
    *("anonymous", "forged cookie", "signed out", "wrong agent token", "agent of no organization"),
    *("agent of an organization there isn't", "user's token with a wrong signature", "former member"),
    *("user who is no member", "revoked token", "expired token", "token of the others, with our id"),
    *("admin of the others, with our id", "viewer", "author", "admin", "member", "viewer's cookie", "author's cookie"),
    *("admin's cookie", "admin's cookie from another site", "environment's agent", "token with all scopes"),
    *("token that reads", "token with no limits of a viewer", "token with all scopes of an author"),
    *("token with every other scope", "viewer of the others", "admin of the others", "admin's cookie of the others"),
    *("environment's agent of the others", "token with all scopes of the others", "pass for the job"),
    *("pass for another job", "pass for a job of the others of the others"),
]


def test_every_route_has_a_line_and_every_line_a_route(world: World) -> None:
    rules = {
        (method, rule.rule)
        for rule in world.app.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    lines = [(line.method, line.rule) for line in LINES]
    assert rules - set(lines) == set(), "a route needs a line in tests/access/table.py"
    assert set(lines) - rules == set(), "there is no such route any more"
    assert len(set(lines)) == len(lines)


def test_everybody_comes(world: World) -> None:
    assert list(world.people) == NAMES


def cells(world: World, name: str) -> Iterator[Cell]:
    """What somebody asks. Whoever may read something may read its head."""
    person = world.people[name]
    for line in LINES:
        things: list[Thing | None] = [*world.known[line.kind], world.gone[line.kind]] if line.kind else [None]
        for method in (line.method, "HEAD") if line.method == "GET" else (line.method,):
            for thing in things:
                yield Cell(line, method, person, thing)


@pytest.mark.parametrize("name", NAMES)
def test_what_somebody_may(world: World, name: str) -> None:
    """First all that is refused, which changes nothing; then what is not, each write to something fresh."""
    asked = [(cell, expected(cell.line, cell.method, cell.person, cell.thing, OURS)) for cell in cells(world, name)]
    before = world.rows(OURS)
    answers = {cell.name: (cell, status, world.ask(cell)) for cell, status in asked if status >= 400}
    assert_statuses(answers)
    assert world.rows(OURS) == before, "a refused request changed something"
    assert_absent_alike(answers)
    granted = [(fresh(world, cell), status) for cell, status in asked if status < 400]
    answers |= {cell.name: (cell, status, world.ask(signed_in_anew(cell))) for cell, status in granted}
    assert_statuses(answers)
    assert_described(world, answers)
    if world.people[name].organization_id != OURS:
        assert world.rows(OURS) == before, "somebody else changed something"
    assert_nothing_leaks(world, answers)
    world.things.tidy()


def fresh(world: World, cell: Cell) -> Cell:
    """A cell that changes something gets a thing of its own."""
    if cell.line.writes and cell.thing is not None:
        assert cell.thing.visibility is not None
        return replace(cell, thing=world.things.make(cell.thing.kind, cell.thing.visibility, cell.line.state))
    return cell


Answers = dict[str, tuple[Cell, int, TestResponse]]


def assert_statuses(answers: Answers) -> None:
    wrong = {
        name: f"{answer.status_code} instead of {status}: {answer.text[:300]}"
        for name, (_, status, answer) in answers.items()
        if answer.status_code != status
    }
    assert wrong == {}


def assert_described(world: World, answers: Answers) -> None:
    """The API's own description tells of each status: also of those for who may not, and for what is not there."""
    with world.app.app_context():
        described = build(world.app)["paths"]
    missing = set()
    for cell, _, answer in answers.values():
        operation = described.get(re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", cell.line.rule), {}).get(cell.method.lower())
        if operation is not None and str(answer.status_code) not in operation["responses"]:
            missing.add(f"{cell.method} {cell.line.rule}: {answer.status_code}")
    assert missing == set()


def assert_absent_alike(answers: Answers) -> None:
    """Another's thing is told of in the very words of one that there isn't."""
    differing = {}
    for name, (cell, status, answer) in answers.items():
        if cell.thing is None or cell.thing.visibility is None or status != cell.line.absent:
            continue
        there_is_none = replace(cell.thing, visibility=None)
        _, _, of_none = answers[replace(cell, thing=there_is_none).name]
        if told(answer) != told(of_none):
            differing[name] = (told(answer), told(of_none))
    assert differing == {}


def assert_nothing_leaks(world: World, answers: Answers) -> None:
    """No answer holds a word or an id of what somebody may not see."""
    for name, (cell, _, answer) in answers.items():
        text = answer.get_data(as_text=True)
        for visibility, mark in MARK.items():
            if not sees(cell, visibility):
                assert mark.lower() not in text.lower(), f"{name} tells of something {visibility}"
        if cell.person.organization_id != OURS and cell.person.pass_for is None:
            told_ids = {value for value in private_ids(world) if value in text}
            assert told_ids == set(), f"{name} tells ids of others"


def sees(cell: Cell, visibility: str) -> bool:
    """Whether somebody sees what has this visibility, anywhere."""
    person = cell.person
    if visibility == "public" or person.pass_for is not None:
        return True
    return person.organization_id == OURS and (visibility == "org" or person.role != "viewer")


def private_ids(world: World) -> set[str]:
    """The ids of all that isn't public."""
    return {
        value
        for things in world.known.values()
        for thing in things
        if thing.visibility != "public"
        for name, value in thing.names.items()
        if name not in {"name", "organization_slug"}
    }
