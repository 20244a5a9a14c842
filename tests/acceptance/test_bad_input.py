"""Whatever is sent, the answer names what is wrong, and nothing half done is left."""

from __future__ import annotations

import json
import socket
from contextlib import closing
from http.client import HTTPConnection, HTTPResponse
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.acceptance.conftest import System

GOOD = {"subject": "The water cycle", "gradeBand": "3-5", "mode": "options"}

FIELDS: list[tuple[str, dict[str, Any], str]] = [
    ("an unknown key", {"colour": "blue"}, "payload.colour"),
    ("a number as text", {"itemsPerGroup": "12"}, "payload.itemsPerGroup"),
    ("true as a number", {"itemsPerGroup": True}, "payload.itemsPerGroup"),
    ("a fraction", {"levelsCount": 1.5}, "payload.levelsCount"),
    ("too many items", {"itemsPerGroup": 101}, "payload.itemsPerGroup"),
    ("no items", {"itemsPerGroup": 0}, "payload.itemsPerGroup"),
    ("too many levels", {"levelsCount": 11}, "payload.levelsCount"),
    ("too many texts", {"studyTextsCount": 13}, "payload.studyTextsCount"),
    ("a long subject", {"subject": "x" * 201}, "payload.subject"),
    ("an empty subject", {"subject": "  "}, "payload.subject"),
    ("a long title", {"title": "x" * 121}, "payload.title"),
    ("long notes", {"notes": "x" * 5001}, "payload.notes"),
    ("a path as id", {"courseId": "../x"}, "payload.courseId"),
    ("an empty id", {"courseId": ""}, "payload.courseId"),
    ("a newline in an id", {"courseId": "abc\n"}, "payload.courseId"),
    ("a mode there isn't", {"mode": "essay"}, "payload.mode"),
    ("a NUL", {"subject": "water\x00"}, "payload.subject"),
    ("a subject of two lines", {"subject": "water\nand ice"}, "payload.subject"),
    ("a bell in a title", {"title": "Water\x07"}, "payload.title"),
    ("a tag that turns the text", {"tags": ["ice", "\u202ewater"]}, "payload.tags.1"),
    ("a tab in a grade", {"grade": "4\t"}, "payload.grade"),
    ("a tab in a grade band", {"gradeBand": "3-5\t"}, "payload.gradeBand"),
    ("an escape in notes", {"notes": "one\ntwo\x1b[2J"}, "payload.notes"),
    ("half a surrogate pair", {"subject": "water\ud800"}, "payload.subject"),
    ("text for a flag", {"generateStudyTextImages": "yes"}, "payload.generateStudyTextImages"),
    ("text for a list", {"tags": "science"}, "payload.tags"),
    ("a visibility there isn't", {"visibility": "secret"}, "payload.visibility"),
    ("null", {"subject": None}, "payload.subject"),
]


def counts(system: System) -> list[tuple[Any, ...]]:
    return system.rows(
        "SELECT (SELECT count(*) FROM jobs), (SELECT count(*) FROM job_events), (SELECT count(*) FROM job_payloads)"
    )


@pytest.mark.parametrize(("what", "change", "path"), FIELDS, ids=[case[0] for case in FIELDS])
def test_a_bad_field_is_named_and_nothing_is_written(
    system: System, what: str, change: dict[str, Any], path: str
) -> None:
    before = counts(system)
    answer = system.call("POST", "/api/jobs", {"jobType": "course", "payload": GOOD | change})
    assert answer.status == 422, answer.data
    assert answer.headers["Content-Type"] == "application/problem+json"
    body = answer.json()
    assert path in [error["path"] for error in body["errors"]]
    assert {"type", "title", "status", "detail", "code", "requestId"} <= body.keys()
    assert body["requestId"] == answer.headers["X-Request-Id"]
    assert counts(system) == before


