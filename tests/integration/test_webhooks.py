"""Deliveries arrive: signed, at least once, however slow, hostile or dead anybody on the way is."""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from schema.clock import new_id
from schema.errors import Conflict, NotFound
from schema.settings import NoticeSettings, read_settings
from storage import retention
from storage.figures import metrics
from storage.notices import deliveries as deliveries_kept
from storage.notices import webhooks
from tasks.commands import Asker, cancel_job
from tasks.deps import Deps
from tasks.notices import post as posting
from tasks.notices import senders
from tasks.notices.webhooks import send_next
from tasks.webhooks import change, make, redeliver, remove, rotate_secret
from tasks.webhooks import test as try_out
from tests.conftest import Outbox, eventually, make_deps, use
from tests.fakes.receiver import Receiver, Reply
from tests.integration.stage import at_once, rows, school, start, together
from tests.integration.stage import change as rewrite

GIVEN: dict[str, Any] = {"events": ["job.cancelled"], "description": "", "paused": False}


@pytest.fixture
def deps(environ: dict[str, str], outbox: Outbox) -> Iterator[Deps]:
    """A process that may send to this machine."""
    settings = read_settings({**environ, "WEBHOOK_PRIVATE_TARGETS": "127.0.0.1", "PUBLIC_URL": "https://c.example/"})
    made = make_deps(settings, outbox)
    made.luck = lambda: 0.5
    use(made)
    yield made
    made.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as running:
        yield running


@pytest.fixture
def hook(deps: Deps, asker: Asker, receiver: Receiver) -> dict[str, Any]:
    """A webhook that leads to the receiver, with its secret."""
    return make(deps, asker, {**GIVEN, "url": receiver.url})


def end_a_job(deps: Deps, asker: Asker) -> UUID:
    job_id = start(deps, asker)
    cancel_job(deps, asker, job_id, "")
    return job_id


def log_of(deps: Deps, hook: dict[str, Any]) -> list[dict[str, Any]]:
    organization_id = rows(deps, "SELECT organization_id FROM webhooks WHERE id = :id", id=hook["webhookId"])[0][0]
    return deliveries_kept.newest(deps.db, organization_id, UUID(hook["webhookId"]), None, 100)


def make_due(deps: Deps) -> None:
    """What was put off need not wait."""
    rewrite(deps, "UPDATE webhook_deliveries SET due_at = clock_timestamp() WHERE due_at IS NOT NULL")


def make_waiting_due(deps: Deps) -> None:
    """The same for what failed, without a second sending of what is on its way."""
    rewrite(
        deps,
        "UPDATE webhook_deliveries SET due_at = clock_timestamp() WHERE due_at IS NOT NULL AND error IS NOT NULL",
    )


def seconds_until_due(deps: Deps) -> float:
    [[seconds]] = rows(deps, "SELECT EXTRACT(epoch FROM due_at - attempted_at)::float FROM webhook_deliveries")
    return float(seconds)


# --- arriving -------------------------------------------------------------------------------------------------------


def test_a_delivery_arrives_with_a_signature_that_others_check(
    deps: Deps, asker: Asker, hook: dict[str, Any], receiver: Receiver
) -> None:
    job_id = end_a_job(deps, asker)
    assert send_next(deps)
    assert not send_next(deps)
    [got] = receiver.received
    body = Webhook(hook["secret"]).verify(got.body, dict(got.headers))
    [entry] = log_of(deps, hook)
    assert body["id"] == got.headers["webhook-id"] == entry["deliveryId"]
    assert (body["event"], body["job"]["jobId"], body["job"]["status"]) == ("job.cancelled", str(job_id), "cancelled")
    course = body["job"]["courseId"]
    assert body["job"]["links"] == {
        "job": f"https://c.example/api/jobs/{job_id}",
        "course": f"https://c.example/api/courses/{course}",
    }
    assert (got.path, got.headers["Host"]) == ("/hook?of=tests", f"127.0.0.1:{receiver.port}")
    assert got.headers["Content-Type"] == "application/json"
    assert (entry["status"], entry["attempts"], entry["responseStatus"]) == ("delivered", 1, 204)
    assert entry["nextAttemptAt"] is entry["error"] is None and entry["seconds"] < 10
    with pytest.raises(WebhookVerificationError):
        Webhook(hook["secret"]).verify(got.body + b" ", dict(got.headers))


