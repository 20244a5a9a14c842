"""What stands before every view: how often one may ask, how a body may be, who is believed, what browsers are told."""

from __future__ import annotations

import gzip
import io
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from flask.testing import FlaskClient

from schema.settings import DEMO_ORGANIZATION_ID, read_settings
from storage.processes import free_port
from tasks.deps import Deps
from tests.conftest import Outbox, make_deps, use
from tests.integration.signed_in import sign_in
from tests.integration.stage import rows
from web.app import create_app
from web.guarding.headers import policy

AGENT = {"X-Agent-Token": "agent-token-of-the-tests", "X-Organization-Id": DEMO_ORGANIZATION_ID}
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
PUBLIC = "/api/public/catalog"

Serves = Callable[..., Flask]


@pytest.fixture
def serves(environ: dict[str, str], outbox: Outbox) -> Iterator[Serves]:
    """The app with other settings."""
    made = []

    def serve(**changes: str) -> Flask:
        deps = make_deps(read_settings({**environ, "RATE_LIMIT_PER_MINUTE": "600", **changes}), outbox)
        use(deps)
        made.append(deps)
        return create_app()

    yield serve
    for deps in made:
        deps.close()


def statuses(client: FlaskClient, count: int, path: str = PUBLIC, **more: Any) -> list[int]:
    return [client.get(path, **more).status_code for _ in range(count)]


class TestRates:
    def test_an_address_without_identity_may_ask_so_often(self, serves: Serves) -> None:
        client = serves(RATE_LIMIT_PER_MINUTE="3").test_client()
        first = client.get(PUBLIC)
        assert (first.status_code, first.headers["RateLimit-Limit"], first.headers["RateLimit-Remaining"]) == (
            200,
            "3",
            "2",
        )
        assert 0 < int(first.headers["RateLimit-Reset"]) <= 60 and first.headers["RateLimit-Policy"] == "3;w=60"
        assert statuses(client, 3) == [200, 200, 429]
        refused = client.get(PUBLIC)
        assert refused.content_type == "application/problem+json"
        body = refused.get_json()
        assert (body["code"], body["status"]) == ("rate_limited", 429)
        assert refused.headers["Retry-After"] in body["detail"] and int(refused.headers["Retry-After"]) > 0
        assert refused.headers["RateLimit-Remaining"] == "0"
        assert client.get(PUBLIC, environ_base={"REMOTE_ADDR": "192.0.2.7"}).status_code == 200

    def test_so_it_may_for_what_is_refused_or_is_not_there(self, serves: Serves) -> None:
        client = serves(RATE_LIMIT_PER_MINUTE="3").test_client()
        assert statuses(client, 2, "/api/jobs") == [401, 401]
        assert statuses(client, 3, "/nowhere") == [404, 429, 429]
        assert client.get("/api/jobs").status_code == 429

    def test_the_network_of_an_ipv6_address_is_one(self, serves: Serves) -> None:
        client = serves(RATE_LIMIT_PER_MINUTE="2").test_client()
        asked = [
            client.get(PUBLIC, environ_base={"REMOTE_ADDR": address}).status_code
            for address in ("2001:db8::1", "2001:db8::2", "2001:db8::ffff:1", "2001:db8:0:1::1", "::ffff:192.0.2.1")
        ]
        assert asked == [200, 200, 429, 200, 200]

    def test_a_program_may_ask_ten_times_as_often_and_is_counted_by_itself(self, serves: Serves) -> None:
        client = serves(RATE_LIMIT_PER_MINUTE="1").test_client()
        assert client.get(PUBLIC).status_code == 200
        users = [{**AGENT, "X-User-Id": f"00000000-0000-4000-8000-00000000000{number}"} for number in range(5)]
        found = [client.get("/api/catalog", headers=headers).status_code for headers in users * 2]
        assert found == [200] * 10, "the address has had enough, the program has not"
        assert client.get("/api/catalog", headers=AGENT).status_code == 429, "whomever it names"

    def test_people_are_counted_one_by_one_wherever_they_sit(self, serves: Serves, deps: Deps) -> None:
        app = serves(RATE_LIMIT_PER_MINUTE="2")
        ada, bea, ada_elsewhere = (app.test_client() for _ in range(3))
        for client, user in ((ada, "ada"), (bea, None), (ada_elsewhere, "ada")):
            sign_in(client, deps, UUID(DEMO_ORGANIZATION_ID), "author", user)
        assert statuses(ada, 2, "/api/catalog") == [200, 200]
        assert statuses(ada_elsewhere, 1, "/api/catalog") == [429], "the same person in another browser"
        assert statuses(bea, 2, "/api/catalog") == [200, 200]
        # Pictures are everybody's in part, and still those of whoever is signed in.
        assert statuses(bea, 1, "/content/media/" + "0" * 64 + ".png") == [429]
        assert statuses(app.test_client(), 3) == [200, 200, 429]

    @pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/static/js/nav.js"])
    def test_health_and_files_are_not_counted(self, serves: Serves, path: str) -> None:
        client = serves(RATE_LIMIT_PER_MINUTE="1").test_client()
        for _ in range(3):
            with client.get(path) as answer:
                assert answer.status_code in (200, 503) and "RateLimit-Limit" not in answer.headers
        assert statuses(client, 2) == [200, 429]

    def test_without_redis_it_is_counted_all_the_same(self, serves: Serves) -> None:
        client = serves(RATE_LIMIT_PER_MINUTE="3", REDIS_URL=f"redis://127.0.0.1:{free_port()}/0").test_client()
        assert statuses(client, 4) == [200, 200, 200, 429]

    def test_a_person_gets_a_page(self, serves: Serves) -> None:
        client = serves(RATE_LIMIT_PER_MINUTE="1").test_client()
        client.get(PUBLIC)
        answer = client.get("/docs/errors", headers=BROWSER)
        assert (answer.status_code, answer.mimetype) == (429, "text/html") and "rate_limited" in answer.text