MALFORMED: list[tuple[str, bytes, int]] = [
    ("not JSON", b"{", 400),
    ("no body", b"", 400),
    ("not UTF-8", b'{"a": "\xff"}', 400),
    ("NaN", b'{"jobType": NaN}', 400),
    ("a key twice", b'{"jobType": "course", "jobType": "course"}', 400),
    ("very deep", b"[" * 100_000, 400),
    ("a huge number", b'{"jobType": ' + b"9" * 10_000 + b"}", 400),
    ("a list", b"[]", 422),
    ("a text", b'"course"', 422),
    ("null", b"null", 422),
    ("nothing in it", b"{}", 422),
    ("payload of another type", b'{"jobType": "course", "payload": []}', 422),
    ("a job type there isn't", b'{"jobType": "opera", "payload": {}}', 422),
    ("10 MB", b'{"jobType": "' + b"x" * 10_000_000 + b'"}', 413),
]


@pytest.mark.parametrize(("what", "raw", "status"), MALFORMED, ids=[case[0] for case in MALFORMED])
def test_a_body_that_is_no_request_is_refused(system: System, what: str, raw: bytes, status: int) -> None:
    before = counts(system)
    answer = system.call("POST", "/api/jobs", raw=raw)
    assert answer.status == status, answer.data[:300]
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["detail"]
    assert counts(system) == before


def test_a_client_that_sends_all_before_it_listens_gets_its_answer(system: System) -> None:
    address = urlsplit(system.url)
    json_of_10_mb = {**system.headers(), "Content-Type": "application/json"}
    for headers, status in ((json_of_10_mb, 413), ({"Content-Type": "application/json"}, 401)):
        with closing(HTTPConnection(str(address.hostname), address.port, timeout=20)) as connection:
            connection.request("POST", "/api/jobs", body=b" " * 10_000_000, headers=headers)
            answer = connection.getresponse()
            assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
            assert json.loads(answer.read())["status"] == status


@pytest.mark.parametrize(
    ("sent", "status", "code"),
    [
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", 414, "http_error"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: " + b"a" * 9000 + b"\r\n\r\n", 431, "http_error"),
        (b"GET / HTTP/1.1\r\nHost: x\r\nBad Header: 1\r\n\r\n", 400, "bad_request"),
        (b"rubbish\r\n\r\n", 400, "bad_request"),
    ],
    ids=["a long address", "a long header", "a bad header", "no HTTP"],
)
def test_what_is_no_request_at_all_is_refused_alike(system: System, sent: bytes, status: int, code: str) -> None:
    address = urlsplit(system.url)
    with socket.create_connection((str(address.hostname), address.port), timeout=10) as caller:
        caller.sendall(sent)
        answer = HTTPResponse(caller)
        answer.begin()
        body = json.loads(answer.read())
    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert (body["status"], body["code"], body["requestId"]) == (status, code, answer.headers["X-Request-Id"])


def test_several_faults_are_named_together(system: System) -> None:
    answer = system.call("POST", "/api/jobs", {"jobType": "course", "payload": {"mode": "essay", "levelsCount": 0}})
    assert {error["path"] for error in answer.json()["errors"]} == {
        "payload.subject",
        "payload.gradeBand",
        "payload.mode",
        "payload.levelsCount",
    }


def test_another_content_type_is_refused(system: System) -> None:
    answer = system.call("POST", "/api/jobs", raw=b"a=b", headers={"Content-Type": "application/x-www-form-urlencoded"})
    assert answer.status == 400
    assert answer.json()["code"] == "not_json"


@pytest.mark.parametrize(
    "change",
    [{"subject": "The history of Ruritania"}, {"notes": "With dragons."}, {"mode": "numeric"}, {"language": "fr"}],
    ids=["no pack", "notes", "a mode the pack lacks", "a language the pack lacks"],
)
def test_what_nobody_can_serve_is_refused_at_once(system: System, change: dict[str, Any]) -> None:
    before = counts(system)
    answer = system.call("POST", "/api/jobs", {"jobType": "course", "payload": GOOD | change})
    assert answer.status == 422
    assert answer.json()["code"] == "model_not_configured"
    assert counts(system) == before


