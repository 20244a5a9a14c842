"""Pictures: a child job each, attached one by one without losing any, and never a reason for a course to fail."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from itertools import count
from typing import Any
from uuid import UUID

import pytest

from schema.errors import Conflict, Permanent, Transient
from schema.markers import image_markers
from storage import catalog, documents
from storage.documents import Author
from tasks import once
from tasks.commands import Asker, cancel_job, retry_job
from tasks.cron import reconcile
from tasks.deps import Deps
from tasks.ending import settle_error
from tasks.step import deliver
from tests.integration.stage import (
    WATER,
    Died,
    Fate,
    change,
    claim,
    held,
    job,
    lose_worker,
    mortal,
    one,
    rows,
    school,
    start,
    together,
    told,
    types,
)
from tests.integration.test_course_job import FISH

pytestmark = pytest.mark.usefixtures("empty_store")

ILLUSTRATED = {**WATER, "generateStudyTextImages": True}


def course(deps: Deps, job_id: UUID) -> documents.Revision:
    row = job(deps, job_id)
    current = documents.current(deps.db, row.organization_id, "course", row.course_id)
    assert current is not None
    return current


def markers(deps: Deps, job_id: UUID) -> list[str]:
    return [shows for text in course(deps, job_id).content["studyTexts"] for shows in image_markers(text["content"])]


def pictures(deps: Deps, job_id: UUID) -> list[str]:
    """Where the pictures in the texts are, in reading order."""
    texts = " ".join(text["content"] for text in course(deps, job_id).content["studyTexts"])
    return [piece.split(")")[0] for piece in texts.split("](")[1:]]


def children(deps: Deps, job_id: UUID) -> list[UUID]:
    found = rows(deps, "SELECT id FROM jobs WHERE parent_job_id = :id ORDER BY id", id=job_id)
    return [row.id for row in found]


@pytest.fixture
def parent(deps: Deps, asker: Asker) -> UUID:
    """A finished course whose two pictures are ordered and not made."""
    job_id = start(deps, asker, **ILLUSTRATED, courseId="water")
    assert deliver(deps, job_id, 1, "skeleton", 60).verdict == "done"
    return job_id


@pytest.fixture
def many(model_deps: Deps, asker: Asker) -> UUID:
    """A finished course of the model's with six pictures to come."""
    job_id = start(model_deps, asker, **{**FISH, "studyTextsCount": 6}, generateStudyTextImages=True)
    assert deliver(model_deps, job_id, 1, "skeleton", 60).verdict == "done"
    assert len(children(model_deps, job_id)) == 6
    return job_id


def test_each_marker_is_a_child_job_with_its_own_row(deps: Deps, parent: UUID) -> None:
    found = rows(
        deps, "SELECT j.*, p.payload FROM jobs j JOIN job_payloads p ON p.job_id = j.id WHERE job_type = 'media'"
    )
    assert sorted(row.payload["prompt"] for row in found) == sorted(markers(deps, parent))
    for row in found:
        assert (row.parent_job_id, row.queue, row.status, row.target) == (parent, "media", "pending", None)
        assert row.payload["targetRef"]["marker"] == row.payload["prompt"]
        assert types(deps, row.id) == ["job_created"]
    row = job(deps, parent)
    assert (row.status, row.media_pending, told(deps, parent)[-1]["mediaPending"]) == ("done", 2, 2)


def test_without_a_wish_for_pictures_there_are_none(deps: Deps, asker: Asker) -> None:
    job_id = start(deps, asker, **WATER)
    once.run_due(deps)
    assert children(deps, job_id) == []
    assert len(markers(deps, job_id)) == 2
    assert told(deps, job_id)[-1]["mediaPending"] == 0


def test_pictures_take_the_place_of_their_markers_one_revision_each(deps: Deps, parent: UUID) -> None:
    shown = markers(deps, parent)
    once.run_due(deps)
    assert markers(deps, parent) == []
    current = course(deps, parent)
    assert (current.revision, current.content["contentVersion"]) == (3, "v3")
    assert one(deps, "SELECT array_agg(change ORDER BY revision) FROM document_revisions") == [
        "generated",
        "attached",
        "attached",
    ]
    organization = job(deps, parent).organization_id
    changes = catalog.changes(deps.db, organization, 0)["changes"]
    assert [change["entry"]["contentVersion"] for change in changes] == ["v1", "v2", "v3"]
    stored = deps.objects.stored(deps.settings.s3.courses_bucket, f"{organization}/water/course.json")
    assert stored is not None
    assert stored.number == 3
    for path, alt in zip(pictures(deps, parent), shown, strict=True):
        body = deps.objects.read(deps.settings.s3.media_bucket, path.replace("/content/media", str(organization)))
        assert body is not None
        assert body.startswith(b"\x89PNG")
        assert hashlib.sha256(body).hexdigest() in path
        assert f"![{alt}]({path})" in str(current.content["studyTexts"])


