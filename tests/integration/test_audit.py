"""The audit log: each write of the API leaves exactly one entry, a failed one none, and nobody can change it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.testing import FlaskClient
from structlog.testing import capture_logs
from werkzeug.test import TestResponse

from schema.audit import By, Deed
from schema.clock import new_id
from schema.errors import Conflict, Unavailable
from schema.settings import DEMO_ORGANIZATION_ID, read_settings
from storage import audit, retention, wall
from storage.db import Database
from tasks import once, schedules
from tasks.commands import Asker, start_job
from tasks.deps import Deps
from tests.conftest import Outbox, make_deps, use
from tests.integration.signed_in import sign_in
from tests.integration.stage import SUMS, change, one, put_job, request, rows, school, start
from web import auditing
from web.app import create_app
from web.auditing import audit_of
from web.cli import cli
from web.pages.entrance import make_login_path

ORG = UUID(DEMO_ORGANIZATION_ID)
ADDRESS = "203.0.113.9"
READING = {"GET", "HEAD", "OPTIONS"}


@pytest.fixture
def deps(environ: dict[str, str], outbox: Outbox) -> Iterator[Deps]:
    """A system that may send to this machine, and shows its answers to many requests."""
    # Nobody asks the model: it only has to be there for work that needs one to be accepted.
    model = {"OPENAI_BASE_URL": "http://127.0.0.1:1/v1"}
    more = {"WEBHOOK_PRIVATE_TARGETS": "127.0.0.0/8", "RATE_LIMIT_PER_MINUTE": "100000", **model}
    made = make_deps(read_settings({**environ, **more}), outbox)
    use(made)
    yield made
    made.close()


@pytest.fixture
def app(deps: Deps) -> Flask:
    return create_app()


@dataclass
class Stage:
    """What a write needs to have before it: made by its use cases, without a request."""

    deps: Deps
    client: FlaskClient
    asker: Asker

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> TestResponse:
        sent = {"X-Agent-Token": str(self.deps.settings.agent_token), "X-Organization-Id": DEMO_ORGANIZATION_ID}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        return self.client.open(path, method=method, json=body, headers=sent, environ_base={"REMOTE_ADDR": ADDRESS})

    def made(self, path: str, body: Any, name: str) -> str:
        answer = self.call("POST", path, body)
        assert answer.status_code in (201, 202), answer.text
        found = answer.get_json()
        return str(found["exam"]["id"] if name == "exam" else found[name])

    def job(self, status: str = "pending") -> UUID:
        job_id = put_job(self.deps, ORG)
        change(self.deps, "UPDATE jobs SET status = :status WHERE id = :id", status=status, id=job_id)
        return job_id

    def webhook(self) -> str:
        return self.made("/api/webhooks", HOOK, "webhookId")

    def schedule(self) -> str:
        return self.made("/api/schedules", SCHEDULE, "scheduleId")

    def exam(self) -> str:
        return self.made("/api/exams", EXAM, "exam")

    def entries(self) -> list[Any]:
        return rows(self.deps, "SELECT * FROM audit_log ORDER BY at, id")


@pytest.fixture
def stage(deps: Deps, app: Flask, asker: Asker) -> Stage:
    return Stage(deps, app.test_client(), asker)


HOOK = {"url": "https://127.0.0.1:8443/hook"}
JOB = {"jobType": "course", "payload": SUMS}
SCHEDULE = {"name": "weekly", "cron": "0 6 * * 1", "timeZone": "UTC", "request": JOB}
EXAM = {
    "title": "Plants",
    "subject": "Plants",
    "gradeBand": "3-5",
    "questions": [
        {"text": "What do roots take up?", "options": ["Water", "Light"], "answer": "Water"},
        {"text": "What do leaves need?", "options": ["Light", "Soil"], "answer": "Light"},
    ],
}
USER = "a-user-of-the-tests"


def _redelivery(stage: Stage) -> str:
    webhook = stage.webhook()
    delivery = stage.call("POST", f"/api/webhooks/{webhook}/test").get_json()["deliveryId"]
    return f"/api/webhooks/{webhook}/deliveries/{delivery}/redeliver"


def _waiting(stage: Stage) -> str:
    stage.call("PUT", "/api/settings", {"settings": {"requireReview": True}})
    start(stage.deps, stage.asker, courseId="sums")
    once.run_due(stage.deps)
    return "/api/courses/sums/approve"


def _member(stage: Stage) -> str:
    assert stage.call("POST", "/api/members", {"userId": USER, "role": "author"}).status_code == 201
    return f"/api/members/{USER}"


def _token(stage: Stage) -> str:
    return f"/api/tokens/{stage.made('/api/tokens', {'name': 'robot'}, 'tokenId')}"


#: For each write of the API how it succeeds: what it is sent to, what is sent (or makes that), and what it is noted as.
Write = tuple[Callable[[Stage], str], Any, str]
WRITES: dict[str, Write] = {
    "POST /api/jobs": (lambda _: "/api/jobs", JOB, "job.started"),
    "POST /api/jobs/<job_id>/cancel": (lambda s: f"/api/jobs/{s.job()}/cancel", {"reason": "enough"}, "job.cancelled"),
    "POST /api/jobs/<job_id>/retry": (lambda s: f"/api/jobs/{s.job('failed')}/retry", None, "job.retried"),
    "POST /api/jobs/batch": (lambda _: "/api/jobs/batch", {"jobs": [JOB, JOB]}, "batch.started"),
    "POST /api/batches/<batch_id>/cancel": (
        lambda s: f"/api/batches/{s.made('/api/jobs/batch', {'jobs': [JOB, JOB]}, 'batchId')}/cancel",
        None,
        "batch.cancelled",
    ),
    "POST /api/generation/start": (
        lambda _: "/api/generation/start",
        lambda s: {"examId": s.exam()},
        "job.started",
    ),
    "POST /api/generation/cancel": (
        lambda _: "/api/generation/cancel",
        lambda s: {"jobId": str(s.job())},
        "job.cancelled",
    ),
    "PUT /api/settings": (lambda _: "/api/settings", {"settings": {"language": "de"}}, "settings.changed"),
    "POST /api/exams": (lambda _: "/api/exams", EXAM, "exam.made"),
    "PUT /api/exams/<exam_id>": (lambda s: f"/api/exams/{s.exam()}", EXAM, "exam.saved"),
    "DELETE /api/exams/<exam_id>": (lambda s: f"/api/exams/{s.exam()}", None, "exam.removed"),
    "POST /api/webhooks": (lambda _: "/api/webhooks", HOOK, "webhook.made"),
    "PATCH /api/webhooks/<webhook_id>": (
        lambda s: f"/api/webhooks/{s.webhook()}",
        {"description": "of the board"},
        "webhook.changed",
    ),
    "DELETE /api/webhooks/<webhook_id>": (lambda s: f"/api/webhooks/{s.webhook()}", None, "webhook.removed"),
    "POST /api/webhooks/<webhook_id>/test": (lambda s: f"/api/webhooks/{s.webhook()}/test", None, "webhook.tested"),
    "POST /api/webhooks/<webhook_id>/rotate-secret": (
        lambda s: f"/api/webhooks/{s.webhook()}/rotate-secret",
        None,
        "webhook.secret_rotated",
    ),
    "POST /api/webhooks/<webhook_id>/deliveries/<delivery_id>/redeliver": (_redelivery, None, "webhook.redelivered"),
    "POST /api/schedules": (lambda _: "/api/schedules", SCHEDULE, "schedule.made"),
    "PATCH /api/schedules/<schedule_id>": (
        lambda s: f"/api/schedules/{s.schedule()}",
        {"paused": True},
        "schedule.paused",
    ),
    "DELETE /api/schedules/<schedule_id>": (lambda s: f"/api/schedules/{s.schedule()}", None, "schedule.removed"),
    "POST /api/schedules/<schedule_id>/run": (lambda s: f"/api/schedules/{s.schedule()}/run", None, "schedule.run"),
    "POST /api/admin/jobs/<job_id>/requeue": (
        lambda s: f"/api/admin/jobs/{s.job('dead_letter')}/requeue",
        None,
        "admin.requeued",
    ),
    "POST /api/admin/jobs/<job_id>/mark-stale": (
        lambda s: f"/api/admin/jobs/{s.job('processing')}/mark-stale",
        None,
        "admin.marked_stale",
    ),
    "POST /api/admin/jobs/<job_id>/dead-letter": (
        lambda s: f"/api/admin/jobs/{s.job('stale')}/dead-letter",
        None,
        "admin.dead_lettered",
    ),
    "DELETE /api/admin/jobs/<job_id>": (lambda s: f"/api/admin/jobs/{s.job('failed')}", None, "admin.deleted"),
    "POST /api/admin/dead-letters/requeue": (lambda _: "/api/admin/dead-letters/requeue", None, "admin.requeued"),
    "POST /api/admin/reconcile": (lambda _: "/api/admin/reconcile", None, "admin.reconciled"),
    "POST /api/courses/<course_id>/approve": (_waiting, None, "review.approved"),
    "POST /api/tokens": (lambda _: "/api/tokens", {"name": "robot"}, "token.made"),
    "PATCH /api/tokens/<token_id>": (_token, {"name": "other"}, "token.changed"),
    "DELETE /api/tokens/<token_id>": (_token, None, "token.revoked"),
    "POST /api/members": (lambda _: "/api/members", {"userId": USER, "role": "author"}, "member.added"),
    "PATCH /api/members/<path:user_id>": (_member, {"role": "viewer"}, "member.changed"),
    "DELETE /api/members/<path:user_id>": (_member, None, "member.removed"),
    "POST /api/session": (lambda _: "/api/session", None, "session.begun"),
}
#: Writes that are tried elsewhere, and where.
ELSEWHERE = {
    "POST /api/exams/preview": "it keeps nothing",
    "DELETE /api/session": "test_a_browser_that_signs_in_and_out",
    "POST /login": "test_a_browser_that_signs_in_and_out",
    "POST /logout": "test_a_browser_that_signs_in_and_out",
}


#: The web notes it when the view has answered. All others are noted by the use case, by whichever door they come: the
#: command line has no such second chance.
NOTED_AFTERWARDS = {"POST /api/admin/reconcile"}


def test_no_write_is_missing_from_the_table(app: Flask) -> None:
    there = {
        f"{method} {rule.rule}" for rule in app.url_map.iter_rules() for method in (rule.methods or set()) - READING
    }
    assert there == WRITES.keys() | ELSEWHERE.keys()


@pytest.mark.parametrize("route", WRITES)
def test_each_write_leaves_exactly_one_entry(stage: Stage, route: str, monkeypatch: pytest.MonkeyPatch) -> None:
    where, body, action = WRITES[route]
    path, body = where(stage), body(stage) if callable(body) else body
    before = len(stage.entries())
    afterwards: list[str] = []
    noting = auditing._write
    monkeypatch.setattr(auditing, "_write", lambda deed: (afterwards.append(route), noting(deed)))
    answer = stage.call(
        route.partition(" ")[0], path, body, X_Request_Id="of-this-request", X_User_Id=str(stage.asker.user)
    )
    assert answer.status_code < 300, answer.text
    fresh = stage.entries()[before:]
    assert [entry.action for entry in fresh] == [action]
    assert set(afterwards) == NOTED_AFTERWARDS & {route}
    [entry] = fresh
    assert (entry.organization_id, entry.request_id, entry.address) == (ORG, "of-this-request", ADDRESS)
    if action != "session.begun":
        assert (entry.actor, entry.way, entry.role) == (stage.asker.user, "agent", "admin")
    if "<" in route:
        assert entry.target_id is not None and entry.target_id in path
    endpoint, _ = stage.client.application.url_map.bind("").match(path, route.partition(" ")[0])
    declared = audit_of(stage.client.application, endpoint)
    assert declared is not None
    assert action in declared.actions or declared.why


@pytest.mark.parametrize("route", [route for route in WRITES if "<" in route])
def test_a_write_that_fails_leaves_nothing(stage: Stage, route: str) -> None:
    method, _, path = route.partition(" ")
    for name in ("job_id", "batch_id", "exam_id", "webhook_id", "delivery_id", "schedule_id", "token_id", "course_id"):
        path = path.replace(f"<{name}>", str(new_id()))
    answer = stage.call(method, path.replace("<path:user_id>", "nobody"), WRITES[route][1])
    assert answer.status_code == 404, answer.text
    assert stage.entries() == []


def test_what_is_refused_as_malformed_or_undone_leaves_nothing(stage: Stage) -> None:
    assert stage.call("POST", "/api/jobs", {"jobType": "course"}).status_code == 422
    job_id = stage.job("done")
    assert stage.call("POST", f"/api/jobs/{job_id}/cancel").status_code == 409
    assert stage.entries() == []


def test_a_deed_and_its_entry_commit_together_or_not_at_all(deps: Deps, asker: Asker, owner: Database) -> None:
    start(deps, asker, courseId="sums")
    with pytest.raises(Conflict):
        start(deps, asker, courseId="sums", itemsPerGroup=5)
    assert [entry.action for entry in rows(deps, "SELECT action FROM audit_log")] == ["job.started"]
    with owner.statement() as tx:
        tx.run("ALTER TABLE audit_log ADD CONSTRAINT nothing_goes CHECK (false) NOT VALID")
    with pytest.raises(Exception, match="nothing_goes"):
        start(deps, asker, courseId="more-sums")
    assert [job.course_id for job in rows(deps, "SELECT course_id FROM jobs")] == ["sums"]


def test_a_deed_that_stands_without_an_entry_is_told_in_the_log(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: Any) -> None:
        raise Unavailable("The database can't be reached just now.", code="database_away")

    monkeypatch.setattr(audit, "note_alone", away)
    with capture_logs() as logged:
        assert stage.call("POST", "/api/admin/reconcile").status_code == 200
    [line] = [line for line in logged if line["event"] == "deed_not_noted"]
    assert (line["log_level"], line["action"], line["organization"]) == ("error", "admin.reconciled", str(ORG))
    assert (line["reason"], line["actor"]) == ("database_away", "environment")


def test_a_request_sent_twice_is_noted_as_what_was_there(stage: Stage) -> None:
    for _ in range(2):
        stage.call("POST", "/api/jobs", JOB, Idempotency_Key="one")
    first, second = stage.entries()
    assert first.target_id == second.target_id
    assert ("existing" in first.details, second.details["existing"]) == (False, True)


def test_settings_are_noted_by_the_names_of_what_differs(stage: Stage) -> None:
    stage.call("PUT", "/api/settings", {"settings": {"language": "de", "verifyKeys": False}})
    stage.call("PUT", "/api/settings", {"settings": {"language": "de"}})
    assert [entry.details["changed"] for entry in stage.entries()] == [["language", "verifyKeys"], ["verifyKeys"]]


# --- refusals -------------------------------------------------------------------------------------------------------


def test_a_refused_login_is_noted_where_it_was_tried(stage: Stage, deps: Deps) -> None:
    other = school(deps).organization_id
    for organization, wanted in ((str(other), other), (str(new_id()), None), ("nonsense", None)):
        answer = stage.call("GET", "/api/jobs", X_Agent_Token="wrong", X_Organization_Id=organization)
        assert answer.status_code == 401
        entry = stage.entries()[-1]
        assert (entry.action, entry.organization_id, entry.way) == ("login.refused", wanted, "unknown")
        assert entry.details == {"code": "invalid_agent_token", "method": "GET", "rule": "/api/jobs"}
    assert stage.client.get("/api/jobs").status_code == 401
    assert len(stage.entries()) == 3, "who shows nothing is refused nothing"


def test_refused_access_is_noted_with_who_was_refused(stage: Stage) -> None:
    answer = stage.call("POST", "/api/tokens", {"name": "reader", "role": "viewer"})
    token = answer.get_json()["token"]
    assert stage.call("POST", "/api/jobs", JOB, X_Agent_Token=token).status_code == 403
    entry = stage.entries()[-1]
    assert (entry.action, entry.organization_id, entry.way, entry.role) == ("access.refused", ORG, "token", "viewer")
    assert entry.actor is not None and token not in str(entry)
    assert entry.details["code"] == "forbidden"


def test_a_write_of_another_site_is_noted_where_it_would_have_been_done(stage: Stage, deps: Deps) -> None:
    sign_in(stage.client, deps, ORG, "author", USER)
    answer = stage.client.post("/api/jobs", json=JOB, headers={"Sec-Fetch-Site": "cross-site"})
    assert (answer.status_code, answer.get_json()["code"]) == (403, "cross_site")
    entry = stage.entries()[-1]
    assert (entry.action, entry.organization_id, entry.way, entry.actor) == ("access.refused", ORG, "cookie", USER)
    assert entry.details["code"] == "cross_site"


def test_a_flood_of_refusals_does_not_fill_the_table(stage: Stage) -> None:
    for _ in range(40):
        stage.call("GET", "/api/jobs", X_Agent_Token="wrong")
    assert len(stage.entries()) == 5


def test_a_spent_login_link_is_a_refused_login(stage: Stage) -> None:
    assert stage.client.get("/login/forged", headers={"Accept": "application/json"}).status_code == 403
    [entry] = stage.entries()
    assert (entry.action, entry.details["rule"]) == ("login.refused", "/login/<token>")


def test_a_browser_that_signs_in_and_out(stage: Stage, deps: Deps) -> None:
    link = make_login_path(deps, DEMO_ORGANIZATION_ID, "author")
    assert stage.client.get(link).status_code == 302
    own = stage.client.get("/api/session").get_json()
    proofs = {"X-CSRF-Token": own["csrfToken"], "Sec-Fetch-Site": "same-origin"}
    assert stage.client.post("/api/jobs", json=JOB, headers=proofs).status_code == 202
    assert stage.client.delete("/api/session", headers=proofs).status_code == 204
    begun, started, ended = stage.entries()
    assert [entry.action for entry in (begun, started, ended)] == ["session.begun", "job.started", "session.ended"]
    session = f"session:{begun.target_id}"
    assert {(entry.way, entry.actor) for entry in (begun, started, ended)} == {("cookie", session)}
    assert (started.role, begun.details) == ("author", {"way": "link", "role": "author"})
    form = {"token": str(deps.settings.agent_token), "organization": DEMO_ORGANIZATION_ID}
    wrong = stage.client.post("/login", data={**form, "token": "wrong"}, headers={"Sec-Fetch-Site": "same-origin"})
    assert (wrong.status_code, stage.entries()[-1].action) == (401, "login.refused")
    assert stage.client.post("/login", data=form, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 303
    page = stage.client.get("/api/session").get_json()
    left = stage.client.post("/logout", data={"csrf": page["csrfToken"]}, headers={"Sec-Fetch-Site": "same-origin"})
    assert left.status_code == 303
    assert [entry.action for entry in stage.entries()[-2:]] == ["session.begun", "session.ended"]
    assert "unknown" not in {entry.way for entry in stage.entries()[-2:]}


# --- the table ------------------------------------------------------------------------------------------------------


def note(deps: Deps, organization_id: UUID | None = ORG, **more: Any) -> None:
    with deps.db.statement() as tx:
        audit.note(tx, Deed(organization_id, "job.started", "job", more.pop("target", "a-job"), **more))


@pytest.mark.parametrize(
    "statement", ["UPDATE audit_log SET actor = 'nobody'", "DELETE FROM audit_log", "TRUNCATE audit_log"]
)
def test_nobody_changes_an_entry_not_even_the_owner(deps: Deps, owner: Database, statement: str) -> None:
    note(deps)
    with pytest.raises(Exception, match=r"audit_log: (UPDATE|DELETE|TRUNCATE) is refused|permission denied"):
        change(deps, statement)
    with pytest.raises(Exception, match=r"audit_log: (UPDATE|DELETE|TRUNCATE) is refused"), owner.statement() as tx:
        tx.run(statement)
    assert one(deps, "SELECT count(*) FROM audit_log") == 1


@pytest.mark.parametrize("statement", ["UPDATE audit_log SET actor = 'x'", "DELETE FROM audit_log"])
def test_the_web_has_no_right_to(deps: Deps, app: Flask, statement: str) -> None:
    from web.wiring import deps as of_web

    with app.app_context(), wall.within(ORG):
        db = of_web().db
        with db.statement() as tx:
            audit.note(tx, Deed(ORG, "job.started"))
        with pytest.raises(Exception, match="permission denied"), db.statement() as tx:
            tx.run(statement)
        with pytest.raises(Exception, match="row-level security"), db.statement() as tx:
            audit.note(tx, Deed(new_id(), "job.started"))


def test_the_purge_lets_go_of_what_is_old_and_of_nothing_else(deps: Deps, owner: Database) -> None:
    for days in (401, 399, 1):
        with owner.statement() as tx:
            tx.run(
                """INSERT INTO audit_log (id, at, way, action)
                VALUES (:id, clock_timestamp() - make_interval(days => :days), 'system', 'job.started')""",
                {"id": new_id(), "days": days},
            )
    hours = deps.settings.retention
    assert (hours.audit_hours, retention.AUDIT_HOURS) == (9600, 9600)
    purged = retention.purge(deps.db, jobs_hours=1, events_hours=1, audit_hours=hours.audit_hours)
    assert purged["audit"] == 1 and one(deps, "SELECT count(*) FROM audit_log") == 2
    # What is younger than thirty days the database itself keeps, whatever somebody asks for.
    with pytest.raises(Exception, match="DELETE is refused"):
        retention.purge(deps.db, jobs_hours=1, events_hours=1, audit_hours=0)
    assert one(deps, "SELECT count(*) FROM audit_log WHERE at > clock_timestamp() - interval '30 days'") == 1


# --- the other doors ------------------------------------------------------------------------------------------------


def test_a_command_is_noted_with_who_gave_it(deps: Deps, asker: Asker, environ: dict[str, str]) -> None:
    job_id = start(deps, asker)
    done = CliRunner().invoke(cli, ["jobs", "cancel", str(job_id)], env=environ, catch_exceptions=False)
    assert done.exit_code == 0, done.output
    entry = rows(deps, "SELECT * FROM audit_log ORDER BY at DESC LIMIT 1")[0]
    assert (entry.action, entry.way, entry.target_id) == ("job.cancelled", "command", str(job_id))
    assert entry.actor and entry.address is None
    shown = CliRunner().invoke(cli, ["audit", "--action", "job.cancelled"], env=environ, catch_exceptions=False)
    assert f"job.cancelled job {job_id}  by command {entry.actor}" in shown.output


def test_a_schedule_that_starts_a_job_is_noted_as_such(stage: Stage, deps: Deps) -> None:
    schedule_id = stage.schedule()
    change(deps, "UPDATE schedules SET due_at = clock_timestamp() - interval '1 second'")
    assert schedules.run_due(deps) == 1
    entry = stage.entries()[-1]
    assert (entry.action, entry.way, entry.actor) == ("job.started", "schedule", schedule_id)


def test_what_nobody_said_who_does_is_the_systems(deps: Deps, asker: Asker) -> None:
    start_job(deps, asker, request())
    assert one(deps, "SELECT way FROM audit_log") == "system"
    assert audit.by() == By("system")
