"""The gate before calls to a model: what one process was told holds for all, and whoever waits costs nothing."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import Engine

from schema.clock import utc_now
from schema.errors import CoursewrightError, Transient, Unavailable
from schema.settings import Settings
from storage.db import Database, Transaction
from storage.spending import brakes
from storage.spending.brakes import FAILURES_TO_OPEN, endpoint_of
from tasks import once, watch
from tasks.clients import gate as gates
from tasks.clients import loop
from tasks.clients.images import ImageClient
from tasks.clients.record import CallRecord
from tasks.clients.text import Ask, TextClient
from tasks.commands import Asker, cancel_job
from tasks.deps import Deps
from tasks.retry import BRAKED_SPREAD_SECONDS
from tasks.step import Delivery, deliver
from tests.conftest import Outbox, eventually, make_deps
from tests.fakes.model_server import ModelServer
from tests.integration.stage import at_once, change, job, lift_brakes, make_due, one, rows, start, told
from tests.integration.test_course_job import FISH

SHAPE = {
    "type": "object",
    "properties": {"word": {"type": "string"}},
    "required": ["word"],
    "additionalProperties": False,
}
ASK = Ask("words", "words", "words/1", "You answer.", "Say something.", "words", SHAPE)


class Process:
    """One process that asks models for no job."""

    def __init__(self, deps: Deps) -> None:
        self.deps = deps
        self.records: list[CallRecord] = []
        self.text = TextClient(deps.settings.model, self.records.append, deps.gate)
        self.images = ImageClient(deps.settings.model, self.records.append, deps.gate)

    def ask(self) -> Any:
        return loop.run(self.text.complete(ASK))

    def verdict(self) -> str:
        """The code of the error the question ends with; "ok" when it has none."""
        try:
            self.ask()
        except CoursewrightError as error:
            return error.code
        return "ok"


@pytest.fixture
def process(model_deps: Deps, outbox: Outbox) -> Iterator[Callable[..., Process]]:
    """Makes processes that share the database and Redis, and nothing else."""
    made: list[Deps] = []

    def another(kind: type[Database] = Database) -> Process:
        made.append(make_deps(model_deps.settings, outbox))
        made[-1].db = kind(made[-1].db.engine)
        return Process(made[-1])

    yield another
    for deps in made:
        deps.close()


@pytest.fixture
def endpoint(model: ModelServer) -> str:
    return endpoint_of(model.url)


def failing(process: Process, model: ModelServer, times: int = FAILURES_TO_OPEN) -> None:
    model.script([{"fault": "500", "times": times}])
    assert [process.verdict() for _ in range(times)] == ["model_unavailable"] * times


def text_model(process: Process) -> str:
    return process.deps.settings.model.text_model


# --- closed -------------------------------------------------------------------------------------------------------


def test_what_one_process_was_told_stops_another_and_no_flushed_redis_lifts_it(
    process: Callable[..., Process], model: ModelServer
) -> None:
    one_, other = process(), process()
    model.script([{"fault": "429", "retryAfter": 30}])
    assert one_.verdict() == "model_rate_limited"
    Redis.from_url(one_.deps.settings.redis_url).flushall()
    with pytest.raises(Transient) as caught:
        other.ask()
    assert (caught.value.code, caught.value.details["reason"]) == ("model_braked", "rate_limited")
    assert caught.value.retry_after == pytest.approx(30, abs=2)
    assert one_.verdict() == "model_braked"
    assert len(model.calls()) == 1
    assert other.records == [], "a call that was not made is no call"
    lift_brakes(other.deps)
    assert (one_.verdict(), other.verdict()) == ("ok", "ok")


def test_another_model_of_the_endpoint_goes_on(process: Callable[..., Process], model: ModelServer) -> None:
    asking = process()
    model.script([{"fault": "429", "retryAfter": 30}])
    assert asking.verdict() == "model_rate_limited"
    assert loop.run(asking.images.make("A heart")).width == 1536


def test_a_429_that_names_no_time_closes_for_a_moment(process: Callable[..., Process], model: ModelServer) -> None:
    asking = process()
    model.script(["429"])
    assert asking.verdict() == "model_rate_limited"
    [brake] = brakes.read_all(asking.deps.db)
    assert brake.state == "closed"
    began = time.monotonic()
    assert asking.verdict() == "ok"
    assert 1 < time.monotonic() - began < 4


def test_a_short_wait_is_waited_here_and_takes_no_place_from_others(
    model_deps: Deps, process: Callable[..., Process], model: ModelServer, endpoint: str
) -> None:
    settings = model_deps.settings
    narrow = replace(settings, model=replace(settings.model, concurrency=1))
    asking = process()
    asking.text = TextClient(narrow.model, asking.records.append, asking.deps.gate)
    asking.images = ImageClient(narrow.model, asking.records.append, asking.deps.gate)
    brakes.close(model_deps.db, endpoint, text_model(asking), 1.2)
    began = time.time()

    async def both() -> None:
        await asyncio.gather(asking.text.complete(ASK), asking.images.make("A heart"))

    loop.run(both())
    picture, words = model.calls()
    assert (picture.purpose, words.purpose) == ("picture", "words")
    assert picture.at - began < 1.2 <= words.at - began + 0.05
    assert all(record.seconds < 1.2 for record in asking.records), "waiting is no part of the call"


def test_whoever_waits_can_be_given_up_at_once(
    process: Callable[..., Process], model: ModelServer, endpoint: str
) -> None:
    asking = process()
    brakes.close(asking.deps.db, endpoint, text_model(asking), 4)
    unwanted = threading.Event()
    threading.Timer(0.3, unwanted.set).start()
    began = time.monotonic()
    with pytest.raises(loop.Abandoned):
        loop.run(asking.text.complete(ASK), unwanted)
    assert time.monotonic() - began < 1.5
    assert (model.calls(), asking.records) == ([], [])


# --- open ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("fault", ["503", "cut", "hang"])
def test_an_endpoint_that_fails_again_and_again_is_left_alone(
    process: Callable[..., Process], model: ModelServer, fault: str
) -> None:
    one_, other = process(), process()
    for each in (one_, other):
        hasty = replace(each.deps.settings.model, timeout_seconds=0.3)
        each.text = TextClient(hasty, each.records.append, each.deps.gate)
    model.script([{"fault": fault, "times": FAILURES_TO_OPEN + 5}])
    for number in range(FAILURES_TO_OPEN):
        assert (one_, other)[number % 2].verdict() in {"model_unavailable", "model_timeout"}
    [brake] = brakes.read_all(other.deps.db)
    assert (brake.state, brake.failures) == ("open", FAILURES_TO_OPEN)
    change(other.deps, "UPDATE model_brakes SET closed_until = clock_timestamp() + interval '20 s'")
    assert (one_.verdict(), other.verdict()) == ("model_braked", "model_braked")
    # A call may be given up before it reaches the server.
    assert len(model.calls()) <= FAILURES_TO_OPEN


@pytest.mark.parametrize("fault", ["401", "400", "refusal", "html", "quota"])
def test_an_answer_that_is_no_good_shows_that_the_endpoint_lives(
    process: Callable[..., Process], model: ModelServer, fault: str
) -> None:
    asking = process()
    failing(asking, model, FAILURES_TO_OPEN - 1)
    model.script([fault])
    asking.verdict()
    [brake] = brakes.read_all(asking.deps.db)
    assert (brake.state, brake.failures) == ("free", 0)


def test_after_the_pause_one_call_tries_while_twenty_ask_and_all_go_on_when_it_succeeds(
    process: Callable[..., Process], model: ModelServer
) -> None:
    one_, other = process(), process()
    failing(one_, model)
    lift_brakes(one_.deps)
    model.forget(calls=True)
    model.script([{"fault": "slow", "seconds": 0.8}])
    sides = iter([one_, other] * 10)
    assert at_once(20, lambda: next(sides).verdict()) == ["ok"] * 20
    trial, *others = model.calls()
    assert len(others) == 19
    assert trial.seconds is not None
    assert all(call.at >= trial.at + 0.8 for call in others), "nobody called while one tried"
    [brake] = brakes.read_all(one_.deps.db)
    assert (brake.state, brake.trying) == ("free", False)


def test_a_failed_trial_sends_the_others_away_for_longer(process: Callable[..., Process], model: ModelServer) -> None:
    one_, other = process(), process()
    failing(one_, model)
    lift_brakes(one_.deps)
    model.forget(calls=True)
    model.script([{"fault": "500", "times": 5}])
    sides = iter([one_, other] * 10)
    verdicts = at_once(20, lambda: next(sides).verdict())
    assert sorted(map(str, verdicts)) == ["model_braked"] * 19 + ["model_unavailable"]
    assert len(model.calls()) == 1


def test_a_trial_that_is_given_up_lets_another_try(process: Callable[..., Process], model: ModelServer) -> None:
    asking = process()
    failing(asking, model)
    lift_brakes(asking.deps)
    model.forget(calls=True)
    model.script(["hang"])
    unwanted = threading.Event()
    giving_up = threading.Thread(target=lambda: model.wait_for(lambda calls: len(calls) == 1) and unwanted.set())
    giving_up.start()
    with pytest.raises(loop.Abandoned):
        loop.run(asking.text.complete(ASK), unwanted)
    giving_up.join()
    eventually(lambda: not brakes.read_all(asking.deps.db)[0].trying, within=5)
    assert asking.verdict() == "ok"


def test_while_a_trial_hangs_nobody_else_tries(
    process: Callable[..., Process], model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "RENEW_SECONDS", 0.05)
    trying, other = process(), process()
    failing(trying, model)
    lift_brakes(trying.deps)
    model.forget(calls=True)
    model.script(["hang"])
    unwanted = threading.Event()
    ended: list[type[BaseException]] = []

    def attempt() -> None:
        with pytest.raises(loop.Abandoned) as caught:
            loop.run(trying.text.complete(ASK), unwanted)
        ended.append(caught.type)

    calling = threading.Thread(target=attempt)
    calling.start()
    assert model.wait_for(lambda calls: len(calls) == 1)
    young = "SELECT count(*) FROM model_brakes WHERE updated_at > clock_timestamp() - interval '1 minute'"
    for _ in range(2):
        change(other.deps, "UPDATE model_brakes SET updated_at = updated_at - interval '1 hour'")
        eventually(lambda: one(other.deps, young), what="the trial's renewal")
    assert other.verdict() == "model_braked"
    assert len(model.calls()) == 1
    unwanted.set()
    calling.join(30)
    assert ended == [loop.Abandoned]


def test_a_success_counts_though_its_call_began_before_the_failures(
    process: Callable[..., Process], model: ModelServer
) -> None:
    asking = process()
    model.script([{"fault": "slow", "seconds": 0.6}, "500"])
    slow = threading.Thread(target=asking.ask)
    slow.start()
    assert model.wait_for(lambda calls: len(calls) == 1)
    assert asking.verdict() == "model_unavailable"
    assert brakes.read_all(asking.deps.db)[0].failures == 1
    slow.join()
    assert brakes.read_all(asking.deps.db)[0].failures == 0


class Slow(Database):
    """Answers when it is let."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine)
        self.asked, self.let = threading.Event(), threading.Event()
        self.let.set()

    @contextmanager
    def statement(self) -> Iterator[Transaction]:
        with super().statement() as tx:
            yield tx
        self.asked.set()
        assert self.let.wait(10)


