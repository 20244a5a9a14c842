"""Channels with a feed and followers that are made up: whatever gets lost, everybody gets everything, once and in
order."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, cast
from uuid import UUID

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from structlog.testing import capture_logs

from schema.errors import Unavailable
from web.streams.feeds import Feed, Key, Page
from web.streams.hub import Channel, Hub

JOB = UUID(int=1)


class FakeFeed:
    """Numbers from 1 to ``head``; the lower ones may be purged. ``pages`` counts what was read."""

    kind = "job"

    def __init__(self, page: int = 3) -> None:
        self.key = ("job", JOB)
        self.head = 0
        self.purged = 0
        self.over = False
        self.gone = False
        self.away = 0
        self.fault: Exception | None = None
        self.pages: list[int] = []
        self._page = page

    def read(self, after: int) -> Page | None:
        self.pages.append(after)
        if self.fault is not None:
            raise self.fault
        if self.away:
            self.away -= 1
            raise Unavailable("away")
        if self.gone:
            return None
        if after < self.purged:
            return Page(self.head, [], instead=(self.head, b"snapshot"))
        numbers = range(after + 1, min(after + self._page, self.head) + 1)
        return Page(self.head, [(number, str(number).encode()) for number in numbers], self.over)


class FakeFollower:
    """Takes so many frames and then waits until somebody lets it take more."""

    def __init__(self, position: int, room: int = 1000) -> None:
        self.position = position
        self.room = room
        self.got: list[tuple[int, bytes]] = []
        self.ended: str | None = None

    @property
    def ready(self) -> bool:
        return self.room > 0 and self.ended is None

    def give(self, frames: list[tuple[int, bytes]]) -> None:
        for number, frame in frames:
            if self.room > 0:
                self.got.append((number, frame))
                self.position = number
                self.room -= 1

    def end(self, reason: str) -> None:
        assert self.ended is None
        self.ended = reason

    @property
    def numbers(self) -> list[int]:
        return [number for number, _ in self.got]


class Place:
    """A hub on a loop of its own. The look without a wake never comes by itself, unless told to."""

    def __init__(self, look_seconds: float = 3600) -> None:
        self.seen: list[list[int]] = []
        self.sifting_fault: Exception | None = None
        self.loop = asyncio.new_event_loop()
        self.hub = Hub(self._read, self._sift, look_seconds=look_seconds)

    async def _sift(self, seen: list[tuple[Feed, int]]) -> set[Key]:
        self.seen.append([head for _, head in seen])
        if self.sifting_fault is not None:
            raise self.sifting_fault
        return {feed.key for feed, head in seen if cast(FakeFeed, feed).head > head}

    async def _read(self, feed: Feed, after: int) -> Page | None:
        await asyncio.sleep(0)  # others may join, go or wake meanwhile
        return feed.read(after)

    def run(self, times: int = 30) -> None:
        """Let everything happen that can happen now."""

        async def nothing() -> None:
            for _ in range(times):
                await asyncio.sleep(0)

        self.loop.run_until_complete(nothing())

    def run_until(self, true: Callable[[], bool]) -> None:
        """Let time pass until something holds."""

        async def wait() -> None:
            async with asyncio.timeout(30):
                while not true():
                    await asyncio.sleep(0.001)

        self.loop.run_until_complete(wait())

    def join(self, feed: FakeFeed, follower: FakeFollower) -> Channel:
        async def joined() -> Channel:
            return self.hub.join(cast(Feed, feed), cast(Any, follower))

        return self.loop.run_until_complete(joined())

    def close(self) -> None:
        async def cancel() -> None:
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)

        self.loop.run_until_complete(cancel())
        self.loop.close()


class Streams(RuleBasedStateMachine):
    """Events come, wakes get lost, followers join anywhere, lag, stop taking, take again and go; old events go too."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Place()
        self.feed = FakeFeed()
        self.followers: list[tuple[FakeFollower, Channel, int]] = []

    @initialize(head=st.integers(0, 12), purged=st.integers(0, 4))
    def begin(self, head: int, purged: int) -> None:
        self.feed.head = head
        self.feed.purged = min(head, purged)

    @rule(position=st.integers(0, 12), room=st.integers(0, 6))
    def join(self, position: int, room: int) -> None:
        follower = FakeFollower(min(position, self.feed.head), room)
        self.followers.append((follower, self.place.join(self.feed, follower), follower.position))

    @rule(count=st.integers(1, 8), woken=st.booleans())
    def tell(self, count: int, woken: bool) -> None:
        self.feed.head += count
        if woken:
            self.place.hub.wake(self.feed.key)

    @precondition(lambda self: self.followers)
    @rule(data=st.data(), room=st.integers(1, 6))
    def take_more(self, data: st.DataObject, room: int) -> None:
        follower, channel, _ = data.draw(st.sampled_from(self.followers))
        follower.room += room
        channel.look()

    @precondition(lambda self: self.followers)
    @rule(data=st.data())
    def go(self, data: st.DataObject) -> None:
        gone = data.draw(st.sampled_from(self.followers))
        self.followers.remove(gone)
        self.place.hub.leave(gone[1], cast(Any, gone[0]))

    @rule(behind=st.integers(0, 3))
    def purge(self, behind: int) -> None:
        self.feed.purged = max(self.feed.purged, self.feed.head - behind)

    @rule()
    def lose_the_database(self) -> None:
        self.feed.away = 1

    @rule(times=st.integers(1, 9))
    def some_time(self, times: int) -> None:
        self.place.run(times)

    def teardown(self) -> None:
        try:
            self.feed.away = 0
            for follower, _, _ in self.followers:
                follower.room = 10_000
            self.place.hub.wake_all()
            self.place.run(600)
            for follower, _, began in self.followers:
                self.everything_once(follower, began)
        finally:
            self.place.close()

    def everything_once(self, follower: FakeFollower, began: int) -> None:
        assert follower.position == self.feed.head
        at = began
        for number, frame in follower.got:
            assert number > at or frame == b"snapshot"
            assert number == at + 1 or frame == b"snapshot", "a gap is only there where a snapshot fills it"
            at = number


