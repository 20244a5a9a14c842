"""Browsers: signed in by a link, a form or a token, held to their own pages, and signed out with what let them in."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import jwt
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from schema.clock import new_id
from schema.settings import DEMO_ORGANIZATION_ID, Settings, read_settings
from tasks import members, tokens
from tasks.commands import Asker
from tasks.deps import Deps
from tests.conftest import Outbox, make_deps, use
from tests.fakes.identity_provider import claims
from tests.integration.signed_in import sign_in
from tests.integration.stage import change, one, rows, school
from web.app import create_app
from web.pages.entrance import make_login_path

ORG = UUID(DEMO_ORGANIZATION_ID)
SECRET = "a secret that user tokens are signed with"
AGENT = "agent-token-of-the-tests"
AS_AGENT = {"X-Agent-Token": AGENT, "X-Organization-Id": DEMO_ORGANIZATION_ID}
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
FORM = {"Sec-Fetch-Site": "same-origin", **BROWSER}
JOB = {"jobType": "course", "payload": {"subject": "Addition", "gradeBand": "2", "mode": "numeric"}}


@pytest.fixture
def read(environ: dict[str, str]) -> Callable[..., Settings]:
    """The settings of this test, with changes."""
    return lambda **more: read_settings({**environ, "JWT_SECRET": SECRET, "JWT_AUDIENCE": "coursewright", **more})


@pytest.fixture
def deps(read: Callable[..., Settings], outbox: Outbox) -> Iterator[Deps]:
    made = make_deps(read(), outbox)
    use(made)
    yield made
    made.close()


@pytest.fixture
def asker() -> Asker:
    return Asker(ORG, None)


def user_token(**more: Any) -> str:
    return jwt.encode(claims(**more), SECRET, "HS256")


def exchange(client: FlaskClient, headers: dict[str, str]) -> dict[str, Any]:
    """Give a token for a cookie. Returns who one is then."""
    answer = client.post("/api/session", headers=headers)
    assert answer.status_code == 201, answer.text
    shown: dict[str, Any] = answer.get_json()
    assert shown["way"] == "cookie" and shown["csrfToken"]
    assert client.get("/api/session").get_json() == shown
    return shown


def told(answer: TestResponse) -> tuple[int, str | None]:
    return answer.status_code, (answer.get_json(silent=True) or {}).get("code")


def cookie_of(answer: TestResponse) -> str:
    [cookie] = answer.headers.getlist("Set-Cookie")
    return cookie


class TestSigningIn:
    def test_by_a_link_once(self, client: FlaskClient, deps: Deps) -> None:
        path = make_login_path(deps, DEMO_ORGANIZATION_ID, "author")
        looked = client.head(path)
        assert (looked.headers["Location"], looked.headers.getlist("Set-Cookie")) == ("/login", [])
        answer = client.get(path)
        assert (answer.status_code, answer.headers["Location"]) == (302, "/")
        cookie = cookie_of(answer)
        assert cookie.startswith("coursewright=")
        assert {"HttpOnly", "SameSite=Lax", "Path=/"} <= set(cookie.split("; ")) and "Secure" not in cookie
        shown = client.get("/api/session").get_json()
        assert (shown["role"], shown["user"], shown["way"]) == ("author", None, "cookie")
        assert told(client.get(path)) == (403, "login_link_spent")
        assert one(deps, "SELECT way FROM sessions") == "link"

    def test_for_a_users_token_for_as_long_as_it_is_good(self, client: FlaskClient) -> None:
        token = user_token(org="demo-school", role="author", exp=int(time.time()) + 60)
        shown = exchange(client, {"Authorization": f"Bearer {token}"})
        assert (shown["role"], shown["user"]) == ("author", "ada")
        assert shown["expiresAt"] <= time.strftime("%Y-%m-%dT%H:%M:%S.999Z", time.gmtime(time.time() + 60))

    def test_for_an_agents_token(self, client: FlaskClient, deps: Deps, asker: Asker) -> None:
        shown = exchange(client, {**AS_AGENT, "X-User-Id": str(ORG)})
        assert (shown["role"], shown["user"], shown["scopes"]) == ("admin", str(ORG), None)
        given = {"name": "x", "role": "author", "scopes": ["jobs:read"], "expiresAt": None}
        made = tokens.make(deps, asker, given)
        shown = exchange(client, {**AS_AGENT, "X-Agent-Token": made["token"]})
        assert (shown["role"], shown["scopes"]) == ("author", ["jobs:read"])
        ours = {"Sec-Fetch-Site": "same-origin", "X-CSRF-Token": shown["csrfToken"]}
        assert told(client.post("/api/jobs", json=JOB, headers=ours)) == (403, "scope_missing")

    def test_a_cookie_is_not_exchanged_for_another(self, client: FlaskClient, deps: Deps) -> None:
        ours = sign_in(client, deps, ORG, "admin")
        assert told(client.post("/api/session", headers=ours)) == (400, "bad_request")
        assert one(deps, "SELECT count(*) FROM sessions") == 1

    def test_a_browser_has_one_session_and_never_one_it_was_given_before(self, client: FlaskClient, deps: Deps) -> None:
        sign_in(client, deps, ORG, "viewer")
        before = client.get_cookie("coursewright")
        assert before is not None
        exchange(client, AS_AGENT)
        after = client.get_cookie("coursewright")
        assert after is not None and after.value != before.value
        client.set_cookie("coursewright", before.value)
        assert told(client.get("/api/session")) == (401, "unauthenticated")

    @pytest.mark.parametrize("way", ["exchange", "form", "link"])
    def test_whoever_signs_in_for_another_organization_leaves_the_one_before(
        self, client: FlaskClient, deps: Deps, way: str
    ) -> None:
        other = school(deps)
        sign_in(client, deps, other.organization_id, "admin", "grace")
        before = client.get_cookie("coursewright")
        assert before is not None
        if way == "exchange":
            exchange(client, {"Authorization": f"Bearer {user_token(org='demo-school', role='author')}"})
        elif way == "form":
            sent = {"token": AGENT, "organization": DEMO_ORGANIZATION_ID}
            assert client.post("/login", data=sent, headers=FORM).status_code == 303
        else:
            assert client.get(make_login_path(deps, DEMO_ORGANIZATION_ID, "viewer")).status_code == 302
        assert client.get("/api/session").get_json()["organization"]["slug"] == "demo-school"
        client.set_cookie("coursewright", before.value)
        assert told(client.get("/api/session")) == (401, "unauthenticated")
        where = f"organization_id = '{other.organization_id}' AND action = 'session.ended'"
        [noted] = rows(deps, f"SELECT way, actor FROM audit_log WHERE {where}")
        assert (noted.way, noted.actor.partition(":")[0]) == ("cookie", "session")

    @pytest.mark.parametrize(
        ("base", "public"), [("https://localhost/", None), ("http://localhost/", "https://courses.example.org")]
    )
    def test_where_pages_are_reached_by_https_the_cookie_stays_there(
        self, deps: Deps, read: Callable[..., Settings], base: str, public: str | None
    ) -> None:
        use(replace(deps, settings=read(**({"PUBLIC_URL": public} if public else {}))))
        client = create_app().test_client()
        answer = client.post("/api/session", headers=AS_AGENT, base_url=base)
        cookie = cookie_of(answer)
        assert cookie.startswith("__Host-coursewright=") and "Domain" not in cookie
        assert {"HttpOnly", "SameSite=Lax", "Secure", "Path=/"} <= set(cookie.split("; "))
        value = cookie.split(";")[0].partition("=")[2]
        for name, status in (("__Host-coursewright", 200), ("coursewright", 401)):
            headers = {"Cookie": f"{name}={value}"}
            fresh = create_app().test_client(use_cookies=False)
            assert fresh.get("/api/session", headers=headers, base_url=base).status_code == status, name


class TestTheForm:
    def field(self, text: str, name: str) -> str:
        found = re.search(rf'name="{name}"[^>]*value="([^"]*)"', text)
        assert found is not None
        return found[1]

    def test_a_page_asks_who_one_is_and_leads_back(self, client: FlaskClient) -> None:
        asked = client.get("/jobs?x=1", headers=BROWSER)
        assert asked.status_code == 401 and "WWW-Authenticate" in asked.headers
        back = self.field(asked.text, "next")
        assert back == "/jobs?x=1"
        sent = {"token": AGENT, "organization": DEMO_ORGANIZATION_ID, "next": back}
        answer = client.post("/login", data=sent, headers=FORM)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/jobs?x=1")
        assert client.get("/jobs?x=1", headers=BROWSER).status_code == 200

    def test_a_users_token_names_the_organization_itself(self, client: FlaskClient) -> None:
        sent = {"token": f" {user_token(org='demo-school', role='viewer')} "}
        answer = client.post("/login", data=sent, headers=FORM)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/")

    @pytest.mark.parametrize(
        ("sent", "status", "words"),
        [
            ({}, 401, "agent token is not valid"),
            ({"token": "wrong", "organization": DEMO_ORGANIZATION_ID}, 401, "agent token is not valid"),
            ({"token": "ey.a.b"}, 401, "user token is not valid"),
            ({"token": AGENT}, 400, "for which organization"),
            ({"token": AGENT, "organization": "x"}, 403, "no such organization"),
        ],
        ids=range(5),
    )
    def test_what_is_wrong_is_told_and_one_may_try_again(
        self, client: FlaskClient, sent: dict[str, str], status: int, words: str
    ) -> None:
        answer = client.post("/login", data={**sent, "next": "/jobs"}, headers=FORM)
        assert answer.status_code == status and words in answer.text
        assert self.field(answer.text, "next") == "/jobs"
        assert not answer.headers.getlist("Set-Cookie")
        assert "token" not in sent or sent["token"] not in answer.text

    @pytest.mark.parametrize("path", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"])
    def test_it_leads_to_no_other_site(self, client: FlaskClient, path: str) -> None:
        assert self.field(client.get("/login", query_string={"next": path}).text, "next") == "/"
        sent = {"token": AGENT, "organization": DEMO_ORGANIZATION_ID, "next": path}
        assert client.post("/login", data=sent, headers=FORM).headers["Location"] == "/"

    @pytest.mark.parametrize("site", [{"Sec-Fetch-Site": "cross-site"}, {"Origin": "https://evil.example"}, {}])
    def test_another_site_signs_nobody_in(self, client: FlaskClient, site: dict[str, str]) -> None:
        sent = {"token": AGENT, "organization": DEMO_ORGANIZATION_ID}
        assert told(client.post("/login", data=sent, headers=site)) == (403, "cross_site")

    def test_the_button_signs_out(self, client: FlaskClient, deps: Deps) -> None:
        ours = sign_in(client, deps, ORG, "author")
        text = client.get("/catalog", headers=BROWSER).text
        assert self.field(text, "csrf") == ours["X-CSRF-Token"]
        assert f'<meta name="csrf-token" content="{ours["X-CSRF-Token"]}">' in text
        kept = client.get_cookie("coursewright")
        assert kept is not None
        for refused in ({}, {"csrf": "x"}):
            assert client.post("/logout", data=refused, headers=FORM).status_code == 403
        answer = client.post("/logout", data={"csrf": ours["X-CSRF-Token"]}, headers=FORM)
        assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
        assert client.get_cookie("coursewright") is None
        client.set_cookie("coursewright", kept.value)
        assert client.get("/api/session").status_code == 401, "the cookie is worth nothing afterwards"
        assert client.post("/logout", headers=FORM).status_code == 303, "who is nobody may leave, too"


class TestForgery:
    def test_a_write_needs_both_proofs(self, client: FlaskClient, deps: Deps) -> None:
        ours = sign_in(client, deps, ORG, "author")
        site, token = {"Sec-Fetch-Site": "same-origin"}, {"X-CSRF-Token": ours["X-CSRF-Token"]}
        origin = {"Origin": "http://localhost"}
        for headers, answered in (
            ({}, (403, "cross_site")),
            (token, (403, "cross_site")),
            (site, (403, "csrf_token_wrong")),
            (origin, (403, "csrf_token_wrong")),
            ({**site, "X-CSRF-Token": ""}, (403, "csrf_token_wrong")),
            ({**site, "X-CSRF-Token": "ä"}, (403, "csrf_token_wrong")),
            ({**token, "Sec-Fetch-Site": "cross-site"}, (403, "cross_site")),
            ({**token, "Sec-Fetch-Site": "same-site"}, (403, "cross_site")),
            ({**token, "Origin": "https://evil.example"}, (403, "cross_site")),
            ({**token, "Origin": "null"}, (403, "cross_site")),
            ({**origin, **token}, (202, None)),
            (ours, (202, None)),
        ):
            assert told(client.post("/api/jobs", json=JOB, headers=headers)) == answered, headers

    def test_behind_a_proxy_our_pages_are_where_people_reach_them(
        self, deps: Deps, read: Callable[..., Settings]
    ) -> None:
        use(replace(deps, settings=read(PUBLIC_URL="https://courses.example.org/school")))
        sent = {"token": AGENT, "organization": DEMO_ORGANIZATION_ID}
        for origin, status in (
            ("https://courses.example.org", 303),
            ("http://localhost", 303),
            ("http://courses.example.org", 403),
            ("https://courses.example.org.evil.example", 403),
            ("", 403),
        ):
            answer = create_app().test_client().post("/login", data=sent, headers={"Origin": origin})
            assert answer.status_code == status, origin

    @pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
    def test_whatever_the_method(self, client: FlaskClient, deps: Deps, method: str) -> None:
        sign_in(client, deps, ORG, "admin")
        path = {"POST": "/api/jobs", "PUT": "/api/settings", "PATCH": "/api/members/ada", "DELETE": "/api/session"}
        answer = client.open(path[method], method=method, json={}, headers={"Sec-Fetch-Site": "same-origin"})
        assert told(answer) == (403, "csrf_token_wrong")

    def test_a_token_is_good_for_its_session_alone(self, client: FlaskClient, deps: Deps) -> None:
        before = sign_in(client, deps, ORG, "author")
        sign_in(client, deps, ORG, "author")
        assert told(client.post("/api/jobs", json=JOB, headers=before)) == (403, "csrf_token_wrong")

    def test_a_field_of_a_form_is_no_proof_in_json(self, client: FlaskClient, deps: Deps) -> None:
        ours = sign_in(client, deps, ORG, "author")
        body = {**JOB, "csrf": ours.pop("X-CSRF-Token")}
        assert told(client.post("/api/jobs", json=body, headers=ours)) == (403, "csrf_token_wrong")

    def test_programs_need_none(self, client: FlaskClient, deps: Deps) -> None:
        sign_in(client, deps, ORG, "viewer")
        assert client.post("/api/jobs", json=JOB, headers=AS_AGENT).status_code == 202


class TestEnding:
    def test_signing_out(self, client: FlaskClient, deps: Deps) -> None:
        ours = sign_in(client, deps, ORG, "author")
        assert client.delete("/api/session", headers=ours).status_code == 204
        assert rows(deps, "SELECT 1 FROM sessions WHERE ended_at IS NULL") == []
        assert told(client.get("/api/session")) == (401, "unauthenticated")
        assert client.delete("/api/session", headers=AS_AGENT).status_code == 204, "a program has none to end"

    @pytest.mark.parametrize("column", ["expires_at", "ended_at"])
    def test_it_is_over_when_its_row_says_so(self, client: FlaskClient, deps: Deps, column: str) -> None:
        sign_in(client, deps, ORG, "author")
        assert client.get("/api/session").status_code == 200
        change(deps, f"UPDATE sessions SET {column} = clock_timestamp() - interval '1 second'")
        assert told(client.get("/api/session")) == (401, "unauthenticated")
        assert client.get("/catalog", headers=BROWSER).status_code == 401

    def test_with_the_membership(self, client: FlaskClient, deps: Deps, asker: Asker) -> None:
        members.add(deps, asker, {"userId": "ada", "role": "author", "name": None, "email": None})
        headers = {"Authorization": f"Bearer {user_token()}", "X-Organization-Id": DEMO_ORGANIZATION_ID}
        assert exchange(client, headers)["role"] == "author"
        members.change(deps, asker, "ada", {"role": "viewer"})
        assert client.get("/api/session").get_json()["role"] == "viewer", "as it is now"
        members.remove(deps, asker, "ada")
        assert told(client.get("/api/session")) == (401, "unauthenticated")

    def test_with_the_token_of_a_program(self, client: FlaskClient, deps: Deps, asker: Asker) -> None:
        made = tokens.make(deps, asker, {"name": "x", "role": "author", "scopes": None, "expiresAt": None})
        exchange(client, {**AS_AGENT, "X-Agent-Token": made["token"]})
        tokens.revoke(deps, asker, UUID(made["tokenId"]))
        assert told(client.get("/api/session")) == (401, "unauthenticated")

    def test_with_the_token_of_the_environment(self, deps: Deps, read: Callable[..., Settings]) -> None:
        with create_app().test_client() as client:
            exchange(client, AS_AGENT)
            for tokens_, status in (
                ({"AGENT_TOKEN": "new", "AGENT_TOKEN_OLD": AGENT}, 200),
                ({"AGENT_TOKEN": "new"}, 401),
            ):
                use(replace(deps, settings=read(**tokens_)))
                assert client.get("/api/session").status_code == status

    def test_it_outlives_a_new_key_while_the_old_one_is_named(self, deps: Deps, read: Callable[..., Settings]) -> None:
        key = deps.settings.secret_key
        with create_app().test_client() as client:
            shown = exchange(client, AS_AGENT)
            ours = {"Sec-Fetch-Site": "same-origin", "X-CSRF-Token": shown["csrfToken"]}
            use(replace(deps, settings=read(SECRET_KEY="another key", SECRET_KEY_OLD=f"one more,{key}")))
            assert client.post("/api/jobs", json=JOB, headers=ours).status_code == 202
            use(replace(deps, settings=read(SECRET_KEY="another key")))
            assert client.get("/api/session").status_code == 401

    def test_a_cookie_opens_its_own_organization_alone(self, client: FlaskClient, deps: Deps) -> None:
        from web.identity import cookies

        sign_in(client, deps, ORG, "admin")
        [row] = rows(deps, "SELECT id FROM sessions")
        for session, organization in ((row.id, school(deps).organization_id), (new_id(), ORG)):
            client.set_cookie("coursewright", cookies.signed(deps, session, organization))
            assert told(client.get("/api/session")) == (401, "unauthenticated")
        # Beside a cookie a header that names another organization changes nothing.
        client.set_cookie("coursewright", cookies.signed(deps, row.id, ORG))
        other = {"X-Organization-Id": str(school(deps).organization_id)}
        assert client.get("/api/session", headers=other).get_json()["organization"]["id"] == DEMO_ORGANIZATION_ID
