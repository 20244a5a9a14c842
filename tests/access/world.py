"""Two organizations side by side, and a way to ask as anybody."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import UUID

from flask import Flask
from flask.testing import FlaskClient
from redis import Redis
from werkzeug.test import TestResponse

from schema.clock import new_id
from schema.settings import DEMO_ORGANIZATION_ID, read_settings
from storage.db import Database, make_engine
from storage.postgres.connecting import database_of
from storage.tables import metadata
from tasks import deps as wiring
from tasks.deps import Deps
from tasks.dispatch import dispatch
from tests.access.people import JWT_SECRET, Crowd, Person, everybody
from tests.access.table import BODIES, SIGNS_OUT, Line
from tests.access.things import MARK, Thing, Things, absent, fixed
from tests.conftest import Databases, Outbox, Servers, make_deps
from tests.integration.stage import school
from web.app import create_app

OURS = UUID(DEMO_ORGANIZATION_ID)
#: What the web is told, beside where its servers are.
SETTINGS = {
    **{"JWT_SECRET": JWT_SECRET, "USER_JOBS_PER_HOUR": "100000", "WEBHOOK_PRIVATE_TARGETS": "127.0.0.0/8"},
    **{"OPENAI_API_KEY": "sk-of-the-tests", "OPENAI_BASE_URL": "http://127.0.0.1:1/v1"},
}
#: What a path's arguments are where they name nothing of anybody's.
_OTHERWISE = {"name": "swagger-ui.css", "filename": "icon.svg", "token": "no.such.link", "organization_slug": "no"}
#: What differs between two answers that are the same: a request has its own id and its own moment.
_ITS_OWN = re.compile(r"ratelimit-.*|x-request-id|date|content-length")


@dataclass(frozen=True)
class Cell:
    """One request: a line as somebody asks it, for something."""

    line: Line
    method: str
    person: Person
    thing: Thing | None

    @property
    def name(self) -> str:
        of = f" of {self.thing.visibility or 'no'} {self.thing.kind}" if self.thing else ""
        return f"{self.method} {self.line.rule}{of} as {self.person.name}"


@dataclass
class World:
    """``things`` are those of the organization that is asked of, ``known`` one of each; ``gone`` are nobody's."""

    app: Flask
    client: FlaskClient
    deps: Deps
    web: Deps
    owner: Database
    things: Things
    known: dict[str, list[Thing]]
    gone: dict[str, Thing]
    theirs: UUID
    people: dict[str, Person]

    def enter(self) -> None:
        """Make this the system of the process: another test may have put its own there."""
        wiring.use(self.deps, self.web)

    def ask(self, cell: Cell) -> TestResponse:
        """Send the request of a cell."""
        line, person = cell.line, cell.person
        names = {**_OTHERWISE, **(cell.thing.names if cell.thing else {})}
        path = re.sub(r"<(?:\w+:)?(\w+)>", lambda found: names[found[1]], line.rule)
        query = {"lastEventId": "999"} if line.rule.endswith(("stream", "stream/<job_id>")) else {}
        if person.pass_token is not None and line.by_pass:
            query["token"] = person.pass_token
        headers = dict(person.headers)
        if person.by_noun and line.scope:
            headers["X-Agent-Token"] = person.by_noun[line.scope]
        if person.cookie is not None:
            headers["Cookie"] = person.cookie
            headers.update(person.proof if line.writes and line.who != "everybody" else {})
        body = None if line.sends is None else _filled(BODIES[line.sends], {**names, "new": new_id().hex})
        return self.client.open(path, method=cell.method, query_string=query, headers=headers, json=body, buffered=True)

    def rows(self, organization_id: UUID) -> dict[str, str]:
        """All that is kept of an organization, as a hash for each table. That somebody was refused is no change, nor
        that a token was used, nor that a job that is due was sent to the workers, which whoever comes may set off."""
        kept = {}
        with self.owner.statement() as tx:
            for name, table in metadata.tables.items():
                column = "id" if name == "organizations" else "organization_id"
                if column not in table.columns:
                    continue
                shown = "to_jsonb(t) - 'last_used_at' - 'sent_at' - 'sends'"
                besides = " AND action NOT IN ('access.refused', 'login.refused')" if name == "audit_log" else ""
                kept[name] = str(
                    tx.run(
                        f"SELECT md5(string_agg(({shown})::text, ',' ORDER BY ({shown})::text)) FROM {name} t "
                        f"WHERE {column} = :org{besides}",
                        {"org": organization_id},
                    ).scalar_one()
                )
        return kept


@contextmanager
def two_organizations(servers: Servers, databases: Databases) -> Iterator[World]:
    """A web application of this process with a database of its own, as its own role, and everybody and everything."""
    db = databases.clean()
    urls = servers.database_urls(str(db.engine.url.database))
    settings = read_settings({**servers.environ, **urls, **SETTINGS})
    deps = make_deps(settings, Outbox())
    web = replace(deps, db=database_of(settings, "web", pool_size=2), ask_dispatch=partial(dispatch, deps))
    owner = Database(make_engine(settings.database_url, name="owner", pool_size=1))
    Redis.from_url(settings.redis_url).flushdb()
    wiring.use(deps, web)
    yield _make(create_app(), deps, web, owner)
    web.db.dispose()
    owner.dispose()
    deps.close()
    databases.ready.append(db)


def _make(app: Flask, deps: Deps, web: Deps, owner: Database) -> World:
    things = Things(deps, OURS, "demo-school")
    theirs = school(deps).organization_id
    slug = f"school-{theirs.hex[:8]}"
    others = Things(deps, theirs, slug, dict.fromkeys(MARK, "Other"))
    known = fixed(things)
    token = deps.settings.agent_token or ""
    ours, strangers = Crowd(web, things, token), Crowd(web, others, token, " of the others")
    jobs = {str(thing.visibility): thing.names["job_id"] for thing in known["job"]}
    their_job = others.make("job").names["job_id"]
    for kind in ("course", "exam"):
        others.make(kind)
    people = everybody(ours, strangers, jobs["org"], things.make("job").names["job_id"], their_job)
    gone = {kind: absent(kind, "demo-school") for kind in known}
    named = {person.name: person for person in people}
    client = app.test_client(use_cookies=False)
    return World(app, client, deps, web, owner, things, known, gone, theirs, named)


def signed_in_anew(cell: Cell) -> Cell:
    """The cell with somebody who is signed in, where the one before was signed out."""
    if (cell.line.method, cell.line.rule) in SIGNS_OUT and cell.person.anew is not None:
        return replace(cell, person=cell.person.anew())
    return cell


def told(answer: TestResponse) -> tuple[Any, ...]:
    """All that an answer tells but for what every request has of its own."""
    headers = sorted((name.lower(), value) for name, value in answer.headers if not _ITS_OWN.fullmatch(name.lower()))
    body: Any = answer.get_data(as_text=True)
    if answer.mimetype == "application/problem+json":
        body = {
            name: value for name, value in json.loads(body or "{}").items() if name not in {"requestId", "instance"}
        }
    return answer.status_code, headers, body


def _filled(given: Any, names: Mapping[str, str]) -> Any:
    if isinstance(given, dict):
        return {name: _filled(value, names) for name, value in given.items()}
    if isinstance(given, list):
        return [_filled(value, names) for value in given]
    return given.format(**names) if isinstance(given, str) else given
