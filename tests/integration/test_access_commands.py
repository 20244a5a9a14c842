"""``coursewright tokens ...`` and ``coursewright members ...`` against this test's database."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from click.testing import CliRunner, Result

from schema.errors import Invalid
from schema.settings import DEMO_ORGANIZATION_ID
from tasks.commands import Asker
from tasks.deps import Deps
from tests.conftest import use
from tests.integration.stage import rows, school
from web.app import create_app
from web.cli import cli

Run = Callable[..., Result]


@pytest.fixture
def run(deps: Deps, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.setenv("DATABASE_URL", deps.settings.database_url)
    use(deps)
    return lambda *words: CliRunner().invoke(cli, list(map(str, words)))


def test_a_token_is_made_listed_and_revoked(deps: Deps, run: Run) -> None:
    made = run("tokens", "make", "Nightly", "--scope", "jobs:write", "--scope", "courses:read", "--days", 30)
    assert made.exit_code == 0 and "not shown again" in made.stderr
    token = made.stdout.strip()
    headers = {"X-Agent-Token": token, "X-Organization-Id": DEMO_ORGANIZATION_ID}
    client = create_app().test_client()
    shown = client.get("/api/session", headers=headers).get_json()
    assert (shown["role"], shown["scopes"]) == ("author", ["courses:read", "jobs:write"])
    listed = run("tokens", "list")
    assert token[:12] in listed.stdout and token[12:] not in listed.stdout
    [one] = json.loads(run("tokens", "list", "--json").stdout)
    assert (one["name"], one["lastUsedAt"] is not None) == ("Nightly", True)
    for wrong in ("nothing", token[:10]):
        assert run("tokens", "revoke", wrong).exit_code == 2
    assert run("tokens", "revoke", token[:12]).exit_code == 0
    assert client.get("/api/session", headers=headers).status_code == 401
    assert "revoked" in run("tokens", "list").stdout


def test_it_is_an_organizations_own(deps: Deps, run: Run) -> None:
    other: Asker = school(deps)
    made = json.loads(run("tokens", "make", "x", "--organization", other.organization_id, "--json").stdout)
    assert run("tokens", "revoke", made["tokenId"]).exit_code == 2, "the demo school has no such one"
    assert run("tokens", "list").stdout == ""
    assert run("tokens", "revoke", made["tokenId"], "--organization", other.organization_id).exit_code == 0
    assert run("tokens", "make", "x", "--scope", "jobs:delete").exit_code == 2
    assert isinstance(run("tokens", "make", "").exception, Invalid)


def test_a_member_is_added_changed_and_removed(deps: Deps, run: Run) -> None:
    assert run("members", "add", "ada", "--role", "admin", "--name", "Ada", "--email", "ada@example.org").exit_code == 0
    assert run("members", "list").stdout == "ada  admin  Ada  ada@example.org\n"
    assert run("members", "add", "ada").exception is not None
    assert run("members", "change", "ada", "--role", "viewer").exit_code == 0, "also the last admin"
    assert json.loads(run("members", "list", "--json").stdout)[0]["role"] == "viewer"
    assert run("members", "remove", "ada").exit_code == 0
    assert run("members", "list").stdout == ""
    assert run("members", "remove", "ada").exception is not None
    assert [row.action for row in rows(deps, "SELECT action FROM audit_log ORDER BY at")] == [
        "member.added",
        "member.changed",
        "member.removed",
    ]
