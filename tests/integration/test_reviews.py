"""Where an organization wants every course reviewed, nobody outside reads one before somebody has approved it."""

from __future__ import annotations

from itertools import count
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from schema.errors import Conflict, NotFound
from storage import catalog, reviews
from storage.catalog import PUBLIC
from tasks import once
from tasks.commands import Asker, retry_job
from tasks.cron import reconcile
from tasks.deps import Deps
from tasks.reviews import Approved, approve
from tasks.step import deliver
from tests.integration.signed_in import sign_in
from tests.integration.stage import (
    WATER,
    Died,
    Fate,
    change,
    job,
    lose_worker,
    mortal,
    one,
    rows,
    school,
    start,
    together,
    told,
)
from tests.integration.test_media import children, pictures
from tests.integration.test_organization_settings import choose, headers
from tests.integration.test_pages import BROWSER
from tests.integration.test_reconcile_store import current, made
from tests.integration.test_unlisted import end, saved, shown

pytestmark = pytest.mark.usefixtures("empty_store")

ILLUSTRATED = {**WATER, "courseId": "water", "generateStudyTextImages": True, "visibility": "public"}
FILE = "/content/public/demo-school/{}/course.json"


@pytest.fixture
def strict(deps: Deps, asker: Asker) -> None:
    """The organization wants every course reviewed."""
    choose(deps, asker, requireReview=True)


def waiting(deps: Deps, asker: Asker) -> list[str]:
    return [one["courseId"] for one in reviews.waiting(deps.db, asker.organization_id, None, 100)]


def moves(deps: Deps, catalog_id: UUID) -> list[tuple[str, str]]:
    return [(one["action"], one["courseId"]) for one in catalog.changes(deps.db, catalog_id, 0)["changes"]]


def status_of(client: FlaskClient, path: str, **given: Any) -> int:
    return client.get(path, **given).status_code


@pytest.mark.usefixtures("strict")
def test_a_course_that_waits_is_for_members_alone_and_approved_it_is_for_all(
    deps: Deps, asker: Asker, client: FlaskClient
) -> None:
    job_id, org, ours = start(deps, asker, **ILLUSTRATED), asker.organization_id, headers(deps, asker)
    once.run_due(deps)
    ended = [event for event in told(deps, job_id) if event["type"] == "step_completed"]
    [said] = [event["message"] for event in ended if event["step"] == "catalog"]
    kept = one(deps, "SELECT result FROM job_steps WHERE job_id = :id AND step = 'catalog'", id=job_id)
    assert (said, kept) == ("The course waits for review", {"catalogVersion": None, "awaitsReview": True})
    assert job(deps, job_id).status == "done" and "job_completed" in [event["type"] for event in told(deps, job_id)]

    # Both its pictures came meanwhile, and they list it no more than the course itself did.
    assert current(deps, asker, "water").revision == 3
    for catalog_id in (org, PUBLIC):
        assert catalog.whole(deps.db, catalog_id)["courses"] == moves(deps, catalog_id) == []
    medium = pictures(deps, job_id)[0]
    assert [status_of(client, FILE.format("water")), status_of(client, medium)] == [404, 401]
    assert client.get("/api/courses", headers=ours).get_json()["courses"] == []
    read = client.get("/api/courses/water", headers=ours)
    assert (read.get_json()["revision"], read.get_json()["review"]["status"]) == (3, "waiting")
    assert read.get_json()["review"]["jobId"] == str(job_id)
    file = client.get("/content/courses/water/course.json?v=v3", headers=ours)
    assert (file.status_code, file.headers["Cache-Control"]) == (200, "private, no-cache")
    assert client.get(medium, headers=ours).headers["Cache-Control"].startswith("private")
    [listed] = client.get("/api/reviews", headers=ours).get_json()["reviews"]
    assert {**listed, "waitingSince": ""} == {
        "courseId": "water",
        "title": current(deps, asker, "water").content["title"],
        "revision": 3,
        "waitingSince": "",
        "jobId": str(job_id),
    }
    assert reconcile(deps) == {}

    answers = [client.post("/api/courses/water/approve", headers=ours, json=body) for body in ({"revision": 3}, {}, {})]
    expected = {"courseId": "water", "revision": 3, "catalogVersion": 1}
    assert [(answer.status_code, answer.get_json()) for answer in answers] == [(200, expected)] * 3
    assert moves(deps, org) == moves(deps, PUBLIC) == [("added", "water")]
    assert [status_of(client, FILE.format("water")), status_of(client, medium)] == [200, 200]
    assert client.get(medium).headers["Cache-Control"].startswith("public")
    again = client.get("/api/courses/water", headers={**ours, "If-None-Match": read.headers["ETag"]})
    review = again.get_json()["review"]
    assert (again.status_code, review["status"], review["approvedBy"]) == (200, "approved", None)
    assert client.get("/api/reviews", headers=ours).get_json() == {"reviews": [], "nextCursor": None}


