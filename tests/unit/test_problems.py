from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from flask import Flask, abort, g
from flask.testing import FlaskClient
from structlog.testing import capture_logs
from werkzeug.exceptions import RequestedRangeNotSatisfiable, ServiceUnavailable
from werkzeug.test import TestResponse

from schema.errors import (
    BadRequest,
    Conflict,
    CoursewrightError,
    FieldError,
    Forbidden,
    Invalid,
    ModelNotConfigured,
    NotFound,
    Permanent,
    Transient,
    Unauthenticated,
    Unavailable,
)
from web import problems

TEMPLATES = Path(problems.__file__).parent / "templates"
#: What a browser sends when somebody follows a link.
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
ID = UUID("3f2b8c1e-9a4d-4e6f-8b7a-0c5d1e2f3a4b")
#: What the views of the little app raise, by their address.
RAISED: dict[str, Exception] = {}


def make_app() -> Flask:
    app = Flask("test", template_folder=str(TEMPLATES))
    app.config["MAX_CONTENT_LENGTH"] = 1000
    app.json.ensure_ascii = False  # type: ignore[attr-defined] # as in the real one

    @app.before_request
    def _name() -> None:
        g.request_id = "request-1"
        g.rate = None  # nobody counts requests here

    @app.route("/raise/<name>", methods=["GET", "POST"])
    def raise_it(name: str) -> str:
        raise RAISED[name]

    @app.get("/api/<name>")
    def raise_in_api(name: str) -> str:
        raise RAISED[name]

    @app.post("/body")
    def body() -> str:
        from flask import request

        return str(len(request.get_data()))

    @app.get("/abort/<int:status>")
    def aborted(status: int) -> str:
        abort(status)

    problems.register(app)
    return app


@pytest.fixture(scope="module")
def client() -> Iterator[FlaskClient]:
    with make_app().test_client() as made:
        yield made


def answer_to(client: FlaskClient, error: Exception) -> TestResponse:
    RAISED["it"] = error
    return client.get("/raise/it")


def problem_in(response: TestResponse) -> dict[str, Any]:
    """The problem document of an answer that is one in every respect."""
    assert response.content_type == "application/problem+json"
    assert response.headers["Cache-Control"] == "no-store"
    body: dict[str, Any] = json.loads(response.data)
    assert {"type", "title", "status", "detail", "code", "requestId"} <= body.keys()
    assert body["status"] == response.status_code
    assert body["type"] == f"/docs/errors#{body['code']}"
    assert body["requestId"] == "request-1"
    assert body["title"] and body["detail"]
    return body


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (BadRequest("Say it."), 400, "bad_request"),
        (Unauthenticated("Say it."), 401, "unauthenticated"),
        (Forbidden("Say it."), 403, "forbidden"),
        (NotFound("Say it."), 404, "not_found"),
        (Conflict("Say it.", code="job_finished"), 409, "job_finished"),
        (ModelNotConfigured("Say it."), 422, "model_not_configured"),
        (Unavailable("Say it.", code="database_away"), 503, "database_away"),
        (Transient("Say it.", code="store_away"), 503, "store_away"),
        (Permanent("Say it."), 500, "permanent_failure"),
        (CoursewrightError("Say it."), 500, "internal_error"),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, Exception) else None,
)
def test_an_error_of_ours_says_what_it_is(client: FlaskClient, error: Exception, status: int, code: str) -> None:
    response = answer_to(client, error)
    body = problem_in(response)
    assert (response.status_code, body["code"], body["detail"]) == (status, code, "Say it.")
    assert response.headers.get("Retry-After") == ("2" if status == 503 else None)


def test_every_field_is_named(client: FlaskClient) -> None:
    faults = [FieldError("payload.mode", "invalid_value", "Must be one."), FieldError("body", "required", "Missing.")]
    body = problem_in(answer_to(client, Invalid(faults)))
    assert body["status"] == 422
    assert body["errors"] == [fault.as_json() for fault in faults]
    assert "details" not in body


def test_details_are_shown_and_may_hold_ids(client: FlaskClient) -> None:
    body = problem_in(answer_to(client, Conflict("Wait.", details={"jobId": ID, "reason": "Größe"})))
    assert body["details"] == {"jobId": str(ID), "reason": "Größe"}


def test_details_of_a_fault_of_our_own_are_kept_to_ourselves(client: FlaskClient) -> None:
    response = answer_to(client, Permanent("Sorry.", details={"password": "hunter2"}))
    assert "hunter2" not in response.text
    assert "details" not in problem_in(response)


