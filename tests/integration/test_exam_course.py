"""A course from an exam on the real stores, written by the scripted model."""

from __future__ import annotations

import json
import os
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from schema.course import Course
from schema.errors import Conflict, Invalid, ModelNotConfigured
from schema.exam_request import load_new_exam
from schema.job import load_new_job
from schema.markup import as_written
from schema.problem import errors_of
from schema.rules import check
from schema.rules.topics import check_coverage
from schema.settings import read_settings
from storage import catalog, documents, jobs, retention
from tasks import once
from tasks.batches import start_batch
from tasks.commands import Asker, Started, cancel_job, retry_job, start_job
from tasks.deps import Deps
from tasks.exams import archive_exam, make_exam, replace_exam
from tasks.step import deliver
from tests.conftest import Outbox, make_deps, use
from tests.fakes.model_server import ModelServer
from tests.integration.stage import change, job, make_due, one, request, rows, school, told

pytestmark = pytest.mark.usefixtures("empty_store")

STEPS = ["settings", "questions", "topics", "lessons", "validate", "persist", "catalog"]
CIVICS: dict[str, Any] = json.loads((Path(__file__).parents[1] / "data" / "civics.json").read_text("utf-8"))
ANIMALS = ("otter", "heron", "badger", "newt", "marten", "lynx", "toad", "raven")


def lane(count: int = 8, **changes: Any) -> dict[str, Any]:
    """A small exam, every second question with options."""
    questions: list[dict[str, Any]] = []
    for number in range(1, count + 1):
        animal = ANIMALS[number % 8]
        asked = {"text": f"Who lives behind the {animal} door at number {number}?", "answer": f"{animal} {number}"}
        options = {"options": [f"{other} {number}" for other in sorted({animal, *ANIMALS[:3]})]}
        tags = {"tags": ["Left" if number <= count / 2 else "Right"]}
        questions.append(asked | (options if number % 2 else {}) | tags)
    return {"title": "Who lives where", "subject": "Neighbours", "gradeBand": "6", "questions": questions} | changes


def put_exam(deps: Deps, asker: Asker, **changes: Any) -> str:
    return make_exam(deps, asker, load_new_exam(lane(**changes)))["id"]


def asked(deps: Deps, asker: Asker, exam_id: str, **payload: Any) -> Started:
    return start_job(deps, asker, load_new_job({"jobType": "exam_course", "payload": {"examId": exam_id, **payload}}))


def made(deps: Deps, asker: Asker, exam_id: str, **payload: Any) -> UUID:
    job_id = asked(deps, asker, exam_id, **payload).job_id
    once.run_due(deps)
    row = job(deps, job_id)
    assert row.status == "done", row.error
    return job_id


def course_of(deps: Deps, job_id: UUID) -> Course:
    row = job(deps, job_id)
    current = documents.current(deps.db, row.organization_id, "course", row.course_id)
    assert current is not None
    return current.content  # type: ignore[return-value]


def purposes(model: ModelServer) -> list[str]:
    return [call.purpose for call in model.calls()]


# --- a whole exam -----------------------------------------------------------------------------------------------


