"""What is known of many grounds at once, whichever organizations they are of; and who may ask."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

import pytest
from sqlalchemy.exc import ProgrammingError

from schema.clock import new_id
from schema.settings import DEMO_ORGANIZATION_ID
from storage import organizations, wall
from storage.people import grounds as known
from storage.people.grounds import Grounds
from tasks import members, sessions, tokens
from tasks.commands import Asker
from tasks.deps import Deps
from tests.integration.stage import rows, school, start
from tests.integration.test_private_courses import keep
from web.streams.connection import Held
from web.streams.feeds import Key
from web.streams.grounds import fallen
from web.wiring import deps as of_views

ORG = UUID(DEMO_ORGANIZATION_ID)
VIEWERS_CATALOG, AUTHORS_CATALOG = ("catalog_of_viewers", ORG), ("catalog", ORG)


def several(deps: Deps, organization_id: UUID) -> list[Grounds]:
    """A session, a token and a member of an organization."""
    asker = Asker(organization_id, None)
    session = sessions.start(deps, Grounds(organization_id), role="author", user=None).session_id
    made = tokens.make(deps, asker, {"name": "x", "role": "author", "scopes": None, "expiresAt": None})
    members.add(deps, asker, {"userId": "ada", "role": "viewer", "name": None, "email": None})
    return [
        Grounds(organization_id, session=session),
        Grounds(organization_id, token=UUID(made["tokenId"])),
        Grounds(organization_id, user="ada"),
    ]


def out_of(grounds: list[Grounds]) -> set[Grounds]:
    """Whose streams end that show nothing private."""
    return {one.grounds for one in fallen(Held(one, VIEWERS_CATALOG, False) for one in grounds)}


def test_one_statement_tells_of_all_organizations_and_each_of_its_own(deps: Deps) -> None:
    other = school(deps).organization_id
    ours, theirs = several(deps, ORG), several(deps, other)
    crossed = [replace(one, organization_id=other) for one in ours[:2]] + [Grounds(new_id(), user="ada")]
    assert out_of(ours + theirs) == set()
    assert out_of(ours + crossed + theirs) == set(crossed)
    found = known.facts(of_views().db, [*theirs, *crossed])
    assert [one and one.token_role for one in found] == [None, "author", None, None, None, None]
    assert found[-1] is None, "there is no such organization"
    members.remove(deps, Asker(ORG, None), "ada")
    assert out_of(ours + theirs) == {ours[2]}


def test_nobody_at_all_is_asked_about_for_nothing(deps: Deps) -> None:
    assert fallen([]) == set()


@pytest.mark.parametrize("before", [True, False], ids=["an author began it", "a viewer began it"])
@pytest.mark.parametrize("role", ["viewer", "author", "admin"])
@pytest.mark.parametrize("of", ["membership", "session", "token", "claimed"])
def test_what_is_private_is_followed_by_who_sees_it_now(
    deps: Deps, asker: Asker, of: str, role: str, before: bool
) -> None:
    hidden, plain = (start(deps, asker, visibility=visibility) for visibility in ("private", "org"))
    there = Asker(ORG, None)
    if of == "token":
        made = tokens.make(deps, there, {"name": "x", "role": role, "scopes": None, "expiresAt": None})
        grounds = Grounds(ORG, token=UUID(made["tokenId"]))
    elif of == "session":
        grounds = Grounds(ORG, session=sessions.start(deps, Grounds(ORG), role=role, user=None).session_id)  # type: ignore[arg-type]
    else:
        members.add(deps, there, {"userId": "ada", "role": role, "name": None, "email": None})
        grounds = Grounds(ORG, user="ada", claimed=of == "claimed")
    open_to_all: list[Key] = [VIEWERS_CATALOG, ("job", plain)]
    private: list[Key] = [AUTHORS_CATALOG, ("job", hidden)]
    found = {one.key for one in fallen(Held(grounds, key, before) for key in [*open_to_all, *private])}
    sees = before if of == "claimed" else role != "viewer"
    assert found == (set() if sees else set(private))


def test_a_job_whose_course_becomes_private_is_followed_by_no_viewer_any_more(deps: Deps, asker: Asker) -> None:
    job_id = start(deps, asker, courseId="turned")
    for user, role in (("ada", "author"), ("vic", "viewer")):
        members.add(deps, Asker(ORG, None), {"userId": user, "role": role, "name": None, "email": None})
    ada, vic = (Held(Grounds(ORG, user=user), ("job", job_id), user == "ada") for user in ("ada", "vic"))
    assert fallen({ada, vic}) == set()
    keep(deps, "turned", "private")
    assert fallen({ada, vic}) == {vic}


def test_a_catalog_is_followed_no_more_by_a_token_that_lost_its_scope(deps: Deps, asker: Asker) -> None:
    made = tokens.make(deps, asker, {"name": "x", "role": "author", "scopes": None, "expiresAt": None})
    token_id = UUID(made["tokenId"])
    held = {Held(Grounds(ORG, token=token_id), key, True) for key in (("catalog", ORG), VIEWERS_CATALOG, ("job", ORG))}
    for scopes in (["catalog:read"], ["catalog:write", "exams:read"]):
        tokens.change(deps, asker, token_id, {"scopes": scopes})
        assert fallen(held) == set()
    tokens.change(deps, asker, token_id, {"scopes": ["exams:read"]})
    assert {one.key[0] for one in fallen(held)} == {"catalog", "catalog_of_viewers"}


def test_the_web_learns_an_organizations_id_from_its_short_name_and_nothing_else(deps: Deps) -> None:
    web = of_views().db
    assert organizations.id_of(web, "demo-school") == ORG
    assert organizations.id_of(web, "no-school") is None
    several(deps, ORG)
    for table in ("organizations", "memberships", "agent_tokens", "sessions"):
        with web.statement() as tx:
            assert tx.run(f"SELECT * FROM {table}").all() == [], table
        with wall.within(school(deps).organization_id), web.statement() as tx:
            assert (
                tx.run(
                    f"SELECT * FROM {table} WHERE {'id' if table == 'organizations' else 'organization_id'} = :org",
                    {"org": ORG},
                ).all()
                == []
            ), table


def test_a_step_of_a_job_has_no_business_with_any_of_it(deps: Deps) -> None:
    several(deps, ORG)
    for statement in (
        *("SELECT * FROM memberships", "SELECT * FROM agent_tokens", "SELECT * FROM sessions"),
        "SELECT * FROM identity_facts('[]')",
    ):
        with wall.within(ORG), pytest.raises(ProgrammingError, match="permission denied"):
            rows(deps, statement)


def test_what_is_kept_of_a_token_is_a_hash(deps: Deps) -> None:
    made = tokens.make(deps, Asker(ORG, None), {"name": "x", "role": "author", "scopes": None, "expiresAt": None})
    [row] = rows(deps, "SELECT to_jsonb(t)::text AS kept FROM agent_tokens t")
    assert made["token"][12:] not in row.kept
    [told] = rows(deps, "SELECT string_agg(to_jsonb(a)::text, '') AS kept FROM audit_log a")
    assert made["token"][12:] not in told.kept and made["prefix"] in told.kept