def test_a_trial_granted_to_a_call_that_was_given_up_meanwhile_is_let_go(
    process: Callable[..., Process], model: ModelServer
) -> None:
    asking = process(Slow)
    failing(asking, model)
    lift_brakes(asking.deps)
    model.forget(calls=True)
    db: Any = asking.deps.db
    db.asked.clear()
    db.let.clear()
    with pytest.raises(loop.Abandoned):
        loop.run(asking.text.complete(ASK), db.asked)
    db.let.set()
    eventually(lambda: not brakes.read_all(asking.deps.db)[0].trying, within=5)
    assert model.calls() == []


def test_calls_that_succeed_write_nothing(process: Callable[..., Process]) -> None:
    asking = process()
    assert [asking.verdict() for _ in range(3)] == ["ok"] * 3
    assert brakes.read_all(asking.deps.db) == []


# --- the database away --------------------------------------------------------------------------------------------


class Flickering(Database):
    """Away for the next ``away`` statements."""

    away = 0

    @contextmanager
    def statement(self) -> Iterator[Transaction]:
        if self.away > 0:
            self.away -= 1
            raise Unavailable("Away.", code="database_away")
        with super().statement() as tx:
            yield tx


def away(process: Process, statements: int) -> int:
    """The database is away for so many statements from now. Returns for how many it still would have been."""
    assert isinstance(process.deps.db, Flickering)
    left, process.deps.db.away = process.deps.db.away, statements
    return left