def test_a_hundred_civics_questions_become_a_course_that_teaches_each(
    model_deps: Deps, asker: Asker, model: ModelServer
) -> None:
    exam = make_exam(model_deps, asker, load_new_exam(CIVICS))
    job_id = made(model_deps, asker, exam["id"])
    course = course_of(model_deps, job_id)
    assert errors_of(check(course)) == []
    assert list(check_coverage(course["topics"], [question["id"] for question in exam["questions"]])) == []
    assert 3 <= len(course["topics"]) <= 12
    lessons = {lesson["id"]: lesson for topic in course["topics"] for lesson in topic["lessons"]}
    for question in exam["questions"]:
        [lesson] = [lesson for lesson in lessons.values() if question["id"] in lesson["questionIds"]]
        asked_part = lesson["content"].split("\n## Questions\n")[1]
        assert as_written(question["text"]) in asked_part
        assert all(as_written(answer) in asked_part for answer in question["answers"][:1])
        assert lesson["objectives"]
    assert course["title"] == CIVICS["title"]
    assert (course["items"], course["levels"], course["provenance"]["verified"]) == ([], [], True)
    assert course["provenance"]["sources"] == [{"examId": exam["id"], "examRevision": "1", "title": CIVICS["title"]}]
    told_of = [problem["code"] for problem in _result(model_deps, job_id, "validate")["problems"]]
    assert "answers_not_verified" in told_of, "six questions have no answer that is right for everybody"
    assert set(purposes(model)) == {"topics", "lessons", "verify"}
    assert purposes(model).count("topics") == 1

    # The same questions under another title, in another order: nobody is asked for topics.
    again = {**CIVICS, "title": "Once more", "questions": list(reversed(CIVICS["questions"]))}
    model.forget(calls=True)
    second = made(model_deps, asker, make_exam(model_deps, asker, load_new_exam(again))["id"])
    assert set(purposes(model)) == {"lessons", "verify"}
    other = course_of(model_deps, second)
    assert [topic["name"] for topic in other["topics"]] == [topic["name"] for topic in course["topics"]]
    assert other["topics"][0]["questionIds"] != course["topics"][0]["questionIds"]
    assert "known from before" in str(told(model_deps, second))


def _result(deps: Deps, job_id: UUID, step: str) -> Any:
    statement = "SELECT result FROM job_steps WHERE job_id = :job AND step = :step AND part = ''"
    return one(deps, statement, job=job_id, step=step)


def test_the_job_tells_what_it_does_and_the_catalog_what_came_of_it(model_deps: Deps, asker: Asker) -> None:
    exam_id = put_exam(model_deps, asker)
    job_id = made(model_deps, asker, exam_id, lessonsPerTopic=2)
    events = told(model_deps, job_id)
    assert [event["step"] for event in events if event["type"] == "step_completed"] == STEPS
    progress = [event["progress"] for event in events if "progress" in event]
    assert all(before <= after for before, after in pairwise(progress))
    assert (progress[-1], events[-1]["type"]) == (100, "job_completed")
    topics = [event for event in events if event["type"].startswith("topic_")]
    for name, index in (("Left", 1), ("Right", 2)):
        mine = [event for event in topics if event["topicName"] == name]
        assert [event["type"] for event in mine] == ["topic_started", "topic_progress", "topic_completed"]
        assert {(event["topicIndex"], event["totalTopics"]) for event in mine} == {(index, 2)}
        assert [event.get("lessonsGenerated") for event in mine] == [None, 1, 2]
    shown = jobs.read(model_deps.db, asker.organization_id, job_id)
    assert shown is not None
    assert (shown["jobType"], shown["examId"], shown["progress"]) == ("exam_course", exam_id, 100)
    assert (shown["progressMessage"], shown["currentTopic"]) == ("The course is ready", None)
    assert shown["courseId"].startswith("who-lives-where-")
    assert shown["resultPath"] == f"{shown['courseId']}/course.json"
    course = course_of(model_deps, job_id)
    assert [item["clusterId"] for item in course["items"]] == ["q1", "q3", "q5", "q7"]
    [entry] = catalog.whole(model_deps.db, asker.organization_id)["courses"]
    assert (entry["id"], entry["itemCount"], entry["hasStudyTexts"]) == (shown["courseId"], 4, False)
    assert one(model_deps, "SELECT count(*) FROM ai_course_jobs") == 1


