"""Nothing is open by default: every blueprint says who may come in, and every public one is on this list."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask import Blueprint, Flask
from werkzeug.routing import Rule

from schema.access import NOUNS
from web import identity
from web.identity import Need, need_of, needs

#: What anybody may reach without saying who they are, and why.
PUBLIC = {
    "public_catalog": "courses whose visibility is public",
    "public_content": "the documents of those courses",
    "system": "health and metrics, for load balancers and operators",
    "docs": "the description of the API",
    "entrance": "the way in: a one-time login link, and a form for a token; and the way out",
}
#: Blueprints that ask for no scope, and why.
WITHOUT_SCOPE = {"session": "who one is, and signing in and out"}


def addresses(app: Flask) -> Iterator[tuple[Rule, str, str]]:
    """Every rule with each of its methods, and an address that leads to it."""
    for rule in app.url_map.iter_rules():
        _, path = rule.build(dict.fromkeys(rule.arguments, "x"), append_unknown=False) or ("", "")
        for method in sorted((rule.methods or set()) - {"OPTIONS"}):
            yield rule, method, path


def test_every_blueprint_declares_a_need(app: Flask) -> None:
    assert app.blueprints
    for name in app.blueprints:
        need = need_of(app, name)
        assert need.public or (need.read and need.write), f"{name} leaves something undecided"


def test_every_blueprint_names_the_scope_that_a_limited_token_needs(app: Flask) -> None:
    needs_of = {name: need_of(app, name) for name in app.blueprints}
    without = {name for name, need in needs_of.items() if need.scope is None and not need.public}
    assert without == set(WITHOUT_SCOPE)
    assert {need.scope for need in needs_of.values() if need.scope} == set(NOUNS) - {"media"}


def test_only_the_expected_blueprints_are_public(app: Flask) -> None:
    assert {name for name in app.blueprints if need_of(app, name).public} == set(PUBLIC)


def test_a_token_in_an_address_opens_streams_and_nothing_else(app: Flask) -> None:
    by_token = {name for name in app.blueprints if need_of(app, name).by_token}
    rules = {rule.rule for rule in app.url_map.iter_rules() if rule.endpoint.partition(".")[0] in by_token}
    assert rules == {"/api/jobs/<job_id>/stream", "/api/generation/stream/<job_id>"}


def test_who_may_write_may_read(app: Flask) -> None:
    rank = {"viewer": 1, "author": 2, "admin": 3}
    for name in app.blueprints:
        need = need_of(app, name)
        if need.read and need.write:
            assert rank[need.read] <= rank[need.write], name


def test_a_view_belongs_to_a_blueprint_so_that_no_view_is_forgotten(app: Flask) -> None:
    loose = [rule.endpoint for rule in app.url_map.iter_rules() if "." not in rule.endpoint]
    assert loose == ["static"], "only files that are everybody's anyway"


def test_nobody_gets_into_what_is_not_public(app: Flask) -> None:
    tried = 0
    client = app.test_client()
    for rule, method, path in addresses(app):
        blueprint = rule.endpoint.partition(".")[0]
        if blueprint == "static" or blueprint in PUBLIC:
            continue
        answer = client.open(path, method=method, json={} if method == "POST" else None)
        assert answer.status_code == 401, f"{method} {path}"
        tried += 1
    assert tried > 15


@pytest.mark.parametrize("cookie", ["", "rubbish", "eyJpZGVudGl0eSI6e319.aaaaaa.bbbbbb", "WyJ4IiwieSJd.x", "."])
@pytest.mark.parametrize("name", ["coursewright", "__Host-coursewright", "session"])
def test_a_forged_cookie_is_nobody(app: Flask, name: str, cookie: str) -> None:
    client = app.test_client()
    client.set_cookie(name, cookie)
    answer = client.get("/api/jobs")
    assert (answer.status_code, answer.get_json()["code"]) == (401, "unauthenticated")


@pytest.mark.parametrize("token", ["", "wrong", "opens nothing ", "OPENS NOTHING", "ä"])
def test_a_wrong_token_is_nobody(app: Flask, token: str) -> None:
    answer = app.test_client().get("/api/jobs", headers={"X-Agent-Token": token})
    assert (answer.status_code, answer.get_json()["code"]) == (401, "invalid_agent_token")


def test_a_blueprint_that_declares_nothing_is_refused_at_start() -> None:
    app = Flask("test")
    app.register_blueprint(needs(Blueprint("said", __name__), Need(read="viewer", write="author")))
    app.register_blueprint(Blueprint("unsaid", __name__))
    with pytest.raises(LookupError, match="'unsaid' doesn't declare"):
        identity.register(app)


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


def test_a_person_who_opens_a_page_is_told_how_to_sign_in(app: Flask) -> None:
    answer = app.test_client().get("/", headers={"Accept": BROWSER})
    assert answer.status_code == 401
    assert answer.mimetype == "text/html"
    assert "coursewright up" in answer.text and "coursewright login-link" in answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    assert {"accept", "accept-encoding"} <= {name.lower() for name in answer.vary}


@pytest.mark.parametrize(
    ("path", "accept"),
    [
        ("/", None),
        ("/", "*/*"),
        ("/", "application/json"),
        ("/", "text/html;q=0.5, application/json"),
        ("/api/jobs", BROWSER),
    ],
)
def test_a_program_is_told_so_in_a_problem_document(app: Flask, path: str, accept: str | None) -> None:
    answer = app.test_client().get(path, headers={"Accept": accept} if accept else {})
    assert answer.status_code == 401
    assert answer.content_type == "application/problem+json"
