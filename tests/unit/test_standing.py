"""Whether somebody still stands: every ground that can fall, and nothing that stands on none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.access import NOUNS, ROLES, SCOPES, allows, reaches, within
from schema.clock import new_id
from storage.people.grounds import Facts, Grounds, from_json
from web.identity.standing import judge

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
SOON, PAST = NOW + timedelta(minutes=1), NOW - timedelta(minutes=1)
MARKS = frozenset({"a mark", "an older one"})
NOTHING = Facts(NOW, "demo-school", *[None] * 13)
HERE = Grounds(new_id())
SESSION, TOKEN = replace(HERE, session=new_id()), replace(HERE, token=new_id())
MEMBER, CLAIMED = replace(HERE, user="ada"), replace(HERE, user="ada", claimed=True)

BY_LINK = replace(NOTHING, way="link", session_role="author", session_expires_at=SOON)
BY_MARK = replace(BY_LINK, way="agent", mark="a mark")
OF_TOKEN = replace(NOTHING, token_id=new_id(), token_role="author", scopes=["jobs:read"])
BY_TOKEN = replace(OF_TOKEN, way="token", session_expires_at=SOON)
OF_MEMBER = replace(NOTHING, member_role="viewer")
BY_MEMBER = replace(OF_MEMBER, way="user", user_id="ada", session_expires_at=SOON)
BY_CLAIM = replace(BY_MEMBER, session_role="admin", member_role=None)


@pytest.mark.parametrize(
    ("grounds", "facts", "role"),
    [
        (SESSION, BY_LINK, "author"),
        (SESSION, BY_MARK, "author"),
        (SESSION, replace(BY_MARK, mark="an older one"), "author"),
        (SESSION, BY_TOKEN, "author"),
        (SESSION, BY_MEMBER, "viewer"),
        (SESSION, BY_CLAIM, "admin"),
        (SESSION, replace(BY_CLAIM, member_role="viewer"), "admin"),
        (TOKEN, OF_TOKEN, "author"),
        (TOKEN, replace(OF_TOKEN, token_expires_at=SOON), "author"),
        (MEMBER, OF_MEMBER, "viewer"),
        (CLAIMED, NOTHING, "viewer"),
        (replace(HERE, mark="a mark"), NOTHING, "admin"),
        (replace(CLAIMED, until=SOON), NOTHING, "viewer"),
    ],
    ids=range(13),
)
def test_who_stands(grounds: Grounds, facts: Facts, role: str) -> None:
    standing = judge(grounds, facts, MARKS)
    assert standing is not None and standing.role == role
    assert (standing.scopes is not None) is (facts.token_role is not None)


@pytest.mark.parametrize(
    ("grounds", "facts"),
    [
        (SESSION, None),
        (SESSION, NOTHING),
        (SESSION, replace(BY_LINK, session_ended_at=PAST)),
        (SESSION, replace(BY_LINK, session_expires_at=NOW)),
        (SESSION, replace(BY_LINK, session_role=None)),
        (SESSION, replace(BY_MARK, mark="that of a token that was replaced")),
        (SESSION, replace(BY_MARK, mark=None)),
        (SESSION, replace(BY_TOKEN, token_revoked_at=PAST)),
        (SESSION, replace(BY_TOKEN, token_expires_at=NOW)),
        (SESSION, replace(BY_TOKEN, token_role=None)),
        (SESSION, replace(BY_TOKEN, session_ended_at=PAST)),
        (SESSION, replace(BY_MEMBER, member_role=None)),
        (SESSION, replace(BY_MEMBER, member_ended_at=PAST)),
        (SESSION, replace(BY_CLAIM, member_role="admin", member_ended_at=PAST)),
        (SESSION, replace(BY_CLAIM, session_expires_at=PAST)),
        (TOKEN, NOTHING),
        (TOKEN, replace(OF_TOKEN, token_revoked_at=PAST)),
        (TOKEN, replace(OF_TOKEN, token_expires_at=PAST)),
        (MEMBER, NOTHING),
        (MEMBER, replace(OF_MEMBER, member_ended_at=PAST)),
        (CLAIMED, replace(OF_MEMBER, member_ended_at=PAST)),
        (replace(CLAIMED, until=PAST), NOTHING),
        (replace(HERE, mark="another"), NOTHING),
        (HERE, BY_LINK),
    ],
    ids=range(24),
)
def test_who_does_not(grounds: Grounds, facts: Facts | None) -> None:
    assert judge(grounds, facts, MARKS) is None


_MOMENTS = st.sampled_from([None, PAST, NOW, SOON])
_ROLES = st.sampled_from([None, *ROLES])
_FACTS = st.builds(
    Facts,
    now=st.just(NOW),
    slug=st.just("demo-school"),
    way=st.sampled_from([None, "link", "agent", "token", "user"]),
    user_id=st.sampled_from([None, "ada"]),
    session_role=_ROLES,
    mark=st.sampled_from([None, "a mark", "another"]),
    session_expires_at=_MOMENTS,
    session_ended_at=_MOMENTS,
    token_id=st.none(),
    token_role=_ROLES,
    scopes=st.sampled_from([None, ["jobs:read"]]),
    token_expires_at=_MOMENTS,
    token_revoked_at=_MOMENTS,
    member_role=_ROLES,
    member_ended_at=_MOMENTS,
)


@given(st.sampled_from([SESSION, TOKEN, MEMBER, CLAIMED, HERE]), _FACTS)
def test_whatever_has_ended_ends_what_rests_on_it(grounds: Grounds, facts: Facts) -> None:
    standing = judge(grounds, facts, MARKS)
    if standing is None:
        return
    assert standing.until is None or standing.until > NOW
    if grounds.session is not None:
        assert facts.session_ended_at is None and facts.session_expires_at == SOON
    on_token = grounds.token is not None or (grounds.session is not None and facts.way == "token")
    on_user = grounds.user is not None or (grounds.session is not None and facts.way == "user")
    assert not on_token or (facts.token_revoked_at is None and facts.token_expires_at in (None, SOON))
    assert not on_user or facts.member_ended_at is None
    assert on_token or standing.scopes is None


@given(_FACTS, st.sampled_from(["session_ended_at", "token_revoked_at", "member_ended_at"]))
def test_ending_something_never_lets_anybody_in(facts: Facts, ended: str) -> None:
    changed: dict[str, Any] = {ended: PAST}
    for grounds in (SESSION, TOKEN, MEMBER, CLAIMED):
        if judge(grounds, facts, MARKS) is None:
            assert judge(grounds, replace(facts, **changed), MARKS) is None


@given(
    st.builds(
        Grounds,
        organization_id=st.uuids(),
        session=st.none() | st.uuids(),
        token=st.none() | st.uuids(),
        mark=st.none() | st.text(min_size=1),
        user=st.none() | st.text(min_size=1),
        claimed=st.booleans(),
        until=st.sampled_from([None, SOON]),
    )
)
def test_grounds_come_back_as_they_were_written(grounds: Grounds) -> None:
    assert from_json(grounds.as_json()) == grounds


class TestScopes:
    @given(st.sets(st.sampled_from(SCOPES)), st.sampled_from(NOUNS))
    def test_writing_includes_reading_and_nothing_else_is_included(self, held: set[str], noun: Any) -> None:
        scopes = frozenset(held)
        may_write, may_read = allows(scopes, noun, writing=True), allows(scopes, noun, writing=False)
        assert may_write is (f"{noun}:write" in held)
        assert may_read is bool({f"{noun}:write", f"{noun}:read"} & held)
        assert allows(None, noun, writing=True) and allows(None, noun, writing=False)

    @given(st.sets(st.sampled_from(SCOPES)), st.sets(st.sampled_from(SCOPES)))
    def test_nobody_gives_what_they_do_not_have(self, held: set[str], wanted: set[str]) -> None:
        if not within(wanted, frozenset(held)):
            return
        for noun in NOUNS:
            for writing in (True, False):
                given_ = allows(frozenset(wanted), noun, writing=writing)
                assert not given_ or allows(frozenset(held), noun, writing=writing)

    def test_all_is_more_than_some(self) -> None:
        assert within(None, None) and within(["jobs:read"], None)
        assert not within(None, frozenset(SCOPES))

    def test_roles_rise(self) -> None:
        reached = [[reaches(role, wanted) for wanted in ROLES] for role in ROLES]
        assert reached == [[True, False, False], [True, True, False], [True, True, True]]
