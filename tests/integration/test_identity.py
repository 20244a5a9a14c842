"""Who is let in, for which organization, in which role; and that whoever was put out stays out."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import jwt
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from schema.access import SCOPES
from schema.agent_token import TokenSchema, TokenWithSecretSchema
from schema.clock import new_id
from schema.member import MemberSchema
from schema.settings import DEMO_ORGANIZATION_ID, read_settings
from tasks import members
from tasks.commands import Asker
from tasks.deps import Deps
from tests.conftest import Outbox, make_deps, use
from tests.fakes.identity_provider import claims
from tests.integration.stage import change, one, rows, school
from web.api.session import SessionSchema
from web.app import create_app

ORG = UUID(DEMO_ORGANIZATION_ID)
SECRET = "a secret that user tokens are signed with"
TOKENS = {"JWT_SECRET": SECRET, "JWT_AUDIENCE": "coursewright", "JWT_ISSUER": "https://login.example.org/"}
AGENT = "agent-token-of-the-tests"
COURSE = {"jobType": "course", "payload": {"subject": "Addition", "gradeBand": "2", "mode": "numeric"}}


@pytest.fixture
def deps(environ: dict[str, str], outbox: Outbox) -> Iterator[Deps]:
    """A system that takes user tokens, and two agent tokens of the environment."""
    made = make_deps(read_settings({**environ, **TOKENS, "AGENT_TOKEN_OLD": "the one before"}), outbox)
    use(made)
    yield made
    made.close()


@pytest.fixture
def asker() -> Asker:
    return Asker(ORG, None)


def bearer(user: str = "ada", organization: UUID | str | None = None, **more: Any) -> dict[str, str]:
    """The headers of a user. ``organization`` goes into the header; ``org`` among the claims."""
    signed = jwt.encode(claims(user, **more), SECRET, "HS256")
    return {"Authorization": f"Bearer {signed}"} | ({"X-Organization-Id": str(organization)} if organization else {})


def agent(token: str = AGENT, organization: UUID | str = ORG, **more: str) -> dict[str, str]:
    return {"X-Agent-Token": token, "X-Organization-Id": str(organization), **more}


def told(answer: TestResponse) -> tuple[int, str | None]:
    return answer.status_code, (answer.get_json() or {}).get("code")


def me(client: FlaskClient, headers: dict[str, str]) -> dict[str, Any]:
    answer = client.get("/api/session", headers=headers)
    assert answer.status_code == 200, answer.text
    shown: dict[str, Any] = answer.get_json()
    assert SessionSchema().validate(shown) == {}
    return shown


def make_token(client: FlaskClient, headers: dict[str, str] | None = None, **body: Any) -> dict[str, Any]:
    answer = client.post("/api/tokens", json={"name": "Nightly", **body}, headers=headers or agent())
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.get_json()
    return made


class TestUsers:
    def test_the_role_is_claimed_only_with_the_organization(self, client: FlaskClient) -> None:
        for org in (DEMO_ORGANIZATION_ID, "demo-school"):
            shown = me(client, bearer(org=org, role="admin"))
            assert (shown["role"], shown["user"], shown["way"]) == ("admin", "ada", "user")
            assert shown["organization"] == {"id": DEMO_ORGANIZATION_ID, "slug": "demo-school", "name": "Demo school"}
        answer = client.get("/api/session", headers=bearer(organization=ORG, role="admin"))
        assert told(answer) == (403, "unknown_organization"), "a role without an organization is nobody's"
        assert told(client.get("/api/session", headers=bearer(org="demo-school"))) == (403, "unknown_organization")

    def test_a_membership_gives_the_role(self, client: FlaskClient, deps: Deps, asker: Asker) -> None:
        members.add(deps, asker, {"userId": "ada", "role": "author", "name": None, "email": None})
        assert me(client, bearer(organization=ORG))["role"] == "author"
        assert me(client, bearer(organization=ORG, role="admin"))["role"] == "author"
        assert me(client, bearer(org="demo-school"))["role"] == "author"
        assert client.post("/api/jobs", json=COURSE, headers=bearer(organization=ORG)).status_code == 202
        assert told(client.get("/api/tokens", headers=bearer(organization=ORG))) == (403, "forbidden")
        members.change(deps, asker, "ada", {"role": "viewer"})
        assert me(client, bearer(organization=ORG))["role"] == "viewer"
        refused = client.post("/api/jobs", json=COURSE, headers=bearer(organization=ORG))
        assert told(refused) == (403, "forbidden")

    def test_who_was_put_out_is_out_whatever_a_token_claims(
        self, client: FlaskClient, deps: Deps, asker: Asker
    ) -> None:
        claimed = bearer(org="demo-school", role="admin")
        assert me(client, claimed)["role"] == "admin"
        members.add(deps, asker, {"userId": "ada", "role": "viewer", "name": None, "email": None})
        assert me(client, claimed)["role"] == "admin"
        members.remove(deps, asker, "ada")
        for headers in (claimed, bearer(organization=ORG)):
            assert told(client.get("/api/session", headers=headers)) == (403, "unknown_organization")
        members.add(deps, asker, {"userId": "ada", "role": "viewer", "name": None, "email": None})
        assert me(client, bearer(organization=ORG))["role"] == "viewer"

    def test_of_who_was_put_out_no_name_and_no_address_is_kept(self, deps: Deps, asker: Asker) -> None:
        members.add(deps, asker, {"userId": "ada", "role": "viewer", "name": "Ada", "email": "ada@example.org"})
        members.remove(deps, asker, "ada")
        [kept] = rows(deps, "SELECT * FROM memberships WHERE user_id = 'ada'")
        assert kept.ended_at is not None and (kept.name, kept.email) == (None, None)

    def test_an_organization_one_is_no_member_of_is_not_there(
        self, client: FlaskClient, deps: Deps, asker: Asker
    ) -> None:
        members.add(deps, asker, {"userId": "ada", "role": "admin", "name": None, "email": None})
        theirs = school(deps).organization_id
        answers = [
            client.get("/api/jobs", headers=bearer(organization=other)) for other in (theirs, new_id(), "no-id")
        ] + [client.get("/api/jobs", headers=bearer(org=other, role="admin")) for other in (str(new_id()), "no-school")]
        answers.append(client.get("/api/jobs", headers=bearer(organization=theirs, org="demo-school")))
        assert [told(answer) for answer in answers] == [(403, "unknown_organization")] * 6
        assert len({answer.get_json()["detail"] for answer in answers[:5]}) == 1
        assert told(client.get("/api/jobs", headers=bearer())) == (400, "organization_required")

    @pytest.mark.parametrize("header", ["Bearer rubbish", "bearer a.b.c", "Bearer ", "BEARER x y"])
    def test_a_token_that_is_none_is_told_so(self, client: FlaskClient, header: str) -> None:
        answer = client.get("/api/jobs", headers={"Authorization": header})
        assert told(answer) == (401, "invalid_token")
        assert answer.headers["WWW-Authenticate"] == 'Bearer realm="coursewright", error="invalid_token"'

    def test_without_any_the_ways_in_are_told(self, client: FlaskClient) -> None:
        for headers in ({}, {"Authorization": "Basic cHJldmlldzpwYXNz"}):
            answer = client.get("/api/jobs", headers=headers)
            assert told(answer) == (401, "unauthenticated")
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="coursewright"'

    def test_a_proxys_password_hides_nobody(self, client: FlaskClient) -> None:
        assert me(client, {**agent(), "Authorization": "Basic cHJldmlldzpwYXNz"})["way"] == "agent"

    def test_where_nothing_verifies_them_they_are_refused(self, environ: dict[str, str], outbox: Outbox) -> None:
        made = make_deps(read_settings(environ), outbox)
        use(made)
        answer = create_app().test_client().get("/api/jobs", headers=bearer(org="demo-school", role="admin"))
        assert told(answer) == (401, "invalid_token")
        assert "not accepted here" in answer.get_json()["detail"]
        made.close()

    def test_a_person_is_rationed_and_a_program_is_not(self, client: FlaskClient) -> None:
        person = bearer(org="demo-school", role="author")
        statuses = [client.post("/api/jobs", json=COURSE, headers=person).status_code for _ in range(11)]
        assert statuses == [202] * 10 + [429]
        token = make_token(client)["token"]
        assert client.post("/api/jobs", json=COURSE, headers=agent(token)).status_code == 202


class TestAgents:
    def test_both_of_the_environments_tokens_are_good(self, client: FlaskClient) -> None:
        for token in (AGENT, "the one before"):
            shown = me(client, agent(token, **{"X-User-Id": str(ORG)}))
            assert (shown["role"], shown["way"], shown["user"]) == ("admin", "agent", str(ORG))
        assert told(client.get("/api/jobs", headers=agent("the one before that"))) == (401, "invalid_agent_token")

    def test_from_making_to_revoking(self, client: FlaskClient, deps: Deps) -> None:
        made = make_token(client, scopes=["jobs:write", "courses:read"])
        assert TokenWithSecretSchema().validate(made) == {}
        path, headers = f"/api/tokens/{made['tokenId']}", agent(made["token"])
        secret = made["token"].removeprefix(f"cw_{made['prefix']}_")
        assert one(deps, "SELECT hash FROM agent_tokens") not in (secret, made["token"])
        shown = client.get(path, headers=agent())
        assert TokenSchema().validate(shown.get_json()) == {} and secret not in shown.text
        assert secret not in client.get("/api/tokens", headers=agent()).text
        assert me(client, headers)["scopes"] == ["courses:read", "jobs:write"]
        changed = client.patch(path, json={"name": "Weekly", "scopes": ["catalog:read"]}, headers=agent())
        assert (changed.get_json()["name"], changed.get_json()["scopes"]) == ("Weekly", ["catalog:read"])
        assert told(client.get("/api/jobs", headers=headers)) == (403, "scope_missing")
        assert client.get("/api/catalog", headers=headers).status_code == 200
        assert client.delete(path, headers=agent()).status_code == 204
        refused = client.get("/api/catalog", headers=headers)
        assert told(refused) == (401, "invalid_agent_token") and "revoked" in refused.get_json()["detail"]
        assert client.get(path, headers=agent()).get_json()["revokedAt"]
        assert told(client.patch(path, json={"name": "x"}, headers=agent())) == (404, "not_found")

    def test_it_expires(self, client: FlaskClient, deps: Deps) -> None:
        made = make_token(client, expiresAt="2027-01-01T00:00:00Z")
        assert made["expiresAt"] == "2027-01-01T00:00:00.000Z"
        assert client.get("/api/jobs", headers=agent(made["token"])).status_code == 200
        change(deps, "UPDATE agent_tokens SET expires_at = clock_timestamp() - interval '1 second'")
        refused = client.get("/api/jobs", headers=agent(made["token"]))
        assert told(refused) == (401, "invalid_agent_token") and "expired" in refused.get_json()["detail"]

    def test_whatever_is_wrong_the_answer_is_the_same(self, client: FlaskClient, deps: Deps) -> None:
        token = make_token(client)["token"]
        other = school(deps).organization_id
        wrong = [
            agent(token[:-1] + ("A" if token[-1] != "A" else "B")),
            agent("cw_aaaaaaaa_" + token[12:]),
            agent(token, other),
            agent(token, new_id()),
            agent("cw_" + "x" * 30),
            agent("ä"),
        ]
        answers = [client.get("/api/jobs", headers=headers) for headers in wrong]
        assert [told(answer) for answer in answers] == [(401, "invalid_agent_token")] * 6
        assert len({answer.get_json()["detail"] for answer in answers}) == 1
        assert told(client.get("/api/jobs", headers={"X-Agent-Token": token})) == (400, "organization_required")

    def test_an_unknown_one_takes_as_long_as_a_wrong_one(self, client: FlaskClient) -> None:
        token = make_token(client)["token"]
        wrong, unknown = agent(token[:-3] + "AAA"), agent("cw_zzzzzzzz_" + token[12:])
        spent: dict[int, list[float]] = {0: [], 1: []}
        for _ in range(12):
            for number, headers in enumerate((wrong, unknown)):
                began = time.perf_counter()
                client.get("/api/jobs", headers=headers)
                spent[number].append(time.perf_counter() - began)
        # The quickest of each: what is done, without what else the machine does.
        assert min(spent[0]) < 3 * min(spent[1]) and min(spent[1]) < 3 * min(spent[0])

    @pytest.mark.parametrize("role", ["viewer", "author", "admin"])
    def test_its_role_is_its_own(self, client: FlaskClient, role: str) -> None:
        headers = agent(make_token(client, role=role)["token"])
        assert client.get("/api/jobs", headers=headers).status_code == 200
        assert (client.post("/api/jobs", json=COURSE, headers=headers).status_code == 202) is (role != "viewer")
        assert (client.get("/api/tokens", headers=headers).status_code == 200) is (role == "admin")

    def test_reading_is_not_writing(self, client: FlaskClient) -> None:
        headers = agent(make_token(client, scopes=["jobs:read"])["token"])
        assert client.get("/api/jobs", headers=headers).status_code == 200
        refused = client.post("/api/jobs", json=COURSE, headers=headers)
        assert told(refused) == (403, "scope_missing") and "jobs:write" in refused.get_json()["detail"]

    def test_nobody_gives_what_they_do_not_have(self, client: FlaskClient) -> None:
        limited = agent(make_token(client, role="admin", scopes=["tokens:write", "jobs:read"])["token"])
        for scopes in (None, ["jobs:write"], ["members:write"]):
            refused = client.post("/api/tokens", json={"name": "More", "scopes": scopes}, headers=limited)
            assert told(refused) == (403, "scope_missing"), scopes
        less = make_token(client, limited, scopes=["jobs:read"])
        all_ = make_token(client)
        for made, changes in ((less, {"scopes": ["admin:write"]}), (all_, {"expiresAt": "2027-06-01T00:00:00Z"})):
            refused = client.patch(f"/api/tokens/{made['tokenId']}", json=changes, headers=limited)
            assert told(refused) == (403, "scope_missing")
        assert client.get(f"/api/tokens/{all_['tokenId']}", headers=agent()).get_json()["expiresAt"] is None

    def test_who_may_not_do_everything_makes_nobody_an_admin(self, client: FlaskClient) -> None:
        limited = agent(make_token(client, role="admin", scopes=["members:write"])["token"])
        everything = agent(make_token(client, role="admin", scopes=[one for one in SCOPES if "write" in one])["token"])
        made = client.post("/api/members", json={"userId": "eve", "role": "author"}, headers=limited)
        assert made.status_code == 201
        for method, path, body in (
            ("POST", "/api/members", {"userId": "mallory", "role": "admin"}),
            ("PATCH", "/api/members/eve", {"role": "admin"}),
        ):
            assert told(client.open(path, method=method, json=body, headers=limited)) == (403, "scope_missing")
            assert client.open(path, method=method, json=body, headers=everything).status_code < 300
        assert client.patch("/api/members/eve", json={"name": "Eve"}, headers=limited).status_code == 200

    def test_its_use_is_noted_once_a_minute(self, client: FlaskClient, deps: Deps) -> None:
        made = make_token(client)
        headers, last = agent(made["token"]), "SELECT last_used_at FROM agent_tokens"
        assert one(deps, last) is None
        client.get("/api/jobs", headers=headers)
        first = one(deps, last)
        client.get("/api/jobs", headers=headers)
        assert first is not None and one(deps, last) == first
        change(deps, "UPDATE agent_tokens SET last_used_at = last_used_at - interval '61 seconds'")
        client.get("/api/jobs", headers=headers)
        assert one(deps, last) >= first

    @pytest.mark.parametrize(
        ("body", "path"),
        [
            ({}, "name"),
            ({"name": ""}, "name"),
            ({"name": "x", "role": "owner"}, "role"),
            ({"name": "x", "scopes": ["jobs:delete"]}, "scopes.0"),
            ({"name": "x", "scopes": []}, "scopes"),
            ({"name": "x", "scopes": ["jobs:read", "jobs:read"]}, "scopes"),
            ({"name": "x", "expiresAt": "2026-01-01T00:00:00Z"}, "expiresAt"),
            ({"name": "x", "expiresAt": "2999-01-01T00:00:00Z"}, "expiresAt"),
            ({"name": "x", "expiresAt": "2027-01-01T00:00:00"}, "expiresAt"),
            ({"name": "x", "expiresAt": "tomorrow"}, "expiresAt"),
            ({"name": "x", "token": "mine"}, "token"),
        ],
        ids=range(11),
    )
    def test_what_is_wrong_is_named(self, client: FlaskClient, body: dict[str, Any], path: str) -> None:
        refused = client.post("/api/tokens", json=body, headers=agent())
        assert refused.status_code == 422
        assert [error["path"] for error in refused.get_json()["errors"]] == [path]

    def test_they_page_from_new_to_old_and_belong_to_their_organization(self, client: FlaskClient, deps: Deps) -> None:
        made = [make_token(client, name=f"Number {number}")["tokenId"] for number in range(3)]
        first = client.get("/api/tokens?limit=2", headers=agent()).get_json()
        rest = client.get(f"/api/tokens?cursor={first['nextCursor']}", headers=agent()).get_json()
        assert [one["tokenId"] for one in first["tokens"] + rest["tokens"]] == made[::-1]
        stranger = agent(organization=school(deps).organization_id)
        assert client.get("/api/tokens", headers=stranger).get_json()["tokens"] == []
        for method in ("GET", "PATCH", "DELETE"):
            answer = client.open(f"/api/tokens/{made[0]}", method=method, json={"name": "Mine"}, headers=stranger)
            assert told(answer) == (404, "not_found"), method


class TestMembers:
    def test_from_taking_in_to_taking_out(self, client: FlaskClient) -> None:
        new = {"userId": "auth0|7/8 é", "role": "author", "name": "Ada", "email": "ada@example.org"}
        made = client.post("/api/members", json=new, headers=agent(**{"X-User-Id": str(ORG)}))
        assert made.status_code == 201 and MemberSchema().validate(made.get_json()) == {}
        assert made.get_json() | new == made.get_json() and made.get_json()["createdBy"] == str(ORG)
        path = made.headers["Location"]
        assert client.get(path, headers=agent()).get_json() == made.get_json()
        assert told(client.post("/api/members", json=new, headers=agent())) == (409, "already_member")
        changed = client.patch(path, json={"role": "viewer", "email": None}, headers=agent()).get_json()
        assert (changed["role"], changed["email"], changed["name"]) == ("viewer", None, "Ada")
        assert client.delete(path, headers=agent()).status_code == 204
        for method in ("GET", "PATCH", "DELETE"):
            assert told(client.open(path, method=method, json={}, headers=agent())) == (404, "not_found")
        assert client.get("/api/members", headers=agent()).get_json() == {"members": [], "nextCursor": None}
        assert client.post("/api/members", json=new, headers=agent()).status_code == 201

    def test_the_last_admin_stays(self, client: FlaskClient, deps: Deps) -> None:
        for user, role in (("ada", "admin"), ("bob", "author")):
            assert client.post("/api/members", json={"userId": user, "role": role}, headers=agent()).status_code == 201
        for method, body in (("DELETE", None), ("PATCH", {"role": "viewer"})):
            answer = client.open("/api/members/ada", method=method, json=body, headers=agent())
            assert told(answer) == (409, "last_admin")
        assert client.patch("/api/members/ada", json={"name": "Ada"}, headers=agent()).status_code == 200
        client.patch("/api/members/bob", json={"role": "admin"}, headers=agent())
        assert client.delete("/api/members/ada", headers=agent()).status_code == 204
        assert told(client.delete("/api/members/bob", headers=agent())) == (409, "last_admin")
        assert [row.user_id for row in rows(deps, "SELECT user_id FROM memberships WHERE ended_at IS NULL")] == ["bob"]

    @pytest.mark.parametrize(
        ("body", "path"),
        [
            ({"role": "admin"}, "userId"),
            ({"userId": " ", "role": "admin"}, "userId"),
            ({"userId": "x" * 256, "role": "admin"}, "userId"),
            ({"userId": "a\nb", "role": "admin"}, "userId"),
            ({"userId": 7, "role": "admin"}, "userId"),
            ({"userId": "ada"}, "role"),
            ({"userId": "ada", "role": "owner"}, "role"),
            ({"userId": "ada", "role": "admin", "email": "nobody"}, "email"),
        ],
        ids=range(8),
    )
    def test_what_is_wrong_is_named(self, client: FlaskClient, body: dict[str, Any], path: str) -> None:
        refused = client.post("/api/members", json=body, headers=agent())
        assert refused.status_code == 422
        assert [error["path"] for error in refused.get_json()["errors"]] == [path]

    def test_they_page_by_id_and_belong_to_their_organization(self, client: FlaskClient, deps: Deps) -> None:
        for user in ("b", "a", "c|x"):
            client.post("/api/members", json={"userId": user, "role": "viewer"}, headers=agent())
        first = client.get("/api/members?limit=2", headers=agent()).get_json()
        assert ([one["userId"] for one in first["members"]], first["nextCursor"]) == (["a", "b"], "b")
        rest = client.get("/api/members?cursor=b", headers=agent()).get_json()
        assert ([one["userId"] for one in rest["members"]], rest["nextCursor"]) == (["c|x"], None)
        stranger = agent(organization=school(deps).organization_id)
        assert client.get("/api/members", headers=stranger).get_json()["members"] == []
        for method in ("GET", "PATCH", "DELETE"):
            assert told(client.open("/api/members/a", method=method, json={}, headers=stranger)) == (404, "not_found")
