"""Redis as a nudge: "look again at this job". Losing every one of these costs time, never an event."""

from __future__ import annotations

import time
from uuid import UUID

import structlog
from redis import Redis
from redis.exceptions import RedisError

JOB_CHANNEL = "coursewright:jobs"
_PAUSE_SECONDS = 5.0

log = structlog.get_logger(__name__)


class Bus:
    """Wakes. When Redis is away, wakes are dropped at once for a few seconds instead of waiting for each one."""

    def __init__(self, redis_url: str) -> None:
        self.client = Redis.from_url(
            redis_url, socket_timeout=2, socket_connect_timeout=2, health_check_interval=30, max_connections=64
        )
        self._quiet_until = 0.0

    def wake(self, job_id: UUID, seq: int = 0) -> None:
        """Tell whoever follows this job to read its events. Never raises, never waits long."""
        if time.monotonic() < self._quiet_until:
            return
        try:
            self.client.publish(JOB_CHANNEL, f"{job_id}:{seq}")
        except RedisError as error:
            self._quiet_until = time.monotonic() + _PAUSE_SECONDS
            log.warning("wake_dropped", error=type(error).__name__)

    def keep_once(self, name: str, value: str, seconds: int) -> None:
        """Keep a value that can be taken out once. Raises ``RedisError`` when Redis is away."""
        self.client.set(f"coursewright:once:{name}", value, ex=seconds)

    def take_once(self, name: str) -> str | None:
        """Take the value out; none when it was never there, was taken before, or is too old."""
        value = self.client.getdel(f"coursewright:once:{name}")
        return value.decode() if isinstance(value, bytes) else None

    def alive(self) -> bool:
        try:
            return bool(self.client.ping())
        except RedisError:
            return False

    def close(self) -> None:
        self.client.close()