class TestGuessing:
    def test_of_different_wrong_tokens_an_address_may_try_few(self, serves: Serves) -> None:
        client = serves(RATE_LIMIT_PER_MINUTE="8").test_client()

        def guess(token: str) -> tuple[int, str]:
            answer = client.get("/api/jobs", headers={**AGENT, "X-Agent-Token": token})
            return answer.status_code, answer.get_json().get("code", "")

        assert [guess(f"guess {number}") for number in range(5)] == [(401, "invalid_agent_token")] * 4 + [
            (429, "rate_limited")
        ]
        assert guess(AGENT["X-Agent-Token"]) == (429, "rate_limited"), "the right one looks no different"
        assert client.get(PUBLIC).status_code == 200, "who shows nothing may go on"
        elsewhere = client.get("/api/jobs", headers=AGENT, environ_base={"REMOTE_ADDR": "192.0.2.7"})
        assert elsewhere.status_code == 200

    def test_what_nobody_looks_at_any_more_is_noted_too(self, serves: Serves, deps: Deps) -> None:
        client = serves(RATE_LIMIT_PER_MINUTE="8").test_client()
        for number in range(5):
            client.get("/api/jobs", headers={**AGENT, "X-Agent-Token": f"guess {number}"})
        found = rows(deps, "SELECT * FROM audit_log ORDER BY at, id")
        assert [(entry.action, entry.details["code"]) for entry in found] == [
            *[("login.refused", "invalid_agent_token")] * 4,
            ("login.refused", "rate_limited"),
        ]
        assert [entry.organization_id for entry in found] == [UUID(DEMO_ORGANIZATION_ID)] * 4 + [None]
        assert statuses(client, 8) == [200, 200, 200, 429, 429, 429, 429, 429]
        assert len(rows(deps, "SELECT 1 FROM audit_log")) == 5, "to ask too often is no guessing"

    def test_the_same_mistake_again_and_again_is_no_guessing(self, serves: Serves) -> None:
        client = serves(RATE_LIMIT_PER_MINUTE="60").test_client()
        headers = {**AGENT, "X-Agent-Token": "an old one"}
        assert statuses(client, 20, "/api/jobs", headers=headers) == [401] * 20
        assert client.get("/api/jobs", headers=AGENT).status_code == 200

    def test_login_links_and_stream_tokens_are_guarded_too(self, serves: Serves) -> None:
        client = serves(RATE_LIMIT_PER_MINUTE="8").test_client()
        assert [client.get(f"/login/guess-{number}").status_code for number in range(5)] == [403] * 4 + [429]
        job = "/api/jobs/00000000-0000-4000-8000-00000000dead/stream"
        from_there = {"REMOTE_ADDR": "192.0.2.8"}
        seen = [client.get(f"{job}?token={number}", environ_base=from_there).status_code for number in range(5)]
        assert seen == [401] * 4 + [429]
        # Kinds are counted apart: whoever guesses links locks no program out.
        assert client.get("/api/jobs", headers=AGENT).status_code == 200


