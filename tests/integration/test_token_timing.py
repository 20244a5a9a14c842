"""How near a wrong token is to a right one shows in nothing: not in the answer, not in what the database is asked, not
in the lines that are run. That strings are compared in constant time is a guard's matter
(``tests/guards/test_secrets_compared.py``); ``bench.token_timing`` measures it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from itertools import count
from types import FrameType
from typing import Any

import pytest
from sqlalchemy import event
from werkzeug.test import TestResponse

from schema.clock import new_id
from storage.db import Database
from tests.access.world import OURS, World, told

_ENTERS = "SET LOCAL app.organization = %(entered_organization)s; "
RIGHT, OTHERS = "token with all scopes", "token with all scopes of the others"


def last_changed(token: str) -> str:
    return token[:-1] + ("A" if token[-1] != "A" else "B")


def first_changed(token: str) -> str:
    """The first character of the secret, behind the prefix that names the token."""
    at = token.rindex("_", 0, 13) + 1 if token.startswith("cw_") else 0
    return token[:at] + ("A" if token[at] != "A" else "B") + token[at + 1 :]


class Watch:
    """What happens on this thread while a request is answered: statements, and lines of our own code."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self.statements: list[str] = []
        self.lines: list[tuple[str, int]] = []

    def __enter__(self) -> Watch:
        event.listen(self._db.engine, "before_cursor_execute", self._see)
        sys.settrace(self._call)
        return self

    def __exit__(self, *_: object) -> None:
        sys.settrace(None)
        event.remove(self._db.engine, "before_cursor_execute", self._see)

    def _see(self, _connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        # What nobody in particular did is noted outside of all organizations.
        self.statements.append(statement.removeprefix(_ENTERS))

    def _call(self, frame: FrameType, _what: str, _value: Any) -> Callable[..., Any] | None:
        name = frame.f_code.co_filename
        return self._line if "/web/identity/" in name or name.endswith("/schema/agent_token.py") else None

    def _line(self, frame: FrameType, what: str, _value: Any) -> Callable[..., Any]:
        if what == "line":
            self.lines.append((frame.f_code.co_filename.rpartition("/")[2], frame.f_lineno))
        return self._line


@pytest.fixture
def asked(world: World) -> Iterator[Callable[[str, str], tuple[TestResponse, Watch]]]:
    """Asks with a token, for an organization, and watches."""

    addresses = count(1)

    def ask(token: str, organization: str) -> tuple[TestResponse, Watch]:
        headers = {"X-Agent-Token": token, "X-Organization-Id": organization}
        # From another address each time: of one that asks often only the first refusals are noted.
        address = {"REMOTE_ADDR": f"10.1.2.{next(addresses)}"}
        with Watch(world.web.db) as watch:
            answer = world.client.get("/api/jobs", headers=headers, environ_overrides=address, buffered=True)
        return answer, watch

    previous = sys.gettrace()
    yield ask
    sys.settrace(previous)


Asked = Callable[[str, str], tuple[TestResponse, Watch]]


def assert_alike(asked: Asked, wrong: dict[str, tuple[str, str]]) -> None:
    found = {name: asked(*given) for name, given in wrong.items()}
    assert {answer.status_code for answer, _ in found.values()} == {401}
    assert len({str(told(answer)) for answer, _ in found.values()}) == 1
    first = next(iter(found.values()))[1]
    assert len(first.lines) > 10, "or nothing was seen"
    for name, (_, watch) in found.items():
        assert watch.statements == first.statements, name
        assert watch.lines == first.lines, name


def test_an_organizations_token(world: World, asked: Asked) -> None:
    right, theirs = (world.people[name].headers["X-Agent-Token"] for name in (RIGHT, OTHERS))
    good, watch = asked(right, str(OURS))
    assert good.status_code == 200 and watch.statements
    assert_alike(
        asked,
        {
            "wrong at its end": (last_changed(right), str(OURS)),
            "wrong from its beginning": (first_changed(right), str(OURS)),
            "of a name that nobody has": ("cw_zzzzzzzz_" + right[12:], str(OURS)),
            "of others": (theirs, str(OURS)),
            "right, for others": (right, str(world.theirs)),
            "right, for nobody": (right, str(new_id())),
        },
    )


def test_the_environments_token(world: World, asked: Asked) -> None:
    right = world.people["environment's agent"].headers["X-Agent-Token"]
    assert asked(right, str(OURS))[0].status_code == 200
    assert_alike(
        asked,
        {
            "wrong at its end": (last_changed(right), str(OURS)),
            "wrong from its beginning": (first_changed(right), str(OURS)),
            "too short": (right[:-1], str(OURS)),
            "too long": (f"{right}x", str(OURS)),
            "nothing like it": ("x" * len(right), str(OURS)),
        },
    )