def test_a_failure_is_tried_again_under_the_same_id(
    deps: Deps, asker: Asker, hook: dict[str, Any], receiver: Receiver
) -> None:
    receiver.replies.append(Reply(500, body="Ärger\x00".encode() + b"x" * 5000))
    end_a_job(deps, asker)
    send_next(deps)
    [entry] = log_of(deps, hook)
    assert (entry["status"], entry["responseStatus"], entry["error"]) == ("pending", 500, "It answered 500.")
    assert entry["responseStart"].startswith("Ärger�xxx") and len(entry["responseStart"]) == 500
    assert 10 <= seconds_until_due(deps) < 30
    assert not send_next(deps), "it is not due yet"
    make_due(deps)
    assert send_next(deps)
    first, second = receiver.received
    assert first.body == second.body and first.headers["webhook-id"] == second.headers["webhook-id"]
    assert [(entry["status"], entry["attempts"]) for entry in log_of(deps, hook)] == [("delivered", 2)]


def test_a_sender_that_is_killed_loses_nothing(
    deps: Deps, asker: Asker, hook: dict[str, Any], receiver: Receiver
) -> None:
    end_a_job(deps, asker)
    taken = deliveries_kept.take(deps.db)  # and nothing is ever heard of whoever took it
    assert taken is not None and not send_next(deps)
    assert 60 < seconds_until_due(deps) < 120
    make_due(deps)
    assert send_next(deps)
    assert receiver.received[0].headers["webhook-id"] == str(taken.delivery_id)
    # It was only stopped, and now tells what it learnt long ago.
    deliveries_kept.put_off(deps.db, taken, deliveries_kept.Tried(1.0, error="Late."), 10)
    assert [(entry["status"], entry["attempts"]) for entry in log_of(deps, hook)] == [("delivered", 2)]


def test_after_a_day_of_failures_it_is_given_up(
    deps: Deps, asker: Asker, hook: dict[str, Any], receiver: Receiver
) -> None:
    receiver.replies.extend([Reply(503)] * 20)
    end_a_job(deps, asker)
    waited, waits = 0.0, 0
    while send_next(deps):
        if log_of(deps, hook)[0]["status"] == "failed":
            break
        waited += seconds_until_due(deps)
        waits += 1
        make_due(deps)
    assert (waits, len(receiver.received)) == (8, 9)
    assert waited == pytest.approx(86_400, rel=0.01)
    assert log_of(deps, hook)[0]["nextAttemptAt"] is None
    assert not send_next(deps)


def test_a_receiver_may_ask_for_patience_within_bounds(
    deps: Deps, asker: Asker, hook: dict[str, Any], receiver: Receiver
) -> None:
    # The last two name a year and a zone that no number of ours can hold.
    odd = ["soon", f"Wed, 21 Oct {'9' * 20} 07:30:00 GMT", f"Wed, 21 Oct 2026 07:30:00 +{'9' * 20}"]
    asked = ["120", "99999999", "Wed, 21 Oct 2026 07:30:00 GMT", *odd]
    date = {"Date": "Wed, 21 Oct 2026 07:20:00 GMT"}
    receiver.replies.extend(Reply(429, {"Retry-After": wish, **date}) for wish in asked)
    end_a_job(deps, asker)
    found = []
    for _ in asked:
        send_next(deps)
        assert log_of(deps, hook)[0]["error"] == "It answered 429."
        found.append(seconds_until_due(deps))
        rewrite(deps, "UPDATE webhook_deliveries SET attempts = 0")
        make_due(deps)
    for waited, wished in zip(found, (120, 21_600, 600, 10, 10, 10), strict=True):
        assert wished <= waited < wished + 20


def test_gone_for_good_pauses_the_webhook(deps: Deps, asker: Asker, hook: dict[str, Any], receiver: Receiver) -> None:
    receiver.replies.append(Reply(410))
    end_a_job(deps, asker)
    end_a_job(deps, asker)
    assert send_next(deps)
    webhook_id = UUID(hook["webhookId"])
    shown = webhooks.read(deps.db, asker.organization_id, webhook_id)
    assert shown is not None and shown["paused"]
    assert sorted(entry["status"] for entry in log_of(deps, hook)) == ["failed", "pending"]
    assert not send_next(deps), "what is left waits"
    end_a_job(deps, asker)
    assert len(log_of(deps, hook)) == 2, "and nothing is added"
    for attempt in (try_out, lambda *of: redeliver(*of, UUID(log_of(deps, hook)[0]["deliveryId"]))):
        with pytest.raises(Conflict) as refused:
            attempt(deps, asker, webhook_id)
        assert refused.value.code == "webhook_paused"
    change(deps, asker, webhook_id, {"paused": False})
    assert send_next(deps)
    assert sorted(entry["status"] for entry in log_of(deps, hook)) == ["delivered", "failed"]