@pytest.mark.parametrize("path", ["payload.\ud800", "payload.\x00", "payload.\u2028", "payload.<script>", "payload.😀"])
def test_a_key_no_encoding_can_carry_is_still_named(client: FlaskClient, path: str) -> None:
    response = answer_to(client, Invalid([FieldError(path, "unknown_field", "Unknown field.")]))
    assert problem_in(response)["errors"][0]["path"] == path
    assert response.data.isascii()


def test_an_address_that_is_not_there(client: FlaskClient) -> None:
    body = problem_in(client.get("/nowhere"))
    assert (body["status"], body["code"]) == (404, "not_found")
    assert "/docs" in body["detail"]


def test_a_method_that_is_not_taken_says_which_are(client: FlaskClient) -> None:
    response = client.delete("/raise/it")
    assert (response.status_code, problem_in(response)["code"]) == (405, "method_not_allowed")
    assert {"GET", "POST"} <= {method.strip() for method in response.headers["Allow"].split(",")}


def test_a_body_that_is_too_large(client: FlaskClient) -> None:
    response = client.post("/body", data=b"x" * 1001)
    assert (response.status_code, problem_in(response)["code"]) == (413, "body_too_large")
    assert client.post("/body", data=b"x" * 1000).text == "1000"


def test_a_body_nobody_wants_is_read_before_the_answer(client: FlaskClient) -> None:
    body = io.BytesIO(b"x" * 5000)
    answer = client.post("/body", input_stream=body, content_length=5000)
    assert (answer.status_code, body.tell()) == (413, 5000)
    body.seek(0)
    RAISED["it"] = Unauthenticated("Say it.")
    answer = client.post("/raise/it", input_stream=body, content_length=5000)
    assert (answer.status_code, body.tell()) == (401, 5000)


@pytest.mark.parametrize("path", ["/nowhere", "/raise/it"])
def test_somebody_in_a_browser_gets_a_page(client: FlaskClient, path: str) -> None:
    RAISED["it"] = NotFound("There is no <b>such</b> thing.", code="not_found")
    answer = client.get(path, headers=BROWSER)
    assert (answer.status_code, answer.mimetype) == (404, "text/html")
    assert (answer.headers["Cache-Control"], answer.headers["Vary"]) == ("no-store", "Accept, Cookie")
    assert 'href="/docs/errors#not_found"' in answer.text and "request-1" in answer.text
    assert "<b>" not in answer.text


def test_a_page_says_how_to_sign_in(client: FlaskClient) -> None:
    RAISED["it"] = Unauthenticated("Say it.")
    answer = client.get("/raise/it", headers=BROWSER)
    assert (answer.status_code, answer.mimetype) == (401, "text/html")
    assert "coursewright login-link" in answer.text and 'value="/raise/it"' in answer.text


@pytest.mark.parametrize("path", ["/api/it", "/api/nowhere/at/all", "/api"])
def test_the_api_answers_browsers_as_it_answers_programs(client: FlaskClient, path: str) -> None:
    RAISED["it"] = NotFound("There is none.")
    answer = client.get(path, headers=BROWSER)
    assert problem_in(answer)["code"] == "not_found"


@pytest.mark.parametrize(
    "accepted", ["*/*", "application/json", "application/problem+json, text/html;q=0.5", "image/*"]
)
def test_who_does_not_prefer_html_gets_none(client: FlaskClient, accepted: str) -> None:
    problem_in(client.get("/nowhere", headers={"Accept": accepted}))


@pytest.mark.parametrize("status", [400, 401, 403, 404, 406, 409, 415, 416, 429, 500, 501, 503])
def test_every_error_of_the_library_is_a_problem_too(client: FlaskClient, status: int) -> None:
    assert problem_in(client.get(f"/abort/{status}"))["status"] == status


def test_what_would_have_been_right_is_passed_on(client: FlaskClient) -> None:
    assert answer_to(client, RequestedRangeNotSatisfiable(10)).headers["Content-Range"] == "bytes */10"
    assert answer_to(client, ServiceUnavailable(retry_after=7)).headers["Retry-After"] == "7"


def test_a_crash_shows_nothing_and_logs_everything(client: FlaskClient) -> None:
    with capture_logs() as logs:
        response = answer_to(client, KeyError("hunter2"))
    body = problem_in(response)
    assert (body["status"], body["code"]) == (500, "internal_error")
    assert "hunter2" not in response.text and "KeyError" not in response.text
    assert [(entry["event"], entry["error"], entry["log_level"]) for entry in logs] == [
        ("request_crashed", "KeyError", "error")
    ]


def test_an_error_before_the_request_has_a_name_is_still_a_problem() -> None:
    app = Flask("test")
    problems.register(app)
    body = json.loads(app.test_client().get("/nowhere").data)
    assert body["requestId"] is None