class TestApproving:
    @pytest.mark.usefixtures("strict")
    def test_only_what_was_looked_at(self, deps: Deps, asker: Asker, client: FlaskClient) -> None:
        made(deps, asker)
        made(deps, asker, itemsPerGroup=5)
        late = client.post("/api/courses/sums/approve", headers=headers(deps, asker), json={"revision": 1})
        assert (late.status_code, late.get_json()["code"]) == (409, "conflict")
        assert late.get_json()["details"]["latest"] == {"revision": 2}
        assert (waiting(deps, asker), shown(deps, asker)) == (["sums"], {})

    @pytest.mark.usefixtures("strict")
    def test_it_takes_an_admin_of_the_same_organization(self, deps: Deps, asker: Asker, client: FlaskClient) -> None:
        made(deps, asker)
        with pytest.raises(NotFound):
            approve(deps, school(deps), "sums", None)
        ours = headers(deps, asker)
        assert client.post("/api/courses/none/approve", headers=ours).status_code == 404
        faulty = client.post("/api/courses/sums/approve", headers=ours, json={"revision": "1", "words": ""})
        assert {fault["path"] for fault in faulty.get_json()["errors"]} == {"revision", "words"}
        for role in ("viewer", "author"):
            here = sign_in(client, deps, asker.organization_id, role, asker.user)
            seen = client.get("/api/reviews")
            assert seen.status_code == (403 if role == "viewer" else 200)
            assert client.post("/api/courses/sums/approve", headers=here).status_code == 403
        assert rows(deps, "SELECT document_id FROM documents WHERE document_id <> 'sums'") == []
        assert waiting(deps, asker) == ["sums"]
        here = sign_in(client, deps, asker.organization_id, "admin", asker.user)
        assert client.post("/api/courses/sums/approve").status_code == 403, "from another site"
        assert client.post("/api/courses/sums/approve", headers=here).status_code == 200
        assert client.get("/api/courses/sums").get_json()["review"]["approvedBy"] == asker.user

    def test_what_needs_no_review_may_be_approved_all_the_same(self, deps: Deps, asker: Asker) -> None:
        made(deps, asker)
        assert approve(deps, asker, "sums", None) == Approved("sums", 1, 1)
        assert moves(deps, asker.organization_id) == [("added", "sums")]
        end(deps, asker, saved(deps, asker, "more-sums"), "cancelled")
        assert approve(deps, asker, "more-sums", 1) == Approved("more-sums", 1, 2)
        assert rows(deps, "SELECT * FROM course_reviews") == []

    @pytest.mark.usefixtures("strict")
    def test_pictures_that_come_later_need_no_approval_of_their_own(
        self, deps: Deps, asker: Asker, client: FlaskClient
    ) -> None:
        job_id = start(deps, asker, **ILLUSTRATED)
        assert deliver(deps, job_id, 1, "skeleton", 60).verdict == "done"
        assert job(deps, job_id).progress_message == "The course waits for review; 2 pictures are on the way"
        first, second = children(deps, job_id)
        assert deliver(deps, first, 1, "picture", 0).pass_on
        assert approve(deps, asker, "water", 1).catalog_version == 1
        assert deliver(deps, first, 1, "attach", 60).verdict == "done"
        assert status_of(client, pictures(deps, job_id)[0]) == 200, "made while it waited, shown after"
        assert deliver(deps, second, 1, "picture", 60).verdict == "done"
        assert [status_of(client, medium) for medium in pictures(deps, job_id)] == [200, 200]
        assert shown(deps, asker) == {"water": "v3"}
        read = client.get("/api/courses/water", headers=headers(deps, asker)).get_json()
        assert (read["revision"], read["review"]["status"]) == (3, "approved")


