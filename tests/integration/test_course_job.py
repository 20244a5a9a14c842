"""Whole courses on the real stores: from a pack, computed, and written by a model."""

from __future__ import annotations

import json
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest

from schema.problem import errors_of
from schema.rules import check
from storage import catalog, documents, jobs
from tasks import once
from tasks.commands import Asker
from tasks.deps import Deps
from tasks.publish import as_bytes
from tests.fakes.model_server import ModelServer
from tests.integration.stage import SUMS, WATER, change, job, one, rows, start, told

pytestmark = pytest.mark.usefixtures("empty_store")

#: What no pack and no arithmetic serves.
FISH: dict[str, Any] = {
    "subject": "Fish",
    "gradeBand": "6",
    "mode": "options",
    "itemsPerGroup": 4,
    "studyTextsCount": 1,
}
STEPS = ["skeleton", "fill", "validate", "persist", "catalog", "media"]


def made(deps: Deps, asker: Asker, **payload: Any) -> UUID:
    job_id = start(deps, asker, **payload)
    once.run_due(deps)
    row = job(deps, job_id)
    assert row.status == "done", row.error
    return job_id


def course_of(deps: Deps, job_id: UUID) -> documents.Revision:
    row = job(deps, job_id)
    current = documents.current(deps.db, row.organization_id, "course", row.course_id)
    assert current is not None
    return current


def stored(deps: Deps, key: str) -> tuple[bytes, dict[str, str]]:
    """An object's bytes and headers."""
    bucket = deps.settings.s3.courses_bucket
    body = deps.objects.read(bucket, key)
    assert body is not None, key
    headers = deps.objects.client.stat_object(bucket, key).metadata
    return body, {name.lower(): value for name, value in (headers or {}).items()}


def debug(deps: Deps, job_id: UUID, name: str) -> Any:
    body, headers = stored(deps, f"debug/{job(deps, job_id).organization_id}/jobs/{job_id}/{name}")
    assert headers["cache-control"] == "private, no-store"
    return json.loads(body)