def test_what_fails_while_it_is_being_paused_waits_too(
    deps: Deps, asker: Asker, hook: dict[str, Any], receiver: Receiver
) -> None:
    end_a_job(deps, asker)
    taken = deliveries_kept.take(deps.db)
    assert taken is not None
    change(deps, asker, taken.webhook_id, {"paused": True})
    deliveries_kept.put_off(deps.db, taken, deliveries_kept.Tried(1.0, error="No."), 0)
    assert not send_next(deps)
    change(deps, asker, taken.webhook_id, {"paused": False})
    assert send_next(deps)


# --- by hand --------------------------------------------------------------------------------------------------------


def test_the_test_button_and_a_redelivery(deps: Deps, asker: Asker, hook: dict[str, Any], receiver: Receiver) -> None:
    webhook_id = UUID(hook["webhookId"])
    shown = try_out(deps, asker, webhook_id)
    assert (shown["event"], shown["jobId"], shown["status"]) == ("test", None, "pending")
    send_next(deps)
    body = json.loads(receiver.received[0].body)
    assert (body["id"], body["event"], body["job"]) == (shown["deliveryId"], "test", None)
    again = redeliver(deps, asker, webhook_id, UUID(shown["deliveryId"]))
    assert (again["status"], again["attempts"]) == ("pending", 0)
    send_next(deps)
    assert [got.headers["webhook-id"] for got in receiver.received] == [shown["deliveryId"]] * 2
    receiver.replies.append(Reply(500))
    end_a_job(deps, asker)
    send_next(deps)
    waiting = log_of(deps, hook)[0]
    hurried = redeliver(deps, asker, webhook_id, UUID(waiting["deliveryId"]))
    assert hurried["attempts"] == 1, "it only need not wait"
    taken = deliveries_kept.take(deps.db)
    assert taken is not None
    redeliver(deps, asker, webhook_id, taken.delivery_id)
    assert not send_next(deps), "what is on its way goes on"
    with pytest.raises(NotFound):
        redeliver(deps, asker, webhook_id, new_id())
    with pytest.raises(NotFound):
        redeliver(deps, school(deps), webhook_id, taken.delivery_id)


def test_a_new_secret_signs_what_waited_too(deps: Deps, asker: Asker, hook: dict[str, Any], receiver: Receiver) -> None:
    end_a_job(deps, asker)
    rotated = rotate_secret(deps, asker, UUID(hook["webhookId"]))
    assert rotated["secret"] != hook["secret"]
    send_next(deps)
    [got] = receiver.received
    Webhook(rotated["secret"]).verify(got.body, dict(got.headers))
    with pytest.raises(WebhookVerificationError):
        Webhook(hook["secret"]).verify(got.body, dict(got.headers))


def test_an_organization_may_have_twenty(deps: Deps, asker: Asker, receiver: Receiver) -> None:
    answers = at_once(24, lambda: make(deps, asker, {**GIVEN, "url": receiver.url}))
    assert sum(isinstance(answer, Conflict) for answer in answers) == 4
    found = webhooks.of_organization(deps.db, asker.organization_id)
    assert len(found) == 20
    remove(deps, asker, UUID(found[0]["webhookId"]))
    make(deps, asker, {**GIVEN, "url": receiver.url})
    make(deps, school(deps), {**GIVEN, "url": receiver.url})


# --- receivers nobody vouches for -----------------------------------------------------------------------------------


def test_a_redirect_leads_nowhere(deps: Deps, asker: Asker, hook: dict[str, Any], receiver: Receiver) -> None:
    with Receiver() as inside:
        receiver.replies.append(Reply(307, {"Location": inside.url}))
        end_a_job(deps, asker)
        send_next(deps)
        assert inside.received == []
    assert log_of(deps, hook)[0]["error"] == "It answered 307. Redirects are not followed; give the URL itself."


def test_a_huge_answer_is_cut_off(deps: Deps, asker: Asker, hook: dict[str, Any], receiver: Receiver) -> None:
    receiver.replies.append(Reply(200, body=b"y" * 50_000_000))
    end_a_job(deps, asker)
    send_next(deps)
    [entry] = log_of(deps, hook)
    assert (entry["status"], entry["responseStart"]) == ("delivered", "y" * 500)


def test_an_answer_that_comes_byte_by_byte_is_given_up(
    deps: Deps, asker: Asker, hook: dict[str, Any], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "TOTAL_SECONDS", 0.5)
    receiver.replies.append(Reply(200, {"X-Long": "z" * 2000}, drip=0.05))  # it would take two minutes
    end_a_job(deps, asker)
    began = time.monotonic()
    send_next(deps)
    assert time.monotonic() - began < 30
    [entry] = log_of(deps, hook)
    assert (entry["status"], entry["error"]) == ("pending", "It did not answer in time.")
    assert entry["responseStatus"] is None