class TestBodies:
    def test_a_bomb_is_refused_with_its_code(self, serves: Serves) -> None:
        client = serves().test_client()
        for raw in (b"[" * 900_000, b"[" * 33 + b"]" * 33):
            answer = client.post("/api/jobs", data=raw, headers={**AGENT, "Content-Type": "application/json"})
            assert (answer.status_code, answer.get_json()["code"]) == (400, "body_too_complex")

    def test_a_packed_body_is_refused_unread(self, serves: Serves) -> None:
        client = serves().test_client()
        headers = {**AGENT, "Content-Type": "application/json", "Content-Encoding": "gzip"}
        answer = client.post("/api/jobs", data=b"\x1f\x8b", headers=headers)
        assert (answer.status_code, answer.get_json()["code"]) == (400, "encoded_body")

    def test_files_in_forms_are_bound_by_the_same(self, serves: Serves) -> None:
        client = serves().test_client()

        def sent(file: bytes, kind: str, **more: str) -> tuple[int, str]:
            form = {"file": (io.BytesIO(file), f"questions.{kind}"), "format": kind, "title": "x", **more}
            answer = client.post("/api/exams", data=form, headers=AGENT)
            return answer.status_code, answer.get_json()["code"]

        assert sent(b"[" * 400_000, "json") == (400, "body_too_complex")
        packed = gzip.compress(b"question,answer\n" + b"x,y\n" * 1_000_000)
        assert sent(packed, "csv") == sent(b"PK\x03\x04" + packed, "csv") == sent(packed, "gift") == (422, "invalid")
        assert sent(b"question\n" + b'"' + b"x" * 400_000, "csv") == (422, "invalid")
        assert sent(b"q", "csv", **{f"field{number}": "x" for number in range(2000)})[0] == 413
        whole = client.post("/api/exams", data=b"x" * 1_100_000, headers={**AGENT, "Content-Type": "text/csv"})
        assert (whole.status_code, whole.get_json()["code"]) == (413, "body_too_large")

    def test_no_page_of_a_list_is_longer_than_two_hundred(self, serves: Serves) -> None:
        app = serves()
        asked = 0
        for rule in app.url_map.iter_rules():
            view = app.view_functions[rule.endpoint]
            described = getattr(view, "description", None)
            if described is None or "limit" not in described.query:
                continue
            _, path = rule.build(dict.fromkeys(rule.arguments, "x"), append_unknown=False) or ("", "")
            for limit in ("201", "0", "-1", "x"):
                answer = app.test_client().get(f"{path}?limit={limit}", headers=AGENT)
                assert answer.status_code in (404, 422), f"{path} takes a limit of {limit}"
            asked += 1
        assert asked >= 7


