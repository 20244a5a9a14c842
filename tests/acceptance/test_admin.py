"""What an operator does over HTTP: sees a dead letter's attempts, takes it up again, has drift corrected."""

from __future__ import annotations

import subprocess

from tests.acceptance.conftest import COMMAND, ROOT, System, environment_for
from tests.conftest import eventually
from tests.fakes.model_server import ModelServer


def test_a_dead_letter_is_seen_with_its_attempts_and_taken_up_again(model_system: System, model: ModelServer) -> None:
    system = model_system
    model.script([{"fault": "401", "purpose": "plan", "times": 1}])
    job_id = system.start_course(subject="Fjords", gradeBand="5", itemsPerGroup=3)
    eventually(lambda: system.job(job_id)["status"] == "failed", what="the failure")
    path = f"/api/admin/jobs/{job_id}"
    assert system.call("POST", f"{path}/mark-stale").json()["code"] == "wrong_status"
    assert system.call("POST", f"{path}/dead-letter").json()["success"] is True
    again = system.call("POST", f"{path}/dead-letter")
    assert (again.status, again.json()["code"]) == (409, "wrong_status")

    page = system.call("GET", "/api/admin/dead-letters?jobType=ai_course_generate&limit=1").json()
    [letter] = page["deadLetters"]
    assert (letter["job"]["jobId"], letter["job"]["status"], page["nextCursor"]) == (job_id, "dead_letter", None)
    [attempt] = letter["attempts"]
    assert (attempt["attempt"], attempt["run"], attempt["step"]) == (1, 1, "skeleton")
    assert (attempt["error"]["code"], attempt["nextRunAt"]) == ("model_unauthorized", None)
    seen = system.call("GET", path).json()
    assert (seen["attempts"], seen["canResume"], seen["lease"], seen["checkpoints"]) == ([attempt], True, None, [])
    assert system.call("GET", "/api/admin/jobs?status=dead_letter").json()["jobs"] == [seen["job"]]

    assert system.call("POST", "/api/admin/dead-letters/requeue", {"code": "worker_lost"}).json()["jobs"] == []
    answer = system.call("POST", "/api/admin/dead-letters/requeue", {"code": "model_unauthorized"}).json()
    assert answer == {
        "requeued": 1,
        "refused": 0,
        "jobs": [{"jobId": job_id, "requeued": True, "error": None}],
    }
    assert system.finished(job_id)["runNumber"] == 2
    seen = system.call("GET", path).json()
    assert seen["attempts"] == [attempt]
    assert "persist" in {kept["step"] for kept in seen["checkpoints"]}
    refused = system.call("POST", f"{path}/requeue")
    assert (refused.status, refused.json()["code"]) == (409, "not_retryable")
    assert system.call("DELETE", path).json()["code"] == "wrong_status"


def test_a_cancelled_job_is_requeued_and_one_that_is_deleted_is_gone(model_system: System, model: ModelServer) -> None:
    system = model_system
    model.script([{"fault": "hang", "purpose": "plan", "times": 1}])
    job_id = system.start_course(subject="Moraines", gradeBand="5", itemsPerGroup=3)
    path = f"/api/admin/jobs/{job_id}"
    held = eventually(lambda: system.call("GET", path).json()["lease"], what="the lease")
    assert held is not None and held["step"] == "skeleton"
    system.call("POST", f"/api/jobs/{job_id}/cancel", {})
    assert system.call("POST", f"{path}/requeue").status == 202
    system.finished(job_id)
    model.script([{"fault": "401", "purpose": "plan", "times": 1}])
    job_id = system.start_course(subject="Drumlins", gradeBand="5", itemsPerGroup=3)
    eventually(lambda: system.job(job_id)["status"] == "failed", what="the failure")
    assert system.call("DELETE", f"/api/admin/jobs/{job_id}").json()["success"] is True
    assert system.call("DELETE", f"/api/admin/jobs/{job_id}").status == 404
    assert system.call("POST", f"/api/jobs/{job_id}/retry").status == 404


def test_drift_is_corrected_when_an_operator_says_so(system: System) -> None:
    job = system.finished(system.start_course())
    assert set(system.call("POST", "/api/admin/reconcile").json()) == {"corrected"}
    assert "corrections" in system.call("GET", "/api/admin/corrections").json()
    assert system.call("POST", f"/api/admin/jobs/{job['jobId']}/mark-stale").status == 409
    assert system.call("GET", "/api/admin/jobs/no-id").status == 404
    for body, path in (({"limit": 0}, "limit"), ({"status": "failed"}, "status"), ({"limit": "5"}, "limit")):
        answer = system.call("POST", "/api/admin/dead-letters/requeue", body)
        assert (answer.status, answer.json()["errors"][0]["path"]) == (422, path)
    assert system.call("GET", "/api/admin/dead-letters?status=failed").status == 422


def test_only_an_admin_may_look_and_act(system: System) -> None:
    made = subprocess.run(
        [*COMMAND, "login-link", "--role", "author"],
        cwd=ROOT,
        env=environment_for(system.home, PORT="", FLOWER_PORT=""),
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    signed_in = system.http.request("GET", made.stdout.strip(), redirect=False)
    cookie = {"Cookie": signed_in.headers["Set-Cookie"].split(";")[0], "Origin": system.url}
    assert system.http.request("GET", system.url + "/api/jobs", headers=cookie).status == 200
    for method, path in (
        ("GET", "/api/admin/jobs"),
        ("GET", "/api/admin/dead-letters"),
        ("POST", "/api/admin/reconcile"),
        ("POST", "/api/admin/dead-letters/requeue"),
    ):
        answer = system.http.request(method, system.url + path, headers=cookie)
        assert (answer.status, answer.json()["code"]) == (403, "forbidden"), path
