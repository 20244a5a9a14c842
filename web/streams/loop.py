"""The loop of a web process that serves all its streams: one thread for them all, a few more for reading.

It begins with the first stream, after gunicorn has forked. When the process is told to stop, every stream is closed
with a word on when to come back.
"""

from __future__ import annotations

import asyncio
import os
import resource
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from contextvars import Context
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

import structlog

from schema.errors import Unavailable
from storage.bus import CATALOG_CHANNEL, DELTA_CHANNEL
from storage.listening import listen
from storage.shares.quick_redis import QuickRedis
from storage.shares.seats import HELD_SECONDS, Seats
from web import sse
from web.streams.connection import Connection, Pace, Start
from web.streams.feeds import CATALOGS, Feed, Key, Page, worth_a_look
from web.streams.grounds import fallen
from web.streams.hub import Hub
from web.streams.room import Guest, check_room
from web.wiring import deps

T = TypeVar("T")

#: Threads that read for all streams together. A read takes about a millisecond.
_READERS = 4
#: Until somebody listens again after a fault in listening.
_PAUSE_SECONDS = 1.0
#: Descriptors that a process needs beside those of its streams.
_OTHER_FILES = 300

#: How often seats are renewed, so that one answer of Redis may be lost.
_RENEW_SECONDS = HELD_SECONDS / 3

_PACE = Pace()

log = structlog.get_logger(__name__)


