"""``/api/webhooks`` and ``/api/schedules`` as callers see them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from schema.access import Role
from schema.clock import new_id
from schema.schedule import ScheduleSchema
from schema.settings import DEMO_ORGANIZATION_ID, read_settings
from schema.webhook import DeliverySchema, WebhookSchema, WebhookWithSecretSchema
from tasks.commands import Asker, cancel_job
from tasks.deps import Deps
from tasks.notices.webhooks import send_next
from tests.conftest import Outbox, make_deps, use
from tests.fakes.receiver import Receiver, Reply
from tests.integration.signed_in import sign_in
from tests.integration.stage import SUMS, rows, school, start


@pytest.fixture
def deps(environ: dict[str, str], outbox: Outbox) -> Iterator[Deps]:
    """A system that may send to this machine."""
    made = make_deps(read_settings({**environ, "WEBHOOK_PRIVATE_TARGETS": "127.0.0.0/8"}), outbox)
    use(made)
    yield made
    made.close()


class Caller:
    """An agent of an organization, or a browser with a role."""

    def __init__(self, client: FlaskClient, headers: dict[str, str]) -> None:
        self._client, self._headers = client, headers

    def __call__(self, method: str, path: str, body: Any = None, status: int = 200) -> Any:
        answer: TestResponse = self._client.open(path, method=method, json=body, headers=self._headers)
        assert answer.status_code == status, answer.text
        self.last = answer
        return answer.get_json() if answer.data else None


@pytest.fixture
def call(deps: Deps, client: FlaskClient) -> Caller:
    assert deps.settings.agent_token is not None
    return Caller(client, {"X-Agent-Token": deps.settings.agent_token, "X-Organization-Id": DEMO_ORGANIZATION_ID})


def of_other_school(deps: Deps, client: FlaskClient) -> Caller:
    assert deps.settings.agent_token is not None
    other = str(school(deps).organization_id)
    return Caller(client, {"X-Agent-Token": deps.settings.agent_token, "X-Organization-Id": other})


def with_role(deps: Deps, client: FlaskClient, role: Role) -> Caller:
    return Caller(client, sign_in(client, deps, UUID(DEMO_ORGANIZATION_ID), role, str(new_id())))


#: Nobody listens there.
HOOK = {"url": "https://127.0.0.1:65009/hook"}


class TestWebhooks:
    def test_from_making_to_removing(self, call: Caller) -> None:
        made = call("POST", "/api/webhooks", HOOK, 201)
        assert WebhookWithSecretSchema().validate(made) == {}
        assert made["secret"].startswith("whsec_")
        path = call.last.headers["Location"]
        assert path == f"/api/webhooks/{made['webhookId']}"
        shown = call("GET", path)
        assert WebhookSchema().validate(shown) == {}
        assert shown == {key: value for key, value in made.items() if key != "secret"}
        assert call("GET", "/api/webhooks") == {"webhooks": [shown]}
        changed = call("PATCH", path, {"description": "Ours", "events": ["job.failed"], "paused": True})
        assert (changed["description"], changed["events"], changed["paused"]) == ("Ours", ["job.failed"], True)
        assert changed["url"] == HOOK["url"]
        assert call("POST", f"{path}/test", status=409)["code"] == "webhook_paused"
        rotated = call("POST", f"{path}/rotate-secret")
        assert rotated["secret"] not in {made["secret"], ""}
        assert call.last.headers["Cache-Control"] == "no-store"
        call("DELETE", path, status=204)
        for method, place in (("GET", path), ("DELETE", path), ("POST", f"{path}/test"), ("GET", f"{path}/deliveries")):
            assert call(method, place, status=404)["code"] == "not_found"

    def test_a_secret_is_told_once_and_is_in_no_other_answer(
        self, deps: Deps, call: Caller, asker: Asker, capfd: pytest.CaptureFixture[str]
    ) -> None:
        with Receiver() as receiver:
            receiver.replies.append(Reply(500))
            made = call("POST", "/api/webhooks", {"url": receiver.url}, 201)
            cancel_job(deps, asker, start(deps, asker), "")
            send_next(deps)
        path = f"/api/webhooks/{made['webhookId']}"
        for place in ("/api/webhooks", path, f"{path}/deliveries"):
            call("GET", place)
            assert made["secret"] not in call.last.text
        call("PATCH", path, {"url": "https://10.0.0.1/"}, 422)
        assert made["secret"] not in call.last.text
        written = capfd.readouterr()
        assert made["secret"].removeprefix("whsec_") not in written.out + written.err

    def test_the_log_pages_from_new_to_old(self, deps: Deps, call: Caller) -> None:
        with Receiver() as receiver:
            receiver.replies.append(Reply(302, {"Location": "https://example.org/"}, b"moved"))
            made = call("POST", "/api/webhooks", {"url": receiver.url}, 201)
            path = f"/api/webhooks/{made['webhookId']}"
            tests = [call("POST", f"{path}/test", status=202) for _ in range(3)]
            assert send_next(deps)
            first = call("GET", f"{path}/deliveries?limit=2")
            rest = call("GET", f"{path}/deliveries?limit=2&cursor={first['nextCursor']}")
            found = first["deliveries"] + rest["deliveries"]
            assert rest["nextCursor"] is None
            assert [one["deliveryId"] for one in found] == [one["deliveryId"] for one in reversed(tests)]
            assert all(DeliverySchema().validate(one) == {} for one in found)
            assert (found[-1]["responseStatus"], found[-1]["responseStart"]) == (302, "moved")
            again = call("POST", f"{path}/deliveries/{tests[0]['deliveryId']}/redeliver", status=202)
            assert (again["deliveryId"], again["status"]) == (tests[0]["deliveryId"], "pending")
            assert call.last.headers["Location"] == f"{path}/deliveries"
        for unknown in (str(new_id()), "x"):
            call("POST", f"{path}/deliveries/{unknown}/redeliver", status=404)
        call("GET", f"{path}/deliveries?since=3", status=422)

    @pytest.mark.parametrize(
        ("url", "code"),
        [
            ("https://10.0.0.1/", "private_address"),
            ("https://169.254.169.254/latest/meta-data", "private_address"),
            ("https://[::1]/", "private_address"),
            ("https://[::ffff:10.0.0.1]/", "private_address"),
            ("https://0x0a000001/", "private_address"),  # how a resolver may also read 10.0.0.1
            ("http://8.8.8.8/", "private_address"),
            ("ftp://8.8.8.8/", "invalid_value"),
            (f"https://{'a' * 70}.example/", "invalid_value"),
        ],
    )
    def test_where_nothing_may_be_sent(self, deps: Deps, call: Caller, url: str, code: str) -> None:
        made = call("POST", "/api/webhooks", HOOK, 201)
        for method, path in (("POST", "/api/webhooks"), ("PATCH", f"/api/webhooks/{made['webhookId']}")):
            refused = call(method, path, {"url": url}, 422)
            assert [(error["path"], error["code"]) for error in refused["errors"]] == [("url", code)]
        assert [row.url for row in rows(deps, "SELECT url FROM webhooks")] == [HOOK["url"]]

    def test_only_admins_see_and_make_them(self, deps: Deps, client: FlaskClient, call: Caller) -> None:
        made = call("POST", "/api/webhooks", HOOK, 201)
        for role in ("viewer", "author"):
            person = with_role(deps, client, role)
            person("GET", "/api/webhooks", status=403)
            person("POST", "/api/webhooks", HOOK, 403)
        assert with_role(deps, client, "admin")("GET", f"/api/webhooks/{made['webhookId']}")["url"] == HOOK["url"]

    def test_another_schools_are_not_there(self, deps: Deps, client: FlaskClient, call: Caller) -> None:
        made = call("POST", "/api/webhooks", HOOK, 201)
        delivery = call("POST", f"/api/webhooks/{made['webhookId']}/test", status=202)
        other = of_other_school(deps, client)
        path = f"/api/webhooks/{made['webhookId']}"
        assert other("GET", "/api/webhooks") == {"webhooks": []}
        for method, place in (
            *(("GET", path), ("DELETE", path), ("GET", f"{path}/deliveries"), ("POST", f"{path}/test")),
            *(("POST", f"{path}/rotate-secret"), ("POST", f"{path}/deliveries/{delivery['deliveryId']}/redeliver")),
        ):
            other(method, place, status=404)
        other("PATCH", path, {"paused": True}, 404)

    def test_the_twenty_first_is_refused(self, call: Caller) -> None:
        for _ in range(20):
            call("POST", "/api/webhooks", HOOK, 201)
        refused = call("POST", "/api/webhooks", HOOK, 409)
        assert (refused["code"], refused["details"]) == ("limit_reached", {"limit": 20})


SCHEDULE = {
    "name": "Sums",
    "cron": "0 6 * * 1",
    "timeZone": "Europe/Berlin",
    "request": {"jobType": "course", "payload": SUMS},
}


class TestSchedules:
    def test_from_making_to_removing(self, call: Caller) -> None:
        made = call("POST", "/api/schedules", SCHEDULE, 201)
        assert ScheduleSchema().validate(made) == {}
        path = call.last.headers["Location"]
        assert call("GET", path) == made
        assert made["nextTimes"][0] == made["nextDueAt"] and len(made["nextTimes"]) == 3
        assert made["request"]["payload"]["levelsCount"] == 3, "defaults are filled in"
        paused = call("PATCH", path, {"paused": True})
        assert (paused["paused"], paused["nextDueAt"], paused["nextTimes"]) == (True, None, [])
        started = call("POST", f"{path}/run", status=202)
        assert call("GET", path)["lastJobId"] == started["jobId"]
        second = call("POST", "/api/schedules", {**SCHEDULE, "name": "Second"}, 201)
        first_page = call("GET", "/api/schedules?limit=1")
        assert first_page["schedules"] == [second]
        rest = call("GET", f"/api/schedules?limit=1&cursor={first_page['nextCursor']}")
        assert [one["scheduleId"] for one in rest["schedules"]] == [made["scheduleId"]] and rest["nextCursor"] is None
        call("DELETE", path, status=204)
        for method, place in (("GET", path), ("DELETE", path), ("POST", f"{path}/run"), ("GET", "/api/schedules/x")):
            call(method, place, status=404)
        call("PATCH", path, {"paused": True}, 404)

    def test_a_course_that_is_at_work_is_told(self, call: Caller) -> None:
        named = {"jobType": "course", "payload": {**SUMS, "courseId": "sums"}}
        path = f"/api/schedules/{call('POST', '/api/schedules', {**SCHEDULE, 'request': named}, 201)['scheduleId']}"
        started = call("POST", f"{path}/run", status=202)
        assert call("POST", f"{path}/run", status=200)["jobId"] == started["jobId"]
        call("PATCH", path, {"request": {"jobType": "course", "payload": {**SUMS, "courseId": "sums", "tags": ["a"]}}})
        assert call("POST", f"{path}/run", status=409)["code"] == "active_job_exists"

    def test_every_fault_is_named_and_nothing_is_kept(self, deps: Deps, call: Caller) -> None:
        bad = {"name": "x", "cron": "hourly", "request": {"jobType": "course", "payload": {"mode": "numeric"}}}
        refused = call("POST", "/api/schedules", bad, 422)
        assert {error["path"] for error in refused["errors"]} == {
            "cron",
            "request.payload.subject",
            "request.payload.gradeBand",
        }
        unserved = {"jobType": "course", "payload": {**SUMS, "notes": "With dragons"}}
        assert call("POST", "/api/schedules", {**SCHEDULE, "request": unserved}, 422)["code"] == "model_not_configured"
        exam = {"jobType": "exam_course", "payload": {"examId": str(new_id())}}
        assert call("POST", "/api/schedules", {**SCHEDULE, "request": exam}, 422)["code"] in {
            "model_not_configured",
            "invalid",
        }
        assert rows(deps, "SELECT * FROM schedules") == []

    def test_viewers_see_and_authors_make_them(self, deps: Deps, client: FlaskClient, call: Caller) -> None:
        made = call("POST", "/api/schedules", SCHEDULE, 201)
        viewer = with_role(deps, client, "viewer")
        assert viewer("GET", "/api/schedules")["schedules"] == [made]
        viewer("POST", f"/api/schedules/{made['scheduleId']}/run", status=403)
        author = with_role(deps, client, "author")
        theirs = author("POST", "/api/schedules", SCHEDULE, 201)
        assert UUID(theirs["createdBy"])

    def test_another_schools_are_not_there(self, deps: Deps, client: FlaskClient, call: Caller) -> None:
        made = call("POST", "/api/schedules", SCHEDULE, 201)
        other = of_other_school(deps, client)
        assert other("GET", "/api/schedules")["schedules"] == []
        path = f"/api/schedules/{made['scheduleId']}"
        for method, place in (("GET", path), ("DELETE", path), ("POST", f"{path}/run")):
            other(method, place, status=404)
        other("PATCH", path, {"paused": True}, 404)
