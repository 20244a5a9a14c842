"""Redis as a nudge: "look again at this job". Losing every one of these costs time, never an event."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import structlog
from redis import Redis
from redis.exceptions import RedisError

from schema.errors import Unavailable
from storage.background import keep_running

JOB_CHANNEL = "coursewright:jobs"
_PAUSE_SECONDS = 5.0

log = structlog.get_logger(__name__)


@contextmanager
def reaching_redis() -> Iterator[None]:
    """Turns whatever Redis raises into ``Unavailable`` (``redis_away``)."""
    try:
        yield
    except RedisError as error:
        raise Unavailable("Redis can't be reached just now. Try again in a moment.", code="redis_away") from error


class Bus:
    """Wakes go out from a thread of their own, those that gather meanwhile in one go, so that no step waits for Redis.
    When it is away, wakes are dropped for a few seconds instead of tried one by one."""

    def __init__(self, redis_url: str) -> None:
        self.client = Redis.from_url(
            redis_url, socket_timeout=2, socket_connect_timeout=2, health_check_interval=30, max_connections=64
        )
        self._waiting: dict[UUID, None] = {}
        self._wanted = threading.Event()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self, job_id: UUID) -> None:
        """Tell whoever follows this job to read its events. Returns at once and never raises."""
        with self._lock:
            self._waiting[job_id] = None
            if self._thread is None:
                self._thread = keep_running("wakes", self._send)
        self._wanted.set()

    def _send(self) -> None:
        while not self._closing.is_set() or self._waiting:
            self._wanted.wait()
            self._wanted.clear()
            with self._lock:
                waiting, self._waiting = self._waiting, {}
            try:
                pipeline = self.client.pipeline(transaction=False)
                for job_id in waiting:
                    pipeline.publish(JOB_CHANNEL, str(job_id))
                pipeline.execute()
            except RedisError as error:
                log.warning("wakes_dropped", count=len(waiting), error=type(error).__name__)
                self._closing.wait(_PAUSE_SECONDS)
                with self._lock:
                    self._waiting.clear()

    def keep_once(self, name: str, value: str, seconds: int) -> None:
        """Keep a value that can be taken out once. Raises ``Unavailable`` when Redis is away."""
        with reaching_redis():
            self.client.set(f"coursewright:once:{name}", value, ex=seconds)

    def take_once(self, name: str) -> str | None:
        """Take the value out; none when it was never there, was taken before, or is too old. Raises ``Unavailable``
        when Redis is away."""
        with reaching_redis():
            value = self.client.getdel(f"coursewright:once:{name}")
        return value.decode() if isinstance(value, bytes) else None

    def alive(self) -> bool:
        try:
            return bool(self.client.ping())
        except RedisError:
            return False

    def close(self) -> None:
        """Send the wakes that wait, end the thread, and only then the connections it uses."""
        self._closing.set()
        self._wanted.set()
        if self._thread is not None:
            self._thread.join(_PAUSE_SECONDS)
        self.client.close()
