"""How browsers are signed out from afar: unused for a while, with whom somebody takes out, or from another browser."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import UUID

import jwt
import pytest
from flask.testing import FlaskClient
from sqlalchemy import event

from schema.clock import iso, new_id
from schema.errors import Forbidden
from schema.settings import DEMO_ORGANIZATION_ID, read_settings
from storage.people import memberships
from storage.people.grounds import Grounds
from tasks import members, sessions, tokens
from tasks.commands import Asker
from tasks.deps import Deps
from tests.conftest import Outbox, eventually, make_deps, use
from tests.fakes.identity_provider import claims
from tests.integration.signed_in import sign_in
from tests.integration.stage import change, one, rows, school
from web.app import create_app
from web.wiring import deps as of_views

ORG = UUID(DEMO_ORGANIZATION_ID)
SECRET = "a secret that user tokens are signed with"
AS_AGENT = {"X-Agent-Token": "agent-token-of-the-tests", "X-Organization-Id": DEMO_ORGANIZATION_ID}
OPENED = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
JOB = {"jobType": "course", "payload": {"subject": "Addition", "gradeBand": "2", "mode": "numeric"}}
ADA = {"userId": "ada", "role": "author", "name": None, "email": None}
ASKER = Asker(ORG, None)


def made(environ: dict[str, str], outbox: Outbox, **more: str) -> Deps:
    return make_deps(read_settings({**environ, "JWT_SECRET": SECRET, "JWT_AUDIENCE": "coursewright", **more}), outbox)


@pytest.fixture
def deps(environ: dict[str, str], outbox: Outbox) -> Iterator[Deps]:
    wired = made(environ, outbox)
    use(wired)
    yield wired
    wired.close()


def bearer(user: str = "ada") -> dict[str, str]:
    signed = jwt.encode(claims(user), SECRET, "HS256")
    return {"Authorization": f"Bearer {signed}", "X-Organization-Id": DEMO_ORGANIZATION_ID}


class Browser:
    """A browser that was signed in by some headers."""

    def __init__(self, headers: dict[str, str]) -> None:
        self.client = create_app().test_client()
        answer = self.client.post("/api/session", headers=headers)
        assert answer.status_code == 201, answer.text
        self.ours = {"Sec-Fetch-Site": "same-origin", "X-CSRF-Token": answer.get_json()["csrfToken"]}

    @property
    def is_in(self) -> bool:
        return self.client.get("/api/session").status_code == 200


def ends(deps: Deps) -> datetime:
    """When the only session ends unless it is used."""
    found: datetime = one(deps, "SELECT idle_ends_at FROM sessions")
    return found


def in_hours(moment: datetime) -> float:
    return (moment - datetime.now(UTC)) / timedelta(hours=1)


def unused_since(deps: Deps, seconds: float) -> datetime:
    """As if the only session had been used last so many seconds ago."""
    change(
        deps,
        "UPDATE sessions SET idle_ends_at = clock_timestamp() + interval '12 hours' - make_interval(secs => :seconds)",
        seconds=seconds,
    )
    return ends(deps)


class TestUnused:
    def test_it_ends_for_good(self, client: FlaskClient, deps: Deps) -> None:
        ours = sign_in(client, deps, ORG, "author")
        assert client.get("/catalog", headers=OPENED).status_code == 200
        change(deps, "UPDATE sessions SET idle_ends_at = clock_timestamp() - interval '1 second'")
        for _ in range(2):  # asking doesn't bring it back
            assert client.get("/catalog", headers=OPENED).status_code == 401
            assert client.post("/api/jobs", json=JOB, headers=ours).status_code == 401
        assert in_hours(one(deps, "SELECT expires_at FROM sessions")) > 167

    @pytest.mark.parametrize(
        ("path", "headers"),
        [
            ("/catalog", OPENED),
            ("/catalog", {**OPENED, "Sec-Fetch-Mode": "navigate"}),
            ("/api/session", {"Sec-Fetch-Mode": "navigate"}),
        ],
    )
    def test_opening_a_page_is_use(self, client: FlaskClient, deps: Deps, path: str, headers: dict[str, str]) -> None:
        sign_in(client, deps, ORG, "author")
        unused_since(deps, 3600)
        assert client.get(path, headers=headers).status_code == 200
        assert 11.99 < in_hours(ends(deps)) <= 12

    def test_a_write_is_use(self, client: FlaskClient, deps: Deps) -> None:
        ours = sign_in(client, deps, ORG, "author")
        unused_since(deps, 3600)
        sent = {**ours, "Accept": "application/json", "Sec-Fetch-Mode": "cors"}
        assert client.post("/api/jobs", json=JOB, headers=sent).status_code == 202
        assert 11.99 < in_hours(ends(deps)) <= 12

    @pytest.mark.parametrize("mode", ["cors", "no-cors", None])
    @pytest.mark.parametrize(
        ("path", "accept", "status"),
        [
            ("/jobs/at-work", "application/json", 200),
            ("/jobs", "*/*", 200),
            ("/api/session", "application/json", 200),
            ("/api/catalog/changes?since=0", "application/json", 200),
            ("/api/catalog/stream", "text/event-stream", 501),  # no gunicorn here that would let go of the connection
            ("/content/media/none.png", "image/avif,image/webp,image/*,*/*;q=0.8", 404),
        ],
    )
    def test_what_a_page_asks_for_by_itself_is_not(
        self, client: FlaskClient, deps: Deps, path: str, accept: str, status: int, mode: str | None
    ) -> None:
        sign_in(client, deps, ORG, "author")
        before = unused_since(deps, 3600)
        headers = {"Accept": accept} | ({"Sec-Fetch-Mode": mode} if mode else {})
        assert client.get(path, headers=headers).status_code == status
        assert ends(deps) == before

    @pytest.mark.parametrize(("seconds", "moves"), [(50, False), (70, True)])
    def test_it_is_noted_once_a_minute(self, client: FlaskClient, deps: Deps, seconds: int, moves: bool) -> None:
        sign_in(client, deps, ORG, "author")
        before = unused_since(deps, seconds)
        written = one(deps, "SELECT xmin::text FROM sessions")
        client.get("/catalog", headers=OPENED)
        assert (ends(deps) > before) is moves
        if moves:
            written = one(deps, "SELECT xmin::text FROM sessions")
        client.get("/catalog", headers=OPENED)
        assert one(deps, "SELECT xmin::text FROM sessions") == written

    def test_it_costs_no_statement_more(self, client: FlaskClient, deps: Deps) -> None:
        sign_in(client, deps, ORG, "author")
        counted = []
        event.listen(of_views().db.engine, "before_cursor_execute", lambda *given: counted.append(given[2]))
        asked = []
        for mode in ("cors", "navigate", "navigate"):
            unused_since(deps, 3600)
            counted.clear()
            client.get("/jobs/at-work", headers={"Sec-Fetch-Mode": mode})
            asked.append(len(counted))
        assert asked == [asked[0]] * 3
        assert asked[0] > 0

    def test_never_beyond_the_longest(self, client: FlaskClient, deps: Deps) -> None:
        sign_in(client, deps, ORG, "author")
        change(
            deps,
            """UPDATE sessions SET expires_at = clock_timestamp() + interval '1 hour',
            idle_ends_at = clock_timestamp() + interval '59 minutes 50 seconds'""",
        )
        client.get("/catalog", headers=OPENED)
        [row] = rows(deps, "SELECT expires_at, idle_ends_at, xmin::text AS written FROM sessions")
        assert row.idle_ends_at == row.expires_at
        assert client.get("/api/session").get_json()["expiresAt"] == iso(row.expires_at)
        client.get("/catalog", headers=OPENED)
        assert one(deps, "SELECT xmin::text FROM sessions") == row.written

    def test_what_it_is_told_is_true(self, client: FlaskClient, deps: Deps) -> None:
        answer = client.post("/api/session", headers=AS_AGENT)
        assert answer.get_json()["expiresAt"] == iso(ends(deps))
        unused_since(deps, 3600)
        used = client.get("/api/session", headers={"Sec-Fetch-Mode": "navigate"})
        assert used.get_json()["expiresAt"] == iso(ends(deps))
        assert client.get("/api/session").get_json()["expiresAt"] == iso(ends(deps))
        change(deps, "UPDATE sessions SET expires_at = clock_timestamp() + interval '1 minute'")
        assert client.get("/api/session").get_json()["expiresAt"] == iso(one(deps, "SELECT expires_at FROM sessions"))

    def test_nobody_waits_for_another_who_notes_it(self, deps: Deps) -> None:
        client = create_app().test_client()
        sign_in(client, deps, ORG, "author")
        before = unused_since(deps, 3600)
        with ThreadPoolExecutor(1) as other, deps.db.transaction() as tx:
            tx.run("SELECT 1 FROM sessions FOR UPDATE")
            assert other.submit(client.get, "/catalog", headers=OPENED).result(10).status_code == 200
        assert ends(deps) == before

    def test_both_limits_can_be_set(self, deps: Deps, environ: dict[str, str], outbox: Outbox) -> None:
        with create_app().test_client() as client:
            client.post("/api/session", headers=AS_AGENT)
            use(replace(deps, settings=made(environ, outbox, SESSION_HOURS="2", SESSION_IDLE_MINUTES="30").settings))
            client.get("/catalog", headers=OPENED)
            assert 0.49 < in_hours(ends(deps)) <= 0.5, "one that is there follows with its next use"
            change(deps, "DELETE FROM sessions")
            [cookie] = client.post("/api/session", headers=AS_AGENT).headers.getlist("Set-Cookie")
            [row] = rows(deps, "SELECT expires_at, idle_ends_at FROM sessions")
            assert 1.99 < in_hours(row.expires_at) <= 2
            assert 0.49 < in_hours(row.idle_ends_at) <= 0.5
            kept = parsedate_to_datetime(cookie.partition("Expires=")[2].partition(";")[0])
            assert abs(kept - row.expires_at) < timedelta(seconds=2)


class TestTakenOut:
    def test_a_session_does_not_come_back_with_the_membership(self, client: FlaskClient, deps: Deps) -> None:
        for user in ("ada", "bob"):
            members.add(deps, ASKER, {**ADA, "userId": user})
        adas, bobs = [Browser(bearer()), Browser(bearer())], Browser(bearer("bob"))
        link = sign_in(client, deps, ORG, "author")
        members.remove(deps, ASKER, "ada")
        members.add(deps, ASKER, ADA)
        assert [one.is_in for one in (*adas, bobs)] == [False, False, True]
        assert client.post("/api/jobs", json=JOB, headers=link).status_code == 202
        noted = one(deps, "SELECT details FROM audit_log WHERE action = 'member.removed'")
        assert noted == {"sessions": 2}
        # The provider's token is another matter: it counts for as long as the provider says.
        assert client.get("/api/session", headers=bearer()).status_code == 200
        assert Browser(bearer()).is_in

    def test_nor_one_that_a_program_began_for_them(self, deps: Deps) -> None:
        user = str(new_id())
        members.add(deps, ASKER, {**ADA, "userId": user})
        theirs, others = (Browser({**AS_AGENT, "X-User-Id": whose}) for whose in (user, str(new_id())))
        members.remove(deps, ASKER, user)
        assert (theirs.is_in, others.is_in) == (False, True)

    def test_who_signs_in_at_that_moment_is_not_forgotten(self, deps: Deps) -> None:
        members.add(deps, ASKER, ADA)
        with ThreadPoolExecutor(1) as browser, deps.db.transaction() as tx:
            memberships.end(tx, ORG, "ada")
            begun = browser.submit(sessions.start, deps, Grounds(ORG, user="ada"), role=None, user="ada")
            waiting = """SELECT count(*) FROM pg_stat_activity
                WHERE datname = current_database() AND wait_event_type = 'Lock'"""
            eventually(lambda: one(deps, waiting) or begun.done(), what="waiting for the membership")
            assert not begun.done()
        with pytest.raises(Forbidden):
            begun.result(10)
        assert rows(deps, "SELECT 1 FROM sessions") == []


class TestEverywhere:
    def test_all_browsers_of_a_user_in_the_organization(self, client: FlaskClient, deps: Deps) -> None:
        for user in ("ada", "bob"):
            members.add(deps, ASKER, {**ADA, "userId": user})
        here, there, bobs = Browser(bearer()), Browser(bearer()), Browser(bearer("bob"))
        elsewhere = school(deps)
        sign_in(client, deps, elsewhere.organization_id, "author", "ada")
        assert here.client.delete("/api/session?everywhere=yes", headers=here.ours).status_code == 204
        assert (here.is_in, there.is_in, bobs.is_in) == (False, False, True)
        assert client.get("/api/session").status_code == 200, "the other school is its own affair"
        [noted] = rows(deps, "SELECT actor, target_kind, details FROM audit_log WHERE action = 'session.ended'")
        assert (noted.actor, noted.target_kind, noted.details["sessions"]) == ("ada", "session", 2)

    @pytest.mark.parametrize("query", ["", "?everywhere=no"])
    def test_only_when_asked(self, deps: Deps, query: str) -> None:
        members.add(deps, ASKER, ADA)
        here, there = Browser(bearer()), Browser(bearer())
        assert here.client.delete(f"/api/session{query}", headers=here.ours).status_code == 204
        assert (here.is_in, there.is_in) == (False, True)

    def test_where_no_user_is_known_it_is_this_one(self, deps: Deps) -> None:
        here, there = Browser(AS_AGENT), Browser(AS_AGENT)
        assert here.client.delete("/api/session?everywhere=yes", headers=here.ours).status_code == 204
        assert (here.is_in, there.is_in) == (False, True)

    def test_a_program_names_users_as_it_likes_and_signs_out_its_own(self, deps: Deps) -> None:
        user = {"X-User-Id": str(new_id())}
        kinds = []
        for name in ("one", "another"):
            token = tokens.make(deps, ASKER, {"name": name, "role": "viewer", "scopes": None, "expiresAt": None})
            kinds.append({**AS_AGENT, **user, "X-Agent-Token": token["token"]})
        here, same, other = Browser(kinds[0]), Browser(kinds[0]), Browser(kinds[1])
        by_token = create_app().test_client().delete("/api/session?everywhere=yes", headers=kinds[0])
        assert by_token.status_code == 204
        assert (here.is_in, same.is_in, other.is_in) == (True, True, True), "a token alone has no session"
        here.client.delete("/api/session?everywhere=yes", headers=here.ours)
        assert (here.is_in, same.is_in, other.is_in) == (False, False, True)

    def test_with_the_users_own_token_from_anywhere(self, client: FlaskClient, deps: Deps) -> None:
        members.add(deps, ASKER, ADA)
        lost = Browser(bearer())
        assert client.delete("/api/session", headers=bearer()).status_code == 204
        assert lost.is_in
        assert client.delete("/api/session?everywhere=yes", headers=bearer()).status_code == 204
        assert not lost.is_in
        [noted] = rows(deps, "SELECT * FROM audit_log WHERE action = 'session.ended'")
        assert (noted.actor, noted.target_kind, noted.target_id, noted.details) == (
            "ada",
            "member",
            "ada",
            {"sessions": 1},
        )

    @pytest.mark.parametrize(
        "query", ["everywhere=1", "everywhere=", "everywhere=Yes", "everywhere=yes&everywhere=no", "everwhere=yes"]
    )
    def test_what_is_misspelt_ends_nothing(self, deps: Deps, query: str) -> None:
        here = Browser(AS_AGENT)
        answer = here.client.delete(f"/api/session?{query}", headers=here.ours)
        assert (answer.status_code, answer.get_json()["code"]) == (422, "invalid")
        assert here.is_in

    def test_the_button(self, client: FlaskClient, deps: Deps) -> None:
        sign_in(client, deps, ORG, "author")
        assert "Sign out everywhere" not in client.get("/catalog", headers=OPENED).text, "nobody knows whose it is"
        ours = sign_in(client, deps, ORG, "author", "ada")
        other = create_app().test_client()
        sign_in(other, deps, ORG, "viewer", "ada")
        assert "Sign out everywhere" in client.get("/catalog", headers=OPENED).text
        sent: dict[str, Any] = {"csrf": ours["X-CSRF-Token"], "everywhere": "yes"}
        answer = client.post("/logout", data=sent, headers={"Sec-Fetch-Site": "same-origin", **OPENED})
        assert (answer.status_code, answer.headers["Location"]) == (303, "/login")
        assert client.get_cookie("coursewright") is None
        assert other.get("/api/session").status_code == 401