def test_a_long_exam_is_sorted_in_parts(model_deps: Deps, asker: Asker, model: ModelServer) -> None:
    padding = "It was a long walk along the lane that day, and nobody saw it all. " * 27
    questions = [{"text": f"{padding} Who lives at {n}?", "answer": f"number {n}"} for n in range(1, 81)]
    job_id = made(model_deps, asker, put_exam(model_deps, asker, questions=questions), lessonsPerTopic=1)
    schemas = [call.schemaName for call in model.calls("topics")]
    assert schemas.count("exam_topics") >= 2
    assert schemas.count("exam_merged") == 1
    course = course_of(model_deps, job_id)
    assert list(check_coverage(course["topics"], [f"q{n}" for n in range(1, 81)])) == []


@pytest.mark.timeout(1800)
@pytest.mark.skipif("REAL_MODEL_BASE_URL" not in os.environ, reason="REAL_MODEL_BASE_URL names no real model to try")
def test_a_real_model_makes_a_course_of_the_civics_exam(environ: dict[str, str], outbox: Outbox, asker: Asker) -> None:
    """``REAL_MODEL_API_KEY`` and ``REAL_MODEL_NAME`` say how to ask it."""
    real = {
        "OPENAI_BASE_URL": os.environ["REAL_MODEL_BASE_URL"],
        "OPENAI_API_KEY": os.environ.get("REAL_MODEL_API_KEY", "none"),
        "OPENAI_TEXT_MODEL": os.environ.get("REAL_MODEL_NAME", "default"),
    }
    deps = make_deps(read_settings({**environ, **real}), outbox)
    use(deps)
    exam = make_exam(deps, asker, load_new_exam(CIVICS))
    course = course_of(deps, made(deps, asker, exam["id"]))
    assert list(check_coverage(course["topics"], [question["id"] for question in exam["questions"]])) == []
    assert course["provenance"]["verified"] is True


# --- asking for one ---------------------------------------------------------------------------------------------