class Streams:
    """All streams of this process. ``take`` and ``stop`` may be called from any thread."""

    def __init__(self, redis_url: str, limit: int, pace: Pace = _PACE) -> None:
        self._redis = QuickRedis(redis_url)
        self._seats = Seats(self._redis)
        files = _files()
        self.limit = min(limit, max(files - _OTHER_FILES, files // 2))
        self._redis_url = redis_url
        self._pace = pace
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="stream-reads")
        self._connections: set[Connection] = set()
        self._accepting: set[asyncio.Task[Any]] = set()
        self._stopping = False
        self._away = False
        self._hub = Hub(self._read, self._sift, pace.look)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="streams", daemon=True)
        self._thread.start()

    def check_room(self, guest: Guest | None = None) -> None:
        """Raises ``Unavailable`` when no stream can be opened here: ``too_many_streams``, ``server_stopping``; and
        ``TooMany`` when the guest has enough of them. Else the guest has a seat, until the stream ends."""
        if self._stopping:
            raise Unavailable("This server is about to stop. Connect again in a moment.", code="server_stopping")
        if len(self._connections) >= self.limit:
            words = f"This server has {self.limit} streams open and takes no more. Connect again in a moment."
            raise Unavailable(words, code="too_many_streams")
        if guest is not None:
            others = [connection.guest for connection in tuple(self._connections)]
            check_room(guest, others, self.limit, self._seats)

    def take(self, sock: socket.socket, head: bytes, start: Start) -> None:
        """Take over a connection whose request was read, and on which nothing was answered. The socket is ours now."""
        try:
            # In a context of its own, or whatever is logged for it later would name the request that began it.
            self._loop.call_soon_threadsafe(self._accept, sock, head, start, context=Context())
        except RuntimeError:  # the loop has ended
            sock.close()

    def stop(self) -> None:
        """Close every stream. Returns at once; ``wait`` waits until it is done."""
        if not self._stopping:
            self._stopping = True
            self._loop.call_soon_threadsafe(self._close_all)

    def wait(self, seconds: float) -> None:
        """Wait until the loop of a process that stops has nothing to send any more, at most so long."""
        self._thread.join(seconds)

    # --- on the loop --------------------------------------------------------------------------------------------------

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.call_soon(self._listen)
        self._loop.call_soon(self._watch)
        self._loop.call_later(_RENEW_SECONDS, self._keep_seats)
        self._loop.run_forever()
        left = asyncio.all_tasks(self._loop)
        for task in left:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*left, return_exceptions=True))
        self._loop.close()
        self._readers.submit(self._redis.close)

    def _listen(self) -> None:
        listening = self._loop.create_task(listen(self._redis_url, self._heard, self._hub.wake_all))
        listening.add_done_callback(self._deaf)

    def _deaf(self, listening: asyncio.Task[None]) -> None:
        """Listening ends only with the loop, or by a fault."""
        if not listening.cancelled() and (error := listening.exception()) is not None:
            log.error("stream_crashed", exc_info=error)
            self._loop.call_later(_PAUSE_SECONDS, self._listen)

    def _watch(self) -> None:
        self._loop.create_task(self._look_at_grounds()).add_done_callback(self._blind)

    def _blind(self, watching: asyncio.Task[None]) -> None:
        """Watching ends only with the loop, or by a fault."""
        if not watching.cancelled() and (error := watching.exception()) is not None:
            log.error("stream_crashed", exc_info=error)
            self._loop.call_later(_PAUSE_SECONDS, self._watch)

    async def _look_at_grounds(self) -> None:
        """End the streams that those who have them may not follow any more. They come back, and are told why, or what
        they may."""
        while True:
            await asyncio.sleep(self._pace.grounds)
            held = {one.held for one in self._connections if one.held is not None}
            with suppress(Unavailable):  # nobody is told anything either
                gone = await self._on_a_thread(partial(fallen, held)) if held else set()
                for connection in [one for one in self._connections if one.held in gone]:
                    connection.end("revoked")

    def _heard(self, channel: str, about: UUID, text: str) -> None:
        if channel == DELTA_CHANNEL:
            self._hub.show(about, sse.framed("content_delta", text))
        else:
            for kind in CATALOGS if channel == CATALOG_CHANNEL else ("job",):
                self._hub.wake((kind, about))

    def _accept(self, sock: socket.socket, head: bytes, start: Start) -> None:
        if self._stopping:
            sock.close()
            return
        connection = Connection(self._hub, start, head, self._pace, self._left)
        self._connections.add(connection)
        accepting = self._loop.create_task(self._loop.connect_accepted_socket(lambda: connection, sock))
        self._accepting.add(accepting)
        accepting.add_done_callback(self._accepting.discard)

    def _left(self, connection: Connection) -> None:
        self._connections.discard(connection)
        if (guest := connection.guest) is not None and not self._stopping:
            self._readers.submit(self._seats.give_back, [(guest.holder, guest.seat)])

    def _keep_seats(self) -> None:
        """Say now and then which streams there still are."""
        if held := self._held():
            self._readers.submit(self._seats.renew, held)
        self._loop.call_later(_RENEW_SECONDS, self._keep_seats)

    def _held(self) -> list[tuple[str, str]]:
        return [(guest.holder, guest.seat) for one in self._connections if (guest := one.guest) is not None]

    async def _sift(self, seen: list[tuple[Feed, int]]) -> set[Key]:
        return await self._on_a_thread(partial(worth_a_look, seen))

    async def _read(self, feed: Feed, after: int) -> Page | None:
        return await self._on_a_thread(partial(feed.read, after))

    async def _on_a_thread(self, reading: Callable[[], T]) -> T:
        try:
            found = await self._loop.run_in_executor(self._readers, reading)
        except Unavailable as error:
            if not self._away:
                log.warning("streams_wait", error=error.code)
            self._away = True
            raise
        self._away = False
        return found

    def _close_all(self) -> None:
        # At once: they come back within seconds, to somebody else, and shall not count twice.
        self._readers.submit(self._seats.give_back, self._held())
        for connection in list(self._connections):
            connection.end("stopping")
        self._end_soon()

    def _end_soon(self) -> None:
        if self._connections:
            self._loop.call_later(0.05, self._end_soon)
        else:
            self._loop.stop()


def _files() -> int:
    """How many files this process may have open, after asking for as many as it may ask for."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return 1_000_000 if hard == resource.RLIM_INFINITY else hard


_streams: Streams | None = None
_lock = threading.Lock()


def _forget() -> None:
    """A forked child has neither its parent's loop nor whoever held the lock."""
    global _streams, _lock
    _streams, _lock = None, threading.Lock()


os.register_at_fork(after_in_child=_forget)


def streams() -> Streams:
    """The streams of this process, begun on first use."""
    global _streams
    with _lock:
        if _streams is None:
            settings = deps().settings
            _streams = Streams(settings.redis_url, settings.streams_per_process)
        return _streams


def stop() -> None:
    """Close the streams of this process, if it has any. May be called by a signal's handler, so it takes no lock."""
    if _streams is not None:
        _streams.stop()


def wait(seconds: float) -> None:
    """Wait until ``stop`` has done its work, at most so long."""
    if _streams is not None:
        _streams.wait(seconds)
