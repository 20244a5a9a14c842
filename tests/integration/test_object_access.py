"""Who reads what out of the store: through the web what one may see, and nothing at all past it."""

from __future__ import annotations

import hashlib
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import pytest
import urllib3
from flask.testing import FlaskClient

from schema.clock import new_id
from schema.settings import Settings
from storage import documents, media
from storage.catalog import Listing
from storage.documents import Author
from storage.media import Asset
from storage.people.grounds import Grounds
from tasks.commands import Asker
from tasks.deps import Deps
from tasks.listing import list_course
from tasks.publish import DEBUG_CACHE, catalog_key, course_key, debug_key, publish_catalogs, publish_document
from tests import factories
from tests.integration.signed_in import sign_in
from tests.integration.stage import put_job, school
from web.app import create_app
from web.content import sees
from web.identity import Identity

pytestmark = pytest.mark.usefixtures("empty_store")

TOKEN = {"X-Agent-Token": "agent-token-of-the-tests"}
PNG = b"\x89PNG\r\n\x1a\n and what follows"


def as_agent(asker: Asker) -> dict[str, str]:
    return {**TOKEN, "X-Organization-Id": str(asker.organization_id)}


def keep_course(deps: Deps, whose: Asker, course_id: str, visibility: str, **changes: Any) -> None:
    """A course that is saved, listed, and in the store."""
    with deps.db.transaction() as tx:
        at = documents.lock(tx, whose.organization_id, "course", course_id)
        content: Any = factories.course(id=course_id, contentVersion=f"v{at + 1}", visibility=visibility, **changes)
        revision = documents.save(
            tx, whose.organization_id, "course", course_id, content, Author("app", None), "edited"
        )
        list_course(deps.bus, tx, Listing(whose.organization_id, "demo-school", revision, content))
    current = documents.current(deps.db, whose.organization_id, "course", course_id)
    assert current is not None
    publish_document(deps, current)


def keep_medium(deps: Deps, whose: Asker, visibility: str) -> str:
    """A picture, in the store and in its row. Returns where readers get it."""
    body = PNG + visibility.encode() + whose.organization_id.bytes
    asset = Asset(
        organization_id=whose.organization_id,
        sha256=hashlib.sha256(body).hexdigest(),
        extension="png",
        content_type="image/png",
        byte_size=len(body),
        width=1,
        height=1,
        visibility=visibility,
        prompt="",
        source="pack",
        job_id=None,
        course_id=None,
    )
    deps.objects.put(deps.settings.s3.media_bucket, asset.key, body, "image/png", "private")
    with deps.db.transaction() as tx:
        media.keep(tx, asset)
    return asset.path


@pytest.fixture
def other(deps: Deps) -> Asker:
    """Somebody of another school."""
    return school(deps)


def both(client: FlaskClient, path: str, **headers: str) -> int:
    """The status of GET and HEAD, which must be the same."""
    got, head = client.get(path, headers=headers), client.head(path, headers=headers)
    assert got.status_code == head.status_code and head.data == b""
    assert {name: got.headers.get(name) for name in ("ETag", "Cache-Control")} == {
        name: head.headers.get(name) for name in ("ETag", "Cache-Control")
    }
    return got.status_code


class TestSeeing:
    @pytest.mark.parametrize(
        ("visibility", "nobody", "stranger", "viewer", "author"),
        [
            ("public", True, True, True, True),
            ("org", False, False, True, True),
            ("private", False, False, False, True),
            ("unheard of", False, False, False, True),
        ],
    )
    def test_who_sees_what(self, visibility: str, nobody: bool, stranger: bool, viewer: bool, author: bool) -> None:
        whose, elsewhere = new_id(), new_id()
        asked = [
            None,
            Identity(elsewhere, "b", "admin", None, "agent", grounds=Grounds(elsewhere)),
            Identity(whose, "a", "viewer", None, "cookie", grounds=Grounds(whose)),
            Identity(whose, "a", "author", None, "cookie", grounds=Grounds(whose)),
        ]
        assert [sees(one, whose, visibility) for one in asked] == [nobody, stranger, viewer, author]


