"""Open streams end with what let their followers in, within a minute; and a token for a stream opens nothing else."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack
from uuid import UUID

import jwt
import pytest

from storage.people.grounds import Grounds
from tasks import members, sessions, tokens
from tasks.commands import Asker
from tests.conftest import Databases, Servers, eventually
from tests.fakes.identity_provider import claims
from tests.integration.stage import change, put_job
from tests.integration.web_process import AGENT, ORG, Web, serving
from web.identity import cookies
from web.identity.agents import mark_of_commands
from web.streams import token

SECRET = "a secret that user tokens are signed with"
WITHIN = 60.0


@pytest.fixture(scope="module")
def web(servers: Servers, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """One web process that takes users' tokens."""
    users = {"JWT_SECRET": SECRET, "JWT_AUDIENCE": "coursewright"}
    with serving(servers, databases, tmp_path_factory.mktemp("endings"), **users) as made:
        yield made


def bearer(user: str, **more: object) -> dict[str, str]:
    signed = jwt.encode(claims(user, **more), SECRET, "HS256")
    return {"Authorization": f"Bearer {signed}", "X-Organization-Id": str(ORG)}


def test_whoever_is_put_out_stops_hearing(web: Web) -> None:
    asker, job_id, now = Asker(ORG, None), web.new_job(), int(time.time())
    for user in ("ada", "bob", "eve"):
        members.add(web.deps, asker, {"userId": user, "role": "author", "name": None, "email": None})
    made = tokens.make(web.deps, asker, {"name": "x", "role": "author", "scopes": None, "expiresAt": None})
    session = sessions.start(web.deps, Grounds(ORG), role="author", user=None).session_id
    unused = sessions.start(web.deps, Grounds(ORG), role="author", user=None).session_id
    of_bob = token.make(web.deps.settings.signing_keys, Grounds(ORG, user="bob"), job_id)
    job, catalog = f"/api/jobs/{job_id}/stream", "/api/catalog/stream"
    going = {
        "a membership": (job, bearer("ada")),
        "a membership, by a stream's token": (f"{job}?token={of_bob}", {}),
        "a token": (catalog, {**AGENT, "X-Agent-Token": made["token"]}),
        "a session": (catalog, {"Cookie": f"coursewright={cookies.signed(web.deps, session, ORG)}"}),
        "a session that is not used": (catalog, {"Cookie": f"coursewright={cookies.signed(web.deps, unused, ORG)}"}),
        "the end of a user's token": (catalog, bearer("eve", iat=now - 80, nbf=None, exp=now - 20)),
    }
    staying = {
        "an agent": (job, AGENT),
        "another user": (catalog, bearer("eve")),
        "anybody": ("/api/public" + catalog[4:], {}),
    }
    with ExitStack() as stack:
        opened = {
            name: stack.enter_context(web.listen(path, headers)) for name, (path, headers) in (going | staying).items()
        }
        assert {name: listener.status for name, listener in opened.items()} == dict.fromkeys(opened, 200)
        began = time.monotonic()
        members.remove(web.deps, asker, "ada")
        members.remove(web.deps, asker, "bob")
        tokens.revoke(web.deps, asker, UUID(made["tokenId"]))
        sessions.end(web.deps, ORG, session)
        change(web.deps, "UPDATE sessions SET idle_ends_at = clock_timestamp() WHERE id = :id", id=unused)
        for name in going:
            opened[name].until_end()
            assert time.monotonic() - began < WITHIN, name
        job_ends = web.metric('coursewright_http_stream_ends_total{kind="job",reason="revoked"}')
        assert (job_ends, web.metric('coursewright_http_stream_ends_total{kind="catalog",reason="revoked"}')) == (2, 4)
        assert web.metric('coursewright_http_streams_open{kind="job"}') == 1
        assert web.metric('coursewright_http_streams_open{kind="catalog"}') == 1
        assert web.metric('coursewright_http_streams_open{kind="public_catalog"}') == 1
        answers = {}
        for name, (path, headers) in going.items():
            if name != "the end of a user's token":
                with web.listen(path, headers) as again:
                    answers[name] = (again.status, again.json()["code"])
        assert answers == {
            "a membership": (403, "unknown_organization"),
            "a membership, by a stream's token": (401, "stream_token_expired"),
            "a token": (401, "invalid_agent_token"),
            "a session": (401, "unauthenticated"),
            "a session that is not used": (401, "unauthenticated"),
        }


