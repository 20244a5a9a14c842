from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Coroutine, Iterator
from contextvars import ContextVar
from typing import Any

import pytest

from schema.errors import Transient
from tasks.clients import loop


@pytest.fixture(autouse=True)
def _end_loop() -> Iterator[None]:
    yield
    loop.close()


async def name_of_thread() -> str:
    return threading.current_thread().name


def test_work_of_every_thread_runs_on_one_loop_thread() -> None:
    names: list[str] = [loop.run(name_of_thread())]
    others = [threading.Thread(target=lambda: names.append(loop.run(name_of_thread()))) for _ in range(3)]
    for other in others:
        other.start()
    for other in others:
        other.join()
    assert names == ["model-calls"] * 4
    assert [thread.name for thread in threading.enumerate()].count("model-calls") == 1


def test_errors_of_the_work_come_through_as_they_are() -> None:
    async def failing() -> None:
        raise LookupError("here")

    with pytest.raises(LookupError, match="here"):
        loop.run(failing(), threading.Event())


def test_work_that_is_not_wanted_is_never_begun() -> None:
    begun = []

    async def work() -> None:
        begun.append(True)

    unwanted = threading.Event()
    unwanted.set()
    with pytest.raises(loop.Abandoned):
        loop.run(work(), unwanted)
    assert begun == []


def test_work_that_becomes_unwanted_has_ended_when_abandoned_is_raised() -> None:
    unwanted = threading.Event()
    steps = []

    async def work() -> None:
        unwanted.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            steps.append("connection closed")

    with pytest.raises(loop.Abandoned):
        loop.run(work(), unwanted.is_set)
    assert steps == ["connection closed"]


def test_work_that_will_not_end_does_not_hold_its_thread_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "SETTLE_SECONDS", 0.01)
    unwanted, released = threading.Event(), asyncio.Event()

    async def stubborn() -> None:
        unwanted.set()
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                continue

    async def release() -> None:
        released.set()

    with pytest.raises(loop.Abandoned):
        loop.run(stubborn(), unwanted)
    loop.run(release())


def test_a_result_that_is_there_counts_even_when_no_longer_wanted() -> None:
    unwanted = threading.Event()

    async def quick() -> int:
        unwanted.set()
        return 5

    assert loop.run(quick(), unwanted) == 5


def test_each_yields_results_and_our_errors_as_they_come() -> None:
    gate = asyncio.Event()

    async def last() -> str:
        await gate.wait()
        return "last"

    async def first() -> str:
        raise Transient("away")

    async def second() -> str:
        gate.set()
        return "second"

    found = list(loop.each({"c": last(), "a": first(), "b": second()}, threading.Event()))
    assert [key for key, _ in found] == ["a", "b", "c"]
    assert isinstance(found[0][1], Transient)
    assert [result for _, result in found[1:]] == ["second", "last"]


def test_each_without_calls_yields_nothing() -> None:
    assert list(loop.each({})) == []


def hanging(ended: list[str]) -> Coroutine[Any, Any, str]:
    async def work() -> str:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("closed")
        return "never"

    return work()


def test_leaving_each_early_gives_the_others_up_before_it_goes_on() -> None:
    ended: list[str] = []

    async def quick() -> str:
        return "quick"

    for key, result in loop.each({"quick": quick(), "x": hanging(ended), "y": hanging(ended)}):
        assert (key, result) == ("quick", "quick")
        break
    assert ended == ["closed", "closed"]


def test_what_each_settled_before_the_cancel_is_not_lost() -> None:
    unwanted, ended = threading.Event(), list[str]()

    async def quick() -> str:
        unwanted.set()
        return "quick"

    found = []
    with pytest.raises(loop.Abandoned):
        for one in loop.each({"quick": quick(), "x": hanging(ended)}, unwanted):
            found.append(one)
    assert found == [("quick", "quick")]
    assert ended == ["closed"]


def test_each_begins_nothing_that_is_not_wanted() -> None:
    ended: list[str] = []
    with pytest.raises(loop.Abandoned):
        list(loop.each({"x": hanging(ended)}, lambda: True))
    assert ended == []


def test_an_error_that_is_not_ours_ends_them_all() -> None:
    ended: list[str] = []

    async def broken() -> str:
        await asyncio.sleep(0)
        raise LookupError("a bug")

    with pytest.raises(LookupError):
        list(loop.each({"x": hanging(ended), "y": broken()}))
    assert ended == ["closed"]


def test_work_sees_the_context_of_the_thread_that_asked() -> None:
    current: ContextVar[str] = ContextVar("current")
    current.set("job 7")

    async def seen() -> str:
        return current.get()

    assert loop.run(seen()) == "job 7"
    assert list(loop.each({"a": seen()})) == [("a", "job 7")]


def test_closing_cancels_what_runs_and_the_next_work_gets_a_new_loop() -> None:
    first = loop.process_loop()
    began, ended = threading.Event(), threading.Event()

    async def endless() -> None:
        began.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    asyncio.run_coroutine_threadsafe(endless(), first)
    assert began.wait(5)
    loop.close()
    assert ended.is_set()
    assert first.is_closed()
    assert loop.run(name_of_thread()) == "model-calls"


def test_a_forked_child_starts_a_loop_of_its_own() -> None:
    loop.run(name_of_thread())
    child = os.fork()
    if child == 0:
        try:
            os._exit(0 if loop.run(name_of_thread()) == "model-calls" else 1)
        finally:
            os._exit(2)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
