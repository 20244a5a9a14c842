"""Many courses at once over HTTP, with real workers; and how many one person may ask for one by one."""

from __future__ import annotations

import json
import subprocess
import time
from typing import Any
from uuid import uuid4

import pytest
import urllib3

from tests.acceptance.conftest import COMMAND, ROOT, System, environment_for
from tests.conftest import eventually

SUMS: dict[str, Any] = {"subject": "Addition", "gradeBand": "2", "mode": "numeric", "itemsPerGroup": 3}

NOBODYS = "6f1c1a52-3c1e-4a63-9f0e-0d2c2f1f7a11"


def asked(count: int, **payload: Any) -> dict[str, Any]:
    return {"jobs": [{"jobType": "course", "payload": SUMS | payload} for _ in range(count)]}


def batch(system: System, batch_id: str) -> dict[str, Any]:
    found: dict[str, Any] = system.call("GET", f"/api/batches/{batch_id}").json()
    return found


def test_a_batch_is_accepted_made_and_summed_up(system: System) -> None:
    answer = system.call("POST", "/api/jobs/batch", asked(4), headers={"X-User-Id": str(uuid4())})
    assert answer.status == 202, answer.data
    started = answer.json()
    assert answer.headers["Location"] == started["statusUrl"] == f"/api/batches/{started['batchId']}"
    assert (started["total"], len(set(started["jobIds"]))) == (4, 4)
    found = eventually(
        lambda: (now := batch(system, started["batchId"]))["batch"]["finished"] and now, what="the batch"
    )
    assert (found["batch"]["done"], found["batch"]["failed"], found["batch"]["progress"]) == (4, 0, 100.0)
    assert found["batch"]["byStatus"]["done"] == 4
    assert found["batch"]["usage"] == {"calls": 0, "inputTokens": 0, "outputTokens": 0, "costUsd": None}
    assert [job["jobId"] for job in found["jobs"]] == started["jobIds"]
    assert {(job["status"], job["error"]) for job in found["jobs"]} == {("done", None)}
    listed = system.call("GET", f"/api/jobs?batchId={started['batchId']}").json()["jobs"]
    assert {job["jobId"] for job in listed} == set(started["jobIds"])
    assert {job["batchId"] for job in listed} == {started["batchId"]}
    page = system.call("GET", "/api/batches?limit=1").json()
    assert page["batches"][0] == found["batch"]
    assert system.call("POST", f"/api/batches/{started['batchId']}/cancel").json()["code"] == "batch_finished"


def test_five_hundred_are_accepted_at_once_and_cancelled(system: System) -> None:
    began = time.monotonic()
    answer = system.call("POST", "/api/jobs/batch", asked(500))
    seconds = time.monotonic() - began
    assert answer.status == 202, answer.data
    assert seconds < 4, "on a busy machine too"
    batch_id = answer.json()["batchId"]
    single = system.start_course(**SUMS)
    done_then = system.finished(single, within=30) and batch(system, batch_id)["batch"]["done"]
    assert done_then < 400, "a single one does not wait for the batch"
    cancelled = system.call("POST", f"/api/batches/{batch_id}/cancel", {"reason": "Enough"}).json()
    assert cancelled["success"] and cancelled["cancelled"] > 0
    found = batch(system, batch_id)
    assert found["batch"]["finished"] and len(found["jobs"]) == 500
    assert found["batch"]["byStatus"]["cancelled"] == cancelled["cancelled"]
    assert found["batch"]["done"] + cancelled["cancelled"] == 500
    assert batch(system, batch_id)["batch"]["byStatus"] == found["batch"]["byStatus"], "and nothing begins any more"


def test_a_key_gives_the_same_batch(system: System) -> None:
    key = {"Idempotency-Key": f"batch-{uuid4()}"}
    first = system.call("POST", "/api/jobs/batch", asked(2), headers=key)
    again = system.call("POST", "/api/jobs/batch", asked(2), headers=key)
    assert (first.status, again.status) == (202, 200)
    assert again.json() == first.json()
    assert system.call("POST", "/api/jobs/batch", asked(3), headers=key).json()["code"] == "idempotency_conflict"