def test_the_older_spelling_is_taken_and_the_new_one_given(system: System) -> None:
    payload = {"subject": "The water cycle", "grade_band": "3-5", "mode": "options", "items_per_group": 3}
    answer = system.call("POST", "/api/jobs", {"job_type": "ai_course_generate", "payload": payload})
    assert answer.status == 202
    job = system.job(answer.json()["jobId"])
    assert job["jobType"] == "course"
    assert job["payload"]["itemsPerGroup"] == 3
    assert not any("_" in key for key in job["payload"])
    found = system.call("GET", "/api/jobs?jobType=ai_course_generate&limit=200").json()["jobs"]
    assert job["jobId"] in {each["jobId"] for each in found}
    system.finished(job["jobId"])


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/jobs/not-a-job", 404),
        ("/api/jobs/00000000-0000-4000-8000-00000000dead", 404),
        ("/api/jobs/00000000-0000-4000-8000-00000000dead/events", 404),
        ("/api/courses/nowhere", 404),
        ("/api/courses/..%2f..%2fetc", 404),
        ("/content/courses/nowhere/course.json", 404),
        ("/content/media/../secrets.json", 404),
        ("/content/media/" + "0" * 64 + ".png", 404),
        ("/api/nothing", 404),
        ("/api/jobs?limit=0", 422),
        ("/api/jobs?limit=x", 422),
        ("/api/jobs?cursor=rubbish", 422),
        ("/api/jobs?status=sleeping", 422),
        ("/api/jobs?createdBy=%00", 422),
        ("/api/jobs?state=done", 422),
        ("/api/jobs?status=done&status=failed", 422),
        ("/api/courses?tag=a&tag=b", 422),
        ("/api/jobs?cursor=MDAwMS0wMS0wMVQwMDowMDowMCsyMzo1OXwzZjJiOGMxZS05YTRkLTRlNmYtOGI3YS0wYzVkMWUyZjNhNGI", 422),
        ("/api/jobs/00000000-0000-4000-8000-00000000dead/events?since=1", 422),
        ("/api/courses?grade=5", 422),
        ("/api/courses?visibility=secret", 422),
        ("/api/catalog/changes?since=-1", 422),
        ("/api/catalog/changes?since=1e3", 422),
        ("/api/catalog/changes?sinse=3", 422),
    ],
)
def test_addresses_that_lead_nowhere_say_so(system: System, path: str, status: int) -> None:
    answer = system.call("GET", path)
    assert answer.status == status, answer.data
    assert answer.json()["code"]


def test_who_is_nobody_learns_nothing_about_pictures(system: System) -> None:
    for name in ("0" * 64 + ".png", "no-picture"):
        answer = system.http.request("GET", f"{system.url}/content/media/{name}")
        assert (answer.status, answer.json()["code"]) == (401, "unauthenticated")


def test_a_method_an_address_does_not_take(system: System) -> None:
    answer = system.call("DELETE", "/api/jobs")
    assert answer.status == 405
    assert "GET" in answer.headers["Allow"]


def test_an_agent_says_who_and_for_whom(system: System) -> None:
    def ask(**headers: str) -> tuple[int, str]:
        answer = system.http.request("GET", system.url + "/api/jobs", headers=headers)
        return answer.status, json.loads(answer.data).get("code", "")

    token = system.headers()["X-Agent-Token"]
    assert ask() == (401, "unauthenticated")
    assert ask(**{"X-Agent-Token": "wrong", "X-Organization-Id": system.organization}) == (401, "invalid_agent_token")
    assert ask(**{"X-Agent-Token": token}) == (400, "organization_required")
    assert ask(**{"X-Agent-Token": token, "X-Organization-Id": "x"}) == (403, "unknown_organization")
    unknown = "00000000-0000-4000-8000-0000000000ff"
    assert ask(**{"X-Agent-Token": token, "X-Organization-Id": unknown}) == (403, "unknown_organization")
    user = {"X-Agent-Token": token, "X-Organization-Id": system.organization, "X-User-Id": "me"}
    assert ask(**user) == (400, "invalid_user_id")
