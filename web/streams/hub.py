"""Who waits for what. A channel reads one feed for all of this process who follow it: one read and one framing a wake,
however many they are. Lives on one asyncio loop; nothing here may be called from elsewhere.

Each follower has its own position, the number of the last event it was given. A channel reads after the lowest position
of those who can take something, gives each what lies beyond its own, and goes on until nobody lacks anything. Then it
waits for a wake; wakes may be lost, so after a while it looks without one.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, Literal, Protocol
from uuid import UUID

import structlog

from schema.errors import Unavailable
from web.streams.feeds import Feed, Key, Page

#: The look begins a little early, so that it is done in time.
_BEFORE_TIME = 0.9
#: Until the next try when the database is away.
_AWAY_SECONDS = 1.0

Reason = Literal["finished", "gone", "slow", "stopping", "failed", "revoked"]
#: Reads a feed on a thread. Raises ``Unavailable``.
Read = Callable[[Feed, int], Awaitable[Page | None]]
#: Finds on a thread which feeds may have more than was seen of them. Raises ``Unavailable``.
Sift = Callable[[list[tuple[Feed, int]]], Awaitable[set[Key]]]

log = structlog.get_logger(__name__)


class Follower(Protocol):
    """One connection, as a channel sees it. ``ready`` is false while it can't take any more."""

    position: int

    @property
    def ready(self) -> bool: ...

    def give(self, frames: list[tuple[int, bytes]]) -> None:
        """Take frames for as long as it is ready, and raise the position to the last one taken."""

    def end(self, reason: Reason) -> None:
        """Send what is still to be sent, and close."""


class Channel:
    """The followers of one feed, and what was last seen of it."""

    def __init__(self, feed: Feed, read: Read) -> None:
        self.feed = feed
        self.followers: set[Follower] = set()
        #: The newest number that was seen of the feed.
        self.head = -1
        self._read = read
        self._wanted = asyncio.Event()

    def look(self) -> None:
        """Something may be new, or somebody can take more."""
        self._wanted.set()

    def show(self, frame: bytes) -> None:
        """A frame without a number, for those who have everything before it."""
        for follower in self.followers:
            if follower.ready and follower.position == self.head:
                follower.give([(follower.position, frame)])

    async def follow(self) -> None:
        """Serve the followers until none is left. Raises what reading raises, but for ``Unavailable``, which is waited
        out."""
        while True:
            self._wanted.clear()
            pause: float | None = None
            try:
                while await self._round():
                    pass
            except Unavailable:
                pause = _AWAY_SECONDS * random.uniform(0.5, 1.5)
                self._wanted.clear()
            if not self.followers:
                return
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._wanted.wait()

    async def _round(self) -> bool:
        """Give everybody who is ready one page, those who lag far behind as well as those who don't, so that nobody
        waits for another's past. Returns whether somebody may lack something still."""
        waiting = [follower for follower in self.followers if follower.ready]
        lacking = False
        while waiting:
            after = min(follower.position for follower in waiting)
            page = await self._read(self.feed, after)
            if page is None:
                self._end(list(self.followers))
                return False
            self.head = page.head
            ready = [follower for follower in waiting if follower in self.followers and follower.ready]
            waiting = [follower for follower in ready if not _served(follower, page, after)]
            # One who was given something instead of events stands at the head now, which may be the end.
            lacking |= page.instead is not None
            lacking |= any(follower.ready and follower.position < page.head for follower in ready)
            if page.over:
                self._end([follower for follower in self.followers if follower.position >= page.head])
        return lacking

    def _end(self, followers: list[Follower]) -> None:
        for follower in followers:
            self.followers.discard(follower)
            follower.end("finished")


def _served(follower: Follower, page: Page, after: int) -> bool:
    """Give a follower its part of a page that was read after a number. False when the page doesn't tell what comes
    after its position."""
    if page.instead is not None:
        if follower.position == after:
            follower.give([page.instead])
            return True
        return follower.position == page.head
    reaches = page.frames[-1][0] if page.frames else page.head
    if follower.position > reaches and follower.position != after:
        return False
    follower.give([frame for frame in page.frames if frame[0] > follower.position])
    return True


class Hub:
    """All channels of this process. Rows are looked at at least every ``look_seconds``, whether somebody was woken or
    not: in one go, and only channels that may have something new read it."""

    def __init__(self, read: Read, sift: Sift, look_seconds: float) -> None:
        self._read = read
        self._sift = sift
        self._look_seconds = look_seconds
        self._looking = False
        self._channels: dict[Key, Channel] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def join(self, feed: Feed, follower: Follower) -> Channel:
        """Let somebody follow a feed from their position on. They are registered before anything is read for them, so
        what is told in between reaches them."""
        channel = self._channels.get(feed.key)
        if channel is None:
            channel = self._channels[feed.key] = Channel(feed, self._read)
            self._begin(self._followed(channel))
            self._keep_looking()
        channel.followers.add(follower)
        channel.look()
        return channel

    def leave(self, channel: Channel, follower: Follower) -> None:
        """A follower is gone, or goes. The last one ends the channel."""
        channel.followers.discard(follower)
        if not channel.followers:
            channel.look()

    def wake(self, key: Key) -> None:
        """There is something new of this."""
        channel = self._channels.get(key)
        if channel is not None:
            channel.look()

    def wake_all(self) -> None:
        """There may be something new of anything: wakes were lost."""
        for channel in self._channels.values():
            channel.look()

    def show(self, job_id: UUID, frame: bytes) -> None:
        """Show a frame without a number to those who follow a job just now."""
        channel = self._channels.get(("job", job_id))
        if channel is not None:
            channel.show(frame)

    def _begin(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _keep_looking(self) -> None:
        """Look now and then for as long as there is a channel, also after a fault in looking."""
        if self._channels and not self._looking:
            self._looking = True
            self._begin(self._look_now_and_then()).add_done_callback(self._looked)

    def _looked(self, task: asyncio.Task[None]) -> None:
        self._looking = False
        if not task.cancelled():
            self._keep_looking()

    async def _look_now_and_then(self) -> None:
        while self._channels:
            await asyncio.sleep(self._look_seconds * _BEFORE_TIME)
            with suppress(Unavailable):  # those who have something to read try again by themselves
                for key in await self._sift([(channel.feed, channel.head) for channel in self._channels.values()]):
                    self.wake(key)

    async def _followed(self, channel: Channel) -> None:
        try:
            await channel.follow()
        finally:
            # Nobody is left, unless following failed: they come back, and meet the fault where it is told in words.
            for follower in list(channel.followers):
                follower.end("failed")
            channel.followers.clear()
            del self._channels[channel.feed.key]

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("stream_crashed", exc_info=error)