@pytest.fixture(params=["pack", "arithmetic", "llm"])
def source(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def done(model_deps: Deps, asker: Asker, source: str) -> UUID:
    """A finished job of each kind, for a course that everybody may see."""
    payload = {"pack": WATER, "arithmetic": SUMS, "llm": FISH}[source]
    return made(model_deps, asker, **payload, courseId=f"by-{source}", visibility="public", tags=["first"])


def test_a_course_is_valid_and_says_where_it_came_from(model_deps: Deps, done: UUID, source: str) -> None:
    content: Any = course_of(model_deps, done).content
    assert errors_of(check(content)) == []
    assert content["id"] == f"by-{source}"
    assert (content["contentVersion"], content["tags"], content["visibility"]) == ("v1", ["first"], "public")
    assert (content["provenance"]["source"], content["provenance"]["jobId"]) == (source, str(done))
    assert content["provenance"]["verified"] is True
    assert len(content["items"]) >= 8
    assert [item["id"] for item in content["items"]] == list(range(len(content["items"])))


def test_the_file_of_a_course_is_its_revision(model_deps: Deps, done: UUID, source: str) -> None:
    current = course_of(model_deps, done)
    body, headers = stored(model_deps, f"{current.organization_id}/by-{source}/course.json")
    assert body == as_bytes(current.content)
    assert headers["content-type"] == "application/json; charset=utf-8"
    assert (headers["cache-control"], headers["x-amz-meta-number"]) == ("no-cache", "1")
    assert job(model_deps, done).result_path == f"by-{source}/course.json"
    assert one(model_deps, "SELECT stored_revision FROM documents") == current.revision == 1
    assert (current.source, current.created_by) == ("workflow", job(model_deps, done).created_by)


def test_a_course_enters_both_its_catalogs_at_a_version_its_row_names(
    model_deps: Deps, done: UUID, source: str
) -> None:
    organization = job(model_deps, done).organization_id
    for catalog_id, folder in ((organization, "courses"), (catalog.PUBLIC, "public/demo-school")):
        whole = catalog.whole(model_deps.db, catalog_id)
        [entry] = whole["courses"]
        assert (whole["version"], entry["id"], entry["contentVersion"]) == (1, f"by-{source}", "v1")
        assert entry["url"] == f"/content/{folder}/by-{source}/course.json?v=v1"
        assert entry["itemCount"] == len(course_of(model_deps, done).content["items"])
        [change] = catalog.changes(model_deps.db, catalog_id, 0)["changes"]
        assert (change["version"], change["action"], change["entry"]) == (1, "added", entry)
    assert one(model_deps, "SELECT catalog_version FROM course_metadata") == 1
    assert json.loads(stored(model_deps, "catalog.json")[0]) == catalog.whole(model_deps.db, catalog.PUBLIC)
    body, headers = stored(model_deps, f"{organization}/catalog.json")
    assert json.loads(body) == catalog.whole(model_deps.db, organization)
    assert headers["cache-control"] == "no-cache, no-store, must-revalidate"


def test_events_tell_the_whole_story_in_order(model_deps: Deps, done: UUID) -> None:
    events = told(model_deps, done)
    assert (events[0]["type"], events[-1]["type"]) == ("job_created", "job_completed")
    assert [event["step"] for event in events if event["type"] == "step_started"] == STEPS
    assert [event["step"] for event in events if event["type"] == "step_completed"] == STEPS
    progress = [event["progress"] for event in events if "progress" in event]
    assert all(before <= after for before, after in pairwise(progress))
    assert progress[-1] == 100
    content = course_of(model_deps, done).content
    topics = [event for event in events if event["type"] == "topic_completed"]
    assert sum(topic["itemsGenerated"] for topic in topics) == len(content["items"])
    assert sum(topic["lessonsGenerated"] for topic in topics) == len(content["studyTexts"])
    assert {topic["topicIndex"] for topic in topics} == set(range(1, len(topics) + 1))
    assert {topic["totalTopics"] for topic in topics} == {len(topics)}
    assert events[-1]["courseId"] == content["id"]
    assert (events[-1]["mediaPending"], events[-1]["totalDuration"] > 0) == (0, True)


def test_a_finished_job_shows_that_it_is(model_deps: Deps, done: UUID, model: ModelServer, source: str) -> None:
    shown = jobs.read(model_deps.db, job(model_deps, done).organization_id, done)
    assert shown is not None
    assert (shown["status"], shown["progress"], shown["currentStep"]) == ("done", 100, "media")
    assert (shown["error"], shown["nextRunAt"], shown["retryCount"], shown["runNumber"]) == (None, None, 0, 1)
    assert shown["startedAt"] <= shown["completedAt"]
    calls = rows(model_deps, "SELECT * FROM model_calls")
    assert shown["usage"]["calls"] == len(calls) == len(model.calls())
    assert shown["usage"]["inputTokens"] == sum(call.input_tokens for call in calls)
    assert shown["usage"]["outputTokens"] == sum(call.output_tokens for call in calls)
    if source == "llm":
        assert {call.purpose for call in calls} == {"plan", "items", "study_text", "verify"}
        assert all(call.input_tokens > 0 and call.output_tokens > 0 and call.seconds > 0 for call in calls)
    else:
        assert model.calls() == []
    assert shown["usage"]["costUsd"] is None, "nobody knows what this endpoint asks for"
    change(model_deps, "UPDATE model_calls SET cost_usd = 0.25")
    shown = jobs.read(model_deps.db, job(model_deps, done).organization_id, done)
    assert shown is not None
    assert shown["usage"]["costUsd"] == (0.25 * len(calls) or None)


# --- the author's wishes ----------------------------------------------------------------------------------------


def test_notes_go_to_the_model_even_where_a_pack_would_do_and_are_kept(
    model_deps: Deps, asker: Asker, model: ModelServer
) -> None:
    wish = "Use examples from the seaside. 🌊"
    job_id = made(model_deps, asker, **WATER, notes=wish)
    assert course_of(model_deps, job_id).content["provenance"]["source"] == "llm"
    assert all(wish in call.question for call in model.calls() if call.purpose in ("plan", "items", "study_text"))
    kept = debug(model_deps, job_id, "special_requests.json")
    assert (kept["notes"], kept["jobId"]) == (wish, str(job_id))


def test_the_title_of_the_request_is_the_title_of_the_course(model_deps: Deps, asker: Asker) -> None:
    for payload in (WATER, SUMS, FISH):
        job_id = made(model_deps, asker, **payload, title="Our very own course")
        assert course_of(model_deps, job_id).content["title"] == "Our very own course"


def test_remarks_are_kept_with_the_job(deps: Deps, asker: Asker) -> None:
    job_id = made(deps, asker, **{**WATER, "itemsPerGroup": 100})
    problems = debug(deps, job_id, "validation_issues.json")["problems"]
    assert {"fewer_items"} <= {problem["code"] for problem in problems}
    assert "error" not in {problem["severity"] for problem in problems}


@pytest.mark.parametrize(
    ("wanted", "said"),
    [(True, "The course is ready; its texts have no place for a picture"), (False, "The course is ready")],
)
def test_who_wanted_pictures_and_gets_none_is_told(deps: Deps, asker: Asker, wanted: bool, said: str) -> None:
    row = job(deps, made(deps, asker, **SUMS, generateStudyTextImages=wanted))
    assert (row.progress_message, row.media_pending) == (said, 0)


# --- once more --------------------------------------------------------------------------------------------------


def test_the_same_id_and_request_give_the_same_content_in_another_organization(deps: Deps, asker: Asker) -> None:
    from tests.integration.stage import school

    first, second = (
        course_of(deps, made(deps, whose, **WATER, courseId="water")).content for whose in (asker, school(deps))
    )
    for content in (first, second):
        content["provenance"]["jobId"] = content["provenance"]["generatedAt"] = ""
    assert first == second


def test_a_second_job_for_a_course_makes_its_next_revision(deps: Deps, asker: Asker) -> None:
    first = made(deps, asker, courseId="sums")
    second = made(deps, asker, courseId="sums", itemsPerGroup=5)
    assert (job(deps, first).base_revision, job(deps, second).base_revision) == (None, 1)
    current = course_of(deps, second)
    assert (current.revision, current.content["contentVersion"]) == (2, "v2")
    body, headers = stored(deps, f"{asker.organization_id}/sums/course.json")
    assert (body, headers["x-amz-meta-number"]) == (as_bytes(current.content), "2")
    changes = catalog.changes(deps.db, asker.organization_id, 0)["changes"]
    assert [(change["version"], change["action"]) for change in changes] == [(1, "added"), (2, "updated")]
    [entry] = catalog.whole(deps.db, asker.organization_id)["courses"]
    assert entry["contentVersion"] == "v2"
    assert json.loads(stored(deps, f"{asker.organization_id}/catalog.json")[0])["version"] == 2