class TestCourses:
    def test_each_visibility_is_what_it_says(self, client: FlaskClient, deps: Deps, asker: Asker, other: Asker) -> None:
        for visibility in ("public", "org", "private"):
            keep_course(deps, asker, f"{visibility}-course", visibility)
        found = {
            visibility: (
                both(client, f"/content/public/demo-school/{visibility}-course/course.json"),
                both(client, f"/content/courses/{visibility}-course/course.json"),
                both(client, f"/content/courses/{visibility}-course/course.json", **as_agent(asker)),
                both(client, f"/content/courses/{visibility}-course/course.json", **as_agent(other)),
            )
            for visibility in ("public", "org", "private")
        }
        assert found == {
            "public": (200, 401, 200, 404),
            "org": (404, 401, 200, 404),
            "private": (404, 401, 200, 404),
        }

    def test_knowing_the_etag_opens_nothing(self, client: FlaskClient, deps: Deps, asker: Asker, other: Asker) -> None:
        keep_course(deps, asker, "secret", "org")
        path = "/content/courses/secret/course.json"
        tag = client.get(path, headers=as_agent(asker)).headers["ETag"]
        known = {"If-None-Match": tag}
        assert client.get(path, headers={**as_agent(asker), **known}).status_code == 304
        for asked, status in ((as_agent(other), 404), ({}, 401)):
            for guess in (tag, "*", tag.replace("r1", "r2")):
                answer = client.get(path, headers={**asked, "If-None-Match": guess})
                assert answer.status_code == status and "ETag" not in answer.headers
        public = client.get("/content/public/demo-school/secret/course.json", headers=known)
        assert public.status_code == 404 and "ETag" not in public.headers

    def test_what_is_no_page_is_never_one(self, client: FlaskClient, deps: Deps, asker: Asker) -> None:
        keep_course(deps, asker, "words", "public", title="<script>alert(1)</script>")
        browser = {"Accept": "text/html", **as_agent(asker)}
        for path in (
            "/content/public/demo-school/words/course.json",
            *("/content/courses/words/course.json", "/api/courses/words", "/api/courses", "/api/catalog"),
            *("/api/public/catalog", "/api/catalog/changes?since=0"),
        ):
            answer = client.get(path, headers=browser)
            assert answer.status_code == 200 and b"<script>" in answer.data
            assert answer.mimetype == "application/json" and answer.headers["X-Content-Type-Options"] == "nosniff"
            assert answer.headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"

    def test_what_is_public_no_more_is_gone_at_once(self, client: FlaskClient, deps: Deps, asker: Asker) -> None:
        keep_course(deps, asker, "shown", "public")
        path = "/content/public/demo-school/shown/course.json"
        tag = client.get(path).headers["ETag"]
        keep_course(deps, asker, "shown", "org")
        assert client.get(path, headers={"If-None-Match": tag}).status_code == 404
        assert client.get("/api/public/catalog").get_json()["courses"] == []

    def test_a_viewer_does_not_see_what_is_private(self, client: FlaskClient, deps: Deps, asker: Asker) -> None:
        for visibility in ("org", "private"):
            keep_course(deps, asker, f"{visibility}-course", visibility)
        sign_in(client, deps, asker.organization_id, "viewer")
        assert both(client, "/content/courses/org-course/course.json") == 200
        assert both(client, "/content/courses/private-course/course.json") == 404


class TestMedia:
    def test_each_visibility_is_what_it_says(self, client: FlaskClient, deps: Deps, asker: Asker, other: Asker) -> None:
        found = {}
        for visibility in ("public", "org", "private"):
            path = keep_medium(deps, asker, visibility)
            found[visibility] = (
                both(client, path),
                both(client, path, **as_agent(asker)),
                both(client, path, **as_agent(other)),
            )
        assert found == {"public": (200, 200, 200), "org": (401, 200, 404), "private": (401, 200, 404)}

    def test_of_one_that_is_not_theirs_nobody_learns_anything(
        self, client: FlaskClient, deps: Deps, asker: Asker, other: Asker
    ) -> None:
        path = keep_medium(deps, asker, "org")
        digest = path.rpartition("/")[2].partition(".")[0]
        missing = path.replace(digest, "0" * 64)
        for headers in ({}, as_agent(other)):
            for more in ({}, {"If-None-Match": f'"{digest}"'}, {"Range": "bytes=0-3"}, {"If-None-Match": "*"}):
                mine, none = (client.get(one, headers={**headers, **more}) for one in (path, missing))
                assert mine.status_code == none.status_code and mine.status_code in (401, 404)
                told = [{**answer.get_json(), "requestId": ""} for answer in (mine, none)]
                assert told[0] == told[1] and "ETag" not in mine.headers

    def test_a_viewer_does_not_see_what_is_private(self, client: FlaskClient, deps: Deps, asker: Asker) -> None:
        shown, hidden = keep_medium(deps, asker, "org"), keep_medium(deps, asker, "private")
        sign_in(client, deps, asker.organization_id, "viewer")
        assert (both(client, shown), both(client, hidden)) == (200, 404)

    def test_what_is_not_public_is_kept_by_no_proxy(self, client: FlaskClient, deps: Deps, asker: Asker) -> None:
        path = keep_medium(deps, asker, "org")
        answer = client.get(path, headers=as_agent(asker))
        assert answer.headers["Cache-Control"].startswith("private,")
        assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


