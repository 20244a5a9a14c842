"""One asyncio loop per process, on a thread of its own, for every call to a model.

A blocking call cannot be given up: closing its client leaves the thread waiting. A coroutine on a loop can be
cancelled from any thread, and cancelling it closes its connection, so the other side stops working as well.
"""

from __future__ import annotations

import asyncio
import inspect
import os
import queue
import threading
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import wait
from typing import Any, TypeVar

from schema.errors import CoursewrightError

K = TypeVar("K")
T = TypeVar("T")

#: Says that work is no longer wanted. It is asked on the loop, so it must answer at once (no I/O).
Cancelled = Callable[[], bool] | threading.Event | None

#: How often a running call looks whether it is still wanted, in seconds.
LOOK_SECONDS = 0.05
#: How long an abandoned call may take to close its connection and record itself, in seconds.
SETTLE_SECONDS = 2.0


class Abandoned(Exception):
    """The work is no longer wanted: cancelled, fenced off, or the process is stopping. Not a failure; a stop."""


class _Home:
    """The loop of one process and the thread it lives on."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever, name="model-calls", daemon=True)
        self.thread.start()


_lock = threading.Lock()
_home: _Home | None = None


def _forget() -> None:
    """A forked child has neither its parent's loop thread nor whoever held the lock: it begins anew."""
    global _home, _lock
    _home, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)


def process_loop() -> asyncio.AbstractEventLoop:
    """The loop of this process, started on first use."""
    global _home
    with _lock:
        if _home is None:
            _home = _Home()
        return _home.loop


def run(work: Coroutine[Any, Any, T], cancelled: Cancelled = None) -> T:
    """Run a coroutine on the process's loop and wait for its result; called from worker threads, never from the loop.

    ``cancelled`` is looked at every 50 ms. When it says yes, the work is cancelled, given up to two seconds to close
    its connections, and ``Abandoned`` is raised. Errors of the work come through as they are. The work sees the
    context variables of the calling thread.
    """
    waiting = asyncio.run_coroutine_threadsafe(_while_wanted(work, _asking(cancelled)), process_loop())
    try:
        return waiting.result()
    finally:
        waiting.cancel()  # only has an effect when waiting itself was interrupted


def each(
    calls: Mapping[K, Coroutine[Any, Any, T]], cancelled: Cancelled = None
) -> Iterator[tuple[K, T | CoursewrightError]]:
    """Run coroutines side by side on the process's loop and yield each one's result, or the error of ours it ended
    with, as soon as it is there.

    ``cancelled`` works as for ``run``; what was settled by then is still yielded before ``Abandoned`` is raised.
    Closing the iterator gives up the calls still open, and any other error ends them all.
    """
    left = threading.Event()
    unwanted = _asking(cancelled)
    settled: queue.SimpleQueue[tuple[K, T | CoursewrightError] | None] = queue.SimpleQueue()
    together = side_by_side(_settle(key, call, settled) for key, call in calls.items())
    waiting = asyncio.run_coroutine_threadsafe(
        _while_wanted(together, lambda: left.is_set() or unwanted()), process_loop()
    )
    waiting.add_done_callback(lambda _: settled.put(None))
    try:
        while (one := settled.get()) is not None:
            yield one
        waiting.result()
    finally:
        left.set()
        wait([waiting])
        for call in calls.values():
            if inspect.getcoroutinestate(call) == inspect.CORO_CREATED:
                call.close()


async def side_by_side(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """All results, in order. The first error cancels the rest, so that no call goes on for nothing."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        return list(await asyncio.gather(*tasks))
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _settle(
    key: K, call: Coroutine[Any, Any, T], settled: queue.SimpleQueue[tuple[K, T | CoursewrightError] | None]
) -> None:
    try:
        settled.put((key, await call))
    except CoursewrightError as error:
        settled.put((key, error))


def _asking(cancelled: Cancelled) -> Callable[[], bool]:
    return cancelled.is_set if isinstance(cancelled, threading.Event) else cancelled or (lambda: False)


async def _while_wanted(work: Coroutine[Any, Any, T], unwanted: Callable[[], bool]) -> T:
    if unwanted():
        work.close()
        raise Abandoned
    task = asyncio.create_task(work)
    try:
        while not task.done():
            await asyncio.wait({task}, timeout=LOOK_SECONDS)
            if not task.done() and unwanted():
                raise Abandoned
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait({task}, timeout=SETTLE_SECONDS)


def close() -> None:
    """Stop this process's loop, if it runs, after cancelling what is on it. The next ``run`` starts another."""
    global _home
    with _lock:
        home, _home = _home, None
    if home is None:
        return
    asyncio.run_coroutine_threadsafe(_cancel_everything(), home.loop).result()
    home.loop.call_soon_threadsafe(home.loop.stop)
    home.thread.join()
    home.loop.close()


async def _cancel_everything() -> None:
    others = asyncio.all_tasks() - {asyncio.current_task()}
    for task in others:
        task.cancel()
    await asyncio.gather(*others, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
    await asyncio.get_running_loop().shutdown_default_executor()
