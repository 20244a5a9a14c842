"""Whoever ends a job writes down who is to be told of it, in the same breath, however it ends."""

from __future__ import annotations

import json
import threading
from typing import Any
from uuid import UUID

import pytest

from schema.clock import new_id
from schema.errors import Permanent, Transient
from schema.schedule import NewScheduleSchema, load_schedule
from storage import jobs
from storage.figures import metrics
from storage.notices import webhooks
from storage.notices.webhooks import NewWebhook
from tasks import once, schedules
from tasks.admin import make_dead_letter
from tasks.batches import cancel_batch, start_batch
from tasks.commands import Asker, cancel_job, retry_job
from tasks.cron import reconcile
from tasks.deps import Deps
from tasks.ending import settle_error
from tests.conftest import eventually
from tests.integration.stage import (
    SUMS,
    Died,
    Fate,
    at_once,
    change,
    held,
    job,
    lose_worker,
    mortal,
    one,
    put_job,
    request,
    rows,
    school,
    start,
    told,
    types,
)

pytestmark = pytest.mark.usefixtures("empty_store")

EVERYTHING = ["job.completed", "job.failed", "job.cancelled", "job.dead_letter"]


def listen(deps: Deps, asker: Asker, *events: str, paused: bool = False) -> UUID:
    """A webhook of the asker's organization."""
    new = NewWebhook(new_id(), asker.organization_id, "https://example.org/hook", list(events or EVERYTHING), "",
                     paused, "whsec_AAAA", None)  # fmt: skip
    with deps.db.transaction() as tx:
        assert webhooks.insert(tx, new, 20) is not None
    return new.webhook_id


def notify(deps: Deps, asker: Asker, *addresses: str, **more: Any) -> None:
    """What the organization chose about mails."""
    change(
        deps,
        """INSERT INTO organization_settings (organization_id, chosen) VALUES (:org, CAST(:chosen AS jsonb))
        ON CONFLICT (organization_id) DO UPDATE SET chosen = EXCLUDED.chosen""",
        org=asker.organization_id,
        chosen=json.dumps({"notifyEmails": addresses, **more}),
    )


def deliveries(deps: Deps, job_id: UUID) -> list[Any]:
    return rows(deps, "SELECT * FROM webhook_deliveries WHERE job_id = :id ORDER BY seq", id=job_id)


def mails(deps: Deps, job_id: UUID) -> list[tuple[str, str]]:
    found = rows(deps, "SELECT event, recipient FROM mails WHERE job_id = :id ORDER BY seq, recipient", id=job_id)
    return [(row.event, row.recipient) for row in found]


def events_of(deps: Deps, job_id: UUID) -> list[str]:
    """What is to be told of a job, each at the number of the event that tells it, with the job as it stood then."""
    numbered = {event["seq"]: event["type"] for event in told(deps, job_id)}
    found = deliveries(deps, job_id)
    for row in found:
        assert numbered[row.seq] in {"job_completed", "job_failed", "job_cancelled"}
        assert (row.status, row.attempts, row.due_at is None) == ("pending", 0, False)
        assert row.body["jobId"] == str(job_id)
    return [row.event for row in found]


def fail(deps: Deps, job_id: UUID, error: Permanent | Transient) -> str:
    return str(settle_error(deps, held(deps, job_id).lease, job(deps, job_id).current_step, error))


# --- every way a job ends -------------------------------------------------------------------------------------------


def test_a_job_that_is_done_is_told_once_and_by_mail(deps: Deps, asker: Asker) -> None:
    listen(deps, asker)
    notify(deps, asker, "b@example.org", "a@example.org")
    job_id = start(deps, asker)
    once.run_due(deps)
    assert events_of(deps, job_id) == ["job.completed"]
    [row] = deliveries(deps, job_id)
    shown = jobs.read(deps.db, asker.organization_id, job_id)
    assert shown is not None
    named = ("jobId", "jobType", "status", "courseId", "examId", "error", "resultPath")
    assert row.body == {name: shown[name] for name in named}
    assert shown["resultPath"] == row.body["resultPath"] == f"{shown['courseId']}/course.json"
    assert mails(deps, job_id) == [("job.completed", "a@example.org"), ("job.completed", "b@example.org")]


def test_a_job_that_fails_is_told_with_its_error_and_without_details(deps: Deps, asker: Asker) -> None:
    listen(deps, asker)
    notify(deps, asker, "a@example.org")
    job_id = put_job(deps, asker.organization_id)
    assert fail(deps, job_id, Permanent("It can't be.", code="model_refused", details={"long": "words"})) == "failed"
    assert events_of(deps, job_id) == ["job.failed"]
    [row] = deliveries(deps, job_id)
    assert row.body["status"] == "failed"
    assert row.body["error"] == {"code": "model_refused", "message": "It can't be.", "step": "skeleton"}
    assert mails(deps, job_id) == [("job.failed", "a@example.org")]


