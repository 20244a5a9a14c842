"""One open stream: a socket that was taken over from gunicorn, on the loop."""

from __future__ import annotations

import asyncio
import random
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from schema.clock import utc_now
from storage.people.grounds import Grounds
from web import sse, traffic
from web.streams.feeds import Feed, Key
from web.streams.hub import Channel, Hub, Reason

if TYPE_CHECKING:
    from web.streams.room import Guest

RETRY_MILLISECONDS = 2000
#: What may wait for a slow client in this process, in bytes: above the first number it is fed no more until it is below
#: the second. And what the kernel may keep beside it, which would grow to megabytes by itself.
_HIGH, _LOW, _KERNEL = 65_536, 16_384, 131_072
#: Frames are written together up to so many bytes, then it is seen whether more can be taken.
_TOGETHER = 32_768
#: A client whose machine is gone without a word does not confirm what is sent to it; after so long it counts as gone.
_UNCONFIRMED_MILLISECONDS = 60_000
#: When a process stops, its clients are to come back after so many milliseconds, not all in the same moment.
_BACK_AFTER = (1000, 4000)


@dataclass(frozen=True)
class Start:
    """What a stream begins with: what it follows, after which number, and whether its client has been here before.
    ``told``: the client doesn't know that number, so it is told first; or it would come back without one, and miss what
    happened in between. ``guest``: whose it is, and ``grounds`` what their access rests on; none for what
    is public. ``private``: private courses were shown to them when it began."""

    feed: Feed
    position: int
    resumed: bool
    told: bool = False
    guest: Guest | None = None
    grounds: Grounds | None = None
    private: bool = False


@dataclass(frozen=True)
class Held:
    """What somebody follows, and as whom: see ``Start``."""

    grounds: Grounds
    key: Key
    private: bool


@dataclass(frozen=True)
class Pace:
    """How often, in seconds, rows are looked at without a wake, a heartbeat is sent, and it is asked whether those who
    follow still may; and for how long a client may take nothing before it is dropped. It comes back with its id then,
    and gets what it missed."""

    look: float = 15.0
    heartbeat: float = 15.0
    slow: float = 30.0
    grounds: float = 20.0


class Connection(asyncio.Protocol):
    """A follower that writes into its socket; ``head`` is that of the answer. ``closed`` is called when it has ended,
    however that came."""

    def __init__(self, hub: Hub, start: Start, head: bytes, pace: Pace, closed: Callable[[Connection], None]) -> None:
        self.position = start.position
        self.guest = start.guest
        self.held = Held(start.grounds, start.feed.key, start.private) if start.grounds is not None else None
        self._hub = hub
        self._feed = start.feed
        self._first = head + sse.retry(RETRY_MILLISECONDS) + (sse.seen(start.position) if start.told else b"")
        self._pace = pace
        self._closed = closed
        self._began_at, self._began = utc_now().timestamp(), time.monotonic()
        traffic.stream_began(start.feed.kind, self._began_at, resumed=start.resumed)
        self._paused = False
        self._reason: Reason | None = None
        self._is_made = False
        self._channel: Channel | None = None
        self._beat: asyncio.TimerHandle | None = None
        self._giving_up: asyncio.TimerHandle | None = None

    @property
    def ready(self) -> bool:
        return not self._paused and self._reason is None

    def give(self, frames: list[tuple[int, bytes]]) -> None:
        together: list[bytes] = []
        size = 0
        for number, frame in frames:
            if not self.ready:
                return
            together.append(frame)
            size += len(frame)
            if size >= _TOGETHER or number == frames[-1][0]:
                # Written is as good as received: what is lost with the connection is asked for again by its number.
                self._transport.write(b"".join(together))
                self.position = number
                together, size = [], 0

    def end(self, reason: Reason) -> None:
        if self._reason is not None:
            return
        self._reason = reason
        if self._is_made:
            self._say_goodbye()

    def _say_goodbye(self) -> None:
        if self._reason == "stopping":
            self._transport.write(sse.retry(random.randint(*_BACK_AFTER)))
        self._transport.close()  # what waits is sent first, if it is taken
        self._await_reading()

    # --- what asyncio calls -----------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._loop = asyncio.get_running_loop()
        self._is_made = True
        _tune(transport.get_extra_info("socket"))
        self._transport.set_write_buffer_limits(high=_HIGH, low=_LOW)
        self._transport.write(self._first)
        if self._reason is not None:  # told to end before there was anything to end
            self._say_goodbye()
            return
        self._beat = self._loop.call_later(self._pace.heartbeat, self._heartbeat)
        self._channel = self._hub.join(self._feed, self)

    def pause_writing(self) -> None:
        self._paused = True
        self._await_reading()

    def resume_writing(self) -> None:
        self._paused = False
        if self._reason is None:
            _cancel(self._giving_up)
            self._giving_up = None
            if self._channel is not None:
                self._channel.look()

    def data_received(self, data: bytes) -> None:
        """A client has nothing to say. Its bytes are taken all the same, or its end would not be noticed."""

    def eof_received(self) -> bool:
        return False  # close

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._beat, self._giving_up):
            _cancel(timer)
        if self._channel is not None:
            self._hub.leave(self._channel, self)
        lived = time.monotonic() - self._began
        traffic.stream_ended(self._feed.kind, self._reason or "gone", self._began_at, lived)
        self._reason = self._reason or "gone"
        self._closed(self)

    # --- time -------------------------------------------------------------------------------------------------------

    def _heartbeat(self) -> None:
        if self.ready:
            self._transport.write(sse.HEARTBEAT)
        self._beat = self._loop.call_later(self._pace.heartbeat, self._heartbeat)

    def _await_reading(self) -> None:
        if self._giving_up is None:
            self._giving_up = self._loop.call_later(self._pace.slow, self._drop)

    def _drop(self) -> None:
        self._reason = self._reason or "slow"
        self._transport.abort()


def _cancel(timer: asyncio.TimerHandle | None) -> None:
    if timer is not None:
        timer.cancel()


def _tune(sock: socket.socket) -> None:
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL)
    if sock.family != socket.AF_UNIX and hasattr(socket, "TCP_USER_TIMEOUT"):
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _UNCONFIRMED_MILLISECONDS)
