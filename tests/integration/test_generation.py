"""The commands under their older names, and streams where the server can't let go of a connection."""

from __future__ import annotations

from typing import Any

import pytest
from flask.testing import FlaskClient

from schema.clock import new_id
from schema.exam_request import load_new_exam
from schema.settings import DEMO_ORGANIZATION_ID
from tasks.commands import Asker
from tasks.deps import Deps
from tasks.exams import make_exam
from tests.integration.stage import job, put_job
from web.app import create_app

AGENT = {"X-Agent-Token": "agent-token-of-the-tests", "X-Organization-Id": DEMO_ORGANIZATION_ID}
EXAM = {
    "title": "Colours",
    "questions": [{"text": "Which colour has the sky on a clear day?", "answer": "blue"}],
}


@pytest.fixture
def client(model_deps: Deps) -> FlaskClient:
    return create_app().test_client()


def start(client: FlaskClient, exam_id: Any, **headers: str) -> Any:
    return client.post("/api/generation/start", json={"examId": exam_id}, headers=AGENT | headers)


def test_a_course_from_an_exam_is_asked_for(client: FlaskClient, model_deps: Deps, asker: Asker) -> None:
    exam_id = make_exam(model_deps, asker, load_new_exam(EXAM))["id"]
    first = start(client, exam_id, **{"Idempotency-Key": "k"})
    answer = first.get_json()
    assert (first.status_code, answer.keys(), answer["status"]) == (202, {"jobId", "status", "streamUrl"}, "pending")
    assert answer["streamUrl"].startswith(f"/api/jobs/{answer['jobId']}/stream?token=")
    row = job(model_deps, answer["jobId"])
    assert (row.job_type, row.exam_id) == ("exam_course", exam_id)
    # The same again, by key and by target, is the same job.
    for again in (start(client, exam_id, **{"Idempotency-Key": "k"}), start(client, exam_id)):
        assert (again.status_code, again.get_json()["jobId"]) == (200, answer["jobId"])
    shown = client.get(f"/api/generation/status/{answer['jobId']}", headers=AGENT).get_json()["job"]
    assert (shown["exam_id"], shown["total_steps"]) == (exam_id, 7)


@pytest.mark.parametrize("exam_id", ["00000000-0000-4000-8000-00000000000f", "x", None, 7])
def test_a_fault_names_the_field_they_sent(client: FlaskClient, exam_id: Any) -> None:
    answer = start(client, exam_id)
    assert (answer.status_code, [fault["path"] for fault in answer.get_json()["errors"]]) == (422, ["examId"])


def test_without_a_model_it_is_refused_at_once(deps: Deps) -> None:
    answer = start(create_app().test_client(), str(new_id()))
    assert (answer.status_code, answer.get_json()["code"]) == (422, "model_not_configured")


@pytest.mark.parametrize("path", ["/api/jobs/{job}/stream", "/api/generation/stream/{job}", "/api/catalog/stream"])
def test_a_server_that_cannot_stream_says_what_to_do_instead(
    client: FlaskClient, model_deps: Deps, asker: Asker, path: str
) -> None:
    answer = client.get(path.format(job=put_job(model_deps, asker.organization_id)), headers=AGENT)
    assert (answer.status_code, answer.get_json()["code"]) == (501, "streams_not_served")
    assert ("changes?since=" if "catalog" in path else "events?after=") in answer.get_json()["detail"]