def test_a_dead_letter_has_its_own_event(deps: Deps, asker: Asker) -> None:
    listen(deps, asker)
    job_id = put_job(deps, asker.organization_id, max_retries=0)
    assert fail(deps, job_id, Transient("Away.", code="model_unavailable")) == "dead_letter"
    assert events_of(deps, job_id) == ["job.dead_letter"]
    assert deliveries(deps, job_id)[0].body["status"] == "dead_letter"


def test_what_is_tried_again_is_not_told(deps: Deps, asker: Asker) -> None:
    listen(deps, asker)
    job_id = put_job(deps, asker.organization_id)
    assert fail(deps, job_id, Transient("Away.", code="model_unavailable")) == "pending"
    assert events_of(deps, job_id) == []


def test_an_operators_dead_letter_is_told_after_the_failure(deps: Deps, asker: Asker) -> None:
    listen(deps, asker)
    job_id = put_job(deps, asker.organization_id)
    fail(deps, job_id, Permanent("No.", code="model_refused"))
    make_dead_letter(deps, asker, job_id)
    assert events_of(deps, job_id) == ["job.failed", "job.dead_letter"]


def test_a_cancelled_job_is_told_and_again_when_it_is_retried(deps: Deps, asker: Asker) -> None:
    listen(deps, asker)
    notify(deps, asker, "a@example.org")
    job_id = start(deps, asker)
    cancel_job(deps, asker, job_id, "Wrong grade")
    assert events_of(deps, job_id) == ["job.cancelled"]
    assert mails(deps, job_id) == []  # not among what mails tell of unless chosen
    notify(deps, asker, "a@example.org", notifyOn=["cancelled"])
    retry_job(deps, asker, job_id)
    cancel_job(deps, asker, job_id, "")
    assert events_of(deps, job_id) == ["job.cancelled", "job.cancelled"]
    assert mails(deps, job_id) == [("job.cancelled", "a@example.org")]
    retry_job(deps, asker, job_id)
    once.run_due(deps)
    assert events_of(deps, job_id) == ["job.cancelled", "job.cancelled", "job.completed"]


def test_a_job_whose_end_the_reconciler_finds_is_told(deps: Deps, asker: Asker) -> None:
    listen(deps, asker)
    job_id = start(deps, asker)
    once.run_due(deps)
    change(deps, "DELETE FROM webhook_deliveries")
    change(deps, "DELETE FROM job_events WHERE job_id = :id AND type = 'job_completed'", id=job_id)
    past = "clock_timestamp() - interval '1 hour'"
    change(
        deps,
        f"""UPDATE jobs SET status = 'stale', last_seq = last_seq - 1, completed_at = NULL, updated_at = {past}
        WHERE id = :id""",
        id=job_id,
    )
    reconcile(deps)
    assert job(deps, job_id).status == "done"
    assert events_of(deps, job_id) == ["job.completed"]


def test_a_job_that_loses_its_last_worker_is_told(deps: Deps, asker: Asker) -> None:
    listen(deps, asker)
    job_id = put_job(deps, asker.organization_id, max_retries=0)
    held(deps, job_id)
    lose_worker(deps, job_id)
    reconcile(deps)
    assert events_of(deps, job_id) == ["job.dead_letter"]


# --- together or not at all -----------------------------------------------------------------------------------------


def test_an_end_that_is_undone_tells_nobody(deps: Deps, asker: Asker) -> None:
    listen(deps, asker)
    notify(deps, asker, "a@example.org", notifyOn=["cancelled"])
    job_id = start(deps, asker)
    fate = Fate(2)  # before its commit
    with pytest.raises(Died, match="before commit"):
        cancel_job(mortal(deps, fate), asker, job_id, "")
    assert types(deps, job_id) == ["job_created"]
    assert (deliveries(deps, job_id), mails(deps, job_id)) == ([], [])


@pytest.mark.parametrize(
    "emails", ["null", '"a@example.org"', "[null]", '{"a": 1}', '["a@example.org", "a@example.org"]']
)
def test_odd_settings_keep_no_job_from_ending(deps: Deps, asker: Asker, emails: str) -> None:
    notify(deps, asker)
    odd = f'{{"notifyEmails": {emails}, "notifyOn": ["cancelled"]}}'
    job_id = start(deps, asker)
    change(deps, "UPDATE organization_settings SET chosen = CAST(:chosen AS jsonb)", chosen=odd)
    cancel_job(deps, asker, job_id, "")
    assert job(deps, job_id).status == "cancelled"
    assert mails(deps, job_id) == ([("job.cancelled", "a@example.org")] if emails.startswith('["') else [])


def test_of_many_who_end_it_one_tells(deps: Deps, asker: Asker) -> None:
    listen(deps, asker)
    job_id = start(deps, asker)
    at_once(8, lambda: cancel_job(deps, asker, job_id, ""))
    assert events_of(deps, job_id) == ["job.cancelled"]


