"""Whatever is killed and whoever comes and goes, in the end every client has what the database has.

Jobs and catalogs change at random, some wakes are lost, so are subscriptions, events are purged, web processes are
killed, and fifty clients connect, drop and come back, now and then with an older id than they need. Each folds what it
is told, which must follow without a gap on the id it came with; in the end it is compared with the rows."""

from __future__ import annotations

import asyncio
import json
import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any
from uuid import UUID

import psutil
import urllib3

from schema.events import Event
from storage import catalog, events, jobs
from tasks.deps import Deps
from tests.conftest import eventually
from tests.follower import Follower
from tests.integration.stage import change, job
from tests.integration.web_process import AGENT, ORG, STEP, Web

CLIENTS = 50
JOBS = 12
#: So many of them lose old events.
FORGETFUL = 4
COURSES = 6


class JobView:
    """What a client knows of a job: all it was told, by number; or the job as it was at ``base``, and what came
    after."""

    def __init__(self, web: Web, job_id: UUID) -> None:
        self.job_id = job_id
        self.told: dict[int, dict[str, Any]] = {}
        self.snapshot: dict[str, Any] | None = None
        self.base = 0
        self.follower = Follower(f"{web.url}/api/jobs/{job_id}/stream", AGENT, 0)

    def fold(self, block: dict[str, str]) -> None:
        if "data" not in block:
            self.base = int(block.get("id", self.base))  # of the snapshot before it
            return
        event = json.loads(block["data"])
        if event["type"] == "job_snapshot":
            self.snapshot, self.told = event["job"], {}
            return
        number = int(block["id"])
        assert event["seq"] == number == (self.follower.last_id or 0) + 1, "once, in order and without a gap"
        assert self.told.get(number, event) == event, "one number, one event"
        self.told[number] = event

    def step_back(self, luck: random.Random) -> None:
        """Come back with an older id: what comes after it is told again, or the job itself."""
        self.follower.last_id = luck.randint(0, self.follower.last_id or 0)
        self.base = min(self.base, self.follower.last_id)

    def is_true(self, deps: Deps) -> bool:
        row = job(deps, self.job_id)
        if sorted(self.told) != list(range(self.base + 1, row.last_seq + 1)):
            return False
        if not self.told:
            shown = jobs.read(deps.db, ORG, self.job_id)
            return self.snapshot is not None and shown is not None and self.snapshot["status"] == shown["status"]
        kept = events.after(deps.db, ORG, self.job_id, self.base)
        return all(self.told[event["seq"]] == event for event in kept)


class CatalogView:
    """A catalog in memory: read whole once, then only changed."""

    def __init__(self, web: Web, place: str, headers: dict[str, str]) -> None:
        self.web = web
        self.place = place
        self.headers = headers
        self.entries: dict[str, Any] = {}
        self.versions: set[int] = set()
        self.follower = Follower(f"{web.url}{place}/stream", headers)
        self.read_whole(urllib3.request("GET", web.url + place, headers=headers).json())

    def read_whole(self, whole: dict[str, Any]) -> None:
        self.entries = {entry["id"]: entry for entry in whole["courses"]}
        self.follower.last_id = whole["version"]

    def fold(self, block: dict[str, str]) -> None:
        if "data" not in block:
            return
        event = json.loads(block["data"])
        assert event["type"] == "catalog_updated", event
        following = (self.follower.last_id or 0) + 1
        assert int(block["id"]) == event["catalogVersion"] == following, "once, in order and without a gap"
        if event["action"] == "deleted":
            self.entries.pop(event["courseId"], None)
        else:
            self.entries[event["courseId"]] = event["entry"]

    def step_back(self, luck: random.Random) -> None:
        """Changes told again, from an older version on, lead to the same."""
        self.follower.last_id = max(0, (self.follower.last_id or 0) - luck.randint(0, 3))

    def is_true(self, deps: Deps) -> bool:
        whole = catalog.whole(deps.db, catalog.PUBLIC if "public" in self.place else ORG)
        entries = {entry["id"]: entry for entry in whole["courses"]}
        return (self.follower.last_id, self.entries) == (whole["version"], entries)


View = JobView | CatalogView


async def live(view: View, luck: random.Random, until: Callable[[], bool]) -> None:
    """Connect, follow for a while, drop, come back; at last stay until everything is known."""
    while not until():
        pause = luck.uniform(0, 0.1)
        try:
            async with asyncio.timeout(luck.uniform(0.05, 1.2)):
                async for block in view.follower.blocks():
                    view.fold(block)
        except TimeoutError:
            pass
        except OSError:
            pause += 0.3  # nobody is there; fifty who try on and on would keep the web from starting
        if luck.random() < 0.3:
            view.step_back(luck)
        await asyncio.sleep(pause)


async def settle(view: View, deps: Deps, limit: float) -> None:
    """Follow without dropping until all is known."""

    async def follow() -> None:
        while True:
            with suppress(OSError):
                async for block in view.follower.blocks():
                    view.fold(block)
            await asyncio.sleep(0.1)

    following = asyncio.create_task(follow())
    try:
        until = time.monotonic() + limit
        while not await asyncio.to_thread(view.is_true, deps):
            assert not following.done() or following.result()
            assert time.monotonic() < until, f"{vars(view)} against {view.is_true(deps)}"
            await asyncio.sleep(0.3)
    finally:
        following.cancel()
        with suppress(asyncio.CancelledError):
            await following


