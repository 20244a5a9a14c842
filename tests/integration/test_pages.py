"""The pages as the server writes them: whose they are, what they may run, and what stands in them."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient

from schema.errors import Transient
from storage import job_lists, organizations
from tasks.commands import Asker, cancel_job
from tasks.deps import Deps
from tests.integration.signed_in import sign_in
from tests.integration.stage import change, school, start
from web.app import create_app
from web.guarding.headers import policy

POLICY = policy(("'self'",))
BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
def client(deps: Deps, asker: Asker) -> Iterator[FlaskClient]:
    """A browser in which somebody of the demo school is signed in."""
    with create_app().test_client() as made:
        sign_in(made, deps, asker.organization_id, "author", asker.user)
        yield made


@pytest.mark.parametrize("path", ["/catalog", "/new", "/new?from=exam", "/jobs"])
def test_a_page_is_kept_nowhere_and_runs_nothing_but_our_files(client: FlaskClient, path: str) -> None:
    answer = client.get(path, headers=BROWSER)
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert "unsafe" not in POLICY and "http" not in POLICY
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", answer.text)
    assert "Demo school" in answer.text and '<html lang="en">' in answer.text


NAV = '<nav aria-label="Main">'


@pytest.mark.parametrize(("path", "status"), [("/courses/none", 404), ("/nowhere", 404), ("/login/spent", 403)])
def test_an_error_is_a_page_like_any_other(client: FlaskClient, path: str, status: int) -> None:
    answer = client.get(path, headers=BROWSER)
    assert answer.status_code == status and NAV in answer.text
    assert answer.headers["Content-Security-Policy"] == POLICY and answer.headers["Cache-Control"] == "no-store"


def test_who_is_not_signed_in_sees_a_page_without_a_way_in(client: FlaskClient) -> None:
    client.delete_cookie("coursewright")
    for path, status in (("/catalog", 401), ("/nowhere", 404)):
        answer = client.get(path, headers=BROWSER)
        assert answer.status_code == status and NAV not in answer.text
        assert answer.headers["Content-Security-Policy"] == POLICY


def test_an_error_page_needs_no_database(client: FlaskClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise Transient("The database is away.", code="database_away")

    monkeypatch.setattr(organizations, "read", away)
    answer = client.get("/nowhere", headers=BROWSER)
    assert answer.status_code == 404 and NAV not in answer.text
    assert client.get("/catalog", headers=BROWSER).status_code == 503


def test_the_entrance_leads_to_the_catalog(client: FlaskClient) -> None:
    assert client.get("/").headers["Location"] == "/catalog"


def test_a_viewer_is_offered_nothing_he_may_not_do(client: FlaskClient, deps: Deps, asker: Asker) -> None:
    sign_in(client, deps, asker.organization_id, "viewer", asker.user)
    assert "/new" not in client.get("/catalog", headers=BROWSER).text
    assert client.get("/new", headers=BROWSER).status_code == 403
    assert " read-only" in client.get(f"/jobs/{start(deps, asker)}", headers=BROWSER).text


def test_a_job_page_carries_its_stream_and_what_it_is_called(client: FlaskClient, deps: Deps, asker: Asker) -> None:
    job_id = start(deps, asker, title="<b>Tides</b>")
    text = client.get(f"/jobs/{job_id}", headers=BROWSER).text
    assert f'job-id="{job_id}"' in text and f'stream-url="/api/jobs/{job_id}/stream?token=' in text
    assert 'heading="&lt;b&gt;Tides&lt;/b&gt;"' in text and "<b>Tides" not in text
    assert " data-over" not in text and " read-only" not in text
    cancel_job(deps, asker, job_id, "")
    assert " data-over" in client.get(f"/jobs/{job_id}", headers=BROWSER).text


def test_other_schools_are_not_there(client: FlaskClient, deps: Deps, asker: Asker) -> None:
    job_id = start(deps, school(deps), title="Secret plans")
    assert client.get(f"/jobs/{job_id}", headers=BROWSER).status_code == 404
    assert "Secret plans" not in client.get("/jobs", headers=BROWSER).text
    assert job_lists.title(deps.db, asker.organization_id, job_id) is None
    assert client.get("/courses/nothing-here", headers=BROWSER).status_code == 404


def test_jobs_are_listed_newest_first_without_their_pictures(deps: Deps, asker: Asker) -> None:
    first, second = start(deps, asker, title="Tides"), start(deps, asker, title="All winds")
    picture = start(deps, asker, title="A picture")
    change(deps, "UPDATE jobs SET parent_job_id = :parent WHERE id = :id", parent=first, id=picture)
    cancel_job(deps, asker, second, "")
    found = job_lists.recent(deps.db, asker.organization_id, 10)
    assert [(job.job_id, job.title, job.is_active) for job in found] == [
        (second, "All winds", False),
        (first, "Tides", True),
    ]
    assert job_lists.at_work(deps.db, asker.organization_id) == 1


def test_how_many_are_at_work_is_told(client: FlaskClient, deps: Deps, asker: Asker) -> None:
    start(deps, asker, title="Tides")
    answer = client.get("/jobs/at-work")
    assert answer.get_json() == {"running": 1} and answer.headers["Cache-Control"] == "no-store"


def test_scripts_may_be_used_by_other_sites_and_nothing_else_may(client: FlaskClient) -> None:
    with client.get("/static/js/generation-progress.js") as script:
        assert script.headers["Access-Control-Allow-Origin"] == "*" and "javascript" in script.content_type
    assert "Access-Control-Allow-Origin" not in client.get("/jobs", headers=BROWSER).headers
