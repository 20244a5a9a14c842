"""Private courses: an organization's authors see them, its viewers don't learn that they are there."""

from __future__ import annotations

from typing import Any, cast
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from schema.course import Course
from schema.settings import DEMO_ORGANIZATION_ID
from storage import catalog, documents, media
from storage.catalog import Listing
from storage.documents import Author
from storage.media import Asset
from storage.people.grounds import Grounds
from tasks import commands, members
from tasks.commands import Asker
from tasks.deps import Deps
from tests.factories import course
from tests.integration.signed_in import sign_in
from tests.integration.stage import put_job, request, start
from web.streams import token
from web.streams.feeds import CatalogFeed

ORG = UUID(DEMO_ORGANIZATION_ID)
BROWSER = {"Accept": "text/html,*/*;q=0.8"}


def keep(deps: Deps, course_id: str, visibility: str) -> int:
    """Save a course's next revision and list it. Returns the catalog's version that shows it."""
    with deps.db.transaction() as tx:
        at = documents.lock(tx, ORG, "course", course_id)
        content: Any = course(id=course_id, title=f"On {course_id}", visibility=visibility, contentVersion=f"v{at + 1}")
        revision = documents.save(tx, ORG, "course", course_id, content, Author("app", None), "edited")
        return catalog.list_course(tx, Listing(ORG, "demo-school", revision, cast(Course, content)))


def seen(client: FlaskClient, course_id: str) -> list[bool]:
    """Whether a course shows, in each place where one could."""
    paths = (f"/api/courses/{course_id}", f"/content/courses/{course_id}/course.json", f"/courses/{course_id}")
    found = [client.get(path, headers=BROWSER).status_code == 200 for path in paths]
    for path in ("/api/courses", "/api/courses?visibility=private", "/api/catalog", "/catalog"):
        found.append(f"On {course_id}" in client.get(path, headers=BROWSER).text)
    return found


def test_authors_see_them_and_viewers_do_not(client: FlaskClient, deps: Deps) -> None:
    keep(deps, "secret", "private")
    keep(deps, "plain", "org")
    for role in ("author", "admin"):
        sign_in(client, deps, ORG, role)  # type: ignore[arg-type]
        assert seen(client, "secret") == [True] * 7
    sign_in(client, deps, ORG, "viewer")
    assert seen(client, "secret") == [False] * 7
    assert seen(client, "plain") == [True, True, True, True, False, True, True]
    hidden, missing = client.get("/api/courses/secret"), client.get("/api/courses/none")
    assert hidden.status_code == missing.status_code == 404
    assert {**hidden.get_json(), "requestId": ""} == {**missing.get_json(), "requestId": ""}


def test_a_viewers_catalog_is_dense_and_tells_nothing_of_them(client: FlaskClient, deps: Deps) -> None:
    story = [("secret", "private"), ("plain", "org"), ("plain", "private"), ("secret", "private"), ("secret", "org")]
    versions = [keep(deps, *chapter) for chapter in story]
    sign_in(client, deps, ORG, "viewer")
    found = client.get("/api/catalog/changes").get_json()
    assert [change["version"] for change in found["changes"]] == versions == [1, 2, 3, 4, 5]
    told = [(change["action"], change["courseId"], change["entry"] is not None) for change in found["changes"]]
    assert told == [
        ("deleted", "", False),
        ("added", "plain", True),
        ("deleted", "plain", False),
        ("deleted", "", False),
        ("updated", "secret", True),
    ]
    tag = client.get("/api/catalog").headers["ETag"]
    sign_in(client, deps, ORG, "author")
    everything = client.get("/api/catalog/changes").get_json()["changes"]
    assert [change["courseId"] for change in everything] == [name for name, _ in story]
    assert client.get("/api/catalog", headers={"If-None-Match": tag}).status_code == 200, "another catalog"


def test_a_viewers_stream_is_the_viewers_catalog(deps: Deps) -> None:
    keep(deps, "secret", "private")
    keep(deps, "plain", "org")
    for private, shown in ((True, True), (False, False)):
        feed = CatalogFeed(deps.db, ORG, private)
        page = feed.read(0)
        assert page is not None and [number for number, _ in page.frames] == [1, 2]
        frames = b"".join(frame for _, frame in page.frames)
        assert (b"secret" in frames) is shown and b"On plain" in frames
    assert CatalogFeed(deps.db, ORG, True).key != CatalogFeed(deps.db, ORG, False).key


def test_the_jobs_that_make_them_are_hidden_with_them(client: FlaskClient, deps: Deps, asker: Asker) -> None:
    hidden = start(deps, asker, title="On secrets", visibility="private")
    shown = start(deps, asker, title="On tides")
    keep(deps, "turned", "private")
    turned = put_job(deps, ORG, course_id="turned", payload=request(title="On turns").payload)
    sign_in(client, deps, ORG, "viewer")
    for job_id in (hidden, turned):
        for path in (
            *(f"/api/jobs/{job_id}", f"/api/jobs/{job_id}/events", f"/api/jobs/{job_id}/partial"),
            *(f"/api/jobs/{job_id}/stream", f"/api/generation/status/{job_id}", f"/jobs/{job_id}"),
        ):
            assert client.get(path).status_code == 404, path
    assert [job["jobId"] for job in client.get("/api/jobs").get_json()["jobs"]] == [str(shown)]
    assert "secrets" not in client.get("/jobs", headers=BROWSER).text
    assert client.get("/jobs/at-work").get_json() == {"running": 1}
    sign_in(client, deps, ORG, "author")
    assert len(client.get("/api/jobs").get_json()["jobs"]) == 3
    assert client.get(f"/api/jobs/{hidden}").status_code == 200


@pytest.mark.parametrize(
    ("grounds", "status"),
    [
        pytest.param(Grounds(ORG, user="ada"), 404, id="a membership"),
        pytest.param(Grounds(ORG, user="ada", claimed=True), 204, id="a claimed role"),
    ],
)
def test_a_streams_address_is_worth_no_more_than_who_was_given_it_is_now(
    client: FlaskClient, deps: Deps, asker: Asker, grounds: Grounds, status: int
) -> None:
    members.add(deps, asker, {"userId": "ada", "role": "author", "name": None, "email": None})
    job_id = start(deps, asker, title="On secrets", visibility="private")
    commands.cancel_job(deps, asker, job_id, "enough")
    path = f"/api/jobs/{job_id}/stream?lastEventId=999&token={token.make(deps.settings.signing_keys, grounds, job_id)}"
    assert client.get(path).status_code == 204
    members.change(deps, asker, "ada", {"role": "viewer"})
    assert client.get(path).status_code == status


def test_so_are_their_pictures(client: FlaskClient, deps: Deps) -> None:
    with deps.db.transaction() as tx:
        media.keep(tx, Asset(ORG, "ab" * 32, "png", "image/png", 1, 1, 1, "private", "a leaf", "pack", None, "secret"))
    path = f"/content/media/{'ab' * 32}.png"
    deps.objects.put(deps.settings.s3.media_bucket, f"{ORG}/{'ab' * 32}.png", b"x", "image/png", "no-store")
    for role, status in (("viewer", 404), ("author", 200)):
        sign_in(client, deps, ORG, role)  # type: ignore[arg-type]
        assert client.get(path).status_code == status