def test_the_parents_stream_tells_of_every_picture_and_of_the_last(deps: Deps, parent: UUID) -> None:
    once.run_due(deps)
    first, second, settled = told(deps, parent)[-3:]
    assert [first["type"], second["type"], settled["type"]] == ["media_completed", "media_completed", "media_settled"]
    assert {first["mediaJobId"], second["mediaJobId"]} == {str(child) for child in children(deps, parent)}
    assert [first["revision"], second["revision"]] == [2, 3]
    assert {first["url"], second["url"]} == set(pictures(deps, parent))
    assert (settled["completed"], settled["failed"]) == (2, 0)
    assert (job(deps, parent).media_pending, job(deps, parent).media_completed) == (0, 2)
    for child in children(deps, parent):
        assert (job(deps, child).status, types(deps, child)[-1]) == ("done", "job_completed")


# --- many at once -----------------------------------------------------------------------------------------------


def test_pictures_attached_at_the_same_moment_are_all_there(model_deps: Deps, many: UUID) -> None:
    waiting = children(model_deps, many)
    for child in waiting:
        assert deliver(model_deps, child, 1, "picture", 0).pass_on
    answers = together([lambda child=child: deliver(model_deps, child, 1, "attach", 60).verdict for child in waiting])  # type: ignore[misc]
    assert answers == ["done"] * 6
    assert markers(model_deps, many) == []
    assert len(pictures(model_deps, many)) == 6
    assert one(model_deps, "SELECT array_agg(revision ORDER BY revision) FROM document_revisions") == [*range(1, 8)]
    versions = one(model_deps, "SELECT array_agg(version ORDER BY version) FROM catalog_updates")
    assert versions == [*range(1, 8)]
    revisions = [event["revision"] for event in told(model_deps, many) if event["type"] == "media_completed"]
    assert revisions == [*range(2, 8)], "told in the order in which readers could see them"
    assert types(model_deps, many).count("media_settled") == 1
    stored = model_deps.objects.stored(
        model_deps.settings.s3.courses_bucket,
        f"{job(model_deps, many).organization_id}/{job(model_deps, many).course_id}/course.json",
    )
    assert stored is not None
    assert stored.number == 7


def test_cancelling_parent_and_children_at_once_with_pictures_landing_never_locks_up(
    model_deps: Deps, asker: Asker, many: UUID
) -> None:
    """Children lock their parent, parents their children, and attaching locks document, parent, child, catalog."""
    waiting = children(model_deps, many)
    for child in waiting:
        assert deliver(model_deps, child, 1, "picture", 0).pass_on
    for _ in range(6):
        deeds: list[Callable[[], Any]] = [lambda: cancel_job(model_deps, asker, many, "")]
        for index, child in enumerate(waiting):
            if index % 2:
                deeds.append(lambda child=child: cancel_job(model_deps, asker, child, ""))  # type: ignore[misc]
            else:
                run = job(model_deps, child).run
                deeds.append(lambda child=child, run=run: deliver(model_deps, child, run, "attach", 60))  # type: ignore[misc]
            deeds.append(lambda child=child: retry_job(model_deps, asker, child))  # type: ignore[misc]
        answers = together(deeds)
        unexpected = [
            answer for answer in answers if isinstance(answer, BaseException) and not isinstance(answer, Conflict)
        ]
        assert unexpected == []
        row = job(model_deps, many)
        statuses = [job(model_deps, child).status for child in waiting]
        assert row.media_pending == sum(status in ("pending", "processing") for status in statuses)
        assert row.media_completed == statuses.count("done")
        assert row.media_failed == statuses.count("cancelled")
        told(model_deps, many)
        for child, status in zip(waiting, statuses, strict=True):
            if status == "cancelled":
                retry_job(model_deps, asker, child)
    once.run_due(model_deps)
    assert markers(model_deps, many) == []
    assert (job(model_deps, many).media_pending, job(model_deps, many).media_completed) == (0, 6)