def test_all_or_none(system: System) -> None:
    before = system.rows("SELECT count(*) FROM jobs")
    jobs = asked(5)["jobs"]
    jobs[1]["payload"] = SUMS | {"items_per_group": 7, "colour": "blue"}
    jobs[3]["payload"] = {key: value for key, value in SUMS.items() if key != "subject"}
    jobs[4]["job_type"] = jobs[4].pop("jobType")
    answer = system.call("POST", "/api/jobs/batch", {"jobs": jobs})
    assert answer.status == 422
    assert [(error["path"], error["code"]) for error in answer.json()["errors"]] == [
        ("jobs.1.payload.itemsPerGroup", "invalid_value"),
        ("jobs.3.payload.subject", "required"),
    ]
    for body, path in (({}, "jobs"), ({"jobs": []}, "jobs"), (asked(501), "jobs"), ({"jobs": [1]}, "jobs.0")):
        refused = system.call("POST", "/api/jobs/batch", body)
        assert (refused.status, refused.json()["errors"][0]["path"]) == (422, path)
    course_id = f"held-{uuid4().hex[:8]}"
    refused = system.call("POST", "/api/jobs/batch", asked(2, courseId=course_id))
    assert refused.json()["errors"][0]["code"] == "duplicate_target"
    unserved = system.call("POST", "/api/jobs/batch", asked(1, notes="With apples."))
    assert unserved.json()["errors"][0]["code"] == "model_not_configured"
    assert system.rows("SELECT count(*) FROM jobs") == before


def test_long_notes_of_many_jobs_are_not_too_much(system: System) -> None:
    answer = system.call("POST", "/api/jobs/batch", asked(300, notes="x" * 5000))
    assert (answer.status, answer.json()["code"]) == (422, "invalid"), "read, and refused for want of a model"
    larger = system.call("POST", "/api/jobs/batch", raw=b'{"jobs": [' + b" " * 8_000_001 + b"]}")
    assert (larger.status, larger.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize("path", ["/api/batches/x", f"/api/batches/{NOBODYS}", f"/api/batches/{NOBODYS}/cancel"])
def test_what_is_no_batch_is_not_found(system: System, path: str) -> None:
    answer = system.call("POST" if path.endswith("cancel") else "GET", path)
    assert (answer.status, answer.json()["code"]) == (404, "not_found")


def test_filters_that_make_no_sense_are_refused(system: System) -> None:
    for path in ("/api/jobs?batchId=x", "/api/batches?limit=0", "/api/batches?colour=blue", "/api/batches?cursor=x"):
        assert system.call("GET", path).status == 422, path


def signed_in(system: System, role: str) -> dict[str, str]:
    """The headers of somebody in a browser, as our own pages send them."""
    ran = subprocess.run(
        [*COMMAND, "login-link", "--role", role],
        cwd=ROOT,
        env=environment_for(system.home, PORT="", FLOWER_PORT=""),
        capture_output=True,
        text=True,
        check=True,
    )
    answer = system.http.request("GET", ran.stdout.strip(), redirect=False)
    kept = {"Cookie": answer.headers["Set-Cookie"].split(";")[0], "Sec-Fetch-Site": "same-origin"}
    session = system.http.request("GET", f"{system.url}/api/session", headers=kept).json()
    return {**kept, "X-CSRF-Token": session["csrfToken"]}


def ask(system: System, who: dict[str, str], **payload: Any) -> urllib3.BaseHTTPResponse:
    body = json.dumps({"jobType": "course", "payload": SUMS | payload}).encode()
    headers = {**who, "Content-Type": "application/json"}
    return system.http.request("POST", f"{system.url}/api/jobs", headers=headers, body=body)


def test_a_person_may_ask_for_ten_an_hour_and_an_admin_for_more(system: System) -> None:
    author = signed_in(system, "author")
    answers = [ask(system, author) for _ in range(11)]
    assert [answer.status for answer in answers] == [202] * 10 + [429]
    refused = answers[-1]
    assert refused.headers["Content-Type"] == "application/problem+json"
    assert 3500 < int(refused.headers["Retry-After"]) <= 3600
    problem = refused.json()
    assert (problem["code"], problem["details"]["limit"]) == ("user_job_limit", "USER_JOBS_PER_HOUR")
    assert problem["details"]["jobsPerHour"] == 10
    many = system.http.request(
        "POST",
        f"{system.url}/api/jobs/batch",
        headers={**author, "Content-Type": "application/json"},
        body=json.dumps(asked(1)).encode(),
    )
    assert many.status == 202, "a batch is not counted"
    admin = signed_in(system, "admin")
    assert {ask(system, admin).status for _ in range(11)} == {202}
