"""Redis for those who can do without it: asked with little patience, and after a failure by nobody for a while."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

import structlog
from redis import ConnectionPool, Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry

T = TypeVar("T")

#: How long one question may take. An answer takes a tenth of a millisecond.
_PATIENCE_SECONDS = 0.25
#: After a failure Redis is left alone for so long. Then one who asks tries it, and the others go on without.
_PAUSE_SECONDS = 5.0

log = structlog.get_logger(__name__)


class QuickRedis:
    """The Redis of a process. ``client`` and ``pool`` are for questions that go through ``ask``."""

    def __init__(self, redis_url: str) -> None:
        # One more try for a connection that a restarted Redis has forgotten, none for one that doesn't answer in time.
        once_more = Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
        self.pool = ConnectionPool.from_url(
            redis_url,
            socket_timeout=_PATIENCE_SECONDS,
            socket_connect_timeout=_PATIENCE_SECONDS,
            retry=once_more,
            max_connections=32,
        )
        self.client = Redis(connection_pool=self.pool)
        self._away_until = 0.0
        self._lock = threading.Lock()

    def ask(self, question: Callable[[], T]) -> T | None:
        """The answer; none when Redis is away. Never raises."""
        if self._away_until and not self._may_try():
            return None
        try:
            answer = question()
        except RedisError as error:
            self._lost(error)
            return None
        if self._away_until:
            self._found()
        return answer

    def _may_try(self) -> bool:
        """Whether the pause is over. Whoever is told so first is to try; to the others it lasts on."""
        with self._lock:
            now = time.monotonic()
            if now < self._away_until:
                return False
            self._away_until = now + _PAUSE_SECONDS
            return True

    def _lost(self, error: RedisError) -> None:
        """One warning an outage, not one a request."""
        with self._lock:
            first, self._away_until = not self._away_until, time.monotonic() + _PAUSE_SECONDS
        if first:
            log.warning("shares_counted_alone", error=type(error).__name__)

    def _found(self) -> None:
        with self._lock:
            was_away, self._away_until = self._away_until, 0.0
        if was_away:
            log.info("shares_counted_together")

    def close(self) -> None:
        self.client.close()
        self.pool.disconnect()