class TestAsking:
    def test_without_a_model_it_is_refused_at_once(self, deps: Deps, asker: Asker) -> None:
        with pytest.raises(ModelNotConfigured):
            asked(deps, asker, put_exam(deps, asker))
        assert rows(deps, "SELECT * FROM jobs") == []

    def test_an_exam_that_is_not_there_is_named(self, model_deps: Deps, asker: Asker) -> None:
        archived, others = put_exam(model_deps, asker), put_exam(model_deps, school(model_deps))
        archive_exam(model_deps, asker, UUID(archived))
        for exam_id in (archived, others, "00000000-0000-4000-8000-00000000ffff"):
            with pytest.raises(Invalid) as caught:
                asked(model_deps, asker, exam_id)
            assert [(fault.path, fault.code) for fault in caught.value.errors] == [("payload.examId", "unknown_exam")]
        assert rows(model_deps, "SELECT * FROM jobs") == []

    def test_one_job_at_a_time_works_on_an_exam(self, model_deps: Deps, asker: Asker) -> None:
        exam_id = put_exam(model_deps, asker)
        first = asked(model_deps, asker, exam_id)
        again = asked(model_deps, asker, exam_id)
        assert (again.job_id, again.fresh) == (first.job_id, False)
        with pytest.raises(Conflict) as caught:
            asked(model_deps, asker, exam_id, lessonsPerTopic=1)
        assert (caught.value.code, caught.value.details) == ("active_job_exists", {"jobId": str(first.job_id)})
        assert "at work on this exam" in caught.value.message
        assert asked(model_deps, asker, put_exam(model_deps, asker)).fresh

    def test_one_job_at_a_time_makes_a_course_whatever_it_is_made_from(self, model_deps: Deps, asker: Asker) -> None:
        first = asked(model_deps, asker, put_exam(model_deps, asker), courseId="lane")
        for attempt in (
            lambda: start_job(model_deps, asker, request(courseId="lane")),
            lambda: asked(model_deps, asker, put_exam(model_deps, asker), courseId="lane"),
        ):
            with pytest.raises(Conflict) as caught:
                attempt()
            assert (caught.value.code, caught.value.details) == ("active_job_exists", {"jobId": str(first.job_id)})
        once.run_due(model_deps)
        second = start_job(model_deps, asker, request(courseId="lane")).job_id
        once.run_due(model_deps)
        assert (job(model_deps, second).status, job(model_deps, second).base_revision) == ("done", 1)

    def test_a_retry_waits_for_the_job_that_makes_the_course_now(self, model_deps: Deps, asker: Asker) -> None:
        first = asked(model_deps, asker, put_exam(model_deps, asker), courseId="lane").job_id
        cancel_job(model_deps, asker, first, "")
        start_job(model_deps, asker, request(courseId="lane"))
        with pytest.raises(Conflict) as caught:
            retry_job(model_deps, asker, first)
        assert caught.value.code == "active_job_exists"
        once.run_due(model_deps)
        retry_job(model_deps, asker, first)
        assert job(model_deps, first).status == "pending"

    def test_in_a_batch_every_fault_is_named(self, model_deps: Deps, asker: Asker) -> None:
        exam_id, unknown = put_exam(model_deps, asker), "00000000-0000-4000-8000-00000000ffff"
        wanted = [
            load_new_job({"jobType": "exam_course", "payload": payload})
            for payload in ({"examId": exam_id, "courseId": "lane"}, {"examId": exam_id}, {"examId": unknown})
        ]
        with pytest.raises(Invalid) as caught:
            start_batch(model_deps, asker, [*wanted, request(courseId="lane")])
        assert [(fault.path, fault.code) for fault in caught.value.errors] == [
            ("jobs.1.payload.examId", "duplicate_target"),
            ("jobs.2.payload.examId", "unknown_exam"),
            ("jobs.3.payload.courseId", "duplicate_target"),
        ]
        batch = start_batch(model_deps, asker, [wanted[0], request()])
        once.run_due(model_deps)
        assert {job(model_deps, job_id).status for job_id in batch.job_ids} == {"done"}
        assert job(model_deps, batch.job_ids[0]).exam_id == exam_id

    def test_in_a_batch_a_course_that_is_being_made_is_refused_whatever_it_is_made_from(
        self, model_deps: Deps, asker: Asker
    ) -> None:
        first = asked(model_deps, asker, put_exam(model_deps, asker), courseId="lane")
        other = {"jobType": "exam_course", "payload": {"examId": put_exam(model_deps, asker), "courseId": "lane"}}
        for rival in (request(courseId="lane"), load_new_job(other)):
            with pytest.raises(Conflict) as caught:
                start_batch(model_deps, asker, [request(), rival])
            found = [{"path": "jobs.1.payload.courseId", "jobId": str(first.job_id)}]
            assert (caught.value.code, caught.value.details["jobs"]) == ("active_job_exists", found)
        assert len(rows(model_deps, "SELECT * FROM jobs")) == 1

    def test_in_a_batch_without_a_model_it_is_refused_by_its_field(self, deps: Deps, asker: Asker) -> None:
        wanted = load_new_job({"jobType": "exam_course", "payload": {"examId": put_exam(deps, asker)}})
        with pytest.raises(Invalid) as caught:
            start_batch(deps, asker, [wanted])
        found = [(fault.path, fault.code) for fault in caught.value.errors]
        assert found == [("jobs.0.payload.examId", "model_not_configured")]


# --- what happens on the way ------------------------------------------------------------------------------------


def step_by_step(deps: Deps, job_id: UUID, *names: str) -> None:
    for name in names:
        assert deliver(deps, job_id, job(deps, job_id).run, name, 0, "exam_course").pass_on


def test_an_exam_edited_or_removed_meanwhile_changes_nothing(model_deps: Deps, asker: Asker) -> None:
    exam_id = put_exam(model_deps, asker)
    job_id = asked(model_deps, asker, exam_id).job_id
    step_by_step(model_deps, job_id, "settings", "questions")
    edited = lane(questions=[{"text": "Quite another question?", "answer": "yes"}])
    replace_exam(model_deps, asker, UUID(exam_id), load_new_exam(edited))
    change(model_deps, "UPDATE exams SET archived_at = clock_timestamp()")
    once.run_due(model_deps)
    course = course_of(model_deps, job_id)
    assert sum(len(topic["questionIds"]) for topic in course["topics"]) == 8
    assert course["provenance"]["sources"][0]["examRevision"] == "1"