class TestHeaders:
    @pytest.mark.parametrize("path", ["/docs", "/docs/errors", "/nowhere", "/login"])
    def test_every_page_says_what_it_runs_and_who_may_frame_it(self, serves: Serves, path: str) -> None:
        answer = serves().test_client().get(path, headers=BROWSER)
        assert answer.mimetype == "text/html"
        headers = answer.headers
        assert headers["Content-Security-Policy"] == policy(("'self'",)) and "unsafe" not in policy(("'self'",))
        assert headers["X-Frame-Options"] == "SAMEORIGIN"
        assert headers["Cross-Origin-Opener-Policy"] == headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert "camera=()" in headers["Permissions-Policy"]
        assert headers["X-Content-Type-Options"] == "nosniff" and headers["Referrer-Policy"] == "same-origin"

    def test_others_may_frame_it_when_they_are_named(self, serves: Serves) -> None:
        answer = serves(FRAME_ANCESTORS="self, https://*.preview.example").test_client().get("/docs")
        assert answer.headers["Content-Security-Policy"].endswith("frame-ancestors 'self' https://*.preview.example")
        assert "X-Frame-Options" not in answer.headers, "it can't say this, and would forbid it"

    def test_what_is_no_page_runs_nothing_and_is_kept_nowhere(self, serves: Serves) -> None:
        answer = serves().test_client().get("/api/jobs", headers=AGENT)
        assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert (answer.headers["Cache-Control"], answer.headers["X-Content-Type-Options"]) == ("no-store", "nosniff")
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"

    def test_what_is_everybodys_may_be_shown_elsewhere(self, serves: Serves) -> None:
        client = serves().test_client()
        assert client.get(PUBLIC).headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        with client.get("/static/js/nav.js") as script:
            assert script.headers["Cross-Origin-Resource-Policy"] == "cross-origin"
        refused = client.get("/content/media/" + "0" * 64 + ".png")
        assert refused.headers["Cross-Origin-Resource-Policy"] == "same-origin"

    def test_https_is_to_stay_https(self, serves: Serves) -> None:
        client = serves().test_client()
        assert "Strict-Transport-Security" not in client.get(PUBLIC).headers
        secure = client.get(PUBLIC, base_url="https://courses.example")
        assert secure.headers["Strict-Transport-Security"] == "max-age=31536000"

    def test_so_it_is_behind_a_proxy_that_says_nothing(self, serves: Serves) -> None:
        """Where people reach the pages by https, as ``PUBLIC_URL`` says, as it is with the cookie."""
        for public, told in (("https://courses.example.org", True), ("http://courses.example.org", False)):
            answer = serves(PUBLIC_URL=public).test_client().get("/login")
            assert ("Strict-Transport-Security" in answer.headers) is told, public


ORIGIN = "https://app.example.org"
ASKS = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-agent-token"}


