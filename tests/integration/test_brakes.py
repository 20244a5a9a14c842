"""The shared brake as rows: what many processes decide about it at once, and what no late word can undo."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from storage.spending import brakes
from storage.spending.brakes import FAILURES_TO_OPEN, LONGEST_PAUSE_SECONDS, PAUSE_SECONDS, Brake, Seen
from tasks.commands import Asker, cancel_job
from tasks.deps import Deps
from tests.integration.stage import at_once, change, held, lift_brakes, put_job, rows, together

HERE = ("https://models.example/v1", "gpt-5.2")


def look(deps: Deps, model: str = HERE[1], trial_seconds: float = 60) -> Seen:
    return brakes.look(deps.db, HERE[0], model, None, trial_seconds)


def open_breaker(deps: Deps, *, pause_over: bool = True) -> None:
    for _ in range(FAILURES_TO_OPEN):
        brakes.failed(deps.db, *HERE)
    if pause_over:
        lift_brakes(deps)


def only(deps: Deps) -> Brake:
    [brake] = brakes.read_all(deps.db)
    return brake


def row(deps: Deps) -> Any:
    [found] = rows(deps, "SELECT to_jsonb(b) AS row FROM model_brakes b")
    return found.row


# --- closed: the provider asked for fewer calls -------------------------------------------------------------------


def test_a_model_nobody_complained_of_may_be_called_and_has_no_row(deps: Deps) -> None:
    assert look(deps) == Seen(ours=True, closed_seconds=0, reason="", failures=0, trial=None)
    brakes.succeeded(deps.db, *HERE)
    assert brakes.read_all(deps.db) == []


def test_a_closed_brake_is_seen_by_all_for_that_model_alone(deps: Deps) -> None:
    brakes.close(deps.db, *HERE, 30)
    seen = look(deps)
    assert seen.closed_seconds == pytest.approx(30, abs=1)
    assert (seen.reason, seen.others_try) == ("rate_limited", False)
    assert look(deps, "another").closed_seconds == 0
    assert (only(deps).state, only(deps).failures, only(deps).trying) == ("closed", 0, False)


def test_of_many_wishes_at_once_the_longest_counts(deps: Deps) -> None:
    wishes = [5.0, 40.0, 1.0, 90.0, 0.0, 20.0, 89.0, 3.0]
    together([lambda wish=wish: brakes.close(deps.db, *HERE, wish) for wish in wishes])  # type: ignore[misc]
    brakes.close(deps.db, *HERE, 2)
    assert look(deps).closed_seconds == pytest.approx(90, abs=2)


def test_its_time_passes(deps: Deps) -> None:
    brakes.close(deps.db, *HERE, 30)
    lift_brakes(deps)
    assert look(deps).closed_seconds == 0
    assert only(deps).state == "free"


# --- open: the endpoint failed again and again --------------------------------------------------------------------


def test_failures_in_a_row_open_the_breaker_and_one_fewer_does_not(deps: Deps) -> None:
    for number in range(1, FAILURES_TO_OPEN):
        assert brakes.failed(deps.db, *HERE) == number
        assert look(deps).closed_seconds == 0
    assert only(deps).state == "free"
    assert brakes.failed(deps.db, *HERE) == FAILURES_TO_OPEN
    assert look(deps).closed_seconds == pytest.approx(PAUSE_SECONDS, abs=1)
    assert (only(deps).state, only(deps).reason) == ("open", "failing")


def test_a_success_between_failures_begins_the_count_anew(deps: Deps) -> None:
    for _ in range(3):
        for _ in range(FAILURES_TO_OPEN - 1):
            brakes.failed(deps.db, *HERE)
        brakes.succeeded(deps.db, *HERE)
    assert (only(deps).state, only(deps).failures) == ("free", 0)


def test_failures_of_many_calls_at_once_are_each_counted_and_late_ones_lengthen_nothing(deps: Deps) -> None:
    counts = at_once(20, lambda: brakes.failed(deps.db, *HERE))
    assert sorted(counts, key=int) == [0] * (20 - FAILURES_TO_OPEN) + list(range(1, FAILURES_TO_OPEN + 1))  # type: ignore[call-overload]
    assert only(deps).failures == FAILURES_TO_OPEN
    assert look(deps).closed_seconds <= PAUSE_SECONDS


def test_after_the_pause_one_call_of_twenty_may_try(deps: Deps) -> None:
    open_breaker(deps)
    seen = at_once(20, lambda: look(deps))
    assert all(isinstance(one, Seen) for one in seen)
    trials = [one for one in seen if isinstance(one, Seen) and one.trial is not None]
    assert len(trials) == 1
    assert sum(one.others_try for one in seen if isinstance(one, Seen)) == 19
    assert only(deps).trying


def test_each_failed_trial_makes_the_next_pause_longer_up_to_a_limit(deps: Deps) -> None:
    open_breaker(deps)
    pauses = []
    for _ in range(6):
        trial = look(deps).trial
        assert trial is not None
        brakes.failed(deps.db, *HERE, trial)
        pauses.append(round(look(deps).closed_seconds))
        lift_brakes(deps)
    assert pauses == [min(PAUSE_SECONDS * 2**number, LONGEST_PAUSE_SECONDS) for number in range(1, 7)]


def test_a_successful_trial_closes_the_breaker_for_all(deps: Deps) -> None:
    open_breaker(deps)
    assert look(deps).trial is not None
    brakes.succeeded(deps.db, *HERE)
    assert look(deps) == Seen(ours=True, closed_seconds=0, reason="failing", failures=0, trial=None)
    assert (only(deps).state, only(deps).closed_until, only(deps).trying) == ("free", None, False)


def test_a_trial_whose_process_died_frees_itself(deps: Deps) -> None:
    open_breaker(deps)
    assert look(deps).trial is not None
    assert look(deps, trial_seconds=60).others_try
    change(deps, "UPDATE model_brakes SET updated_at = updated_at - interval '61 s'")
    assert look(deps, trial_seconds=60).trial is not None


def test_a_trial_that_is_renewed_does_not_lapse_and_its_failure_counts(deps: Deps) -> None:
    open_breaker(deps)
    trial = look(deps).trial
    assert trial is not None
    for _ in range(3):
        change(deps, "UPDATE model_brakes SET updated_at = updated_at - interval '61 s'")
        brakes.renew(deps.db, *HERE, trial)
        assert look(deps, trial_seconds=60).others_try
    assert brakes.failed(deps.db, *HERE, trial) == FAILURES_TO_OPEN + 1
    assert look(deps).closed_seconds > PAUSE_SECONDS


def test_one_that_overslept_does_not_renew_the_trial_of_another(deps: Deps) -> None:
    open_breaker(deps)
    sleeper = look(deps).trial
    assert sleeper is not None
    assert look(deps, trial_seconds=0).trial is not None
    change(deps, "UPDATE model_brakes SET updated_at = updated_at - interval '61 s'")
    brakes.renew(deps.db, *HERE, sleeper)
    assert look(deps, trial_seconds=60).trial is not None


def test_a_trial_that_is_given_up_lets_the_next_try_at_once(deps: Deps) -> None:
    open_breaker(deps)
    trial = look(deps).trial
    assert trial is not None
    brakes.let_go(deps.db, *HERE, trial)
    assert look(deps).trial is not None


@pytest.mark.parametrize("word", ["failed", "closed", "let go"])
def test_one_that_overslept_does_not_end_the_trial_of_another(deps: Deps, word: str) -> None:
    open_breaker(deps)
    sleeper = look(deps).trial
    assert sleeper is not None
    other = look(deps, trial_seconds=0).trial
    assert other is not None
    if word == "failed":
        assert brakes.failed(deps.db, *HERE, sleeper) == 0
    elif word == "closed":
        brakes.close(deps.db, *HERE, 0, sleeper)
    else:
        brakes.let_go(deps.db, *HERE, sleeper)
    assert look(deps).others_try
    assert brakes.failed(deps.db, *HERE, other) == FAILURES_TO_OPEN + 1


def test_a_trial_that_is_asked_to_wait_ends_and_the_breaker_stays_open(deps: Deps) -> None:
    open_breaker(deps)
    trial = look(deps).trial
    brakes.close(deps.db, *HERE, 30, trial)
    assert (only(deps).state, only(deps).trying, only(deps).reason) == ("open", False, "rate_limited")
    assert look(deps).closed_seconds > 25
    lift_brakes(deps)
    assert look(deps).trial is not None


def test_a_success_does_not_lift_what_the_provider_asked_for(deps: Deps) -> None:
    brakes.close(deps.db, *HERE, 30)
    open_breaker(deps, pause_over=False)
    brakes.succeeded(deps.db, *HERE)
    assert only(deps).failures == 0
    assert look(deps).closed_seconds > 25


def test_however_many_look_fail_and_succeed_at_once_never_two_try(deps: Deps) -> None:
    trying, seen_trying = [0], list[int]()
    lock = threading.Lock()

    def caller() -> None:
        for number in range(15):
            open_breaker(deps)
            seen = look(deps)
            if seen.trial is None:
                continue
            with lock:
                trying[0] += 1
                seen_trying.append(trying[0])
            assert look(deps).others_try
            with lock:
                trying[0] -= 1
            if number % 3:
                brakes.failed(deps.db, *HERE, seen.trial)
            else:
                brakes.succeeded(deps.db, *HERE)

    assert at_once(8, caller) == [None] * 8
    assert seen_trying and max(seen_trying) == 1
    assert len(brakes.read_all(deps.db)) == 1


# --- the job's part -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "taken", ["lease_token = lease_token + 1", "run = run + 1", "status = 'stale'", "due_at = clock_timestamp()"]
)
def test_a_job_that_was_taken_away_is_seen_and_takes_no_trial(deps: Deps, asker: Asker, taken: str) -> None:
    lease = held(deps, put_job(deps, asker.organization_id)).lease
    open_breaker(deps)
    change(deps, f"UPDATE jobs SET {taken}")
    seen = brakes.look(deps.db, *HERE, lease, 60)
    assert (seen.ours, seen.trial) == (False, None)
    assert look(deps).trial is not None


def test_a_held_job_is_seen_and_a_cancelled_one_too(deps: Deps, asker: Asker) -> None:
    lease = held(deps, put_job(deps, asker.organization_id)).lease
    assert brakes.look(deps.db, *HERE, lease, 60).ours
    cancel_job(deps, asker, lease.job_id, "")
    assert not brakes.look(deps.db, *HERE, lease, 60).ours


def test_looking_writes_nothing(deps: Deps) -> None:
    brakes.failed(deps.db, *HERE)
    before = row(deps)
    for _ in range(3):
        look(deps)
    assert row(deps) == before
