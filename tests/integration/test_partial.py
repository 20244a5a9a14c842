"""What a job has finished can be read at once: while it runs, after it failed, and once it is done."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from schema.clock import new_id
from tasks import once
from tasks.commands import Asker, cancel_job, retry_job
from tasks.deps import Deps
from tests.fakes.model_server import ModelServer
from tests.integration.stage import change, job, make_due, rows, school, start
from tests.integration.test_course_job import FISH, course_of
from tests.integration.test_exam_course import asked, put_exam
from web.app import create_app

pytestmark = pytest.mark.usefixtures("empty_store")


@pytest.fixture
def client(model_deps: Deps) -> Iterator[FlaskClient]:
    with create_app().test_client() as made:
        yield made


def headers(deps: Deps, asker: Asker) -> dict[str, str]:
    return {"X-Agent-Token": str(deps.settings.agent_token), "X-Organization-Id": str(asker.organization_id)}


def test_it_grows_from_the_wish_to_the_course(
    model_deps: Deps, asker: Asker, model: ModelServer, client: FlaskClient
) -> None:
    def read() -> dict[str, Any]:
        answer = client.get(f"/api/jobs/{job_id}/partial", headers=headers(model_deps, asker))
        assert answer.status_code == 200
        shown: dict[str, Any] = answer.get_json()
        return shown

    model.script([{"fault": "401", "purpose": "items"}])
    job_id = start(model_deps, asker, **FISH)
    first = read()
    assert (first["status"], first["title"], first["finished"], first["total"]) == ("pending", "Fish", 0, None)

    once.run_due(model_deps)
    assert job(model_deps, job_id).status == "failed"
    failed = read()
    kept = [group for group in failed["groups"] if group["items"]]
    assert failed["finished"] == len(kept) + len(failed["studyTexts"]) < failed["total"] == 3
    assert all("[blank]" in item["text"] for group in kept for item in group["items"])

    change(model_deps, "UPDATE job_steps SET format = format + 1")
    assert read() == {**first, "status": "failed"}, "what only a newer release can read is not guessed at"
    change(model_deps, "UPDATE job_steps SET format = format - 1")
    assert read() == failed

    change(model_deps, "UPDATE jobs SET status = 'pending', due_at = clock_timestamp() WHERE id = :id", id=job_id)
    make_due(model_deps, job_id)
    once.run_due(model_deps)
    done, course = read(), course_of(model_deps, job_id).content
    assert (done["status"], done["title"], done["finished"], done["total"]) == ("done", course["title"], 3, 3)
    assert [item for group in done["groups"] for item in group["items"]] == course["items"]
    assert done["studyTexts"] == course["studyTexts"]
    change(model_deps, "DELETE FROM job_steps")
    assert read() == done, "also when the job was purged"


def test_of_a_course_from_an_exam_the_finished_topics_can_be_read(
    model_deps: Deps, asker: Asker, model: ModelServer, client: FlaskClient
) -> None:
    model.script([{"fault": "500", "purpose": "lessons"}])
    job_id = asked(model_deps, asker, put_exam(model_deps, asker), lessonsPerTopic=1).job_id
    address, whose = f"/api/jobs/{job_id}/partial", headers(model_deps, asker)
    once.run_due(model_deps)
    kept = client.get(address, headers=whose).get_json()
    finished = [topic for topic in kept["topics"] if topic["lessons"]]
    assert (kept["title"], kept["total"], kept["finished"]) == ("Who lives where", 2, 1)
    assert len(finished) == 1 and "## Questions" in finished[0]["lessons"][0]["content"]
    make_due(model_deps, job_id)
    once.run_due(model_deps)
    done, course = client.get(address, headers=whose).get_json(), course_of(model_deps, job_id).content
    assert (done["status"], done["topics"], done["finished"]) == ("done", course["topics"], 2)
    assert [item for group in done["groups"] for item in group["items"]] == course["items"]


def test_a_lesson_can_be_read_and_is_kept_before_its_topic_is_whole(
    model_deps: Deps, asker: Asker, model: ModelServer, client: FlaskClient
) -> None:
    model.script([{"fault": "500", "purpose": "lessons"}])
    job_id = asked(model_deps, asker, put_exam(model_deps, asker), lessonsPerTopic=2).job_id
    address, whose = f"/api/jobs/{job_id}/partial", headers(model_deps, asker)
    once.run_due(model_deps)
    kept = client.get(address, headers=whose).get_json()
    assert sorted(len(topic["lessons"]) for topic in kept["topics"]) == [1, 2]
    assert kept["finished"] == 1
    assert len(model.calls("lessons")) == 4
    cancel_job(model_deps, asker, job_id, "")
    retry_job(model_deps, asker, job_id)
    assert job(model_deps, job_id).progress < 60, "one lesson is not a whole topic"
    once.run_due(model_deps)
    assert job(model_deps, job_id).status == "done"
    assert len(model.calls("lessons")) == 5, "only the lesson that failed was asked for again"
    written = [lesson for topic in kept["topics"] for lesson in topic["lessons"]]
    course = course_of(model_deps, job_id).content
    assert all(lesson in [one for topic in course["topics"] for one in topic["lessons"]] for lesson in written)
    parts = rows(model_deps, "SELECT part FROM job_steps WHERE step = 'lessons' AND part <> ''")
    assert {row.part for row in parts} == {"topic:topic-1", "topic:topic-2"}


def test_who_has_it_already_gets_nothing(model_deps: Deps, asker: Asker, client: FlaskClient) -> None:
    job_id = start(model_deps, asker)
    whose, address = headers(model_deps, asker), f"/api/jobs/{job_id}/partial"
    tag = client.get(address, headers=whose).headers["ETag"]
    assert client.get(address, headers={**whose, "If-None-Match": tag}).status_code == 304
    once.run_due(model_deps)
    assert client.get(address, headers={**whose, "If-None-Match": tag}).status_code == 200


@pytest.mark.parametrize("which", ["none", "no id", "another's"])
def test_what_is_not_there_is_not_there(model_deps: Deps, asker: Asker, client: FlaskClient, which: str) -> None:
    found: UUID | str = {"none": new_id, "no id": lambda: "x", "another's": lambda: start(model_deps, asker)}[which]()
    stranger = school(model_deps)
    answer = client.get(f"/api/jobs/{found}/partial", headers=headers(model_deps, stranger))
    assert (answer.status_code, answer.get_json()["code"]) == (404, "not_found")
