"""Catalogs: dense versions that a follower sees in order, and one file that folds what is waiting."""

from __future__ import annotations

import json
import threading
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from schema.clock import iso
from schema.errors import Transient
from storage import catalog, courses, documents
from storage.catalog import PUBLIC, Listing
from storage.documents import Author
from tasks.commands import Asker
from tasks.deps import Deps
from tasks.publish import as_bytes, catalog_key, publish_catalogs
from tests import factories
from tests.conftest import make_deps
from tests.integration.stage import at_once, change, one, rows, school, together

CONTENTS = factories.course()


def listed(deps: Deps, organization_id: UUID, course_id: str, **changes: Any) -> int:
    """Save a course's next revision and list it, as the steps do. Returns the version of its organization's catalog."""
    with deps.db.transaction() as tx:
        at = documents.lock(tx, organization_id, "course", course_id)
        content: Any = {**CONTENTS, "id": course_id, "contentVersion": f"v{at + 1}", **changes}
        revision = documents.save(tx, organization_id, "course", course_id, content, Author("app", None), "edited")
        return catalog.list_course(tx, Listing(organization_id, "a-school", revision, content))


def versions(deps: Deps, catalog_id: UUID) -> list[int]:
    found = rows(deps, "SELECT version FROM catalog_updates WHERE catalog_id = :id ORDER BY version", id=catalog_id)
    return [row.version for row in found]


def ids(deps: Deps, catalog_id: UUID) -> list[str]:
    return [entry["id"] for entry in catalog.whole(deps.db, catalog_id)["courses"]]


def in_file(deps: Deps, catalog_id: UUID) -> Any:
    body = deps.objects.read(deps.settings.s3.courses_bucket, catalog_key(catalog_id))
    return None if body is None else json.loads(body)


# --- one course -------------------------------------------------------------------------------------------------


def test_a_course_is_added_once_and_updated_with_each_revision(deps: Deps, asker: Asker) -> None:
    org = asker.organization_id
    assert [listed(deps, org, "plants"), listed(deps, org, "plants"), listed(deps, org, "rocks")] == [1, 2, 3]
    changes = catalog.changes(deps.db, org, 0)["changes"]
    assert [(one["version"], one["action"], one["courseId"]) for one in changes] == [
        (1, "added", "plants"),
        (2, "updated", "plants"),
        (3, "added", "rocks"),
    ]
    whole = catalog.whole(deps.db, org)
    assert whole["version"] == catalog.version(deps.db, org) == 3
    assert {entry["id"]: entry["contentVersion"] for entry in whole["courses"]} == {"plants": "v2", "rocks": "v1"}
    assert one(deps, "SELECT catalog_version FROM course_metadata WHERE course_id = 'plants'") == 2


def test_an_entry_names_the_time_of_its_revision(deps: Deps, asker: Asker) -> None:
    org = asker.organization_id
    content: Any = {**CONTENTS, "id": "plants", "visibility": "public"}
    with deps.db.transaction() as tx:
        documents.lock(tx, org, "course", "plants")
        documents.save(tx, org, "course", "plants", content, Author("app", None), "edited")
    change(deps, "UPDATE document_revisions SET created_at = '2026-01-02T03:04:05.678912Z'")
    with deps.db.transaction() as tx:
        catalog.list_course(tx, Listing(org, "a-school", 1, content))
    entries = [*catalog.whole(deps.db, org)["courses"], *catalog.whole(deps.db, PUBLIC)["courses"]]
    entries += courses.search(deps.db, org, {}, "", 1)
    entries += [one["entry"] for one in catalog.changes(deps.db, org, 0)["changes"]]
    assert [entry["updatedAt"] for entry in entries] == ["2026-01-02T03:04:05.678Z"] * 4
    current = documents.current(deps.db, org, "course", "plants")
    assert current is not None and iso(current.created_at) == "2026-01-02T03:04:05.678Z"


@pytest.mark.parametrize("revision", [1, 2])
def test_listing_the_same_or_an_older_revision_changes_nothing(deps: Deps, asker: Asker, revision: int) -> None:
    org = asker.organization_id
    listed(deps, org, "plants")
    assert listed(deps, org, "plants") == 2
    before = catalog.whole(deps.db, org)
    older: Any = {**CONTENTS, "id": "plants", "title": "An older title"}
    with deps.db.transaction() as tx:
        assert catalog.list_course(tx, Listing(org, "a-school", revision, older)) == 2
    assert catalog.whole(deps.db, org) == before
    assert versions(deps, org) == [1, 2]


