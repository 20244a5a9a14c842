"""Everybody who may come, and what they show."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import cast
from uuid import UUID

import jwt

from schema.access import NOUNS, Role
from schema.clock import new_id, utc_now
from storage import wall
from storage.people.grounds import Grounds
from tasks import sessions
from tasks.deps import Deps
from tests.access.things import Things
from tests.integration.signed_in import writing
from web.identity import SESSION_COOKIE, cookies
from web.streams import token

JWT_SECRET = "the secret of whoever signs the users' tokens"
WRITING = tuple(f"{noun}:write" for noun in NOUNS)
READING = tuple(f"{noun}:read" for noun in NOUNS)


@dataclass(frozen=True)
class Person:
    """Somebody, as the rules see them: of which organization, in which role, with which scopes. ``refused`` is the
    status with which they are shown the door, whatever they ask; ``nobody`` shows nothing at all. ``pass_for``: the job
    whose stream they have a token for. ``all_but``: has every scope but those of the noun that is asked for.

    ``headers`` are sent with everything, ``proof`` with a browser's writes; ``cookie`` is that of a browser."""

    name: str
    organization_id: UUID | None = None
    role: Role | None = None
    scopes: frozenset[str] | None = None
    all_but: bool = False
    refused: int | None = None
    nobody: bool = False
    pass_for: str | None = None
    pass_token: str | None = None
    forged: bool = False
    headers: Mapping[str, str] = field(default_factory=dict)
    proof: Mapping[str, str] = field(default_factory=dict)
    cookie: str | None = None
    #: The tokens of somebody who has every scope but those of a noun, by the noun.
    by_noun: Mapping[str, str] = field(default_factory=dict)
    #: Signs them in anew, for one who was signed out.
    anew: Callable[[], Person] | None = None

    def held(self, noun: str | None) -> frozenset[str] | None:
        """Their scopes where this noun is asked for."""
        return frozenset(WRITING) - {f"{noun}:write"} if self.all_but else self.scopes


def bearer(user: str, key: str = JWT_SECRET, **claims: str | None) -> dict[str, str]:
    """The header of a user whose token claims this, for an hour."""
    given = {"sub": user, "exp": utc_now() + timedelta(hours=1), **claims}
    signed = jwt.encode({name: value for name, value in given.items() if value is not None}, key, "HS256")
    return {"Authorization": f"Bearer {signed}"}


@dataclass
class Crowd:
    """Makes everybody of one organization. ``label`` is what sets them apart from those of another."""

    deps: Deps
    things: Things
    agent_token: str
    label: str = ""

    @property
    def organization_id(self) -> UUID:
        return self.things.organization_id

    def agent(self) -> Person:
        """A program with the environment's token."""
        return self._person("environment's agent", "admin", self._named(self.agent_token))

    def user(self, role: Role) -> Person:
        """A user whose token claims organization and role."""
        return self._person(role, role, self._bearer(f"{role}@example.org", role=role))

    def member(self) -> Person:
        """A user whose token names neither; they are a member."""
        self.things.member("member@example.org", "author")
        shown = {**self._bearer("member@example.org", org=None), "X-Organization-Id": str(self.organization_id)}
        return self._person("member", "author", shown)

    def cookie(self, role: Role) -> Person:
        """Somebody in a browser, on our own pages."""
        with wall.within(self.organization_id):
            session = sessions.start(self.deps, Grounds(self.organization_id), role=role, user=None).session_id
        signed = cookies.signed(self.deps, session, self.organization_id)
        made = self._person(f"{role}'s cookie", role, {})
        proof = writing(self.deps, session)
        return replace(made, cookie=f"{SESSION_COOKIE}={signed}", proof=proof, anew=lambda: self.cookie(role))

    def lured(self) -> Person:
        """An admin whose browser is on a page of another site."""
        proof = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
        return replace(self.cookie("admin"), name="admin's cookie from another site", proof=proof, forged=True)

    def token(self, name: str, role: Role, scopes: tuple[str, ...] | None, state: str = "") -> Person:
        """A program with a token of the organization."""
        _, text = self.things.token(name, role, None if scopes is None else list(scopes), state)
        held = None if scopes is None else frozenset(scopes)
        return replace(self._person(name, role, self._named(text)), scopes=held)

    def limited(self) -> Person:
        """A program with every scope but the one that is needed, whichever that is."""
        by_noun = {}
        for noun in NOUNS:
            others = [scope for scope in WRITING if scope != f"{noun}:write"]
            by_noun[noun] = self.things.token(f"all but {noun}", "admin", others)[1]
        made = self._person("token with every other scope", "admin", self._named(by_noun["jobs"]))
        return replace(made, all_but=True, by_noun=by_noun)

    def holder(self, name: str, job_id: str) -> Person:
        """Somebody with the address of a job's stream."""
        grounds = Grounds(self.organization_id, user="viewer@example.org", claimed=True)
        made = token.make(self.deps.settings.signing_keys, grounds, UUID(job_id))
        return Person(f"{name}{self.label}", nobody=True, pass_for=job_id, pass_token=made)

    def _person(self, name: str, role: Role, headers: Mapping[str, str]) -> Person:
        return Person(f"{name}{self.label}", self.organization_id, role, headers=headers)

    def _named(self, text: str) -> dict[str, str]:
        return {"X-Agent-Token": text, "X-Organization-Id": str(self.organization_id)}

    def _bearer(self, user: str, key: str = JWT_SECRET, **claims: str | None) -> dict[str, str]:
        return bearer(user, key, **{"org": str(self.organization_id), **claims})


