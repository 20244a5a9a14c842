"""Calls and tokens a minute: what several processes may use together, and that a Redis that is away stops nobody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
import structlog
from redis import Redis

from schema.clock import new_id
from schema.errors import Transient
from schema.settings import ModelLimits, Settings
from storage.processes import free_port
from storage.spending import allowances, brakes
from storage.spending.allowances import Allowances, Taken
from storage.spending.brakes import endpoint_of
from tasks import once
from tasks.clients import loop
from tasks.clients.record import CallRecord
from tasks.clients.text import TextClient
from tasks.commands import Asker
from tasks.deps import Deps
from tests.conftest import Outbox, make_deps
from tests.fakes.model_server import ModelServer
from tests.integration.stage import at_once, job, lift_brakes, make_due, school, start
from tests.integration.test_course_job import FISH
from tests.integration.test_gate import ASK

HERE = ("https://models.example/v1", "gpt-5.2")


@pytest.fixture
def allowed(settings: Settings) -> Iterator[Callable[..., Allowances]]:
    """Makes the allowances of one more process."""
    made: list[Allowances] = []

    def another(**limits: int) -> Allowances:
        made.append(Allowances(settings.redis_url, ModelLimits(**limits)))
        return made[-1]

    yield another
    for one in made:
        one.close()


def take(one: Allowances, tokens: int = 10, organization: UUID | None = None) -> Taken | float:
    return one.take(*HERE, organization, tokens)


def granted(answers: list[Any]) -> int:
    assert all(isinstance(one, Taken | float) for one in answers), answers
    return sum(isinstance(one, Taken) for one in answers)


def pass_seconds(settings: Settings, seconds: float) -> None:
    """Let time pass in Redis, as far as its counters know of it."""
    redis = Redis.from_url(settings.redis_url)
    for key in redis.scan_iter("coursewright:*"):
        left = int(redis.pttl(key)) - round(seconds * 1000)  # type: ignore[call-overload]
        redis.pexpire(key, left) if left > 0 else redis.delete(key)
    redis.close()


def test_two_processes_at_once_use_no_more_calls_than_allowed(allowed: Callable[..., Allowances]) -> None:
    sides = iter([allowed(calls=12), allowed(calls=12)] * 20)
    answers = at_once(40, lambda: take(next(sides)))
    assert granted(answers) == 12
    assert all(0 < one <= 120 for one in answers if isinstance(one, float))


def test_a_minute_later_there_are_more(allowed: Callable[..., Allowances], settings: Settings) -> None:
    one = allowed(calls=10)
    assert granted([take(one) for _ in range(11)]) == 10
    wait = take(one)
    assert isinstance(wait, float) and 59 < wait < 70
    pass_seconds(settings, wait - 1)
    assert isinstance(take(one), float)
    pass_seconds(settings, 1.1)
    assert isinstance(take(one), Taken)


def test_tokens_are_charged_as_estimated_and_then_as_used(allowed: Callable[..., Allowances]) -> None:
    one = allowed(tokens=1000)
    first = take(one, 100)
    assert isinstance(first, Taken)
    one.settle(first, 900)
    assert isinstance(take(one, 101), float)
    second = take(one, 100)
    assert isinstance(second, Taken)
    one.settle(second, 40)
    assert granted([take(one, 60), take(one, 1)]) == 1


def test_more_than_a_limit_used_is_worked_off_before_the_next(allowed: Callable[..., Allowances]) -> None:
    one = allowed(tokens=100)
    first = take(one, 10)
    assert isinstance(first, Taken)
    one.settle(first, 500)
    wait = take(one, 10)
    assert isinstance(wait, float) and wait > 100


def test_a_prompt_larger_than_the_whole_limit_goes_when_it_is_alone(allowed: Callable[..., Allowances]) -> None:
    one = allowed(tokens=100)
    assert isinstance(take(one, 5000), Taken)
    assert isinstance(take(one, 1), float)


def test_an_organization_has_its_own_limit_and_whoever_is_refused_is_charged_nothing(
    allowed: Callable[..., Allowances],
) -> None:
    one = allowed(calls=6, organization_calls=2, organization_tokens=1000)
    ours, theirs = new_id(), new_id()
    assert granted([take(one, 10, ours) for _ in range(20)]) == 2
    assert granted([take(one, 10, theirs) for _ in range(20)]) == 2
    assert granted([take(one, 10, None) for _ in range(20)]) == 2, "those refused took nothing from the rest"
    assert isinstance(take(one, 10, new_id()), float)


def test_what_is_given_back_can_be_taken_again(allowed: Callable[..., Allowances]) -> None:
    one = allowed(calls=1, tokens=100)
    for _ in range(5):
        taken = take(one, 100)
        assert isinstance(taken, Taken)
        one.give_back(taken)


def test_a_redis_that_lost_everything_begins_to_count_anew(
    allowed: Callable[..., Allowances], settings: Settings
) -> None:
    one = allowed(calls=1)
    assert isinstance(take(one), Taken)
    redis = Redis.from_url(settings.redis_url)
    redis.flushall()
    redis.script_flush()
    redis.close()
    assert granted([take(one), take(one)]) == 1


def test_without_redis_everybody_goes_on_with_one_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    one = Allowances(f"redis://127.0.0.1:{free_port()}/0", ModelLimits(calls=1, tokens=1))
    with structlog.testing.capture_logs() as logged:
        for _ in range(5):
            taken = take(one)
            assert isinstance(taken, Taken)
            one.settle(taken, 100)
        monkeypatch.setattr(one, "_away_until", 0.001)  # the pause is over, the outage is not
        assert isinstance(take(one), Taken)
    assert [entry["event"] for entry in logged] == ["allowances_unchecked"]
    one.close()


def test_after_an_outage_limits_hold_again(allowed: Callable[..., Allowances], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allowances, "_PAUSE_SECONDS", 0.0)
    one = allowed(calls=2)
    one._lost(allowances.RedisError("gone"))
    with structlog.testing.capture_logs() as logged:
        assert granted([take(one) for _ in range(5)]) == 2
    assert [entry["event"] for entry in logged] == ["allowances_checked_again"]


# --- through the gate ---------------------------------------------------------------------------------------------


def limited(settings: Settings, **limits: int) -> Settings:
    return replace(settings, model=replace(settings.model, limits=ModelLimits(**limits)))


def test_limits_hold_for_the_calls_of_two_processes(
    model_settings: Settings, outbox: Outbox, model: ModelServer
) -> None:
    both = [make_deps(limited(model_settings, calls=5), outbox) for _ in range(2)]
    records: list[CallRecord] = []
    clients = [TextClient(deps.settings.model, records.append, deps.gate) for deps in both]
    sides = iter(clients * 5)
    answers = at_once(10, lambda: loop.run(next(sides).complete(ASK)))
    assert sum(isinstance(one, dict) for one in answers) == 5
    refused = [one for one in answers if not isinstance(one, dict)]
    assert {(one.code, one.details["reason"]) for one in refused} == {("model_braked", "allowance")}  # type: ignore[attr-defined]
    assert len(model.calls()) == len(records) == 5
    for deps in both:
        deps.close()


def test_a_call_that_the_brake_holds_back_is_charged_nothing(
    model_settings: Settings, outbox: Outbox, model: ModelServer
) -> None:
    deps = make_deps(limited(model_settings, calls=1), outbox)
    client = TextClient(deps.settings.model, list[CallRecord]().append, deps.gate)
    brakes.close(deps.db, endpoint_of(model.url), deps.settings.model.text_model, 30)
    for _ in range(3):
        with pytest.raises(Transient) as caught:
            loop.run(client.complete(ASK))
        assert caught.value.details["reason"] == "rate_limited"
    lift_brakes(deps)
    assert loop.run(client.complete(ASK))
    deps.close()


def test_what_a_call_used_is_charged(model_settings: Settings, outbox: Outbox, model: ModelServer) -> None:
    deps = make_deps(limited(model_settings, tokens=1000), outbox)
    records: list[CallRecord] = []
    client = TextClient(deps.settings.model, records.append, deps.gate)
    loop.run(client.complete(ASK))
    counted = Redis.from_url(deps.settings.redis_url)
    [key] = counted.scan_iter("coursewright:*")
    assert int(counted.get(key)) == (records[0].input_tokens or 0) + (records[0].output_tokens or 0) > 0  # type: ignore[arg-type]
    counted.close()
    deps.close()


def test_an_organization_beyond_its_limit_waits_without_using_up_a_retry_and_another_goes_on(
    model_settings: Settings, outbox: Outbox, asker: Asker, empty_store: None
) -> None:
    deps: Deps = make_deps(limited(model_settings, organization_calls=20), outbox)
    for _ in range(20):
        deps.gate._keeper._allowances.take(  # type: ignore[union-attr]
            deps.gate._keeper._endpoint, deps.settings.model.text_model, asker.organization_id, 1
        )
    beyond = start(deps, asker, **FISH)
    within = start(deps, school(deps), **FISH)
    once.run_due(deps)
    row = job(deps, beyond)
    assert (row.status, row.retry_count, row.error["code"]) == ("pending", 0, "model_braked")
    assert 10 < (row.due_at - row.updated_at).total_seconds() < 125
    assert job(deps, within).status == "done"
    Redis.from_url(deps.settings.redis_url).flushdb()
    make_due(deps, beyond)
    once.run_due(deps)
    assert job(deps, beyond).status == "done"
    deps.close()