def test_a_call_whose_end_can_not_be_noted_keeps_its_own_result(
    process: Callable[..., Process], model: ModelServer
) -> None:
    asking = process(Flickering)
    hasty = replace(asking.deps.settings.model, timeout_seconds=0.5)
    asking.text = TextClient(hasty, asking.records.append, asking.deps.gate)
    model.script(["hang"])
    leaving = threading.Thread(target=lambda: model.wait_for(lambda calls: len(calls) == 1) and away(asking, 1))
    leaving.start()
    assert asking.verdict() == "model_timeout"
    leaving.join()
    assert away(asking, 0) == 0
    assert brakes.read_all(asking.deps.db) == []


def test_a_moment_without_the_database_is_waited_out(process: Callable[..., Process], model: ModelServer) -> None:
    asking = process(Flickering)
    away(asking, 2)
    assert asking.verdict() == "ok"
    assert len(model.calls()) == 1
    assert away(asking, 0) == 0


def test_without_the_database_nothing_is_called(
    process: Callable[..., Process], model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gates, "PATIENCE_SECONDS", 0.4)
    asking = process(Flickering)
    away(asking, 1000)
    assert asking.verdict() == "database_away"
    assert model.calls() == []


# --- jobs ---------------------------------------------------------------------------------------------------------