class TestTheNextRevision:
    def test_it_takes_the_course_out_of_every_catalog_until_it_is_approved(
        self, deps: Deps, asker: Asker, client: FlaskClient
    ) -> None:
        made(deps, asker, visibility="public")
        choose(deps, asker, requireReview=True)
        woken: list[UUID] = []
        deps.bus.wake_catalog = woken.append  # type: ignore[method-assign]
        job_id = saved(deps, asker, visibility="public", itemsPerGroup=5)
        # In the moment it is saved: from then on it is what everybody would read.
        assert (current(deps, asker, "sums").revision, shown(deps, asker)) == (2, {})
        assert woken == [PUBLIC, asker.organization_id]
        assert status_of(client, FILE.format("sums")) == 404
        once.run_due(deps)
        assert job(deps, job_id).status == "done"
        for catalog_id in (asker.organization_id, PUBLIC):
            assert moves(deps, catalog_id) == [("added", "sums"), ("deleted", "sums")]
            assert catalog.changes(deps.db, catalog_id, 1)["changes"][0]["entry"] is None
        assert approve(deps, asker, "sums", 2) == Approved("sums", 2, 3)
        assert moves(deps, PUBLIC)[2:] == [("added", "sums")]
        assert shown(deps, asker) == {"sums": "v2"}

    def test_an_approval_at_the_same_moment_is_of_one_revision_or_the_other(self, deps: Deps, asker: Asker) -> None:
        choose(deps, asker, requireReview=True)
        for number in range(6):
            name = f"sums-{number}"
            made(deps, asker, name)
            job_id = start(deps, asker, courseId=name, itemsPerGroup=5)
            for step in ("skeleton", "fill", "validate"):
                assert deliver(deps, job_id, 1, step, 0).pass_on
            deeds: list[Any] = [
                lambda name=name: approve(deps, asker, name, 1),
                lambda job_id=job_id: deliver(deps, job_id, 1, "persist", 60),
            ]
            approved, _ = together(deeds)
            won = isinstance(approved, Approved)
            assert won or isinstance(approved, Conflict)
            assert moves(deps, asker.organization_id)[-2:] == [("added", name), ("deleted", name)] if won else True
            assert name not in shown(deps, asker) and name in waiting(deps, asker)
            assert current(deps, asker, name).revision == 2

    def test_a_worker_that_dies_at_any_moment_of_saving_never_leaves_it_shown(self, deps: Deps, asker: Asker) -> None:
        deaths = []
        for moment in count(1):
            name = f"moment-{moment}"
            choose(deps, asker)
            made(deps, asker, name)
            choose(deps, asker, requireReview=True)
            job_id = start(deps, asker, courseId=name, itemsPerGroup=5)
            for step in ("skeleton", "fill", "validate"):
                assert deliver(deps, job_id, 1, step, 0).pass_on
            try:
                deliver(mortal(deps, Fate(moment)), job_id, 1, "persist", 0)
            except Died as death:
                deaths.append(str(death))
                assert (name in shown(deps, asker)) is (current(deps, asker, name).revision == 1)
                if rows(deps, "SELECT job_id FROM job_leases"):
                    lose_worker(deps, job_id)
                reconcile(deps)
            once.run_due(deps)
            assert (job(deps, job_id).status, current(deps, asker, name).revision) == ("done", 2)
            assert name not in shown(deps, asker) and name in waiting(deps, asker)
            told_of = [action for action, course in moves(deps, asker.organization_id) if course == name]
            assert told_of == ["added", "deleted"]
            if len(deaths) < moment:
                break
        assert len(deaths) >= 8


class TestAJobThatEndedInBetween:
    @pytest.mark.usefixtures("strict")
    @pytest.mark.parametrize("status", ["failed", "cancelled"])
    def test_what_it_saved_waits_and_nobody_lists_it(self, deps: Deps, asker: Asker, status: str) -> None:
        job_id = saved(deps, asker)
        end(deps, asker, job_id, status)
        assert (reconcile(deps), shown(deps, asker), waiting(deps, asker)) == ({}, {}, ["sums"])
        assert approve(deps, asker, "sums", 1).catalog_version == 1
        retry_job(deps, asker, job_id)
        once.run_due(deps)
        assert (job(deps, job_id).status, waiting(deps, asker)) == ("done", [])
        assert moves(deps, asker.organization_id) == [("added", "sums")]

    def test_what_was_saved_before_review_was_required_waits_instead_of_being_listed(
        self, deps: Deps, asker: Asker
    ) -> None:
        end(deps, asker, saved(deps, asker), "failed")
        choose(deps, asker, requireReview=True)
        assert reconcile(deps) == {"course_unlisted": 1}
        assert (shown(deps, asker), waiting(deps, asker), reconcile(deps)) == ({}, ["sums"], {})