def test_whoever_becomes_a_viewer_stops_hearing_what_is_private(web: Web) -> None:
    asker = Asker(ORG, None)
    hidden, plain = (put_job(web.deps, ORG, payload={"visibility": visibility}) for visibility in ("private", "org"))
    for user in ("dan", "eva", "fay", "gus", "hal"):
        role = "viewer" if user == "hal" else "author"
        members.add(web.deps, asker, {"userId": user, "role": role, "name": None, "email": None})
    made = tokens.make(web.deps, asker, {"name": "y", "role": "author", "scopes": None, "expiresAt": None})
    session = sessions.start(web.deps, Grounds(ORG, user="eva"), role=None, user="eva").session_id
    of_fay = token.make(web.deps.settings.signing_keys, Grounds(ORG, user="fay"), hidden)
    job, other, catalog = f"/api/jobs/{hidden}/stream", f"/api/jobs/{plain}/stream", "/api/catalog/stream"
    claimed = bearer("gus", org=str(ORG), role="author")
    going = {
        "a membership": (job, bearer("dan")),
        "a membership, by a stream's token": (f"{job}?token={of_fay}", {}),
        "a session": (job, {"Cookie": f"coursewright={cookies.signed(web.deps, session, ORG)}"}),
        "a token": (catalog, {**AGENT, "X-Agent-Token": made["token"]}),
        "a membership, of a catalog": (catalog, bearer("dan")),
    }
    staying = {
        "what is not private": (other, bearer("dan")),
        "who was a viewer": (catalog, bearer("hal")),
        "who is an author": (job, AGENT),
        "a claimed role": (job, claimed),
        "a claimed role, of a catalog": (catalog, claimed),
    }
    names = [f'coursewright_http_streams_open{{kind="{kind}"}}' for kind in ("job", "catalog")]
    with ExitStack() as stack:
        opened = {
            name: stack.enter_context(web.listen(path, headers)) for name, (path, headers) in (going | staying).items()
        }
        assert {name: listener.status for name, listener in opened.items()} == dict.fromkeys(opened, 200)
        eventually(lambda: [web.metric(name) for name in names] == [6, 4], what="all of them, and none of before")
        began = time.monotonic()
        for user in ("dan", "eva", "fay", "gus"):
            members.change(web.deps, asker, user, {"role": "viewer"})
        change(web.deps, "UPDATE agent_tokens SET role = 'viewer' WHERE id = :id", id=made["tokenId"])
        for name in going:
            opened[name].until_end()
            assert time.monotonic() - began < WITHIN, name
        # The look that ended them looked at all.
        eventually(lambda: [web.metric(name) for name in names] == [3, 2], what="none but those that stay")
        answers = {}
        for name, (path, headers) in going.items():
            with web.listen(path, headers) as again:
                answers[name] = again.status
        assert answers == {**dict.fromkeys(going, 404), "a token": 200, "a membership, of a catalog": 200}
        secret = web.list_course("a-secret", title="On secrets", visibility="private")
        web.list_course("tides", title="On tides")
        for_all = [("deleted", ""), ("added", "tides")]
        with web.listen(f"{catalog}?lastEventId={secret - 1}", bearer("dan")) as again:
            for listener in (opened["who was a viewer"], again):
                told = listener.until(lambda one: len(one.events) == 2).events
                assert [(event["action"], event["courseId"]) for event in told] == for_all
        told = opened["a claimed role, of a catalog"].until(lambda one: len(one.events) == 2).events
        assert [event["courseId"] for event in told] == ["a-secret", "tides"]


def test_a_token_for_one_job_opens_no_other_and_nothing_else(web: Web) -> None:
    mine, other = web.new_job(), web.new_job()
    made = token.make(web.deps.settings.signing_keys, Grounds(ORG, mark=mark_of_commands(web.deps)), mine)
    for path in (f"/api/jobs/{other}/stream", f"/api/generation/stream/{other}"):
        with web.listen(f"{path}?token={made}", AGENT) as listener:
            assert (listener.status, listener.json()["code"]) == (401, "invalid_stream_token")
    for path in (f"/api/jobs/{mine}", f"/api/jobs/{mine}/events", "/api/catalog/stream", "/api/session"):
        with web.listen(f"{path}?token={made}", {}) as listener:
            assert listener.status == 401, path
