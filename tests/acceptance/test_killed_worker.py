"""A worker killed with -9 in the middle of ``fill``: the job is done once, and nothing is asked for twice."""

from __future__ import annotations

import os
import signal

from tests.acceptance.conftest import System
from tests.conftest import eventually
from tests.fakes.model_server import ModelServer


def test_a_killed_worker_costs_time_and_nothing_else(model_system: System, model: ModelServer) -> None:
    system = model_system
    # One group's call hangs, so the kill falls into the middle of fill, with other groups finished and kept.
    model.script([{"fault": "hang", "purpose": "items", "times": 1}])
    job_id = system.start_course(subject="Volcanoes", gradeBand="5", itemsPerGroup=3, courseId="survivor")

    def parts() -> list[str]:
        rows = system.rows("SELECT part FROM job_steps WHERE job_id = %s AND step = 'fill'", job_id)
        return sorted(part for (part,) in rows)

    planned = eventually(lambda: system.job(job_id)["totalTopics"], what="the plan")
    kept = eventually(lambda: parts() if len(parts()) == planned - 1 else None, what="all parts but one") or []
    victim = system.pids()["worker"]
    os.kill(victim, signal.SIGKILL)
    before = len(model.calls())

    job = system.finished(job_id, within=60)
    assert job["runNumber"] == 2
    assert job["retryCount"] == 1
    assert system.pids()["worker"] != victim
    assert system.rows("SELECT revision FROM documents WHERE document_id = 'survivor'") == [(1,)]
    updates = system.rows("SELECT action FROM catalog_updates WHERE course_id = 'survivor'")
    assert updates == [("added",)]
    assert set(kept) < set(parts()) | {""}
    # Of the parts only the one that hung is asked for again.
    asked = [call for call in model.calls()[before:] if call.purpose in {"items", "study_text"}]
    assert len(asked) == 1
    events = system.call("GET", f"/api/jobs/{job_id}/events?after=0").json()["events"]
    assert [event["seq"] for event in events] == list(range(1, len(events) + 1))
    assert [event["type"] for event in events].count("job_completed") == 1
    assert [event["type"] for event in events].count("job_retrying") == 1


def test_cancel_closes_the_open_call_and_retry_goes_on(model_system: System, model: ModelServer) -> None:
    system = model_system
    model.script([{"fault": "hang", "purpose": "items", "times": 1}])
    job_id = system.start_course(subject="Glaciers", gradeBand="5", itemsPerGroup=3)
    eventually(
        lambda: system.rows("SELECT 1 FROM job_steps WHERE job_id = %s AND step = 'fill'", job_id), what="a kept part"
    )
    answer = system.call("POST", f"/api/jobs/{job_id}/cancel", {"reason": "changed my mind"})
    assert answer.status == 200
    eventually(lambda: any(call.hungUp for call in model.calls()), within=5, what="the call being closed")
    job = system.job(job_id)
    assert job["status"] == "cancelled"
    assert job["cancellationReason"] == "changed my mind"
    again = system.call("POST", f"/api/jobs/{job_id}/cancel", {})
    assert again.status == 409
    assert again.json()["code"] == "job_finished"
    kept = len(system.rows("SELECT 1 FROM job_steps WHERE job_id = %s", job_id))
    assert system.call("POST", f"/api/jobs/{job_id}/retry").status == 202
    done = system.finished(job_id)
    assert done["retryCount"] == 0
    assert done["runNumber"] == 2
    assert kept >= 2


def test_a_course_by_the_model_is_verified_and_its_calls_are_counted(model_system: System) -> None:
    system = model_system
    job_id = system.start_course(subject="Deserts", gradeBand="5", itemsPerGroup=4, notes="Mention camels.")
    job = system.finished(job_id)
    course = system.call("GET", f"/api/courses/{job['courseId']}").json()["course"]
    assert course["provenance"]["source"] == "llm"
    assert course["provenance"]["verified"] is True
    assert course["provenance"]["promptVersion"]
    assert job["usage"]["calls"] >= 4
    assert job["usage"]["inputTokens"] > 0
    purposes = {purpose for (purpose,) in system.rows("SELECT purpose FROM model_calls WHERE job_id = %s", job_id)}
    assert {"plan", "items", "study_text", "verify"} <= purposes