def test_pictures_of_two_jobs_for_the_same_course_settle_both(deps: Deps, asker: Asker, parent: UUID) -> None:
    """The second job's course has the first one's markers, so whoever comes second finds the picture there."""
    second = start(deps, asker, **{**ILLUSTRATED, "itemsPerGroup": 7}, courseId="water")
    assert deliver(deps, second, 1, "skeleton", 60).verdict == "done"
    once.run_due(deps)
    assert markers(deps, second) == []
    assert len(pictures(deps, second)) == 2
    for job_id in (parent, second):
        assert {job(deps, child).status for child in children(deps, job_id)} == {"done"}
        assert (told(deps, job_id)[-1]["type"], told(deps, job_id)[-1]["completed"]) == ("media_settled", 2)
    assert course(deps, second).revision == 4


# --- what goes wrong --------------------------------------------------------------------------------------------


def test_without_a_diagram_and_without_a_model_the_marker_stays_and_the_child_says_why(deps: Deps, many: UUID) -> None:
    before = course(deps, many)
    once.run_due(deps)
    for child in children(deps, many):
        assert (job(deps, child).status, job(deps, child).error["code"]) == ("failed", "model_not_configured")
    row = job(deps, many)
    assert (row.status, row.error, row.media_pending, row.media_failed) == ("done", None, 0, 6)
    assert course(deps, many) == before
    events = told(deps, many)[-7:]
    assert [event["type"] for event in events] == ["media_failed"] * 6 + ["media_settled"]
    assert {event["error"]["code"] for event in events[:-1]} == {"model_not_configured"}
    assert (events[-1]["completed"], events[-1]["failed"]) == (0, 6)


def test_a_failed_picture_can_be_made_later(model_deps: Deps, deps: Deps, asker: Asker, many: UUID) -> None:
    once.run_due(deps)
    first, *_ = children(deps, many)
    retry_job(deps, asker, first)
    assert (job(deps, many).media_pending, job(deps, many).media_failed) == (1, 5)
    once.run_due(model_deps)
    assert job(deps, first).status == "done"
    assert len(markers(deps, many)) == 5
    assert [event["type"] for event in told(deps, many)[-2:]] == ["media_completed", "media_settled"]
    assert (told(deps, many)[-1]["completed"], told(deps, many)[-1]["failed"]) == (1, 5)


def test_a_picture_that_is_tried_again_is_still_pending_for_its_parent(deps: Deps, asker: Asker, parent: UUID) -> None:
    child, _ = children(deps, parent)
    assert settle_error(deps, held(deps, child).lease, "picture", Transient("Away.", retry_after=0)) == "pending"
    assert job(deps, parent).media_pending == 2
    held(deps, child)
    lose_worker(deps, child)
    reconcile(deps)
    assert job(deps, parent).media_pending == 2
    once.run_due(deps)
    assert (job(deps, parent).media_pending, markers(deps, parent)) == (0, [])


def test_a_picture_whose_place_is_gone_fails_alone(deps: Deps, asker: Asker, parent: UUID) -> None:
    content = course(deps, parent).content
    content["studyTexts"][0]["content"] = content["studyTexts"][0]["content"].replace("[IMAGE:", "[SECTION:", 1)
    with deps.db.transaction() as tx:
        documents.lock(tx, asker.organization_id, "course", "water")
        documents.save(tx, asker.organization_id, "course", "water", content, Author("app", None), "edited")
    once.run_due(deps)
    statuses = sorted(
        (job(deps, child).status, (job(deps, child).error or {}).get("code")) for child in children(deps, parent)
    )
    assert statuses == [("done", None), ("failed", "target_gone")]
    assert course(deps, parent).revision == 3
    assert told(deps, parent)[-1]["type"] == "media_settled"


def test_a_child_that_fails_for_good_is_counted_off_once(deps: Deps, parent: UUID) -> None:
    child, _ = children(deps, parent)
    lease = held(deps, child).lease
    answers = together([lambda: settle_error(deps, lease, "picture", Permanent("It broke."))] * 4)
    assert sorted(str(answer) for answer in answers) == ["None", "None", "None", "failed"]
    assert (job(deps, parent).media_pending, job(deps, parent).media_failed) == (1, 1)