class TestDebugFiles:
    @pytest.fixture
    def job_id(self, deps: Deps, asker: Asker) -> UUID:
        job_id = put_job(deps, asker.organization_id)
        for name in ("repair.json", "llm/1-fill-1-001-items.json", "llm/1-fill-1-002-items.json"):
            self.keep(deps, asker, job_id, name)
        return job_id

    def keep(self, deps: Deps, whose: Asker, job_id: UUID, name: str) -> None:
        key = debug_key(whose.organization_id, job_id, name)
        deps.objects.put(deps.settings.s3.courses_bucket, key, b'{"said": "hello"}', "application/json", DEBUG_CACHE)

    def test_an_admin_lists_and_reads_them(self, client: FlaskClient, asker: Asker, job_id: UUID) -> None:
        first = client.get(f"/api/admin/jobs/{job_id}/debug?limit=2", headers=as_agent(asker)).get_json()
        names = [one["name"] for one in first["files"]]
        assert names == ["llm/1-fill-1-001-items.json", "llm/1-fill-1-002-items.json"]
        rest = client.get(f"/api/admin/jobs/{job_id}/debug?cursor={first['nextCursor']}", headers=as_agent(asker))
        assert [one["name"] for one in rest.get_json()["files"]] == ["repair.json"]
        assert rest.get_json()["nextCursor"] is None
        answer = client.get(first["files"][0]["url"], headers=as_agent(asker))
        assert answer.get_json() == {"said": "hello"} and answer.headers["Cache-Control"] == DEBUG_CACHE
        assert answer.headers["Content-Disposition"] == "attachment; filename=llm-1-fill-1-001-items.json"

    def test_nobody_else_does(self, client: FlaskClient, deps: Deps, asker: Asker, other: Asker, job_id: UUID) -> None:
        folder = f"/api/admin/jobs/{job_id}/debug"
        for path in (folder, f"{folder}/repair.json"):
            assert client.get(path).status_code == 401
            assert client.get(path, headers=as_agent(other)).status_code == 404
            for role in ("viewer", "author"):
                with create_app().test_client() as theirs:
                    sign_in(theirs, deps, asker.organization_id, role)  # type: ignore[arg-type]
                    assert theirs.get(path).status_code == 403

    @pytest.mark.parametrize(
        "name",
        [
            *("../repair.json", "..%2f..%2fcatalog.json", "llm/../repair.json", "%2e%2e/x", "llm/", ".hidden", "a//b"),
            *("llm/a/b", "a%00b", "a%0d%0aX-Evil:1", "none.json", "x" * 400, "%5c..%5cx", "re%E2%80%AEpair.json"),
        ],
    )
    def test_no_name_leads_out_of_the_folder(
        self, client: FlaskClient, deps: Deps, asker: Asker, job_id: UUID, name: str
    ) -> None:
        secret = put_job(deps, asker.organization_id)
        self.keep(deps, asker, secret, "x")
        answer = client.get(f"/api/admin/jobs/{job_id}/debug/{name}", headers=as_agent(asker))
        assert answer.status_code in (308, 404) and "X-Evil" not in answer.headers
        cursor = client.get(f"/api/admin/jobs/{job_id}/debug?cursor=../{secret}/a", headers=as_agent(asker))
        assert cursor.status_code == 422


def test_the_store_itself_gives_nothing_to_who_does_not_sign(deps: Deps, asker: Asker, settings: Settings) -> None:
    for visibility in ("public", "org", "private"):
        keep_course(deps, asker, f"{visibility}-course", visibility)
        keep_medium(deps, asker, visibility)
    publish_catalogs(deps)
    job_id = put_job(deps, asker.organization_id)
    key = debug_key(asker.organization_id, job_id, "repair.json")
    deps.objects.put(settings.s3.courses_bucket, key, b"{}", "application/json", DEBUG_CACHE)
    kinds = {catalog_key(asker.organization_id), catalog_key(UUID(int=0)), key}
    kinds |= {course_key(asker.organization_id, f"{visibility}-course") for visibility in ("public", "org", "private")}
    with urllib3.PoolManager(retries=False, timeout=10) as http:
        asked = 0
        for bucket in (settings.s3.courses_bucket, settings.s3.media_bucket):
            stored = [found.key for found in deps.objects.list(bucket)]
            assert len(stored) >= 3
            for path in ("", "?list-type=2", "?policy", "?acl", *(f"/{one}" for one in stored)):
                for method in ("GET", "HEAD", "PUT", "DELETE"):
                    answer = http.request(method, f"{settings.s3.endpoint_url}/{bucket}{path}")
                    assert answer.status == 403, f"{method} {bucket}{path} answered {answer.status}"
                    asked += 1
            kinds -= set(stored)
        assert kinds - {catalog_key(UUID(int=0))} == set(), "each kind of key was there"
        assert asked > 40
        assert urlsplit(settings.s3.endpoint_url).hostname == "127.0.0.1"