TestStreams = Streams.TestCase
TestStreams.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)


@pytest.fixture
def place() -> Any:
    made = Place()
    yield made
    made.close()


def test_one_read_and_one_framing_serve_all_who_stand_at_the_same_place(place: Place) -> None:
    feed, followers = FakeFeed(), [FakeFollower(0) for _ in range(50)]
    for follower in followers:
        place.join(feed, follower)
    place.run()
    feed.pages.clear()
    feed.head = 1
    place.hub.wake(feed.key)
    place.run()
    assert feed.pages == [0]
    assert {id(follower.got[0][1]) for follower in followers} == {id(followers[0].got[0][1])}


def test_nobody_waits_for_anothers_past(place: Place) -> None:
    feed = FakeFeed(page=3)
    feed.head = 300
    now = FakeFollower(300)
    place.join(feed, now)
    place.run()
    lagging = FakeFollower(0)
    place.join(feed, lagging)
    place.run(4)
    feed.head = 301
    place.run(8)
    assert now.numbers == [301]
    assert lagging.position < 100


def test_who_has_everything_of_what_is_over_is_ended_and_others_are_not_yet(place: Place) -> None:
    feed = FakeFeed()
    feed.head, feed.over = 2, True
    slow, quick = FakeFollower(0, room=1), FakeFollower(0)
    channel = place.join(feed, slow)
    place.join(feed, quick)
    place.run()
    assert (quick.numbers, quick.ended) == ([1, 2], "finished")
    assert (slow.numbers, slow.ended) == ([1], None)
    slow.room = 5
    channel.look()
    place.run()
    assert (slow.numbers, slow.ended) == ([1, 2], "finished")


