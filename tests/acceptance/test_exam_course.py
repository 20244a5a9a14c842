"""A course from an exam over HTTP, by a real worker that passes it on along the chain."""

from __future__ import annotations

from tests.acceptance.conftest import System
from tests.fakes.model_server import ModelServer

EXAM = {
    "title": "Two rivers",
    "subject": "Rivers",
    "questions": [
        {
            "text": "Which river flows through Cairo?",
            "answer": "the Nile",
            "options": ["the Nile", "the Po", "the Don"],
        },
        {"text": "Into which sea does the Rhine flow?", "answer": ["the North Sea", "North Sea"]},
    ],
}


def test_an_exam_is_sent_and_its_course_is_read(model_system: System, model: ModelServer) -> None:
    system = model_system
    made = system.call("POST", "/api/exams", EXAM)
    assert made.status == 201, made.data
    exam_id = made.json()["exam"]["id"]
    # Longer than a turn: the next step comes with a message of its own.
    model.script([{"fault": "slow", "purpose": "lessons", "seconds": 1.5}])
    answer = system.call("POST", "/api/jobs", {"job_type": "exam_course", "payload": {"exam_id": exam_id}})
    assert answer.status == 202, answer.data
    job = system.finished(answer.json()["jobId"])
    assert (job["examId"], job["totalSteps"], job["error"]) == (exam_id, 7, None)
    assert job["payload"] == {"examId": exam_id, "lessonsPerTopic": 3}
    course = system.call("GET", f"/api/courses/{job['courseId']}").json()["course"]
    [topic] = course["topics"]
    assert topic["questionIds"] == ["q1", "q2"]
    assert "**Answer:** the Nile" in topic["lessons"][0]["content"]
    [item] = course["items"]
    assert sorted(item["options"]) == sorted(EXAM["questions"][0]["options"])  # type: ignore[index]
    assert item["options"][item["correctIndex"]] == "the Nile"
    [entry] = [one for one in system.call("GET", "/api/catalog").json()["courses"] if one["id"] == course["id"]]
    assert (entry["title"], entry["itemCount"]) == ("Two rivers", 1)


def test_what_can_t_be_made_is_refused_with_its_field(system: System) -> None:
    def refused(payload: dict[str, object]) -> list[tuple[str, str]]:
        answer = system.call("POST", "/api/jobs", {"jobType": "exam_course", "payload": payload})
        assert answer.status == 422, answer.data
        body = answer.json()
        return [(one["path"], one["code"]) for one in body.get("errors", [])] or [("", body["code"])]

    unknown = "00000000-0000-4000-8000-00000000ffff"
    assert refused({}) == [("payload.examId", "required")]
    assert refused({"examId": "q"}) == [("payload.examId", "invalid_value")]
    assert refused({"examId": unknown, "lessonsPerTopic": 11}) == [("payload.lessonsPerTopic", "invalid_value")]
    assert refused({"examId": unknown, "subject": "Fish"}) == [("payload.subject", "unknown_field")]
    assert refused({"examId": unknown}) == [("", "model_not_configured")]
