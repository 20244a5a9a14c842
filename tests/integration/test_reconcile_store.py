"""What the rows say is in the store is there, or is written again: courses, catalogs, pictures."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from schema.errors import Transient
from storage import catalog, documents, media
from storage.catalog import PUBLIC
from tasks import once
from tasks.commands import Asker
from tasks.cron import reconcile
from tasks.deps import Deps
from tasks.publish import as_bytes, catalog_key, course_key, publish_catalogs
from tasks.reconcile.files import mend_documents
from tests.conftest import make_deps
from tests.integration.stage import at_once, change, everything, job, one, rows, start, together, told
from tests.integration.test_reconcile_rows import ILLUSTRATED, counted, sums

pytestmark = pytest.mark.usefixtures("empty_store")


def made(deps: Deps, asker: Asker, course_id: str = "sums", **payload: Any) -> UUID:
    job_id = start(deps, asker, courseId=course_id, **payload)
    once.run_due(deps)
    assert job(deps, job_id).status == "done"
    return job_id


def lose(deps: Deps, *keys: str) -> None:
    deps.objects.delete(deps.settings.s3.courses_bucket, keys)


def lose_medium(deps: Deps, *keys: str) -> None:
    deps.objects.delete(deps.settings.s3.media_bucket, keys)


def in_store(deps: Deps, key: str) -> bytes | None:
    return deps.objects.read(deps.settings.s3.courses_bucket, key)


def unseen(deps: Deps, table: str) -> None:
    """An hour passes."""
    change(deps, f"UPDATE {table} SET verified_at = verified_at - interval '61 minutes'")


def current(deps: Deps, asker: Asker, course_id: str) -> documents.Revision:
    found = documents.current(deps.db, asker.organization_id, "course", course_id)
    assert found is not None
    return found


# --- course.json --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("drift", ["gone", "older"])
def test_a_course_whose_file_is_gone_or_older_is_written_again(deps: Deps, asker: Asker, drift: str) -> None:
    made(deps, asker)
    key = course_key(asker.organization_id, "sums")
    if drift == "gone":
        lose(deps, key)
    else:
        deps.objects.put(deps.settings.s3.courses_bucket, key, b"{}", "application/json", "no-cache")
    assert reconcile(deps) == {"document_lost": 1}
    assert in_store(deps, key) == as_bytes(current(deps, asker, "sums").content)
    assert reconcile(deps) == {}
    assert counted(deps) == {"document_lost": 1}
    assert one(deps, "SELECT revision FROM documents") == 1, "no new revision, only a new file"


def test_what_was_seen_is_not_looked_at_again_for_an_hour(deps: Deps, asker: Asker) -> None:
    made(deps, asker)
    assert reconcile(deps) == {}
    lose(deps, course_key(asker.organization_id, "sums"))
    assert reconcile(deps) == {}
    unseen(deps, "documents")
    assert reconcile(deps) == {"document_lost": 1}


def test_those_unseen_for_longest_come_first_and_not_all_need_to_be_there(deps: Deps, asker: Asker) -> None:
    minutes = {"fresh": 59, "old": 70, "older": 80, "waiting": 90, "archived": 100}
    for name in ("new", *minutes):
        made(deps, asker, name)
    for name, ago in minutes.items():
        change(
            deps,
            "UPDATE documents SET verified_at = now() - make_interval(mins => :ago) WHERE document_id = :id",
            ago=ago,
            id=name,
        )
    change(deps, "UPDATE documents SET stored_revision = 0 WHERE document_id = 'waiting'")
    change(deps, "UPDATE documents SET archived_at = clock_timestamp() WHERE document_id = 'archived'")
    found = [(kept.document_id, kept.revision) for kept in documents.longest_unverified(deps.db, 3600, 9)]
    assert found == [("new", 1), ("archived", 0), ("waiting", 0), ("older", 1), ("old", 1)]
    assert [kept.document_id for kept in documents.longest_unverified(deps.db, 3600, 1)] == ["new"]
    lose(deps, course_key(asker.organization_id, "archived"))
    assert reconcile(deps) == {}, "nobody reads an archived course"
    assert documents.longest_unverified(deps.db, 3600, 9) == []


def test_a_file_newer_than_what_was_read_is_left_alone(deps: Deps, asker: Asker) -> None:
    made(deps, asker)
    [kept] = documents.longest_unverified(deps.db, 3600, 1)
    made(deps, asker, itemsPerGroup=5)
    key = course_key(asker.organization_id, "sums")
    before = in_store(deps, key)
    assert kept.revision == 1
    assert list(mend_documents(deps)) == []
    assert in_store(deps, key) == before


def test_a_course_that_is_being_worked_on_does_not_hold_up_the_round(deps: Deps, asker: Asker) -> None:
    made(deps, asker, "sums")
    made(deps, asker, "more-sums")
    with deps.db.transaction() as tx:
        documents.lock(tx, asker.organization_id, "course", "sums")
        assert reconcile(deps) == {}
    seen = rows(deps, "SELECT document_id FROM documents WHERE verified_at IS NOT NULL")
    assert [row.document_id for row in seen] == ["more-sums"]


def test_courses_that_never_got_to_the_store_are_written_and_counted(deps: Deps, asker: Asker) -> None:
    made(deps, asker)
    lose(deps, course_key(asker.organization_id, "sums"))
    change(deps, "UPDATE documents SET stored_revision = 0, updated_at = updated_at - interval '6 seconds'")
    assert reconcile(deps) == {"document_unwritten": 1}
    assert reconcile(deps) == {}


# --- catalog.json -------------------------------------------------------------------------------------------------


def test_a_catalog_whose_file_is_gone_or_older_is_written_again(deps: Deps, asker: Asker) -> None:
    made(deps, asker, visibility="public")
    lose(deps, catalog_key(asker.organization_id))
    bucket = deps.settings.s3.courses_bucket
    deps.objects.put(bucket, catalog_key(PUBLIC), b"{}", "application/json", "no-store")
    assert publish_catalogs(deps) == 0, "their rows say that all is well"
    assert reconcile(deps) == {"catalog_lost": 2}
    for catalog_id in (asker.organization_id, PUBLIC):
        body = in_store(deps, catalog_key(catalog_id))
        assert body is not None
        assert json.loads(body) == catalog.whole(deps.db, catalog_id)
    assert reconcile(deps) == {}


def test_a_process_looks_at_each_catalog_once_in_ten_minutes(deps: Deps, asker: Asker) -> None:
    made(deps, asker)
    assert reconcile(deps) == {}
    lose(deps, catalog_key(asker.organization_id))
    assert reconcile(deps) == {}
    another = make_deps(deps.settings, deps.send)  # type: ignore[arg-type]
    assert reconcile(another) == {"catalog_lost": 1}
    another.close()


def test_a_catalog_that_could_not_be_looked_at_is_looked_at_next_time(deps: Deps, asker: Asker) -> None:
    made(deps, asker)
    lose(deps, catalog_key(asker.organization_id))

    class Away(type(deps.objects)):  # type: ignore[misc]
        def stored(self, bucket: str, key: str) -> Any:
            if self.away:
                raise Transient("Away.", code="store_away")
            return super().stored(bucket, key)

    deps.objects = Away(deps.settings.s3)
    deps.objects.away = True  # type: ignore[attr-defined]
    assert reconcile(deps) == {}
    deps.objects.away = False  # type: ignore[attr-defined]
    assert reconcile(deps) == {"catalog_lost": 1}


# --- pictures -----------------------------------------------------------------------------------------------------


@pytest.fixture
def parent(deps: Deps, asker: Asker) -> UUID:
    """A finished course with its two pictures."""
    return made(deps, asker, "water", **ILLUSTRATED)


def keys(deps: Deps) -> list[str]:
    found = rows(deps, "SELECT organization_id, sha256 FROM media_assets ORDER BY created_at, id")
    return [f"{row.organization_id}/{row.sha256}.png" for row in found]


def media_jobs(deps: Deps) -> list[Any]:
    return rows(deps, "SELECT * FROM jobs WHERE job_type = 'media' ORDER BY created_at")


def test_a_picture_from_a_pack_is_made_again_just_as_it_was(deps: Deps, asker: Asker, parent: UUID) -> None:
    first, second = keys(deps)
    body = deps.objects.read(deps.settings.s3.media_bucket, first)
    before = (current(deps, asker, "water"), everything(deps, parent))
    lose_medium(deps, first)
    assert reconcile(deps) == {"picture_ordered": 1}
    assert one(deps, "SELECT count(*) FROM media_assets WHERE missing_since IS NOT NULL") == 1
    ordered = media_jobs(deps)[-1]
    assert (ordered.status, ordered.parent_job_id, ordered.course_id) == ("pending", None, "water")
    assert reconcile(deps) == {}, "it is on its way"
    unseen(deps, "media_assets")
    assert reconcile(deps) == {}, "and not ordered twice"
    once.run_due(deps)
    assert deps.objects.read(deps.settings.s3.media_bucket, first) == body
    assert one(deps, "SELECT count(*) FROM media_assets WHERE missing_since IS NOT NULL") == 0
    assert [row.status for row in media_jobs(deps)] == ["done"] * 3
    assert (current(deps, asker, "water"), everything(deps, parent)) == before
    unseen(deps, "media_assets")
    assert reconcile(deps) == {}
    assert keys(deps) == [first, second]
    assert counted(deps) == {"picture_ordered": 1}


def test_a_picture_that_comes_out_otherwise_takes_the_place_of_the_lost_one(
    deps: Deps, model_deps: Deps, asker: Asker, parent: UUID
) -> None:
    first, _ = keys(deps)
    change(deps, "UPDATE media_assets SET source = 'model'")
    lose_medium(deps, first)
    assert reconcile(deps) == {"picture_missing": 1}, "nobody here could draw it"
    change(deps, "UPDATE media_assets SET missing_since = NULL, verified_at = NULL")
    assert reconcile(model_deps) == {"picture_ordered": 1}
    once.run_due(model_deps)
    assert media_jobs(deps)[-1].status == "done"
    third = next(key for key in keys(deps) if key not in (first, keys(deps)[1]))
    shown = json.dumps(current(deps, asker, "water").content)
    assert first.split("/")[1] not in shown
    assert third.split("/")[1] in shown
    revision = current(deps, asker, "water")
    assert (revision.revision, revision.content["contentVersion"]) == (4, "v4")
    assert in_store(deps, course_key(asker.organization_id, "water")) == as_bytes(revision.content)
    assert one(deps, "SELECT revision FROM course_metadata") == 4
    assert told(deps, parent)[-1]["type"] == "media_settled"
    unseen(deps, "media_assets")
    assert reconcile(model_deps) == {}, "the old row stays noted, and is no news"


def test_a_pack_picture_is_drawn_again_also_where_a_model_could_draw(
    deps: Deps, model_deps: Deps, asker: Asker, parent: UUID
) -> None:
    lose_medium(deps, *keys(deps))
    assert reconcile(model_deps) == {"picture_ordered": 2}
    before = current(deps, asker, "water")
    once.run_due(model_deps)
    assert current(deps, asker, "water") == before
    assert one(deps, "SELECT count(*) FROM media_assets WHERE missing_since IS NULL") == 2
    assert one(deps, "SELECT count(*) FROM model_calls") == 0


@pytest.mark.parametrize("gone", ["the place", "the course", "the pack"])
def test_a_picture_that_cannot_be_made_again_is_noted_once(deps: Deps, asker: Asker, parent: UUID, gone: str) -> None:
    first, _ = keys(deps)
    lose_medium(deps, first)
    if gone == "the place":
        change(deps, "UPDATE document_revisions SET content = jsonb_set(content, '{studyTexts}', '[]')")
    elif gone == "the course":
        change(deps, "UPDATE documents SET archived_at = clock_timestamp()")
    else:
        change(deps, "UPDATE document_revisions SET content = content #- '{provenance,packId}'")
    assert reconcile(deps) == {"picture_missing": 1}
    since = one(deps, "SELECT missing_since FROM media_assets WHERE missing_since IS NOT NULL")
    unseen(deps, "media_assets")
    assert reconcile(deps) == {}
    assert one(deps, "SELECT missing_since FROM media_assets WHERE missing_since IS NOT NULL") == since
    assert len(media_jobs(deps)) == 2
    deps.objects.put(deps.settings.s3.media_bucket, first, b"found again", "image/png", "private")
    unseen(deps, "media_assets")
    assert reconcile(deps) == {}
    assert one(deps, "SELECT count(*) FROM media_assets WHERE missing_since IS NOT NULL") == 0


def test_a_look_that_is_older_than_somebody_elses_is_not_believed(deps: Deps, parent: UUID) -> None:
    kept = media.longest_unverified(deps.db, 3600, 1)[0]
    with deps.db.transaction() as tx:
        assert media.mark_missing(tx, kept)
    media.mark_verified(deps.db, [kept])
    with deps.db.transaction() as tx:
        assert not media.mark_missing(tx, kept), "it was there again since"
    assert one(deps, "SELECT count(*) FROM media_assets WHERE missing_since IS NOT NULL") == 0


# --- many at once -------------------------------------------------------------------------------------------------


def test_reconcilers_at_once_mend_each_file_once(deps: Deps, asker: Asker) -> None:
    names = [f"sums-{number}" for number in range(6)]
    for name in names:
        made(deps, asker, name)
    made(deps, asker, "water", **ILLUSTRATED)
    lose(deps, *(course_key(asker.organization_id, name) for name in names), catalog_key(asker.organization_id))
    lose_medium(deps, *keys(deps))
    processes = [make_deps(deps.settings, deps.send) for _ in range(4)]  # type: ignore[arg-type]
    answers = together([lambda process=process: reconcile(process) for process in processes])  # type: ignore[misc]
    expected = {"document_lost": 6, "catalog_lost": 1, "picture_ordered": 2}
    assert sums(answers) == expected
    assert counted(deps) == expected
    assert len(media_jobs(deps)) == 4
    once.run_due(deps)
    for table in ("documents", "media_assets"):
        unseen(deps, table)
    assert sums(at_once(2, lambda: reconcile(deps))) == {}
    for name in names:
        body = in_store(deps, course_key(asker.organization_id, name))
        assert body == as_bytes(current(deps, asker, name).content)
    for process in processes:
        process.close()


def test_while_the_store_is_away_nothing_is_taken_for_seen_or_lost(deps: Deps, asker: Asker, parent: UUID) -> None:
    nowhere = replace(deps.settings.s3, endpoint_url="http://127.0.0.1:9")
    cut_off = make_deps(replace(deps.settings, s3=nowhere), deps.send)  # type: ignore[arg-type]
    assert reconcile(cut_off) == {}
    for table in ("documents", "media_assets"):
        assert rows(deps, f"SELECT 1 FROM {table} WHERE verified_at IS NOT NULL") == []
    assert one(deps, "SELECT count(*) FROM media_assets WHERE missing_since IS NOT NULL") == 0
    cut_off.close()