def test_a_picture_that_dies_at_any_moment_is_attached_once_all_the_same(deps: Deps, asker: Asker) -> None:
    """And whenever its row is there, its bytes are."""
    deaths = []
    for moment in count(1):
        job_id = start(deps, asker, **ILLUSTRATED, courseId=f"moment-{moment}")
        assert deliver(deps, job_id, 1, "skeleton", 60).verdict == "done"
        child, other = children(deps, job_id)
        cancel_job(deps, asker, other, "")
        change(deps, "DELETE FROM media_assets")
        try:
            deliver(mortal(deps, Fate(moment)), child, 1, "picture", 60)
        except Died as death:
            deaths.append(str(death))
            for asset in rows(deps, "SELECT organization_id, sha256 FROM media_assets"):
                key = f"{asset.organization_id}/{asset.sha256}.png"
                assert deps.objects.read(deps.settings.s3.media_bucket, key) is not None
            if job(deps, child).status == "processing":
                lose_worker(deps, child)
            reconcile(deps)
            once.run_due(deps)
        assert (job(deps, child).status, len(markers(deps, job_id)), course(deps, job_id).revision) == ("done", 1, 2)
        assert types(deps, job_id).count("media_completed") == types(deps, job_id).count("media_settled") == 1
        if len(deaths) < moment:
            break
    assert any(death.startswith("after put") for death in deaths)
    assert len(deaths) >= 10


# --- cancel -----------------------------------------------------------------------------------------------------


def test_cancelling_a_finished_job_cancels_the_pictures_it_waits_for(deps: Deps, asker: Asker, parent: UUID) -> None:
    first, _ = children(deps, parent)
    deliver(deps, first, 1, "picture", 60)
    assert cancel_job(deps, asker, parent, "Enough") == "The course is done; 1 of its pictures was cancelled."
    row = job(deps, parent)
    assert (row.status, row.media_pending, row.media_completed, row.media_failed) == ("done", 0, 1, 1)
    assert {job(deps, child).status for child in children(deps, parent)} == {"done", "cancelled"}
    failed, settled = told(deps, parent)[-2:]
    assert (failed["type"], failed["error"]["code"]) == ("media_failed", "cancelled")
    assert (settled["completed"], settled["failed"]) == (1, 1)
    with pytest.raises(Conflict) as caught:
        cancel_job(deps, asker, parent, "Again")
    assert caught.value.code == "job_finished"


def test_the_answer_says_how_the_course_stands(deps: Deps, asker: Asker, parent: UUID) -> None:
    change(deps, "UPDATE jobs SET status = 'failed' WHERE id = :id", id=parent)
    words = "The job is failed already; 2 of its pictures were cancelled."
    assert cancel_job(deps, asker, parent, "") == words


def test_a_cancelled_picture_is_not_made(deps: Deps, asker: Asker, parent: UUID) -> None:
    first, second = children(deps, parent)
    cancel_job(deps, asker, first, "")
    assert claim(deps, first) is None
    once.run_due(deps)
    assert (job(deps, first).status, job(deps, second).status) == ("cancelled", "done")
    assert len(markers(deps, parent)) == 1


# --- who may see them -------------------------------------------------------------------------------------------


def test_the_same_picture_in_two_courses_is_one_asset_as_open_as_the_more_open_course(deps: Deps, asker: Asker) -> None:
    for asked_for, then in (("private", "private"), ("org", "org"), ("public", "public"), ("org", "public")):
        start(deps, asker, **ILLUSTRATED, visibility=asked_for)
        once.run_due(deps)
        assert {row.visibility for row in rows(deps, "SELECT visibility FROM media_assets")} == {then}
    assert one(deps, "SELECT count(*) FROM media_assets") == 2
    name = one(deps, "SELECT sha256 FROM media_assets LIMIT 1")
    headers = deps.objects.client.stat_object(
        deps.settings.s3.media_bucket, f"{asker.organization_id}/{name}.png"
    ).metadata
    assert headers is not None
    assert headers["Cache-Control"] == "public, max-age=31536000, immutable"


def test_what_another_organization_shows_to_all_does_not_open_our_own(deps: Deps, asker: Asker) -> None:
    start(deps, school(deps), **ILLUSTRATED, visibility="public")
    start(deps, asker, **ILLUSTRATED, visibility="private")
    once.run_due(deps)
    found = rows(deps, "SELECT * FROM media_assets WHERE organization_id = :org", org=asker.organization_id)
    assert [row.visibility for row in found] == ["private", "private"]
    for row in found:
        key = f"{row.organization_id}/{row.sha256}.png"
        headers = deps.objects.client.stat_object(deps.settings.s3.media_bucket, key).metadata
        assert headers is not None
        assert headers["Cache-Control"].startswith("private")


def test_two_organizations_have_assets_of_their_own(deps: Deps, asker: Asker) -> None:
    for whose in (asker, school(deps)):
        start(deps, whose, **ILLUSTRATED, courseId="water")
    once.run_due(deps)
    assert one(deps, "SELECT count(DISTINCT (organization_id, sha256)) FROM media_assets") == 4
