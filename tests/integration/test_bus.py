"""Redis as a nudge: wakes arrive, gather, and are lost without harm when it is away."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from redis.client import PubSub

from schema.clock import new_id
from schema.errors import Unavailable
from storage import catalog, documents
from storage.bus import CATALOG_CHANNEL, DELTA_CHANNEL, JOB_CHANNEL, Bus
from storage.catalog import Listing
from storage.documents import Author
from storage.processes import free_port
from tasks.commands import Asker, cancel_job
from tasks.deps import Deps
from tasks.listing import list_course
from tasks.step import deliver
from tests import factories
from tests.integration.stage import at_once, put_job, rows


@pytest.fixture
def ear(deps: Deps) -> Iterator[PubSub]:
    """A confirmed subscription."""
    listening = deps.bus.client.pubsub(ignore_subscribe_messages=False)
    listening.subscribe(JOB_CHANNEL)
    assert listening.get_message(timeout=5)["type"] == "subscribe"
    yield listening
    listening.close()


def heard(ear: PubSub, wanted: set[UUID]) -> set[UUID]:
    """What is heard until everything wanted was, or five seconds are over."""
    until = time.monotonic() + 5
    found: set[UUID] = set()
    while not wanted <= found and time.monotonic() < until:
        message = ear.get_message(timeout=0.2)
        if message is not None:
            found.add(UUID(message["data"].decode()))
    return found


@pytest.fixture
def nowhere() -> Iterator[Bus]:
    """A bus whose Redis doesn't exist."""
    made = Bus(f"redis://127.0.0.1:{free_port()}/0")
    yield made
    made.close()


def test_a_wake_is_heard(deps: Deps, ear: PubSub) -> None:
    job_id = new_id()
    deps.bus.wake(job_id)
    assert heard(ear, {job_id}) == {job_id}


def test_many_wakes_from_many_threads_are_all_heard(deps: Deps, ear: PubSub) -> None:
    wanted = {new_id() for _ in range(60)}
    waiting = list(wanted)
    at_once(6, lambda: [deps.bus.wake(job_id) for job_id in waiting])
    assert heard(ear, wanted) == wanted


def test_a_job_wakes_its_followers_after_what_they_can_read(deps: Deps, asker: Asker, ear: PubSub) -> None:
    job_id = put_job(deps, asker.organization_id)
    deliver(deps, job_id, 1, "skeleton", 0)
    assert heard(ear, {job_id}) == {job_id}
    assert len(rows(deps, "SELECT * FROM job_events")) == 3
    cancel_job(deps, asker, job_id, "")
    assert heard(ear, {job_id}) == {job_id}


class Stop(Exception):
    pass


@pytest.mark.parametrize("visibility", ["org", "public"])
def test_a_catalog_wakes_its_followers_after_the_commit_and_never_without(
    deps: Deps, asker: Asker, ear: PubSub, visibility: str
) -> None:
    ear.subscribe(CATALOG_CHANNEL)
    assert ear.get_message(timeout=5)["type"] == "subscribe"
    org = asker.organization_id

    def listed(course_id: str, *, fails: bool) -> None:
        with deps.db.transaction() as tx:
            documents.lock(tx, org, "course", course_id)
            content: Any = factories.course(id=course_id, visibility=visibility)
            documents.save(tx, org, "course", course_id, content, Author("app", None), "edited")
            list_course(deps.bus, tx, Listing(org, "a-school", 1, content))
            if fails:
                raise Stop

    with pytest.raises(Stop):
        listed("lost", fails=True)
    deps.bus.wake(last := new_id())
    assert heard(ear, {last}) == {last}
    listed("kept", fails=False)
    wanted = {org, catalog.PUBLIC} if visibility == "public" else {org}
    assert heard(ear, wanted) == wanted


def test_only_one_place_lists_courses_so_that_none_is_listed_in_silence() -> None:
    root = Path(__file__).parents[2]
    calls = {path.name for path in (root / "tasks").rglob("*.py") if "catalog.list_course(" in path.read_text("utf-8")}
    assert calls == {"listing.py"}


def test_deltas_come_in_order_and_beside_wakes(deps: Deps, ear: PubSub) -> None:
    ear.subscribe(DELTA_CHANNEL)
    assert ear.get_message(timeout=5)["type"] == "subscribe"
    job_id = new_id()
    for number in range(20):
        deps.bus.delta(job_id, {"type": "content_delta", "text": f"ä {number}"})
    came: list[str] = []
    until = time.monotonic() + 5
    while len(came) < 20 and time.monotonic() < until:
        message = ear.get_message(timeout=0.2)
        if message is not None:
            came.append(message["data"].decode())
    assert came == [f'{job_id} {{"type": "content_delta", "text": "ä {number}"}}' for number in range(20)]


def test_deltas_that_nobody_takes_are_dropped(nowhere: Bus) -> None:
    began = time.monotonic()
    for number in range(5000):
        nowhere.delta(new_id(), {"text": str(number)})
    assert time.monotonic() - began < 2
    assert len(nowhere._deltas) <= 1000


def test_a_wake_returns_at_once_and_never_raises_when_redis_is_away(nowhere: Bus) -> None:
    began = time.monotonic()
    for _ in range(100):
        nowhere.wake(new_id())
    assert time.monotonic() - began < 0.5
    assert not nowhere.alive()


def test_closing_sends_what_waits_and_ends_the_thread(deps: Deps, ear: PubSub) -> None:
    bus = Bus(deps.settings.redis_url)
    wanted = {new_id() for _ in range(20)}
    for job_id in wanted:
        bus.wake(job_id)
    bus.close()
    assert heard(ear, wanted) == wanted
    assert bus._thread is not None
    assert not bus._thread.is_alive()
    assert bus._thread not in threading.enumerate()


def test_a_value_can_be_taken_once(deps: Deps) -> None:
    deps.bus.keep_once("login", "for-somebody", 60)
    answers = at_once(8, lambda: deps.bus.take_once("login"))
    assert sorted(str(answer) for answer in answers) == ["None"] * 7 + ["for-somebody"]
    assert not deps.bus.client.exists("coursewright:once:login")


def test_a_value_is_forgotten_in_time(deps: Deps) -> None:
    deps.bus.keep_once("login", "for-somebody", 60)
    assert 0 < deps.bus.client.ttl("coursewright:once:login") <= 60


@pytest.mark.parametrize("deed", ["keep", "take"])
def test_redis_away_is_said_in_our_own_words(nowhere: Bus, deed: str) -> None:
    with pytest.raises(Unavailable) as caught:
        if deed == "keep":
            nowhere.keep_once("login", "value", 60)
        else:
            nowhere.take_once("login")
    assert caught.value.code == "redis_away"
