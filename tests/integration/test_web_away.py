"""The web is killed for five seconds under two hundred watchers, while jobs go on, fail, are taken up again and end;
and once more in the midst of the return, while it replays what they missed. All come back by themselves, and in the end
each was told every event of its job once and in order, and that there is nothing more."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from schema.events import Event
from storage import events
from tasks.deps import Deps
from tests.follower import Follower
from tests.integration.stage import change, job
from tests.integration.web_process import AGENT, ORG, STEP, Web

WATCHERS = 200
#: So many of them follow a job with a long past and stop reading after a few events, with so much room on their side,
#: in bytes: whenever the web is killed, it is replaying to them. All buffers on the way hold a fifth of that past.
HALTING, A_FEW, ROOM = 10, 3, 32_768
LONG_PAST = [Event("step_progress", STEP | {"message": "x" * 20_000})] * 120
DEAD_SECONDS = 5.0


@dataclass
class Watcher:
    """Follows a job as an ``EventSource`` does: it comes back with the last id, after as long as the server said, until
    the server says that there is nothing more. With a ``gate``, it reads a few events of each stream, and the rest when
    that is open."""

    job_id: UUID
    follower: Follower
    gate: asyncio.Event | None = None
    told: list[dict[str, Any]] = field(default_factory=list)
    #: How many streams it had, and how many events of this one.
    streams: int = 0
    _heard: int = 0
    _wait: float = 0.0

    async def watch(self) -> None:
        while self.follower.status != 204:
            try:
                async for block in self.follower.blocks():
                    self._fold(block)
                    if self.gate is not None and self._heard >= A_FEW:
                        await self.gate.wait()
            except OSError:
                pass  # nobody is there
            else:
                assert self.follower.status in (200, 204), self.follower.status
                if self.is_over:
                    continue  # it needs no pause to hear that this was all
            await asyncio.sleep(self._wait)
        assert self.is_over, f"sent away after {self.told[-1]}"

    def _fold(self, block: dict[str, str]) -> None:
        if "retry" in block:
            self.streams += 1
            self._heard, self._wait = 0, int(block["retry"]) / 1000
        if "data" not in block:
            return
        event, number = json.loads(block["data"]), str(len(self.told) + 1)
        assert block.get("id") == str(event.get("seq")) == number, f"{str(block)[:300]} instead of number {number}"
        assert not self.is_over, f"{event} after the end"
        self.told.append(event)
        self._heard += 1

    @property
    def is_over(self) -> bool:
        """Whether it was told the last of its job."""
        last = self.told[-1] if self.told else {"type": None}
        return last["type"] == "media_settled" or last.get("mediaPending") == 0


@dataclass
class Jobs:
    """``long`` has a long past and ends while the web is dead, and so does ``ending``, with a single event; ``failing``
    fails then and is taken up again; of ``pictured`` the pictures are missing for a while. On the ``busy`` ones work
    goes on all the time."""

    web: Web
    long: UUID
    ending: UUID
    failing: UUID
    pictured: UUID
    busy: list[UUID]

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """The busy ones tell of progress as long as the block lasts; then they end."""
        over, luck = threading.Event(), random.Random(7)

        def work() -> None:
            while not over.wait(0.02):
                progress = Event("step_progress", STEP | {"progress": luck.randint(0, 99)})
                self.web.tell(luck.choice(self.busy), *[progress] * luck.randint(1, 3))

        working = threading.Thread(target=work)
        working.start()
        try:
            yield
        finally:
            over.set()
            working.join(60)
        for job_id in self.busy:
            self.web.end(job_id)

    def go_on_unseen(self) -> None:
        """What becomes of the others while the web is dead."""
        for job_id in (self.failing, self.pictured):
            self.web.tell(job_id, *[Event("step_progress", STEP)] * 40)
        error = {"code": "x", "message": "y"}
        failed = {"error": error, "failedStep": "fill", "canResume": True, "deadLetter": False}
        self.web.tell(self.failing, Event("job_failed", failed), Event("step_started", STEP))
        self.web.end(self.long)
        self.web.end(self.ending)
        self.web.end(self.pictured, pending=1)

    def settle(self) -> None:
        """What was left of the others ends."""
        change(self.web.deps, "UPDATE jobs SET media_pending = 0 WHERE id = :job", job=self.pictured)
        self.web.tell(self.pictured, Event("media_settled", {"completed": 1, "failed": 0}))
        self.web.end(self.failing)


async def until(look: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + 60
    while not look():
        assert time.monotonic() < limit, f"{what} did not come true"
        await asyncio.sleep(0.005)


@dataclass
class Story:
    """What happens to the watchers, beside what the busy jobs tell. ``gate`` is that of those who halt."""

    web: Web
    jobs: Jobs
    watchers: list[Watcher]
    gate: asyncio.Event

    async def happen(self) -> None:
        quick = [one for one in self.watchers if one.gate is None]
        halting = [one for one in self.watchers if one.gate is not None]
        await until(lambda: all(len(one.told) > 3 * (one.job_id in self.jobs.busy) for one in quick), "following")
        await until(lambda: all(len(one.told) == A_FEW for one in halting), "a replay to those who halt")
        self.web.kill()
        back_at = time.monotonic() + DEAD_SECONDS
        self.gate.set()
        await asyncio.to_thread(self.jobs.go_on_unseen)
        await asyncio.sleep(back_at - time.monotonic())

        self.gate.clear()
        before = {id(one): len(one.told) for one in self.watchers}
        await asyncio.to_thread(self.web.start)
        await until(lambda: sum(len(one.told) > before[id(one)] for one in quick) >= 20, "a return")
        await until(lambda: any(len(one.told) > before[id(one)] for one in halting), "a replay that is going on")
        for process in self.web.workers:
            process.kill()
        assert all(len(one.told) < len(LONG_PAST) for one in halting), "more was to be replayed to each"
        self.gate.set()

        last = {job_id: job(self.web.deps, job_id).last_seq for job_id in self.jobs.busy}
        await until(lambda: all(len(one.told) > last.get(one.job_id, 0) for one in quick), "everybody's return")
        self.jobs.settle()


def test_who_watches_while_the_web_is_killed_comes_back_and_misses_nothing(web: Web, deps: Deps) -> None:
    long, *others = [web.new_job() for _ in range(8)]
    ending, failing, pictured, *busy = others
    jobs, gate = Jobs(web, long, ending, failing, pictured, busy), asyncio.Event()
    web.tell(long, *LONG_PAST)
    url = f"{web.url}/api/jobs/%s/stream"
    watchers = [Watcher(long, Follower(url % long, AGENT, room=ROOM), gate) for _ in range(HALTING)]
    for at in range(WATCHERS - HALTING):
        job_id = others[at % len(others)]
        watchers.append(Watcher(job_id, Follower(url % job_id, AGENT)))

    async def everybody() -> None:
        async with asyncio.TaskGroup() as group:
            watching = [group.create_task(one.watch()) for one in watchers]
            with jobs.at_work():
                await Story(web, jobs, watchers, gate).happen()
            await until(lambda: all(task.done() for task in watching), "everybody's end")

    asyncio.run(everybody())
    assert all(one.streams >= 2 for one in watchers)
    kept = {job_id: events.after(deps.db, ORG, job_id, 0, limit=100_000) for job_id in (long, *others)}
    assert all(one.told == kept[one.job_id] for one in watchers)
