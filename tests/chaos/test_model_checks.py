"""Each check of the calls to the model, on a made-up world."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from tests.chaos.evidence import Row, Told
from tests.chaos.faults import Done
from tests.chaos.model import Call
from tests.chaos.model_checks import CHECKS, ModelCalls
from tests.chaos.world import AT, World, disturbed, moment


def asked_for(seconds: float, fault: str | None = None, **told: Any) -> Call:
    """A call for the one group, so many seconds after the beginning, that takes half a second."""
    facts = json.dumps({"language": told.pop("tag", "en-j000001"), "group": told.pop("group", "First steps")})
    hung_up = told.pop("hung_up", False)
    call = {
        "at": moment(seconds),
        "seconds": 0.5,
        "purpose": "items",
        "fault": fault,
        "hungUp": hung_up,
        "status": None if hung_up else 200,
        "question": f"Write.\n```json\n{facts}\n```",
    }
    return Call(call | told)


def calls_of(world: World, calls: list[Call], faults: list[Done] | None = None) -> ModelCalls:
    return ModelCalls(world.evidence, world.ledger, calls, faults or [])


def retried(world: World, at: float, code: str | None) -> None:
    error = None if code is None else {"code": code}
    world.evidence.events["parent"].append(Told(99, "job_retrying", {"error": error}, AT + timedelta(seconds=at)))


def picture(*seconds: float) -> list[Row]:
    return [Row("picture", "picture", "ok", AT + timedelta(seconds=at)) for at in seconds]


def test_one_call_is_what_is_needed() -> None:
    world = World()
    world.evidence.calls = [Row("parent", "items", "ok", AT)]
    calls = calls_of(world, [asked_for(1)])
    assert {name: list(check(calls)) for name, check in CHECKS.items()} == {name: [] for name in CHECKS}
    assert (calls.sums().calls, calls.sums().needed, calls.sums().allowed) == (1, 1, 1)


def _cancelled(world: World) -> ModelCalls:
    world.asked.cancelled_at, world.asked.cancel_told_at = moment(1), moment(2)
    return calls_of(world, [asked_for(4)])


def _with_pictures(*seconds: float) -> Callable[[World], ModelCalls]:
    def calls(world: World) -> ModelCalls:
        world.evidence.calls = picture(*seconds)
        return calls_of(world, [])

    return calls


#: What each check must see.
WRONGS: dict[str, Callable[[World], ModelCalls]] = {
    "every call to the model belongs to a job": lambda w: calls_of(w, [asked_for(1, tag="en-j000099")]),
    "no call for what is kept already": lambda w: calls_of(w, [asked_for(1), asked_for(7)]),
    "no call after a cancel": _cancelled,
    "every repeated call has a cause": lambda w: calls_of(w, [asked_for(1), asked_for(2)]),
    "every call was written down first": lambda w: calls_of(w, [asked_for(1)]),
    "pictures are asked for once": _with_pictures(1, 4),
    "calls are within needed + faults + in flight": lambda w: calls_of(w, [asked_for(1), asked_for(2)]),
}


def test_every_check_can_fail() -> None:
    assert WRONGS.keys() == CHECKS.keys()
    for name, wrong in WRONGS.items():
        assert list(CHECKS[name](wrong(World()))), name


def test_calls_of_a_course_from_an_exam() -> None:
    world = World()
    first = "What lies in box 1?"
    part = {"lessons": "topic:topic-1", "verify": "answered:topic-1-lesson-1"}
    world.evidence.parts = {("parent", purpose, first): name for purpose, name in part.items()}
    kept = AT + timedelta(seconds=5)
    steps = [("topics", ""), ("lessons", part["lessons"]), ("validate", part["verify"])]
    world.evidence.checkpoints |= {("parent", step, name): kept for step, name in steps}

    def call(seconds: float, purpose: str, schema: str, asked: str = first) -> Call:
        facts = json.dumps({"language": "en-j000001", "questions": [{"number": 1, "question": asked}]})
        question = f"Write.\n```json\n{facts}\n```"
        return asked_for(seconds, purpose=purpose, schemaName=schema, question=question)

    kinds = [("topics", "exam_topics"), ("lessons", "exam_lesson"), ("verify", "exam_answers")]
    once = [call(1, purpose, schema) for purpose, schema in kinds]
    assert bill(once, [], world) == (3, 3)
    assert not list(calls_of(world, once).none_for_what_is_kept())
    for purpose, schema in kinds:
        again = [*once, call(7, purpose, schema)]
        assert len(list(calls_of(world, again).none_for_what_is_kept())) == 1
        assert len(list(calls_of(world, again).repeats_have_a_cause())) == 1
    for purpose, schema in kinds[1:]:
        assert bill([*once, call(1, purpose, schema, "What is none of its questions?")], [], world) == (4, 3)


@pytest.mark.parametrize(
    ("fault", "is_excused"),
    [
        (disturbed("worker stopped", 2, 6, "parent"), True),
        (disturbed("worker stopped", 2, 6, "another"), False),
        (disturbed("worker stopped", 2, 9, "parent"), False),  # seen while the worker stood still
        (disturbed("worker stopped", 2, 4, "parent"), False),  # seen long after it woke up
        (disturbed("worker stopped", 5.8, 6.8, "parent"), False),  # kept before it was stopped
        (disturbed("model stopped", 2, 6.5), True),
        (disturbed("model stopped", 2, 9), False),
        (disturbed("model stopped", 5.8, 6.8), False),
    ],
)
def test_only_what_was_sent_before_may_come_after(fault: Done, is_excused: bool) -> None:
    late = calls_of(World(), [asked_for(1), asked_for(7)], [fault])
    assert bool(list(late.none_for_what_is_kept())) != is_excused
    world = World()
    world.asked.cancelled_at, world.asked.cancel_told_at = moment(4), moment(5)
    assert bool(list(calls_of(world, [asked_for(7)], [fault]).none_after_a_cancel())) != is_excused


def test_calls_after_a_cancel() -> None:
    world = World()
    assert list(_cancelled(world).none_after_a_cancel())
    world.asked.retried_at = moment(3)
    assert not list(calls_of(world, [asked_for(2.5), asked_for(4)]).none_after_a_cancel())
    world.asked.retried_at = moment(5)
    assert list(calls_of(world, [asked_for(4)]).none_after_a_cancel())
    world.evidence.calls = picture(4)
    assert list(calls_of(world, []).none_after_a_cancel()), "a picture of its course"
    world.asked.cancel_told_at = None
    assert not list(calls_of(world, [asked_for(4)]).none_after_a_cancel()), "its answer got lost"


@pytest.mark.parametrize(
    ("first", "faults", "again", "cause"),
    [
        (asked_for(1), [], None, "no cause"),
        (asked_for(1, "500"), [], None, "it met a fault"),
        (asked_for(1, hung_up=True), [], None, "it got no answer"),
        (asked_for(1), [disturbed("model stopped", 1.2, 2)], None, "the model was stopped"),
        (asked_for(1), [disturbed("model stopped", 2, 3)], None, "no cause"),
        (asked_for(1), [disturbed("postgres killed", 2, 3)], None, "the database was away"),
        (asked_for(1), [disturbed("store stopped", 2, 3)], None, "no cause"),
        (asked_for(1), [disturbed("worker stopped", 0, 3.5, "parent")], None, "a stopped worker woke with it"),
        (asked_for(1), [disturbed("worker stopped", 0, 0.5, "parent")], None, "a stopped worker woke with it"),
        (asked_for(1), [disturbed("worker stopped", 0, 3.5, "another")], None, "no cause"),
        (asked_for(1), [disturbed("worker stopped", 2, 5, "parent")], None, "no cause"),
        (asked_for(1), [], (2, "worker_lost"), "its worker or a server was lost"),
        (asked_for(1), [], (2, "store_away"), "its worker or a server was lost"),
        (asked_for(1), [], (2, "model_timeout"), "no cause"),
        (asked_for(1), [], (6, "worker_lost"), "no cause"),
        (asked_for(1), [], (2, None), "no cause"),
    ],
)
def test_a_repeated_call_needs_a_cause(
    first: Call, faults: list[Done], again: tuple[float, str | None] | None, cause: str
) -> None:
    world = World()
    if again is not None:
        retried(world, *again)
    calls = calls_of(world, [first, asked_for(4)], faults)
    assert dict(calls.causes()) == {cause: 1}
    assert bool(list(calls.repeats_have_a_cause())) == (cause == "no cause")


@pytest.mark.parametrize(("at", "is_cause"), [(0.5, False), (2, True), (6, False)])
def test_a_cancel_excuses_only_what_was_asked_before_and_after_its_retry(at: float, is_cause: bool) -> None:
    world = World()
    world.asked.cancelled_at, world.asked.retried_at = moment(0), moment(at)
    retried(world, at, None)
    assert bool(list(calls_of(world, [asked_for(1), asked_for(4)]).repeats_have_a_cause())) != is_cause


def test_calls_that_were_written_down() -> None:
    world = World()
    world.evidence.calls = [Row("parent", "items", "ok", AT), Row("parent", "items", "started", AT)]
    assert not list(calls_of(world, [asked_for(1), asked_for(2)]).each_has_its_row())
    three_pictures = [asked_for(at, purpose="picture") for at in (1, 2, 3)]
    assert list(calls_of(world, three_pictures).each_has_its_row())


def test_a_picture_that_was_asked_for_again() -> None:
    world = World()
    for rows, is_wrong in ((picture(1), False), (picture(1, 4), True), (picture(10), True)):
        world.evidence.calls = rows
        assert bool(list(calls_of(world, []).pictures_are_asked_for_once())) == is_wrong
    first, again = picture(1, 4)
    world.evidence.calls = [replace(first, outcome="abandoned"), again]
    assert not list(calls_of(world, []).pictures_are_asked_for_once())


def bill(calls: list[Call], faults: list[Done], world: World | None = None) -> tuple[int, int]:
    sums = calls_of(world or World(), calls, faults).sums()
    return sums.calls, sums.allowed


def test_a_loss_allows_one_call_more() -> None:
    three = [asked_for(1), asked_for(2), asked_for(3)]
    assert bill(three, []) == (3, 1)
    assert bill(three, [disturbed("worker killed", 1.5, 1.5, "parent")]) == (3, 2)
    assert bill(three, [disturbed("worker killed", 1.5, 1.5, "another")]) == (3, 1)
    assert bill(three, [disturbed("postgres killed", 1.5, 1.6)]) == (3, 2)
    assert bill(three, [disturbed("postgres killed", 7, 8)]) == (3, 1), "all was kept"
    assert bill(three, [disturbed("postgres killed", at, at + 0.1) for at in (1.1, 1.2, 2.2, 2.3)]) == (3, 4)


def test_what_is_never_kept_is_not_at_risk_for_ever() -> None:
    world = World()
    del world.evidence.checkpoints["parent", "fill", "group:group-1"]
    many = [asked_for(1 + at / 100) for at in range(31)]
    losses = [disturbed("postgres killed", 10 * at, 10 * at + 1) for at in range(1, 38)]
    assert bill(many, losses, world) == (31, 1)
    assert list(calls_of(world, many, losses).within_the_bill())


def test_a_worker_that_ended_by_itself_allows_a_call_more() -> None:
    world = World()
    retried(world, 2, "model_timeout")
    assert bill([asked_for(1), asked_for(4)], [], world) == (2, 1)
    retried(world, 2, "worker_lost")
    assert bill([asked_for(1), asked_for(4)], [], world) == (2, 2)


def test_only_a_cancel_that_was_taken_back_allows_a_call_more() -> None:
    world = World()
    world.asked.cancelled_at = moment(1.5)
    two = [asked_for(1), asked_for(4)]
    assert bill(two, [], world) == (2, 1)
    world.asked.retried_at = moment(2)
    assert bill(two, [], world) == (2, 2)


def test_what_the_course_has_no_place_for_is_not_needed() -> None:
    calls, allowed = bill([asked_for(1), asked_for(1, group="Another"), asked_for(1, purpose="repair")], [])
    assert (calls, allowed) == (3, 1)


def test_more_pictures_than_were_begun() -> None:
    calls = calls_of(World(), [asked_for(at, purpose="picture") for at in (1, 2)])
    assert list(calls.within_the_bill())
    killed = calls_of(World(), [asked_for(1, purpose="picture")], [disturbed("media killed", 1, 1)])
    assert not list(killed.within_the_bill())
