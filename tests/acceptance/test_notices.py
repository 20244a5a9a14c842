"""A school schedules a course and is told when it is done: beat, worker and senders as they really run."""

from __future__ import annotations

import json
from contextlib import closing

import psycopg2
from standardwebhooks.webhooks import Webhook

from tests.acceptance.conftest import System
from tests.conftest import eventually
from tests.fakes.receiver import Receiver, Reply


def come_due(system: System, schedule_id: str) -> None:
    """Its time is now, so that nobody need wait for Monday."""
    environment = json.loads((system.home / "run" / "environment.json").read_text())
    with closing(psycopg2.connect(environment["DATABASE_URL"])) as connection, connection:
        connection.cursor().execute(
            "UPDATE schedules SET due_at = clock_timestamp() WHERE id = %s AND due_at > clock_timestamp()",
            (schedule_id,),
        )


def test_a_schedule_starts_a_course_and_its_end_is_told(system: System) -> None:
    request = {"jobType": "course", "payload": {"subject": "Addition", "gradeBand": "2", "mode": "numeric"}}
    asked = {"name": "Every Monday", "cron": "0 6 * * 1", "timeZone": "Europe/Berlin", "request": request}
    with Receiver() as receiver:
        receiver.replies.append(Reply(503))
        made = system.call("POST", "/api/webhooks", {"url": receiver.url, "events": ["job.completed"]})
        assert made.status == 201, made.data
        hook = made.json()
        schedule = system.call("POST", "/api/schedules", asked).json()
        path = f"/api/schedules/{schedule['scheduleId']}"
        come_due(system, schedule["scheduleId"])
        job_id = eventually(lambda: system.call("GET", path).json()["lastJobId"], 60, "the scheduled job")
        course_id = system.finished(job_id)["courseId"]

        def told() -> list[str]:
            return [got.headers["webhook-id"] for got in receiver.received if job_id.encode() in got.body]

        # The first answer was 503, so it comes again ten seconds later; an impatient operator has it sent at once.
        eventually(told, 60, "the delivery")
        log = f"/api/webhooks/{hook['webhookId']}/deliveries"
        waiting = eventually(
            lambda: [one for one in system.call("GET", log).json()["deliveries"] if one["error"]], 30, "the failed try"
        )
        assert system.call("POST", f"{log}/{waiting[0]['deliveryId']}/redeliver").status == 202
        eventually(lambda: len(receiver.received) == 2, 60, "the redelivery")
        got = receiver.received[1]
        body = Webhook(hook["secret"]).verify(got.body, dict(got.headers))
        assert (body["event"], body["job"]["jobId"], body["job"]["courseId"]) == ("job.completed", job_id, course_id)
        assert set(told()) == {body["id"]} == {waiting[0]["deliveryId"]}
        again = system.call("GET", path).json()
        assert again["lastError"] is None and again["lastJobId"] == job_id
        for place in (path, f"/api/webhooks/{hook['webhookId']}"):
            assert system.call("DELETE", place).status == 204