def test_a_course_leaves_the_public_catalog_when_it_is_public_no_more(deps: Deps, asker: Asker) -> None:
    org = asker.organization_id
    for visibility in ("public", "public", "org", "org", "public"):
        listed(deps, org, "plants", visibility=visibility)
        assert ids(deps, PUBLIC) == (["plants"] if visibility == "public" else [])
        assert ids(deps, org) == ["plants"]
    changes = catalog.changes(deps.db, PUBLIC, 0)["changes"]
    assert [change["action"] for change in changes] == ["added", "updated", "deleted", "added"]
    assert [change["entry"] is None for change in changes] == [False, False, True, False]
    assert [change["action"] for change in catalog.changes(deps.db, org, 0)["changes"]] == ["added"] + ["updated"] * 4


def test_organizations_see_only_their_own_and_readers_only_what_is_public(deps: Deps, asker: Asker) -> None:
    other = school(deps).organization_id
    listed(deps, asker.organization_id, "plants", visibility="org")
    listed(deps, other, "plants", visibility="public", title="Theirs")
    listed(deps, other, "rocks", visibility="private")
    assert ids(deps, asker.organization_id) == ["plants"]
    assert sorted(ids(deps, other)) == ["plants", "rocks"]
    [shown] = catalog.whole(deps.db, PUBLIC)["courses"]
    assert shown["title"] == "Theirs"
    assert [one["courseId"] for one in catalog.changes(deps.db, asker.organization_id, 0)["changes"]] == ["plants"]


# --- following --------------------------------------------------------------------------------------------------


def test_an_empty_catalog_has_no_changes(deps: Deps, asker: Asker) -> None:
    assert catalog.whole(deps.db, asker.organization_id) == {"version": 0, "lastUpdated": None, "courses": []}
    assert catalog.changes(deps.db, asker.organization_id, 0) == {"version": 0, "changes": []}


def test_changes_are_told_from_where_one_stands(deps: Deps, asker: Asker) -> None:
    org = asker.organization_id
    for number in range(5):
        listed(deps, org, f"course-{number}")

    def told(since: int, limit: int = 1000) -> Any:
        answer = catalog.changes(deps.db, org, since, limit)
        return [one["version"] for one in answer["changes"]] if "changes" in answer else answer

    assert told(0) == [1, 2, 3, 4, 5]
    assert told(3) == [4, 5]
    assert told(5) == []
    assert told(6) == {"version": 5, "reset": True}
    page = catalog.changes(deps.db, org, 0, 2)
    assert (len(page["changes"]), page["version"], page["more"]) == (2, 5, True)
    assert "more" not in catalog.changes(deps.db, org, 3, 2)
    change(deps, "DELETE FROM catalog_updates WHERE version <= 3")
    assert told(3) == [4, 5]
    for gone in (0, 2):
        assert told(gone) == {"version": 5, "reset": True}
    change(deps, "DELETE FROM catalog_updates")
    assert told(5) == []
    assert told(4) == {"version": 5, "reset": True}


class Follower(threading.Thread):
    """Reads a catalog's changes all the time, as a client would, until told that no more will come."""

    def __init__(self, deps: Deps, catalog_id: UUID) -> None:
        super().__init__()
        self.deps, self.catalog_id = deps, catalog_id
        self.seen: list[dict[str, Any]] = []
        self.enough = threading.Event()

    def run(self) -> None:
        while True:
            last_look = self.enough.is_set()
            since = self.seen[-1]["version"] if self.seen else 0
            answer = catalog.changes(self.deps.db, self.catalog_id, since, 7)
            self.seen += answer["changes"]
            if last_look and "more" not in answer:
                return