def test_a_braked_job_waits_with_its_next_time_and_uses_up_no_retry(
    model_deps: Deps, asker: Asker, model: ModelServer, endpoint: str, empty_store: None
) -> None:
    brakes.close(model_deps.db, endpoint, model_deps.settings.model.text_model, 40)
    job_id = start(model_deps, asker, **FISH)
    for _ in range(5):
        make_due(model_deps, job_id)
        once.run_due(model_deps)
    row = job(model_deps, job_id)
    assert (row.status, row.retry_count, row.run, row.error["code"]) == ("pending", 0, 6, "model_braked")
    after = one(model_deps, "SELECT EXTRACT(epoch FROM j.due_at - b.closed_until)::float8 FROM jobs j, model_brakes b")
    assert -0.05 < after < BRAKED_SPREAD_SECONDS + 0.5
    retrying = told(model_deps, job_id)[-1]
    assert (retrying["type"], retrying["step"], retrying["error"]["code"]) == (
        "job_retrying",
        "skeleton",
        "model_braked",
    )
    assert model.calls() == []
    lift_brakes(model_deps)
    make_due(model_deps, job_id)
    once.run_due(model_deps)
    assert job(model_deps, job_id).status == "done"


def test_the_job_that_was_told_to_wait_comes_back_when_the_brake_is_off(
    model_deps: Deps, asker: Asker, model: ModelServer
) -> None:
    model.script([{"fault": "429", "retryAfter": 25, "purpose": "plan"}])
    job_id = start(model_deps, asker, **FISH)
    before = utc_now()
    once.run_due(model_deps)
    after = utc_now()
    row = job(model_deps, job_id)
    assert (row.retry_count, row.error["code"]) == (1, "model_rate_limited")
    [brake] = brakes.read_all(model_deps.db)
    assert brake.closed_until is not None
    assert brake.closed_until <= row.due_at
    exactly = timedelta(seconds=25)
    assert before + exactly <= row.due_at <= after + exactly, "from when the answer came"


def test_no_call_begins_after_a_cancel_though_nobody_told_the_step(
    model_settings: Settings, asker: Asker, outbox: Outbox, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "LOOK_EVERY", 60)  # the watcher sees nothing: only the look before each call does
    narrow = replace(model_settings, model=replace(model_settings.model, concurrency=1))
    deps = make_deps(narrow, outbox)
    model.script([{"fault": "slow", "purpose": "items", "seconds": 1.0}])
    job_id = start(deps, asker, **FISH)
    answers: list[Delivery] = []
    worker = threading.Thread(target=lambda: answers.append(deliver(deps, job_id, 1, "skeleton", 60)))
    worker.start()
    assert model.wait_for(lambda calls: any(call.purpose == "items" for call in calls))
    asked = len(model.calls())
    cancel_job(deps, asker, job_id, "")
    worker.join(10)
    assert [answer.verdict for answer in answers] == ["stopped:not_ours"]
    assert len(model.calls()) == asked
    assert job(deps, job_id).status == "cancelled"
    assert rows(deps, "SELECT 1 FROM model_calls WHERE outcome = 'ok'")
    deps.close()


def test_a_lease_renewed_from_step_to_step_is_the_one_that_counts(
    model_deps: Deps, asker: Asker, empty_store: None
) -> None:
    job_id = start(model_deps, asker, **FISH)
    assert deliver(model_deps, job_id, 1, "skeleton", 60).verdict == "done"
    assert job(model_deps, job_id).lease_token > 1
