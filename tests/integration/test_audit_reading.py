"""Reading the audit log: by whom, filtered, page by page, and as a file for spreadsheets."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from typing import Any

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from schema.audit import ACTIONS, By
from schema.settings import DEMO_ORGANIZATION_ID
from storage import audit
from storage.audit import Filters
from tasks.deps import Deps
from tests.integration.stage import school
from tests.integration.test_audit import ADDRESS, ORG, note

Ask = Callable[..., TestResponse]


@pytest.fixture
def ask(client: FlaskClient, deps: Deps) -> Ask:
    """Asks as the environment's agent, or with the headers that are given."""

    def ask(method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        sent = {"X-Agent-Token": str(deps.settings.agent_token), "X-Organization-Id": DEMO_ORGANIZATION_ID}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return client.open(path, method=method, json=body, headers=sent)

    return ask


@pytest.fixture
def told(deps: Deps) -> None:
    """Entries of two organizations and of none."""
    for number in range(5):
        with audit.acting(By("user", f"user-{number % 2}", "author", ADDRESS, f"request-{number}")):
            note(deps, target=f"job-{number}")
    note(deps, school(deps).organization_id, target="of another school")
    note(deps, None, target="of nobody")


@pytest.mark.usefixtures("told")
class TestReading:
    def test_an_admin_sees_the_organizations_own_newest_first(self, ask: Ask) -> None:
        found = ask("GET", "/api/audit").get_json()
        assert [entry["targetId"] for entry in found["entries"]] == [f"job-{number}" for number in (4, 3, 2, 1, 0)]
        assert found["nextCursor"] is None
        first = found["entries"][0]
        assert first | {"id": "", "at": ""} == {
            **{"id": "", "at": "", "actor": "user-0", "way": "user", "role": "author", "action": "job.started"},
            **{"targetKind": "job", "targetId": "job-4", "address": ADDRESS, "requestId": "request-4", "details": {}},
        }

    @pytest.mark.parametrize(
        ("query", "seen"),
        [
            ("actor=user-1", (3, 1)),
            ("target=job-2", (2,)),
            ("action=job.started&actor=user-0", (4, 2, 0)),
            ("action=job.cancelled", ()),
            ("from=2026-01-01", (4, 3, 2, 1, 0)),
            ("to=2026-01-01T00:00:00Z", ()),
            ("from=2999-01-01T00:00:00%2B02:00", ()),
        ],
    )
    def test_filters(self, ask: Ask, query: str, seen: tuple[int, ...]) -> None:
        found = ask("GET", f"/api/audit?{query}").get_json()["entries"]
        assert [entry["targetId"] for entry in found] == [f"job-{number}" for number in seen]
        lines = ask("GET", f"/api/audit.csv?{query}").text.splitlines()
        assert len(lines) == 1 + len(seen)

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("action=job.eaten", "action"),
            ("from=yesterday", "from"),
            ("to=2026-01-01T00:00:00", "to"),
            ("actor=%00", "actor"),
            ("nobody=1", "nobody"),
            ("from=0001-01-01T00:00:00%2B14:00", "from"),
        ],
    )
    def test_what_can_not_be_read_is_named(self, ask: Ask, query: str, field: str) -> None:
        for path in ("/api/audit", "/api/audit.csv"):
            answer = ask("GET", f"{path}?{query}")
            assert answer.status_code == 422
            assert [fault["path"] for fault in answer.get_json()["errors"]] == [field]

    def test_pages_follow_each_other_without_a_gap(self, ask: Ask) -> None:
        seen, cursor = [], ""
        while True:
            found = ask("GET", f"/api/audit?limit=2{cursor}").get_json()
            seen += [entry["targetId"] for entry in found["entries"]]
            if found["nextCursor"] is None:
                break
            cursor = f"&cursor={found['nextCursor']}"
        assert seen == [f"job-{number}" for number in (4, 3, 2, 1, 0)]

    def test_the_export_is_whole_and_no_cell_of_it_is_a_formula(
        self, ask: Ask, deps: Deps, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("web.api.audit._AT_ONCE", 2)
        with audit.acting(By("user", '=HYPERLINK("http://x")', request_id="-1+1")):
            note(deps, target="@SUM(A1)", details={"reason": 'a, "b"\nc'})
        answer = ask("GET", "/api/audit.csv")
        assert answer.content_type == "text/csv; charset=utf-8"
        assert answer.headers["Content-Disposition"] == 'attachment; filename="audit.csv"'
        head, first, *rest = csv.reader(io.StringIO(answer.text, newline=""))
        entry = dict(zip(head, first, strict=True))
        assert (entry["actor"], entry["targetId"], entry["requestId"]) == (
            '\'=HYPERLINK("http://x")',
            "'@SUM(A1)",
            "'-1+1",
        )
        assert entry["details"] == '{"reason": "a, \\"b\\"\\nc"}'
        assert [row[head.index("targetId")] for row in rest] == [f"job-{number}" for number in (4, 3, 2, 1, 0)]

    @pytest.mark.parametrize("path", ["/api/audit", "/api/audit.csv", "/audit"])
    def test_only_admins_read_it(self, ask: Ask, path: str) -> None:
        for role in ("viewer", "author"):
            made = ask("POST", "/api/tokens", {"name": role, "role": role}).get_json()
            assert ask("GET", path, X_Agent_Token=made["token"]).status_code == 403
        scopes = {"name": "jobs only", "role": "admin", "scopes": ["jobs:write"]}
        narrow = ask("POST", "/api/tokens", scopes).get_json()["token"]
        assert ask("GET", path, X_Agent_Token=narrow).status_code == 403
        wide = ask("POST", "/api/tokens", {**scopes, "scopes": ["audit:read"]}).get_json()["token"]
        assert ask("GET", path, X_Agent_Token=wide).status_code == 200

    def test_a_page_shows_it_to_people(self, ask: Ask) -> None:
        answer = ask("GET", "/audit?actor=user-1", Accept="text/html")
        assert answer.status_code == 200 and answer.mimetype == "text/html"
        assert "job-3" in answer.text and "job-2" not in answer.text
        assert "/api/audit.csv?actor=user-1" in answer.text


def test_filters_of_the_table_itself(deps: Deps) -> None:
    note(deps)
    assert len(audit.newest(deps.db, ORG, Filters(), None, 10)) == 1
    assert audit.newest(deps.db, None, Filters(), None, 10) == []
    assert set(ACTIONS) >= {"job.started"}