class TestTheSetting:
    def test_it_is_read_when_the_course_would_be_listed(self, deps: Deps, asker: Asker) -> None:
        saved(deps, asker)
        choose(deps, asker, requireReview=True)
        once.run_due(deps)
        assert (shown(deps, asker), waiting(deps, asker)) == ({}, ["sums"])

    def test_what_is_listed_when_it_is_switched_on_stays(self, deps: Deps, asker: Asker) -> None:
        job_id = start(deps, asker, **ILLUSTRATED)
        assert deliver(deps, job_id, 1, "skeleton", 60).verdict == "done"
        choose(deps, asker, requireReview=True)
        once.run_due(deps)
        assert (shown(deps, asker), waiting(deps, asker)) == ({"water": "v3"}, [])

    @pytest.mark.usefixtures("strict")
    def test_switched_off_it_lists_nothing_that_waits(self, deps: Deps, asker: Asker) -> None:
        saved(deps, asker)
        choose(deps, asker)
        once.run_due(deps)
        change(deps, "UPDATE documents SET verified_at = NULL")
        assert (reconcile(deps), shown(deps, asker), waiting(deps, asker)) == ({}, {}, ["sums"])
        # The next revision is one that needs no review.
        made(deps, asker, itemsPerGroup=5)
        assert (shown(deps, asker), waiting(deps, asker)) == ({"sums": "v2"}, [])

    @pytest.mark.usefixtures("strict")
    def test_it_is_each_organizations_own(self, deps: Deps, asker: Asker) -> None:
        other = school(deps)
        made(deps, other)
        assert shown(deps, other) == {"sums": "v1"}


@pytest.mark.usefixtures("strict")
def test_what_waits_is_listed_oldest_first_page_by_page(deps: Deps, asker: Asker, client: FlaskClient) -> None:
    names = ["sums", "more-sums", "other-sums"]
    for name in names:
        made(deps, asker, name)
    change(deps, "UPDATE course_reviews SET waiting_since = '2026-01-01' WHERE course_id <> 'sums'")
    found, cursor = [], ""
    while cursor is not None:
        page = client.get(f"/api/reviews?limit=1{cursor}", headers=headers(deps, asker)).get_json()
        found += [one["courseId"] for one in page["reviews"]]
        cursor = page["nextCursor"] and f"&cursor={page['nextCursor']}"
    assert sorted(found) == sorted(names) and found[-1] == "sums"
    assert status_of(client, "/api/reviews?limit=0", headers=headers(deps, asker)) == 422
    assert client.get("/api/reviews", headers=headers(deps, school(deps))).get_json()["reviews"] == []


@pytest.mark.usefixtures("strict")
def test_pages_say_that_it_waits_and_offer_approval_to_an_admin(deps: Deps, asker: Asker, client: FlaskClient) -> None:
    job_id = made(deps, asker, title="Sums <for> all")
    sign_in(client, deps, asker.organization_id, "author", asker.user)
    course, its_job = (client.get(path, headers=BROWSER).text for path in ("/courses/sums", f"/jobs/{job_id}"))
    assert "Waiting for review." in course and "Waiting for review." in its_job
    assert 'id="approve"' not in course and "Waiting" not in client.get("/catalog", headers=BROWSER).text
    sign_in(client, deps, asker.organization_id, "admin", asker.user)
    assert 'id="approve" data-revision="1"' in client.get("/courses/sums", headers=BROWSER).text
    assert '<a href="/courses/sums">Sums &lt;for&gt; all</a>' in client.get("/catalog", headers=BROWSER).text
    approve(deps, asker, "sums", 1)
    for path in ("/courses/sums", f"/jobs/{job_id}", "/catalog"):
        assert "Waiting" not in client.get(path, headers=BROWSER).text
