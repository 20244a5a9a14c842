"""What a step gets to work with, and what it gives back.

A step reads its job and earlier checkpoints, does its work outside any transaction, may tell progress and keep
finished parts on the way, and returns an ``Outcome``. Everything it writes is fenced; when the fence refuses, or the
job is stopped, ``Stopped`` ends the step wherever it is.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import UUID

from schema.clock import iso, utc_now
from schema.errors import Unavailable
from schema.events import Event
from storage import steps, wall
from storage.db import Transaction
from storage.engine.leases import Lease
from storage.spending import calls
from storage.steps import Claimed, Topic
from tasks.pipeline import Pipeline
from tasks.transcripts import keep_transcript
from tasks.watch import Held

if TYPE_CHECKING:
    from tasks.clients.record import CallRecord
    from tasks.clients.text import Ask
    from tasks.deps import Deps

K = TypeVar("K")

#: How long, in seconds, the end of a step waits for a model call to be written down.
SETTLE_SECONDS = 30.0


class Stopped(Exception):
    """This step must not go on: its job was cancelled or taken over, or the process shuts down."""


@dataclass(frozen=True)
class Outcome:
    """What a step leaves. ``result`` becomes its checkpoint; ``events`` are told before ``step_completed``.

    ``writes`` runs in the transaction that ends the step, once the job's row is locked and the fence has held; what it
    returns is added to the result. ``locks`` runs before that, for locks that come earlier in the order all use
    (document, parent job, job, catalog). ``message`` is what people read of it, or makes that from the whole result;
    none means what the step always says."""

    result: dict[str, Any]
    events: Sequence[Event] = ()
    message: str | Callable[[dict[str, Any]], str | None] | None = None
    writes: Callable[[Transaction], dict[str, Any]] | None = None
    locks: Callable[[Transaction], None] | None = None
    after_commit: Callable[[], None] | None = None
    result_path: str | None = None
    media_pending: int = 0

    def words(self) -> str | None:
        """The message, once ``writes`` has run."""
        return self.message(self.result) if callable(self.message) else self.message


@dataclass
class Work:
    """One step at work."""

    deps: Deps
    held: Held
    pipeline: Pipeline
    step: str
    claimed: Claimed
    checkpoints: dict[tuple[str, str], Any]
    calls: list[Future[None]] = field(default_factory=list)
    #: Counts the conversations of this step.
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    #: The progress of the whole job that was told so far, 0 to 100: it never goes back within a run.
    reached: float = 0.0

    def __post_init__(self) -> None:
        self.reached = max(self.claimed.progress, self.pipeline.at(self.step, 0))

    @property
    def lease(self) -> Lease:
        return self.held.lease

    @property
    def job_id(self) -> UUID:
        return self.claimed.lease.job_id

    @property
    def organization_id(self) -> UUID:
        return self.claimed.lease.organization_id

    @property
    def payload(self) -> dict[str, Any]:
        return self.claimed.payload

    @property
    def course_id(self) -> str:
        if self.claimed.course_id is None:
            raise LookupError("This kind of job has no course.")
        return self.claimed.course_id

    def checkpoint(self, step: str) -> dict[str, Any]:
        """What an earlier step left. Raises ``KeyError`` when it has no checkpoint."""
        found: dict[str, Any] = self.checkpoints[step, ""]
        return found

    def part(self, part: str) -> Any | None:
        """What this step kept of a part, in this run or an earlier one."""
        return self.checkpoints.get((self.step, part))

    def check(self) -> None:
        """Raise ``Stopped`` when this step should not go on."""
        if self.held.stop.is_set():
            raise Stopped

    def tell(self, fraction: float, message: str, events: Sequence[Event] = (), topic: Topic | None = None) -> None:
        """Tell progress within this step (``fraction`` 0 to 1), as ``step_progress`` when no events are given."""
        self.check()
        self.held.move()
        told = self.rising(events)
        progress = self.reach(fraction)
        told = told or [Event("step_progress", self._place(message, progress))]
        if not steps.tell(self.deps.db, self.lease, told, progress=progress, message=message, topic=topic):
            raise Stopped
        self.deps.bus.wake(self.job_id)

    def keep(
        self,
        part: str,
        result: Any,
        seconds: float,
        fraction: float,
        message: str,
        event: Event | None = None,
        topic: Topic | None = None,
        in_place_of: Sequence[str] = (),
    ) -> None:
        """Keep a finished part as a checkpoint of its own, together with the event that says so (``step_progress``
        when none is given). The parts that it takes the place of are forgotten."""
        self.held.move()
        kept = (self.step, part, result, seconds)
        told = self.rising([event] if event else [])
        progress = self.reach(fraction)
        told = told or [Event("step_progress", self._place(message, progress))]
        is_ours = steps.tell(
            self.deps.db,
            self.lease,
            told,
            progress=progress,
            message=message,
            topic=topic,
            keep=kept,
            in_place_of=in_place_of,
        )
        if not is_ours:
            raise Stopped
        for forgotten in in_place_of:
            self.checkpoints.pop((self.step, forgotten), None)
        self.checkpoints[self.step, part] = result
        self.deps.bus.wake(self.job_id)

    def reading_out(self, part: str) -> Callable[[Ask], Coroutine[Any, Any, Any]]:
        """Puts questions to the model like ``TextClient.complete``, and shows those who follow the job now what it
        writes for this part (as named in its checkpoint), word by word. Of several questions at once the answers are
        shown one after the other."""
        from tasks.clients.readable import Lanes  # noqa: PLC0415 - only where a model is asked

        lanes = Lanes(lambda text: self._show(part, text))

        async def complete(ask: Ask) -> Any:
            with lanes.lane() as say:
                return await self.deps.text.complete(ask, say)

        return complete

    def _show(self, part: str, text: str) -> None:
        shown = {"type": "content_delta", "jobId": str(self.job_id), "timestamp": iso(utc_now())}
        self.deps.bus.delta(self.job_id, {**shown, "step": self.step, "part": part, "text": text})

    def reach(self, fraction: float) -> float:
        """The progress of the whole job when ``fraction`` (0 to 1) of this step is done; never less than was told."""
        self.reached = max(self.reached, self.pipeline.at(self.step, fraction))
        return self.reached

    def rising(self, events: Sequence[Event]) -> list[Event]:
        """The events, none of which says less ``progress`` than was told before it."""
        risen = []
        for event in events:
            if "progress" in event.body:
                self.reached = max(self.reached, event.body["progress"])
                event = replace(event, body={**event.body, "progress": self.reached})
            risen.append(event)
        return risen

    def ask(self, call: Coroutine[Any, Any, Any]) -> Any:
        """Run a model call on this process's event loop. Ends at once with ``Stopped`` when the job is stopped."""
        from tasks.clients import loop  # noqa: PLC0415

        token = _current.set(self)
        try:
            return loop.run(call, self.held.stop)
        except loop.Abandoned:
            raise Stopped from None
        finally:
            _current.reset(token)

    def ask_each(self, calls: Mapping[K, Coroutine[Any, Any, Any]]) -> Iterator[tuple[K, Any]]:
        """Run model calls side by side and yield each result, or the ``CoursewrightError`` it ended with, as soon as
        it is there. Leaving the loop early gives the others up."""
        from tasks.clients import loop  # noqa: PLC0415

        token = _current.set(self)
        try:
            yield from loop.each(calls, self.held.stop)
        except loop.Abandoned:
            raise Stopped from None
        finally:
            _current.reset(token)

    def _place(self, message: str, progress: float) -> dict[str, Any]:
        index = self.pipeline.index(self.step)
        total = len(self.pipeline.steps)
        return {"step": self.step, "stepIndex": index, "totalSteps": total, "message": message, "progress": progress}

    def settle_calls(self) -> None:
        """Wait until every model call of this step is written down. Raises ``Unavailable`` when the database takes too
        long for that."""
        try:
            for written in self.calls:
                written.result(timeout=SETTLE_SECONDS)
        except TimeoutError as error:
            raise Unavailable("The database does not answer just now.", code="database_away") from error
        self.calls.clear()


_current: ContextVar[Work] = ContextVar("work")


def held_now() -> Held | None:
    """What is held of the job for which the calling coroutine works; none when it works for no job."""
    work = _current.get(None)
    return work.held if work else None


def note_call(record: CallRecord) -> None:
    """Write down a model call for the job at work: its row, and for operators what was said. The clients call this from
    the event loop, so it only queues."""
    work = _current.get()
    work.held.move()
    work.calls.append(
        work.deps.writers.submit(
            wall.carried(calls.record),
            work.deps.db,
            work.organization_id,
            work.job_id,
            work.lease.run,
            work.step,
            {
                "id": record.call_id,
                "purpose": record.purpose,
                "prompt_version": record.prompt_version,
                "model": record.model,
                "input_tokens": record.input_tokens,
                "output_tokens": record.output_tokens,
                "seconds": record.seconds,
                "outcome": record.outcome,
                "error_code": record.error_code,
                "cost_usd": record.cost_usd,
            },
        )
    )
    keep_transcript(work, record)


def clock() -> float:
    """Seconds for measuring how long something took."""
    return time.monotonic()