def write(web: Web, job_ids: list[UUID], luck: random.Random, over: threading.Event) -> None:
    """Jobs go on, end and are taken up again; courses change and become public or not; old events are purged."""
    while not over.is_set():
        at = luck.random()
        job_id = luck.choice(job_ids)
        if at < 0.55:
            told = [Event("step_progress", STEP | {"progress": luck.randint(0, 99)})] * luck.randint(1, 4)
            web.tell(job_id, *told, wake=luck.random() < 0.8)
        elif at < 0.62:
            web.end(job_id, luck.choice(["done", "failed"]), pending=luck.randint(0, 1))
        elif at < 0.7:
            set_free = "UPDATE jobs SET status = 'processing', media_pending = 0 WHERE id = :job"
            change(web.deps, set_free, job=job_id)
            web.tell(job_id, Event("step_started", STEP))
        elif at < 0.75:
            lost = """DELETE FROM job_events e USING jobs j WHERE e.job_id = j.id AND j.id = :job
                AND e.seq <= j.last_seq - :kept"""
            change(web.deps, lost, job=luck.choice(job_ids[:FORGETFUL]), kept=luck.randint(0, 9))
        elif at < 0.77:
            web.deps.bus.client.execute_command("CLIENT", "KILL", "TYPE", "pubsub")
        else:
            name = f"course-{luck.randrange(COURSES)}"
            web.list_course(name, title=f"Title {luck.random()}", visibility=luck.choice(["org", "public", "private"]))
        over.wait(luck.uniform(0, 0.03))


def kill(web: Web, luck: random.Random, over: threading.Event) -> None:
    """Kill a web process now and then, and once all of them for a while; then it is over."""
    try:
        for wait in (0.6, 0.5, None, 0.5, 0.5):
            if wait is None:
                web.child.kill()
                web.child.wait(10)
                eventually(lambda: _started(web))
            else:
                time.sleep(wait)
                with suppress(psutil.NoSuchProcess, IndexError):
                    luck.choice(web.workers).kill()
        time.sleep(0.5)
    finally:
        over.set()


def test_in_the_end_every_client_has_what_the_database_has(web: Web, deps: Deps) -> None:
    luck = random.Random(11)
    job_ids = [web.new_job() for _ in range(JOBS)]
    views: list[View] = [JobView(web, luck.choice(job_ids)) for _ in range(CLIENTS - 14)]
    views += [CatalogView(web, "/api/catalog", AGENT) for _ in range(7)]
    views += [CatalogView(web, "/api/public/catalog", {}) for _ in range(7)]
    over = threading.Event()
    threads = [
        *(threading.Thread(target=write, args=(web, job_ids, random.Random(seed), over)) for seed in (1, 2)),
        threading.Thread(target=kill, args=(web, random.Random(3), over)),
    ]

    async def everybody() -> None:
        await asyncio.gather(*(live(view, random.Random(at), over.is_set) for at, view in enumerate(views)))
        await asyncio.to_thread(lambda: [thread.join(60) for thread in threads])
        await asyncio.gather(*(settle(view, deps, 90) for view in views))

    for thread in threads:
        thread.start()
    try:
        asyncio.run(everybody())
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert all(view.is_true(deps) for view in views)
    of_jobs = [view for view in views if isinstance(view, JobView)]
    assert any(view.snapshot is not None for view in of_jobs), "some were purged"
    assert len([view for view in of_jobs if view.base == 0 and len(view.told) > 10]) > 10, "most were told everything"
    counts_only_what_is_open(web, job_ids)
    stops_at_once(web, job_ids)


def counts_only_what_is_open(web: Web, job_ids: list[UUID]) -> None:
    """What a killed process had open is not shown as open any more."""
    change(web.deps, "UPDATE jobs SET status = 'processing'")
    listeners = [web.follow(job_id) for job_id in job_ids]
    killed = web.workers[0]
    killed.kill()
    eventually(lambda: len([one for one in web.workers if one != killed]) == 2)

    def still_open() -> int:
        for listener in listeners:
            listener.read(0.01)
        return len([listener for listener in listeners if not listener.ended])

    name = 'coursewright_http_streams_open{kind="job"}'
    eventually(lambda: web.metric(name) == still_open(), what="the count of open streams")
    for listener in listeners:
        listener.close()
    eventually(lambda: web.metric(name) == 0, what="no open stream")


def stops_at_once(web: Web, job_ids: list[UUID]) -> None:
    """Told to stop, it sends everybody away with a word on when to come back. That it goes is seen at the end."""
    listeners = [web.follow(job_id) for job_id in job_ids for _ in range(4)]
    for listener in listeners:
        listener.until(lambda it: it.blocks)
    web.child.terminate()
    began = time.monotonic()
    waits = [int(listener.until_end().blocks[-1]["retry"]) for listener in listeners]
    assert min(waits) >= 1000 and max(waits) <= 4000 and len(set(waits)) > 10
    assert time.monotonic() - began < 20, "and not only when gunicorn has lost patience with each"
    for listener in listeners:
        listener.close()


def _started(web: Web) -> bool:
    """False while what is left of the killed one still has the port."""
    with suppress(AssertionError):
        web.start()
        return True
    return False