def refused(crowd: Crowd) -> Iterator[Person]:
    """Those who are shown the door, though they name the organization."""
    own = str(crowd.organization_id)

    def turned(name: str, status: int, headers: Mapping[str, str]) -> Person:
        return Person(name, refused=status, headers=headers)

    yield turned("wrong agent token", 401, {"X-Agent-Token": "wrong", "X-Organization-Id": own})
    yield turned("agent of no organization", 400, {"X-Agent-Token": crowd.agent_token})
    yield turned(
        "agent of an organization there isn't",
        403,
        {"X-Agent-Token": crowd.agent_token, "X-Organization-Id": str(new_id())},
    )
    wrong = crowd._bearer("admin@example.org", "another secret, of somebody else altogether", role="admin")
    yield turned("user's token with a wrong signature", 401, wrong)
    crowd.things.member("former@example.org", "admin", ended=True)
    yield turned("former member", 403, crowd._bearer("former@example.org", role="admin"))
    stranger = crowd._bearer("stranger@example.org", org=None)
    yield turned("user who is no member", 403, {**stranger, "X-Organization-Id": own})
    for state in ("revoked", "expired"):
        _, text = crowd.things.token(state, state=state)
        yield turned(f"{state} token", 401, crowd._named(text))


def everybody(ours: Crowd, theirs: Crowd, job_id: str, other_job_id: str, their_job_id: str) -> list[Person]:
    """All who come. ``ours`` have what is asked for, and ``theirs`` are of the other organization."""
    _, theirs_text = theirs.things.token("of the others")
    mixed = {"X-Agent-Token": theirs_text, "X-Organization-Id": str(ours.organization_id)}
    crossing = {**theirs._bearer("admin@example.org", role="admin"), "X-Organization-Id": str(ours.organization_id)}
    ended = ours.cookie("admin")
    people = [
        Person("anonymous", nobody=True),
        Person("forged cookie", nobody=True, cookie=f"{SESSION_COOKIE}=WyJhIiwiYiJd.forged"),
        replace(ended, name="signed out", nobody=True, role=None, organization_id=None, anew=None),
        *refused(ours),
        Person("token of the others, with our id", refused=401, headers=mixed),
        Person("admin of the others, with our id", refused=403, headers=crossing),
        *(ours.user(cast(Role, role)) for role in ("viewer", "author", "admin")),
        ours.member(),
        *(ours.cookie(cast(Role, role)) for role in ("viewer", "author", "admin")),
        ours.lured(),
        ours.agent(),
        ours.token("token with all scopes", "admin", WRITING),
        ours.token("token that reads", "admin", READING),
        ours.token("token with no limits of a viewer", "viewer", None),
        ours.token("token with all scopes of an author", "author", WRITING),
        ours.limited(),
        *(theirs.user(cast(Role, role)) for role in ("viewer", "admin")),
        theirs.cookie("admin"),
        theirs.agent(),
        theirs.token("token with all scopes", "admin", None),
        ours.holder("pass for the job", job_id),
        ours.holder("pass for another job", other_job_id),
        theirs.holder("pass for a job of the others", their_job_id),
    ]
    _end_session(ours, ended)
    return people


def _end_session(crowd: Crowd, person: Person) -> None:
    assert person.cookie is not None
    session, organization_id = cookies._signer(crowd.deps).loads(person.cookie.partition("=")[2])
    with wall.within(UUID(organization_id)):
        sessions.end(crowd.deps, UUID(organization_id), UUID(session))
