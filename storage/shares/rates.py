"""Requests a minute, counted by name in Redis for all processes together; by each process for itself while Redis is
away, which lets through as many times the limit as there are processes.

Of the ways of ``limits`` this is the fixed window: it is one question to Redis, whose answer tells all that the
headers say. Its windows begin at another second for each name, or everybody who was refused would come back at once.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from limits.storage import MemoryStorage, RedisStorage

from schema.clock import utc_now
from storage.shares.quick_redis import QuickRedis

WINDOW_SECONDS = 60
#: Of so many names that have had enough a process remembers until when, so that nobody is asked about them.
_MOST_REMEMBERED = 10_000


@dataclass(frozen=True)
class Count:
    """How a name stands in its window, this request included. ``resets_in`` is in seconds, more than 0."""

    limit: int
    used: int
    resets_in: float

    @property
    def is_over(self) -> bool:
        return self.used > self.limit

    @property
    def remaining(self) -> int:
        return max(0, self.limit - self.used)


class Rates:
    """The counts of one process. ``now`` gives seconds since the epoch."""

    def __init__(self, redis: QuickRedis, now: Callable[[], float] = lambda: utc_now().timestamp()) -> None:
        self._redis = redis
        self._shared = RedisStorage("redis://", connection_pool=redis.pool, key_prefix="coursewright")
        self._now = now
        self._spent: dict[str, float] = {}
        self._lock = threading.Lock()

    @cached_property
    def _alone(self) -> MemoryStorage:
        return MemoryStorage()

    def hit(self, name: str, limit: int) -> Count:
        """Count one request. Never raises, and takes a quarter of a second at the most."""
        number, resets_in = self._window(name)
        if self.is_spent(name):
            return Count(limit, limit + 1, resets_in)
        key = f"rate:{name}:{number}"
        used = self._redis.ask(lambda: self._shared.incr(key, WINDOW_SECONDS))
        if used is None:
            used = self._alone.incr(key, WINDOW_SECONDS)
        if used > limit:
            self._remember(name, self._now() + resets_in)
        return Count(limit, used, resets_in)

    def is_spent(self, name: str) -> bool:
        """Whether a name is known here to have had more than its limit. Asks nobody."""
        return self._now() < self._spent.get(name, 0.0)

    def resets_in(self, name: str) -> float:
        """In how many seconds the window of a name ends."""
        return self._window(name)[1]

    def _window(self, name: str) -> tuple[int, float]:
        """The number of the window that a name is in, and in how many seconds it ends."""
        at = self._now() + zlib.crc32(name.encode()) % (WINDOW_SECONDS * 1000) / 1000
        number = int(at // WINDOW_SECONDS)
        return number, (number + 1) * WINDOW_SECONDS - at

    def _remember(self, name: str, until: float) -> None:
        with self._lock:
            if len(self._spent) >= _MOST_REMEMBERED:
                now = self._now()
                self._spent = {one: end for one, end in self._spent.items() if end > now}
            if len(self._spent) < _MOST_REMEMBERED:
                self._spent[name] = until
