"""Redis as a nudge: "look again at this job". Losing every one of these costs time, never an event."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from uuid import UUID

import structlog
from redis import Redis
from redis.exceptions import RedisError

from schema.errors import Unavailable
from storage.background import keep_running

#: Whoever follows a job, or a catalog, looks again when its id comes here.
JOB_CHANNEL = "coursewright:jobs"
CATALOG_CHANNEL = "coursewright:catalogs"
#: Text a model is just writing: the job's id, a space, and an event as JSON. It is kept nowhere.
DELTA_CHANNEL = "coursewright:deltas"

_PAUSE_SECONDS = 5.0
#: The most deltas that wait for their turn; beyond it the oldest are dropped.
_DELTAS = 1000

log = structlog.get_logger(__name__)


@contextmanager
def reaching_redis() -> Iterator[None]:
    """Turns whatever Redis raises into ``Unavailable`` (``redis_away``)."""
    try:
        yield
    except RedisError as error:
        raise Unavailable("Redis can't be reached just now. Try again in a moment.", code="redis_away") from error


class Bus:
    """Wakes and deltas go out from a thread of their own, those that gather meanwhile in one go, so that no step waits
    for Redis. When it is away, they are dropped for a few seconds instead of tried one by one."""

    def __init__(self, redis_url: str) -> None:
        self.client = Redis.from_url(
            redis_url, socket_timeout=2, socket_connect_timeout=2, health_check_interval=30, max_connections=64
        )
        self._waiting: dict[tuple[str, UUID], None] = {}
        self._deltas: deque[str] = deque(maxlen=_DELTAS)
        self._wanted = threading.Event()
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def wake(self, job_id: UUID) -> None:
        """Tell whoever follows this job to read its events. Returns at once and never raises."""
        self._wake(JOB_CHANNEL, job_id)

    def wake_catalog(self, catalog_id: UUID) -> None:
        """Tell whoever follows this catalog to read its changes. Returns at once and never raises."""
        self._wake(CATALOG_CHANNEL, catalog_id)

    def delta(self, job_id: UUID, body: Mapping[str, Any]) -> None:
        """Show a piece of text that a model is just writing to whoever follows the job now. ``body`` is the whole event
        (``content_delta``). A courtesy: it returns at once, never raises, and is lost when Redis is away."""
        with self._lock:
            self._deltas.append(f"{job_id} {json.dumps(body, ensure_ascii=False)}")
        self._send_soon()

    def _wake(self, channel: str, about: UUID) -> None:
        with self._lock:
            self._waiting[channel, about] = None
        self._send_soon()

    def _send_soon(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = keep_running("wakes", self._send)
        self._wanted.set()

    def _take(self) -> tuple[list[tuple[str, UUID]], list[str]]:
        with self._lock:
            taken = list(self._waiting), list(self._deltas)
            self._waiting.clear()
            self._deltas.clear()
        return taken

    def _send(self) -> None:
        while not self._closing.is_set() or self._waiting:
            self._wanted.wait()
            self._wanted.clear()
            wakes, deltas = self._take()
            try:
                pipeline = self.client.pipeline(transaction=False)
                for channel, about in wakes:
                    pipeline.publish(channel, str(about))
                for delta in deltas:
                    pipeline.publish(DELTA_CHANNEL, delta)
                pipeline.execute()
            except RedisError as error:
                log.warning("wakes_dropped", count=len(wakes), error=type(error).__name__)
                self._closing.wait(_PAUSE_SECONDS)
                self._take()

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