def test_an_exam_removed_before_it_was_read_fails_the_job(model_deps: Deps, asker: Asker) -> None:
    job_id = asked(model_deps, asker, put_exam(model_deps, asker)).job_id
    change(model_deps, "UPDATE exams SET archived_at = clock_timestamp()")
    once.run_due(model_deps)
    row = job(model_deps, job_id)
    assert (row.status, row.error["code"], row.error["step"]) == ("failed", "exam_gone", "questions")


def test_settings_hold_for_the_whole_job_and_answers_need_not_be_verified(
    model_deps: Deps, asker: Asker, model: ModelServer
) -> None:
    settings = {"verifyKeys": False, "models": {"lessons": "teacher", "topics": "sorter"}}
    change(
        model_deps,
        "INSERT INTO organization_settings (organization_id, chosen) VALUES (:org, CAST(:chosen AS jsonb))",
        org=asker.organization_id,
        chosen=json.dumps(settings),
    )
    job_id = asked(model_deps, asker, put_exam(model_deps, asker)).job_id
    step_by_step(model_deps, job_id, "settings")
    change(model_deps, "DELETE FROM organization_settings")
    once.run_due(model_deps)
    assert {(call.purpose, call.model) for call in model.calls()} == {("topics", "sorter"), ("lessons", "teacher")}
    course = course_of(model_deps, job_id)
    assert (course["provenance"]["verified"], course["provenance"]["model"]) == (False, "teacher")
    [remark] = _result(model_deps, job_id, "validate")["problems"]
    assert (remark["code"], remark["severity"]) == ("answers_not_verified", "info")


def test_where_the_exam_names_no_answer_nothing_was_verified(model_deps: Deps, asker: Asker) -> None:
    questions = [{"text": "Who is your mayor now?"}, {"text": "What is your street called?"}]
    course = course_of(model_deps, made(model_deps, asker, put_exam(model_deps, asker, questions=questions)))
    assert course["provenance"]["verified"] is False