def test_who_got_a_snapshot_of_what_is_over_is_ended(place: Place) -> None:
    feed = FakeFeed()
    feed.head, feed.purged, feed.over = 5, 5, True
    follower = FakeFollower(0)
    place.join(feed, follower)
    place.run()
    assert (follower.got, follower.ended) == ([(5, b"snapshot")], "finished")


def test_who_is_ahead_of_what_there_is_does_not_keep_it_reading(place: Place) -> None:
    feed = FakeFeed()
    feed.head = 2
    place.join(feed, FakeFollower(9))
    place.run(200)
    assert feed.pages == [9]


def test_a_job_that_is_gone_ends_its_streams(place: Place) -> None:
    feed, follower = FakeFeed(), FakeFollower(0)
    feed.gone = True
    place.join(feed, follower)
    place.run()
    assert follower.ended == "finished"


def test_a_frame_without_a_number_is_for_those_who_have_everything_else(place: Place) -> None:
    feed = FakeFeed()
    feed.head = 4
    here, behind = FakeFollower(4), FakeFollower(0, room=1)
    place.join(feed, here)
    place.join(feed, behind)
    place.run()
    place.hub.show(JOB, b"delta")
    place.hub.show(UUID(int=2), b"nobody's")
    assert here.got == [(4, b"delta")]
    assert behind.numbers == [1]


def test_the_last_to_go_ends_the_channel(place: Place) -> None:
    feed, follower = FakeFeed(), FakeFollower(0)
    channel = place.join(feed, follower)
    place.run()
    place.hub.leave(channel, cast(Any, follower))
    place.run()
    assert not place.hub._channels
    feed.head = 1
    again = FakeFollower(0)
    place.join(feed, again)
    place.run()
    assert again.numbers == [1]


def test_a_fault_ends_the_streams_and_is_told(place: Place) -> None:
    feed, follower = FakeFeed(), FakeFollower(0)
    feed.fault = KeyError("x")
    with capture_logs() as lines:
        place.join(feed, follower)
        place.run()
    assert follower.ended == "failed"
    assert [(line["event"], type(line["exc_info"])) for line in lines] == [("stream_crashed", KeyError)]


def test_without_a_wake_all_channels_are_looked_at_in_one_go_and_only_news_is_read() -> None:
    place = Place(look_seconds=0.02)
    try:
        feeds = [FakeFeed(number) for number in range(1, 4)]
        followers = [FakeFollower(0) for _ in feeds]
        for number, (feed, follower) in enumerate(zip(feeds, followers, strict=True), start=1):
            feed.key = ("job", UUID(int=number))
            place.join(feed, follower)
        place.run()
        reads = [len(feed.pages) for feed in feeds]
        place.sifting_fault = Unavailable("away")
        place.run_until(lambda: len(place.seen) > 2)
        feeds[1].head = 1
        place.sifting_fault = None
        place.run_until(lambda: followers[1].numbers == [1])
        assert all(len(heads) == 3 for heads in place.seen)
        assert [len(feed.pages) for feed in feeds] == [reads[0], reads[1] + 1, reads[2]]
    finally:
        place.close()


def test_a_fault_in_looking_is_told_and_looking_goes_on() -> None:
    place = Place(look_seconds=0.02)
    try:
        feed, follower = FakeFeed(), FakeFollower(0)
        place.join(feed, follower)
        place.sifting_fault = KeyError("x")
        with capture_logs() as lines:
            place.run_until(lambda: len(place.seen) > 2)
        assert {(line["event"], type(line["exc_info"])) for line in lines} == {("stream_crashed", KeyError)}
        feed.head = 1
        place.sifting_fault = None
        place.run_until(lambda: follower.numbers == [1])
        assert len([task for task in asyncio.all_tasks(place.loop) if "_look_now" in repr(task)]) == 1
    finally:
        place.close()