def test_an_answer_that_is_no_http_is_a_failure(
    deps: Deps, asker: Asker, hook: dict[str, Any], receiver: Receiver
) -> None:
    receiver.replies.append(Reply(200, {"X-Long": "z" * 100_000}))
    end_a_job(deps, asker)
    send_next(deps)
    assert log_of(deps, hook)[0]["error"] == "What it answered is not HTTP."


def test_a_receiver_that_took_it_and_stalls_has_taken_it(
    deps: Deps, asker: Asker, hook: dict[str, Any], receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(posting, "TOTAL_SECONDS", 1.5)
    with socket.create_server(("127.0.0.1", 0)) as server:
        change(deps, asker, UUID(hook["webhookId"]), {"url": f"http://127.0.0.1:{server.getsockname()[1]}/"})
        end_a_job(deps, asker)

        def answer() -> None:
            connection, _ = server.accept()
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nthe beginning")
            eventually(lambda: log_of(deps, hook)[0]["status"] == "delivered")
            connection.close()

        answering = threading.Thread(target=answer)
        answering.start()
        send_next(deps)
        answering.join(30)
    assert log_of(deps, hook)[0]["responseStart"] == "the beginning"


def test_nobody_there_is_told_in_words(deps: Deps, asker: Asker, hook: dict[str, Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    urls = {
        f"http://127.0.0.1:{port}/": "The connection failed: connection refused.",
        "https://nowhere.invalid/": "Its name can't be resolved.",
    }
    for url, words in urls.items():
        change(deps, asker, UUID(hook["webhookId"]), {"url": url})
        end_a_job(deps, asker)
        send_next(deps)
        assert log_of(deps, hook)[0]["error"] == words


def test_an_address_that_turned_private_is_not_connected_to(
    deps: Deps, asker: Asker, hook: dict[str, Any], receiver: Receiver
) -> None:
    # The name was fine when the webhook was made; now it leads into our own network.
    strict = replace(deps.settings, notices=NoticeSettings())
    other = make_deps(strict, Outbox())
    for scheme in ("http", "https"):
        rewrite(deps, f"UPDATE webhooks SET url = '{scheme}://localhost:{receiver.port}/'")
        end_a_job(deps, asker)
        send_next(other)
        assert "has an address that is not public" in log_of(deps, hook)[0]["error"]
    other.close()
    assert receiver.received == []


# --- many -----------------------------------------------------------------------------------------------------------


def test_many_senders_deliver_each_once(deps: Deps, asker: Asker, hook: dict[str, Any], receiver: Receiver) -> None:
    for _ in range(12):
        try_out(deps, asker, UUID(hook["webhookId"]))

    def send_all() -> int:
        return sum(1 for _ in iter(lambda: send_next(deps), False))

    at_once(4, send_all)
    while send_next(deps):  # three at once are enough of one organization, so one sender may have gone early
        pass
    assert len(receiver.received) == 12
    assert len({got.headers["webhook-id"] for got in receiver.received}) == 12


def test_slow_receivers_of_some_schools_hold_up_nobody_else(deps: Deps, asker: Asker, receiver: Receiver) -> None:
    receiver.hold.clear()
    slow = [asker, *(school(deps) for _ in range(3))]
    for of in slow:
        hook = make(deps, of, {**GIVEN, "url": receiver.url})
        for _ in range(5):
            try_out(deps, of, UUID(hook["webhookId"]))
    senders.look(deps)
    eventually(lambda: len(receiver.received) >= 8, what="as many on their way as may be")
    other = school(deps)
    with Receiver() as quick:
        theirs = make(deps, other, {**GIVEN, "url": quick.url})
        try_out(deps, other, UUID(theirs["webhookId"]))
        senders.look(deps)
        eventually(lambda: quick.received, what="the other school's delivery")
    tried = "SELECT organization_id, error FROM webhook_deliveries WHERE attempts > 0 AND organization_id <> :other"
    found = rows(deps, tried, other=other.organization_id)
    assert {row.error for row in found} == {None}, "it did not wait until one of the others was over"
    assert len(found) == 8 and all(count <= 3 for count in Counter(row.organization_id for row in found).values())
    receiver.hold.set()

    def all_delivered() -> bool:
        make_waiting_due(deps)
        senders.look(deps)
        return rows(deps, "SELECT DISTINCT status FROM webhook_deliveries") == [("delivered",)]

    eventually(all_delivered, 60, "all of them delivered")
    assert len({got.headers["webhook-id"] for got in receiver.received}) == 20


def test_who_has_nothing_on_its_way_goes_before_a_queue(deps: Deps, asker: Asker, receiver: Receiver) -> None:
    waiting = make(deps, asker, {**GIVEN, "url": receiver.url})
    for _ in range(3):
        try_out(deps, asker, UUID(waiting["webhookId"]))
    other = school(deps)
    try_out(deps, other, UUID(make(deps, other, {**GIVEN, "url": receiver.url})["webhookId"]))
    receiver.hold.clear()
    first = threading.Thread(target=send_next, args=(deps,))
    first.start()
    eventually(lambda: receiver.received, what="one on its way")
    second = threading.Thread(target=send_next, args=(deps,))
    second.start()
    eventually(lambda: len(receiver.received) == 2, what="the next on its way")
    begun = rows(deps, "SELECT organization_id FROM webhook_deliveries WHERE attempts > 0")
    assert {row.organization_id for row in begun} == {asker.organization_id, other.organization_id}
    receiver.hold.set()
    for thread in (first, second):
        thread.join(30)


def test_a_fault_of_ours_is_a_failed_try(
    deps: Deps, asker: Asker, hook: dict[str, Any], receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    rewrite(deps, "UPDATE webhooks SET secret = 'whsec_A'")  # no base64
    end_a_job(deps, asker)
    assert send_next(deps) and not send_next(deps)
    [entry] = log_of(deps, hook)
    assert (entry["status"], entry["error"]) == ("pending", "Something went wrong on our side.")
    assert receiver.received == [] and 10 <= seconds_until_due(deps) < 30
    assert "delivery_crashed" in caplog.text


def test_ends_changes_and_sendings_at_once_hold_each_other_up_for_nobody(
    deps: Deps, asker: Asker, hook: dict[str, Any], receiver: Receiver
) -> None:
    """Jobs end while their webhooks are paused, resumed, given other secrets, made, removed, and sent to."""
    webhook_id, jobs = UUID(hook["webhookId"]), [start(deps, asker) for _ in range(24)]

    def end(part: int) -> None:
        for job_id in jobs[part::4]:
            cancel_job(deps, asker, job_id, "")

    def meddle() -> None:
        for paused in (True, False) * 6:
            change(deps, asker, webhook_id, {"paused": paused})
            rotate_secret(deps, asker, webhook_id)

    def come_and_go() -> None:
        for _ in range(8):
            remove(deps, asker, UUID(make(deps, asker, {**GIVEN, "url": receiver.url})["webhookId"]))

    def send() -> None:
        for _ in range(100):
            send_next(deps)

    deeds = [*(partial(end, part) for part in range(4)), meddle, come_and_go, come_and_go, send, send]
    assert [answer for answer in together(deeds) if answer is not None] == []
    while send_next(deps):
        pass
    assert {entry["status"] for entry in log_of(deps, hook)} <= {"delivered"}
    told = [json.loads(got.body)["job"]["jobId"] for got in receiver.received if "job.cancelled" in str(got.body)]
    assert set(told) <= {str(job_id) for job_id in jobs}
    assert {row.status for row in rows(deps, "SELECT status FROM jobs")} == {"cancelled"}


def test_old_deliveries_are_let_go_and_waiting_ones_stay(
    deps: Deps, asker: Asker, hook: dict[str, Any], receiver: Receiver
) -> None:
    for _ in range(3):
        try_out(deps, asker, UUID(hook["webhookId"]))
    send_next(deps)
    rewrite(deps, "UPDATE webhook_deliveries SET created_at = created_at - interval '31 days'")
    fresh = try_out(deps, asker, UUID(hook["webhookId"]))
    assert retention.purge(deps.db, jobs_hours=720, events_hours=168)["deliveries"] == 1
    change(deps, asker, UUID(hook["webhookId"]), {"paused": True})
    assert retention.purge(deps.db, jobs_hours=720, events_hours=168)["deliveries"] == 2, "nobody waits that long"
    assert [entry["deliveryId"] for entry in log_of(deps, hook)] == [fresh["deliveryId"]]
    # Its end was written while the webhook was being paused, so it stands in line for good.
    rewrite(
        deps,
        """UPDATE webhook_deliveries SET created_at = created_at - interval '31 days',
          due_at = clock_timestamp() - interval '31 days'""",
    )
    assert metrics.read(deps.db, stale_after_seconds=60).notices.get("webhook") is None, "and raises no alarm"
    assert retention.purge(deps.db, jobs_hours=720, events_hours=168)["deliveries"] == 1
