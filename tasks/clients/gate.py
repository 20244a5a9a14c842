"""The gate before every call to a model: is the job still ours, is the brake off, is something of the allowance left?

A call asks when it has its place among the calls in flight, right before it goes out. A short wait is waited here,
without the place; a longer one sends the job back among the pending, so that its thread is free for others. How a call
ended is noted before anybody hears of it, so that none of this process slips through after it. Database and Redis are
asked from threads: the event loop of the calls never waits for them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, ParamSpec, TypeVar

from schema.errors import CoursewrightError
from schema.settings import ModelSettings
from storage import wall
from storage.db import Database
from storage.spending.calls import Beginning
from tasks.clients.keeper import PATIENCE_SECONDS, RENEW_SECONDS, Keeper, Passage, Wait

if TYPE_CHECKING:
    from storage.spending.allowances import Allowances
    from tasks.watch import Held

P = ParamSpec("P")
T = TypeVar("T")

#: Those who wait for one moment begin a random part of this later, in seconds.
SPREAD_SECONDS = 0.25
#: Waiting for a place is no standstill: every call in flight has its time limit, so the turn comes.
_MOVE_SECONDS = 10.0


def estimated_tokens(*texts: str) -> int:
    """About how many tokens texts have: one for four characters. What was really used is known after the call."""
    return sum(len(text) for text in texts) // 4 + 1


class Gate:
    """The gate of one process. ``whose`` says for which held job a call is made, none for no job's; ``luck`` gives
    another number from 0 to 1 each time."""

    def __init__(
        self,
        db: Database,
        settings: ModelSettings,
        whose: Callable[[], Held | None],
        allowances: Allowances | None,
        luck: Callable[[], float],
    ) -> None:
        self._keeper = Keeper(db, settings, allowances)
        self._whose = whose
        self._luck = luck
        self._threads = ThreadPoolExecutor(4, thread_name_prefix="gate")

    @asynccontextmanager
    async def through(self, call: Beginning, tokens: int, places: asyncio.Semaphore) -> AsyncIterator[Passage]:
        """A place among the calls in flight, leave to make this call of about ``tokens`` tokens, and a note of how it
        ended.

        Raises ``Abandoned`` when the job isn't ours any more, ``Transient`` (``model_braked``) when the wait would be
        a long one, ``Permanent`` (``budget_spent``) when its organization has spent its budget of today, and
        ``Unavailable`` when the database stays away."""
        held = self._whose()
        patience = PATIENCE_SECONDS
        while True:
            async with _place(places, held):
                began = time.monotonic()
                answer = await self._ask(held, call, tokens)
                if isinstance(answer, Passage):
                    async with self._noted(answer):
                        yield answer
                    return
            if answer.seconds > patience:
                raise answer.error
            await asyncio.sleep(answer.seconds + self._luck() * SPREAD_SECONDS)
            patience -= time.monotonic() - began

    async def _ask(self, held: Held | None, call: Beginning, tokens: int) -> Passage | Wait:
        # The lease is read in the thread: it is renewed from step to step, and the newest one counts.
        asking = self._submit(lambda: self._keeper.ask(held.lease if held else None, call, tokens))
        try:
            return await asyncio.wrap_future(asking)
        except asyncio.CancelledError:
            # The thread goes on all the same, and what it is granted now would be kept from others for nothing.
            asking.add_done_callback(wall.carried(self._undo))
            raise

    def _undo(self, asking: Future[Passage | Wait]) -> None:
        if not asking.cancelled() and asking.exception() is None and isinstance(answer := asking.result(), Passage):
            self._submit(self._keeper.undo, answer)

    def _submit(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Have a thread do it, for the organization of the job that asks."""
        return self._threads.submit(wall.carried(work), *args, **kwargs)

    @asynccontextmanager
    async def _noted(self, passage: Passage) -> AsyncIterator[None]:
        renewing = asyncio.create_task(self._renewed(passage)) if passage.trial is not None else None
        try:
            yield
        except CoursewrightError as error:
            await self._note(passage, error)
            raise
        except BaseException:
            self._submit(self._keeper.let_go, passage)
            raise
        else:
            await self._note(passage, None)
        finally:
            if renewing is not None:
                renewing.cancel()

    async def _renewed(self, passage: Passage) -> None:
        """However long the call of a trial takes, nobody else tries meanwhile."""
        while True:
            await asyncio.sleep(RENEW_SECONDS)
            await asyncio.wrap_future(self._submit(self._keeper.renew, passage))

    async def _note(self, passage: Passage, error: CoursewrightError | None) -> None:
        if self._keeper.has_to_note(passage, error):
            noting = self._submit(self._keeper.note, passage, error)
            await asyncio.shield(asyncio.wrap_future(noting))  # noted also when the call is given up meanwhile

    def close(self) -> None:
        """Wait for the notes that are being made, and close."""
        self._threads.shutdown()
        self._keeper.close()


@asynccontextmanager
async def _place(places: asyncio.Semaphore, held: Held | None) -> AsyncIterator[None]:
    """One of the places. The job counts as moving while it stands in line for one."""
    coming = asyncio.ensure_future(places.acquire())
    try:
        while not (await asyncio.wait({coming}, timeout=_MOVE_SECONDS))[0]:
            if held is not None:
                held.move()
        yield
    finally:
        if not coming.cancel():
            places.release()