@pytest.mark.usefixtures("empty_store")
def test_a_hundred_courses_finishing_at_once_are_all_listed_in_order(deps: Deps, asker: Asker) -> None:
    wide = make_deps(deps.settings, deps.send)  # type: ignore[arg-type]
    reader = make_deps(deps.settings, deps.send)  # type: ignore[arg-type]
    orgs = [asker.organization_id, school(deps).organization_id]
    followers = [Follower(reader, catalog_id) for catalog_id in (*orgs, PUBLIC)]
    for follower in followers:
        follower.start()
    done = threading.Event()

    def publish() -> int:
        written = 0
        while not done.is_set():
            written += publish_catalogs(reader)
        return written

    def finish(worker: int) -> None:
        for number in range(10):
            visibility = "public" if number % 2 else "org"
            listed(wide, orgs[worker % 2], f"course-{worker}-{number}", visibility=visibility)

    def finish_all() -> None:
        assert together([lambda worker=worker: finish(worker) for worker in range(10)]) == [None] * 10  # type: ignore[misc]
        done.set()

    finish_all_and_publish: list[Any] = [finish_all, publish, publish]
    _, *written = together(finish_all_and_publish)
    for follower in followers:
        follower.enough.set()
        follower.join(20)
        assert [one["version"] for one in follower.seen] == list(range(1, 51))
        assert {one["courseId"] for one in follower.seen} == set(ids(deps, follower.catalog_id))
        assert len(ids(deps, follower.catalog_id)) == 50
    publish_catalogs(deps)
    for catalog_id in (*orgs, PUBLIC):
        assert in_file(deps, catalog_id) == catalog.whole(deps.db, catalog_id)
    writes = one(deps, "SELECT sum(file_writes)::int FROM catalogs")
    assert sum(written) <= writes < 100, "150 changes were folded"
    for extra in (wide, reader):
        extra.close()


# --- the file ---------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("empty_store")
def test_many_publishers_fold_what_waits_into_one_write(deps: Deps, asker: Asker) -> None:
    org = asker.organization_id
    for number in range(30):
        listed(deps, org, f"course-{number}")
    answers = at_once(6, lambda: publish_catalogs(deps))
    assert sorted(str(answer) for answer in answers) == ["0"] * 5 + ["1"]
    assert in_file(deps, org) == catalog.whole(deps.db, org)
    assert one(deps, "SELECT file_writes FROM catalogs WHERE id = :id", id=org) == 1
    assert publish_catalogs(deps) == 0
    headers = deps.objects.client.stat_object(deps.settings.s3.courses_bucket, catalog_key(org)).metadata
    assert headers is not None
    assert headers["Cache-Control"] == "no-cache, no-store, must-revalidate"


@pytest.mark.usefixtures("empty_store")
def test_a_catalog_that_changed_while_its_file_was_written_is_written_again(deps: Deps, asker: Asker) -> None:
    org = asker.organization_id
    listed(deps, org, "plants")
    [claimed] = catalog.claim_behind(deps.db, 30)
    listed(deps, org, "rocks")
    assert publish_catalogs(deps) == 0, "somebody is at it"
    catalog.file_written(deps.db, claimed, 1)
    assert publish_catalogs(deps) == 1
    assert in_file(deps, org)["version"] == 2


@pytest.mark.usefixtures("empty_store")
def test_a_publisher_that_died_is_followed_by_another_when_its_claim_lapses(deps: Deps, asker: Asker) -> None:
    listed(deps, asker.organization_id, "plants")
    catalog.claim_behind(deps.db, 30)
    assert publish_catalogs(deps) == 0
    change(deps, "UPDATE catalogs SET claimed_until = clock_timestamp() WHERE claimed_until IS NOT NULL")
    assert publish_catalogs(deps) == 1


@pytest.mark.usefixtures("empty_store")
def test_a_file_of_an_older_version_never_replaces_a_newer_one(deps: Deps, asker: Asker) -> None:
    org = asker.organization_id
    listed(deps, org, "plants")
    older = catalog.whole(deps.db, org)
    listed(deps, org, "rocks")
    publish_catalogs(deps)
    bucket = deps.settings.s3.courses_bucket
    assert not deps.objects.put_current(bucket, catalog_key(org), as_bytes(older), older["version"], "no-cache")
    catalog.file_written(deps.db, org, older["version"])
    assert in_file(deps, org)["version"] == 2
    assert one(deps, "SELECT file_version FROM catalogs WHERE id = :id", id=org) == 2


@pytest.mark.usefixtures("empty_store")
def test_while_the_store_is_away_the_api_is_current_and_the_file_follows_at_once_when_it_is_back(
    deps: Deps, asker: Asker
) -> None:
    nowhere = replace(deps.settings.s3, endpoint_url="http://127.0.0.1:9")
    cut_off = make_deps(replace(deps.settings, s3=nowhere), deps.send)  # type: ignore[arg-type]
    listed(deps, asker.organization_id, "plants", visibility="public")
    for _ in range(2):
        with pytest.raises(Transient) as caught:
            publish_catalogs(cut_off)
        assert caught.value.code == "store_away"
    assert ids(deps, PUBLIC) == ["plants"]
    assert publish_catalogs(deps) == 2
    assert in_file(deps, PUBLIC)["version"] == in_file(deps, asker.organization_id)["version"] == 1
    cut_off.close()