def test_lessons_that_another_release_planned_are_checked_as_they_are(
    model_deps: Deps, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = asked(model_deps, asker, put_exam(model_deps, asker), lessonsPerTopic=2).job_id
    step_by_step(model_deps, job_id, "settings", "questions", "topics", "lessons")
    monkeypatch.setattr("tasks.strategies.exam_lessons.FEWEST_QUESTIONS", 4)
    once.run_due(model_deps)
    assert job(model_deps, job_id).status == "done"
    assert [len(topic["lessons"]) for topic in course_of(model_deps, job_id)["topics"]] == [2, 2]


# --- what the model gets wrong ----------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["duplicate_items", "missing_items"])
def test_questions_sorted_twice_or_not_at_all_are_covered_all_the_same(
    model_deps: Deps, asker: Asker, model: ModelServer, fault: str
) -> None:
    model.script([{"fault": fault, "purpose": "topics", "count": 2}])
    job_id = made(model_deps, asker, put_exam(model_deps, asker))
    assert list(check_coverage(course_of(model_deps, job_id)["topics"], [f"q{n}" for n in range(1, 9)])) == []
    schemas = [call.schemaName for call in model.calls("topics")]
    assert schemas == (["exam_topics", "exam_placed"] if fault == "missing_items" else ["exam_topics"])


def test_questions_that_nobody_sorts_are_tried_again_later(model_deps: Deps, asker: Asker, model: ModelServer) -> None:
    model.script([{"fault": "missing_items", "purpose": "topics", "times": 3, "count": 9}])
    job_id = asked(model_deps, asker, put_exam(model_deps, asker)).job_id
    assert deliver(model_deps, job_id, 1, "settings", 60, "exam_course").verdict == "stopped:tries_again"
    row = job(model_deps, job_id)
    assert (row.status, row.retry_count, row.error["code"]) == ("pending", 1, "topics_incomplete")
    make_due(model_deps, job_id)
    once.run_due(model_deps)
    assert job(model_deps, job_id).status == "done"


def test_a_lesson_that_teaches_another_answer_is_written_anew(
    model_deps: Deps, asker: Asker, model: ModelServer
) -> None:
    model.script([{"fault": "wrong_key", "purpose": "lessons", "count": 1}])
    job_id = made(model_deps, asker, put_exam(model_deps, asker), lessonsPerTopic=2)
    assert len(model.calls("repair")) == 1
    assert "answer_contradicted" in model.calls("repair")[0].question
    # Four lessons are answered, and of them the one that was mended once more.
    assert [call.schemaName for call in model.calls("verify")].count("exam_answers") == 5
    course = course_of(model_deps, job_id)
    assert course["provenance"]["verified"] is True
    assert not any("something else" in lesson["content"] for topic in course["topics"] for lesson in topic["lessons"])


def test_a_lesson_that_stays_wrong_fails_the_job_and_a_retry_makes_its_topic_anew(
    model_deps: Deps, asker: Asker, model: ModelServer
) -> None:
    for purpose, times in (("lessons", 1), ("repair", 2)):
        model.script([{"fault": "wrong_key", "purpose": purpose, "times": times, "count": 1}])
    job_id = asked(model_deps, asker, put_exam(model_deps, asker), lessonsPerTopic=2).job_id
    once.run_due(model_deps)
    row = job(model_deps, job_id)
    assert (row.status, row.error["code"], row.error["step"]) == ("failed", "validation_failed", "validate")
    [problem] = [one for one in row.error["details"]["problems"] if one["severity"] == "error"]
    assert problem["code"] == "answer_contradicted"
    assert "something else" in problem["message"]
    assert len(model.calls("repair")) == 2
    kept = {part.part for part in rows(model_deps, "SELECT part FROM job_steps WHERE step = 'lessons'")}
    [failing] = row.error["details"]["failingParts"]
    assert kept == {"topic:topic-1", "topic:topic-2"} - {failing}
    model.forget(calls=True)
    retry_job(model_deps, asker, job_id)
    once.run_due(model_deps)
    assert job(model_deps, job_id).status == "done"
    assert purposes(model).count("lessons") == 2, "only the failing topic has its lessons written again"
    assert purposes(model).count("topics") == 0


def test_topics_nobody_needed_for_half_a_year_are_let_go(model_deps: Deps, asker: Asker) -> None:
    made(model_deps, asker, put_exam(model_deps, asker))
    made(model_deps, asker, put_exam(model_deps, asker, questions=[{"text": "Who is there?", "answer": "nobody"}]))
    change(
        model_deps,
        "UPDATE exam_topics SET used_at = clock_timestamp() - interval '181 days' WHERE made_by LIKE '%tags:%'",
    )
    assert retention.purge(model_deps.db, jobs_hours=720, events_hours=168)["topics"] == 1
    assert one(model_deps, "SELECT count(*) FROM exam_topics") == 1


def test_unlisted_looks_leave_a_course_to_the_job_that_makes_it(model_deps: Deps, asker: Asker) -> None:
    job_id = asked(model_deps, asker, put_exam(model_deps, asker)).job_id
    step_by_step(model_deps, job_id, *STEPS[:-1])
    row = job(model_deps, job_id)
    with model_deps.db.transaction() as tx:
        current = documents.current_in(tx, row.organization_id, "course", row.course_id)
        assert current is not None
        assert not documents.is_unlisted(tx, current)
    change(model_deps, "UPDATE jobs SET status = 'failed'")
    with model_deps.db.transaction() as tx:
        assert documents.is_unlisted(tx, current)