def test_a_webhook_that_is_being_removed_is_waited_for_and_left_out(deps: Deps, asker: Asker) -> None:
    going, staying = listen(deps, asker), listen(deps, asker)
    job_id = start(deps, asker)
    cancelling = threading.Thread(target=cancel_job, args=(deps, asker, job_id, ""))
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%webhook%'"
    with deps.db.transaction() as tx:
        assert webhooks.remove(tx, asker.organization_id, going)
        cancelling.start()
        eventually(lambda: one(deps, waiting), what="the end waiting for the webhook")
    cancelling.join(30)
    assert [row.webhook_id for row in deliveries(deps, job_id)] == [staying]
    assert job(deps, job_id).status == "cancelled"


# --- who is told ----------------------------------------------------------------------------------------------------


def test_each_webhook_hears_what_it_asked_for_and_a_paused_one_nothing(deps: Deps, asker: Asker) -> None:
    completed, cancelled = listen(deps, asker, "job.completed"), listen(deps, asker, "job.cancelled")
    listen(deps, asker, paused=True)
    listen(deps, school(deps))
    first, second = start(deps, asker), start(deps, asker)
    cancel_job(deps, asker, second, "")
    once.run_due(deps)
    assert [row.webhook_id for row in deliveries(deps, first)] == [completed]
    assert [row.webhook_id for row in deliveries(deps, second)] == [cancelled]


def test_pictures_are_not_told_of(deps: Deps, asker: Asker) -> None:
    listen(deps, asker)
    notify(deps, asker, "a@example.org")
    parent = put_job(deps, asker.organization_id)
    child = put_job(deps, asker.organization_id, job_type="media", parent_job_id=parent)
    orphan = put_job(deps, asker.organization_id, job_type="media")
    change(deps, "UPDATE job_payloads SET payload = '{\"targetRef\": {}}' WHERE job_id IN (:a, :b)", a=child, b=orphan)
    change(deps, "UPDATE jobs SET media_pending = 1 WHERE id = :id", id=parent)
    for one_of_them in (child, orphan):
        fail(deps, one_of_them, Permanent("No.", code="model_refused"))
    assert deliveries(deps, child) == deliveries(deps, orphan) == deliveries(deps, parent) == []
    assert mails(deps, child) == mails(deps, orphan) == []


def test_a_job_of_a_batch_is_told_to_programs_and_not_by_mail(deps: Deps, asker: Asker) -> None:
    listen(deps, asker)
    notify(deps, asker, "a@example.org", notifyOn=["completed", "cancelled"])
    job_ids = start_batch(deps, asker, [request(), request()]).job_ids
    once.run_due(deps)
    batch = start_batch(deps, asker, [request(), request()])
    cancel_batch(deps, asker, batch.batch_id, "")
    for ids, event in ((job_ids, "job.completed"), (batch.job_ids, "job.cancelled")):
        assert [events_of(deps, job_id) for job_id in ids] == [[event], [event]]
        assert [mails(deps, job_id) for job_id in ids] == [[], []]


def test_figures_tell_what_waits_what_was_tried_and_what_came_due(deps: Deps, asker: Asker) -> None:
    listen(deps, asker)
    notify(deps, asker, "a@example.org", notifyOn=["cancelled"])
    for _ in range(4):
        cancel_job(deps, asker, start(deps, asker), "")
    changes = ("status = 'delivered', due_at = NULL", "status = 'failed', due_at = NULL",
               "due_at = clock_timestamp() + interval '1 hour'")  # fmt: skip
    ids = [row.id for row in rows(deps, "SELECT id FROM webhook_deliveries ORDER BY created_at")]
    for change_, delivery_id in zip(changes, ids, strict=False):
        change(
            deps,
            f"UPDATE webhook_deliveries SET {change_}, attempted_at = clock_timestamp() WHERE id = :id",
            id=delivery_id,
        )
    change(deps, "UPDATE webhook_deliveries SET due_at = due_at - interval '90 s' WHERE id = :id", id=ids[3])
    weekly = {"name": "Mondays", "cron": "0 6 * * 1", "request": {"jobType": "course", "payload": SUMS}}
    schedules.make(deps, asker, load_schedule(NewScheduleSchema(), weekly))
    change(deps, "UPDATE schedules SET due_at = clock_timestamp() - interval '30 s', last_due_at = clock_timestamp()")
    seen = metrics.read(deps.db, stale_after_seconds=60)
    assert (seen.notices["webhook"].pending, seen.notices["mail"].pending) == (2, 4)
    assert 90 <= seen.notices["webhook"].overdue < 200 and seen.notices["mail"].overdue < 60
    assert seen.told == {("webhook", "delivered"): 1, ("webhook", "failed"): 1, ("webhook", "pending"): 1}
    assert seen.schedules == {"started": 1} and 30 <= seen.schedules_overdue < 120