class TestOtherSites:
    def test_unless_told_no_other_site_may_read(self, serves: Serves) -> None:
        client = serves().test_client()
        for answer in (client.get(PUBLIC, headers={"Origin": ORIGIN}), client.options("/api/jobs", headers=ASKS)):
            assert not [name for name, _ in answer.headers if name.startswith("Access-Control")]

    def test_a_named_origin_may_and_no_other(self, serves: Serves) -> None:
        client = serves(CORS_ORIGINS=f"{ORIGIN}, http://localhost:3000").test_client()
        answer = client.get("/api/jobs", headers={**AGENT, "Origin": ORIGIN})
        assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
        assert answer.headers["Access-Control-Allow-Credentials"] == "true"
        assert "RateLimit-Remaining" in answer.headers["Access-Control-Expose-Headers"]
        for origin in (
            "https://evil.example",
            f"{ORIGIN}.evil.example",
            "null",
            "http://app.example.org",
            f"{ORIGIN}:444",
            "",
        ):
            other = client.get("/api/jobs", headers={**AGENT, "Origin": origin})
            assert other.status_code == 200
            assert "Access-Control-Allow-Origin" not in other.headers, origin
            assert "origin" in {name.lower() for name in other.vary}

    def test_a_refusal_can_be_read_as_well(self, serves: Serves) -> None:
        answer = serves(CORS_ORIGINS=ORIGIN).test_client().get("/api/jobs", headers={"Origin": ORIGIN})
        assert answer.status_code == 401 and answer.headers["Access-Control-Allow-Origin"] == ORIGIN

    def test_what_a_browser_asks_before_is_answered_without_identity(self, serves: Serves) -> None:
        client = serves(CORS_ORIGINS=ORIGIN, RATE_LIMIT_PER_MINUTE="1").test_client()
        for _ in range(3):
            answer = client.options("/api/jobs", headers=ASKS)
            assert (answer.status_code, answer.data) == (204, b"")
            assert answer.headers["Access-Control-Allow-Origin"] == ORIGIN
            assert "POST" in answer.headers["Access-Control-Allow-Methods"]
            assert {"X-Agent-Token", "X-CSRF-Token"} <= set(answer.headers["Access-Control-Allow-Headers"].split(", "))
        other = client.options("/api/jobs", headers={**ASKS, "Origin": "https://evil.example"})
        assert other.status_code == 204 and "Access-Control-Allow-Methods" not in other.headers
        assert client.options("/api/jobs").status_code == 401, "nothing is asked beforehand"

    def test_everybody_means_without_cookies(self, serves: Serves) -> None:
        client = serves(CORS_ORIGINS="*").test_client()
        answer = client.get("/api/jobs", headers={**AGENT, "Origin": ORIGIN})
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert "Access-Control-Allow-Credentials" not in answer.headers

    def test_our_scripts_stay_everybodys(self, serves: Serves) -> None:
        with serves(CORS_ORIGINS=ORIGIN).test_client().get("/static/js/nav.js", headers={"Origin": ORIGIN}) as script:
            assert script.headers["Access-Control-Allow-Origin"] == "*"
            assert "Access-Control-Allow-Credentials" not in script.headers


FORWARDED = {
    "X-Forwarded-For": "198.51.100.1, 192.0.2.50",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Prefix": "/evil",
    "Forwarded": "for=198.51.100.1;proto=https;host=evil.example",
}


class TestProxies:
    def test_unless_told_nobody_is_believed(self, serves: Serves) -> None:
        client = serves(RATE_LIMIT_PER_MINUTE="3").test_client()
        for number in range(3):
            answer = client.get(PUBLIC, headers={**FORWARDED, "X-Forwarded-For": f"198.51.100.{number}"})
            assert answer.status_code == 200 and "Strict-Transport-Security" not in answer.headers
        assert client.get(PUBLIC, headers={"X-Forwarded-For": "198.51.100.9"}).status_code == 429

    def test_of_a_trusted_proxy_its_own_words_are_believed(self, serves: Serves) -> None:
        client = serves(RATE_LIMIT_PER_MINUTE="2", TRUSTED_PROXIES="1").test_client()
        assert statuses(client, 3, headers=FORWARDED) == [200, 200, 429]
        # What stands before it is the caller's own claim.
        assert client.get(PUBLIC, headers={"X-Forwarded-For": "203.0.113.9, 192.0.2.50"}).status_code == 429
        answer = client.get(PUBLIC, headers={**FORWARDED, "X-Forwarded-For": "192.0.2.51"})
        assert answer.status_code == 200 and "Strict-Transport-Security" in answer.headers

    def test_the_host_is_never_taken_from_them(self, serves: Serves) -> None:
        app = serves(TRUSTED_PROXIES="2")
        seen = []

        @app.after_request
        def _look(response: Any) -> Any:
            from flask import request

            seen.append((request.host, request.remote_addr, request.scheme, request.script_root))
            return response

        # As many of each as there are proxies, or nobody would look at them anyway.
        twice = {name: f"{FORWARDED[name]}, {FORWARDED[name]}" for name in ("X-Forwarded-Host", "X-Forwarded-Prefix")}
        told = {**FORWARDED, **twice, "X-Forwarded-Port": "1, 1", "X-Forwarded-Proto": "https, http"}
        app.test_client().get(PUBLIC, headers=told)
        assert seen == [("localhost", "198.51.100.1", "https", "")]
