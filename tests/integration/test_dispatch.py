"""From the row to the broker: what is due is sent, fairly, a few at a time, and sent again when it seems lost."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner
from kombu.exceptions import OperationalError
from redis.exceptions import ConnectionError as RedisGone

from storage.engine import admission
from storage.engine.queue import Sending
from storage.postgres.connecting import database_of
from tasks import nudge, once
from tasks.commands import Asker, start_job
from tasks.deps import Deps
from tasks.dispatch import dispatch, limits_of
from tasks.step import deliver
from tests.conftest import Outbox, eventually, make_deps, use, with_jobs
from tests.integration.stage import (
    at_once,
    change,
    held,
    job,
    one,
    put_job,
    request,
    rows,
    school,
    start,
)
from web.cli import cli


def take(deps: Deps, window: int = 100, most: int = 50) -> list[UUID]:
    return [sending.job_id for sending in sendings(deps, window, most)]


def sendings(deps: Deps, window: int = 100, most: int = 50) -> list[Sending]:
    jobs = with_jobs(deps.settings, dispatch_window=window, organization_max_active=most).jobs
    return admission.take_for_sending(deps.db, limits_of(jobs))


def put_jobs(deps: Deps, asker: Asker, count: int) -> list[UUID]:
    return [put_job(deps, asker.organization_id) for _ in range(count)]


def sent_ago(deps: Deps, job_id: UUID, seconds: float) -> None:
    change(
        deps,
        "UPDATE jobs SET sent_at = clock_timestamp() - make_interval(secs => :seconds) WHERE id = :id",
        id=job_id,
        seconds=seconds,
    )


def test_what_is_due_is_sent_once_with_its_run_and_its_step(deps: Deps, asker: Asker, outbox: Outbox) -> None:
    job_id = put_job(deps, asker.organization_id)
    change(deps, "UPDATE jobs SET run = 4, current_step = 'validate'")
    assert dispatch(deps) == 1
    assert outbox == [Sending(job_id, 4, "course", "validate")]
    row = job(deps, job_id)
    assert (row.sends, row.status) == (1, "pending")
    assert row.sent_at is not None
    assert dispatch(deps) == 0


@pytest.mark.parametrize(
    "state",
    [
        "due_at = clock_timestamp() + interval '1 minute'",
        "due_at = NULL",
        "status = 'cancelled'",
        "status = 'stale'",
        "status = 'done'",
    ],
)
def test_what_is_not_due_is_not_sent(deps: Deps, asker: Asker, state: str) -> None:
    put_job(deps, asker.organization_id)
    change(deps, f"UPDATE jobs SET {state}")
    assert dispatch(deps) == 0


def test_no_more_are_sent_and_not_begun_than_the_window_allows(deps: Deps, asker: Asker, outbox: Outbox) -> None:
    narrow = make_deps(with_jobs(deps.settings, dispatch_window=3), outbox)
    job_ids = put_jobs(deps, asker, 8)
    assert (dispatch(narrow), dispatch(narrow)) == (3, 0)
    assert [sending.job_id for sending in outbox] == job_ids[:3], "oldest first"
    held(deps, job_ids[0])
    assert (dispatch(narrow), dispatch(narrow)) == (1, 0)
    put_job(deps, asker.organization_id, job_type="media", queue="media", first_step="picture")
    assert dispatch(narrow) == 1, "each queue has a window of its own"
    narrow.close()


def test_lost_messages_do_not_take_the_room_of_new_ones_for_ever(deps: Deps, asker: Asker) -> None:
    job_ids = put_jobs(deps, asker, 5)
    assert take(deps, window=2) == job_ids[:2]
    for job_id in job_ids[:2]:
        sent_ago(deps, job_id, 6)
    assert take(deps, window=2) == job_ids[:2], "they are sent again, and nothing else"
    for job_id in job_ids[:2]:
        held(deps, job_id)
    assert take(deps, window=2) == job_ids[2:4]


def test_a_message_that_seems_lost_is_sent_again_ever_later(deps: Deps, asker: Asker) -> None:
    job_id = put_job(deps, asker.organization_id)
    assert take(deps) == [job_id]
    for waits in (5, 10, 20, 40, 80, 80, 80):
        sent_ago(deps, job_id, waits - 1)
        assert take(deps) == []
        sent_ago(deps, job_id, waits + 1)
        assert take(deps) == [job_id]
    held(deps, job_id)
    assert (job(deps, job_id).sends, job(deps, job_id).sent_at) == (0, None)


@pytest.mark.parametrize("unknown", ["job_type = 'hologram'", "current_step = 'proofread'"])
def test_what_only_newer_code_knows_disturbs_nobody_and_waits_for_newer_code(
    deps: Deps, asker: Asker, outbox: Outbox, unknown: str
) -> None:
    first, newer, last = put_jobs(deps, asker, 3)
    change(deps, f"UPDATE jobs SET {unknown} WHERE id = :id", id=newer)
    assert dispatch(deps) == 2
    assert [sending.job_id for sending in outbox] == [first, last]
    row = job(deps, newer)
    assert (row.status, row.sends, row.due_at is None) == ("pending", 1, False)
    assert take(deps) == [], "it is not taken again every second"
    sent_ago(deps, newer, 6)
    assert take(deps) == [newer], "but now and then, perhaps by newer code"


# --- taking turns -----------------------------------------------------------------------------------------------


def owner(deps: Deps, job_id: UUID) -> UUID:
    organization_id: UUID = job(deps, job_id).organization_id
    return organization_id


def test_organizations_take_turns_whoever_came_first(deps: Deps, asker: Asker) -> None:
    big, small = asker, school(deps)
    put_jobs(deps, big, 20)
    put_jobs(deps, small, 3)
    first_six = [owner(deps, job_id) for job_id in take(deps, window=6)]
    assert first_six == [big.organization_id, small.organization_id] * 3


def test_a_late_organization_is_not_kept_waiting_behind_a_long_queue(deps: Deps, asker: Asker) -> None:
    """The steady state: the window is full, and one place becomes free at a time."""
    put_jobs(deps, asker, 30)
    begun = take(deps, window=4)
    late = school(deps)
    put_jobs(deps, late, 3)
    order = []
    for _ in range(6):
        held(deps, begun.pop(0))
        [sent] = take(deps, window=4)
        begun.append(sent)
        order.append(owner(deps, sent))
    assert order[:2] == [late.organization_id] * 2
    assert order.count(late.organization_id) == 3


def test_jobs_at_work_count_as_turns_taken(deps: Deps, asker: Asker) -> None:
    for job_id in put_jobs(deps, asker, 10)[:4]:
        held(deps, job_id)
    late = school(deps)
    put_jobs(deps, late, 4)
    taken = [owner(deps, job_id) for job_id in take(deps, window=4)]
    assert taken == [late.organization_id] * 4 + [asker.organization_id], "and one of whoever has nothing out"


def test_priority_comes_before_turns(deps: Deps, asker: Asker) -> None:
    job_ids = put_jobs(deps, asker, 3)
    change(deps, "UPDATE jobs SET priority = 1 WHERE id = :id", id=job_ids[2])
    assert take(deps, window=1) == [job_ids[2]]


# --- two dispatchers --------------------------------------------------------------------------------------------


def test_dispatchers_at_once_never_send_the_same_nor_more_than_the_window(deps: Deps, asker: Asker) -> None:
    schools = [asker, school(deps), school(deps)]
    for _ in range(6):
        change(deps, "DELETE FROM jobs")
        for one_school in schools:
            put_jobs(deps, one_school, 8)
        answers = at_once(6, lambda: take(deps, window=10))
        taken = [job_id for answer in answers if isinstance(answer, list) for job_id in answer]
        assert len(taken) == len(set(taken)) == 10
        assert one(deps, "SELECT max(sends) FROM jobs") == 1


def test_a_dispatcher_and_a_worker_at_once_leave_a_job_that_is_begun(deps: Deps, asker: Asker) -> None:
    for _ in range(10):
        job_id = put_job(deps, asker.organization_id)
        answers = at_once(2, lambda job_id=job_id: (deliver(deps, job_id, 1, "skeleton", 0), take(deps)))  # type: ignore[misc]
        assert not [answer for answer in answers if isinstance(answer, BaseException)]
        row = job(deps, job_id)
        assert (row.status, row.current_step) == ("processing", "fill")


# --- the broker is away -----------------------------------------------------------------------------------------


class Away:
    """A broker that is away, and notes what the row said when it was asked."""

    def __init__(self, deps: Deps, error: Exception) -> None:
        self._deps = deps
        self._error = error
        self.saw: list[Any] = []

    def __call__(self, sending: Sending) -> None:
        self.saw.append(job(self._deps, sending.job_id))
        raise self._error


@pytest.mark.parametrize("error", [OperationalError("gone"), RedisGone("gone"), ConnectionRefusedError("gone")])
def test_without_a_broker_a_job_stays_due_and_is_sent_when_it_is_back(
    deps: Deps, asker: Asker, outbox: Outbox, error: Exception
) -> None:
    away = Away(deps, error)
    deps.send = away
    job_ids = put_jobs(deps, asker, 3)
    assert dispatch(deps) == 0
    assert len(away.saw) == 1, "one failure is enough to know"
    for row in rows(deps, "SELECT * FROM jobs"):
        assert (row.status, row.sends) == ("pending", 1)
        assert row.due_at is not None
    deps.send = outbox
    assert dispatch(deps) == 0, "not before the message must be taken for lost"
    for job_id in job_ids:
        sent_ago(deps, job_id, deps.settings.jobs.resend_after_seconds + 1)
    assert dispatch(deps) == 3
    assert {sending.job_id for sending in outbox} == set(job_ids)


def test_the_row_says_sent_before_the_message_goes(deps: Deps, asker: Asker) -> None:
    """Read over another connection from within the sending: it is committed by then."""
    away = Away(deps, OperationalError("gone"))
    deps.send = away
    put_job(deps, asker.organization_id)
    dispatch(deps)
    [seen] = away.saw
    assert seen.sends == 1
    assert seen.sent_at is not None


def test_a_request_is_accepted_while_broker_and_redis_are_away(deps: Deps, asker: Asker, empty_store: None) -> None:
    deps.send = Away(deps, OperationalError("gone"))
    started = start_job(deps, asker, request())
    eventually(lambda: job(deps, started.job_id).sends == 1, within=5)
    once.run_due(deps)
    assert job(deps, started.job_id).status == "done"


def test_an_ended_step_counts_as_sent_because_the_chain_carries_it_on(deps: Deps, asker: Asker) -> None:
    job_id = put_job(deps, asker.organization_id)
    assert deliver(deps, job_id, 1, "skeleton", 0).pass_on
    assert take(deps) == []
    sent_ago(deps, job_id, 6)
    assert sendings(deps) == [Sending(job_id, 1, "course", "fill", again=True)], (
        "the rest of a lost chain is sent in the same run"
    )


def test_a_nudge_sends_for_whom_it_was_given(deps: Deps, asker: Asker, outbox: Outbox) -> None:
    """A process that was wired anew must not go on sending over the old wiring."""
    other_outbox = Outbox()
    other = make_deps(deps.settings, other_outbox)
    sends: list[tuple[Deps, Outbox]] = [(deps, outbox), (other, other_outbox)]
    for wired, box in sends:
        job_id = put_job(deps, asker.organization_id)
        nudge.dispatch_soon(wired)
        look: Callable[[], bool] = lambda box=box, job_id=job_id: job_id in [sent.job_id for sent in box]  # type: ignore[misc]  # noqa: E731
        eventually(look, within=5)
    other.close()


def test_one_who_cannot_see_everybodys_jobs_asks_another_to_send(deps: Deps, asker: Asker, outbox: Outbox) -> None:
    """The web, that is. It is asked once for many nudges, and an asking that is lost raises nothing."""
    asked: list[str] = []
    web = replace(deps, db=database_of(deps.settings, "web", pool_size=1), ask_dispatch=lambda: asked.append("now"))
    put_job(deps, asker.organization_id)
    for _ in range(50):
        nudge.dispatch_soon(web)
    eventually(lambda: asked, within=5)
    assert dispatch(web) == 0
    assert len(asked) <= 4 and outbox == []

    def lost() -> None:
        raise OperationalError("the broker is away")

    assert dispatch(replace(web, ask_dispatch=lost)) == 0
    web.db.dispose()


# --- without a broker -------------------------------------------------------------------------------------------


def test_a_worker_run_by_hand_says_which_jobs_failed(
    model_deps: Deps, deps: Deps, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", deps.settings.database_url)
    needs_a_model = start(model_deps, asker, subject="Fish", gradeBand="6", mode="options")
    use(deps)
    ran = CliRunner().invoke(cli, ["worker", "--once"])
    assert job(deps, needs_a_model).status == "failed"
    assert (ran.exit_code, ran.stderr) == (1, f"Job {needs_a_model} failed: model_not_configured\n")
    assert ran.stdout.endswith("1 jobs taken up.\n")
    again = CliRunner().invoke(cli, ["worker", "--once"])
    assert (again.exit_code, again.stdout, again.stderr) == (0, "0 jobs taken up.\n", "")
