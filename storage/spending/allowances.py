"""Calls and tokens a minute, for a model altogether and for one organization's use of it: counted in Redis.

They are a courtesy to the provider and a fair share between organizations, not the brake: when Redis is away calls go
ahead, and a provider that has had enough says 429, which closes the brake in Postgres.

The library's *sliding window counter* counts them: two numbers for each limit, weighed by how far the minute has got,
on the clock of Redis. Its moving window is exact, but it keeps an entry for every token and trusts the clock of each
machine; its fixed window lets twice the limit through where two minutes meet.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

import structlog
from limits import RateLimitItemPerMinute
from limits.storage import RedisStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from schema.settings import ModelLimits

MINUTE = 60.0
#: While Redis is away nobody asks it for this long, or every call would wait for a socket to time out.
_PAUSE_SECONDS = 5.0
#: What was used is charged even when it is more than the limit.
_NO_LIMIT = 2**53

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Charge:
    """So much of one limit."""

    item: RateLimitItemPerMinute
    names: tuple[str, ...]
    cost: int

    @property
    def key(self) -> str:
        return self.item.key_for(*self.names)

    @property
    def is_of_tokens(self) -> bool:
        return self.item.namespace.endswith("tokens")


@dataclass(frozen=True)
class Taken:
    """What a call was charged, and when (monotonic seconds)."""

    charges: tuple[Charge, ...]
    at: float


def fits_in(limit: int, cost: int, before: int, before_left: float, now: int, now_left: float) -> float:
    """Seconds until ``cost`` fits under a limit a minute, when nobody else takes anything. ``before`` is what the last
    window counted and ``before_left`` for how long it still weighs; ``now`` is what this window counts, and its number
    lives ``now_left`` seconds, a minute longer than the window itself. ``cost`` is at most ``limit``."""
    room = limit - cost - now
    if before * before_left / MINUTE < room + 1:
        return 0.0
    if room >= 0:  # enough of the last window must fade
        return before_left - MINUTE * (room + 1) / before
    # This window must end, and then enough of it must fade.
    return max(0.0, now_left - MINUTE) + max(0.0, MINUTE * (1 - (limit - cost + 1) / now))


class Allowances:
    """The limits a minute of one process; all processes with the same Redis count together. Blocking: for threads."""

    def __init__(self, redis_url: str, limits: ModelLimits) -> None:
        self._limits = limits
        # One more try, for a connection that a restarted Redis has forgotten; a longer wait would hold up the call.
        once_more = Retry(NoBackoff(), 1)
        pool = ConnectionPool.from_url(redis_url, socket_timeout=1, socket_connect_timeout=1, retry=once_more)
        self._redis = RedisStorage(redis_url, connection_pool=pool, key_prefix="coursewright")
        self._limiter = SlidingWindowCounterRateLimiter(self._redis)
        self._away_until = 0.0
        self._lock = threading.Lock()

    def take(self, endpoint: str, model: str, organization_id: UUID | None, tokens: int) -> Taken | float:
        """Charge one call and its estimated tokens to every limit, or to none: then the answer is for how many seconds
        it doesn't fit. A call larger than a whole limit fits when nothing else was used."""
        taken: list[Charge] = []
        if time.monotonic() >= self._away_until:
            try:
                for charge in self._charges(endpoint, model, organization_id, tokens):
                    if not self._limiter.hit(charge.item, *charge.names, cost=charge.cost):
                        self._give_back(taken)
                        return fits_in(charge.item.amount, charge.cost, *self._counted(charge))
                    taken.append(charge)
                self._found()
            except RedisError as error:
                self._lost(error)
        return Taken(tuple(taken), time.monotonic())

    def settle(self, taken: Taken, tokens: int) -> None:
        """Charge what a call really used, where that differs from the estimate. What was estimated too high is given
        back only while the charge still counts."""
        fresh = time.monotonic() - taken.at < MINUTE
        changes = [(charge, tokens - charge.cost) for charge in taken.charges if charge.is_of_tokens]
        self._change([(charge, more) for charge, more in changes if more > 0 or fresh])

    def give_back(self, taken: Taken) -> None:
        """The call was not made."""
        self._change([(charge, -charge.cost) for charge in taken.charges])

    def _charges(self, endpoint: str, model: str, organization_id: UUID | None, tokens: int) -> Iterator[Charge]:
        ours = (endpoint, model)
        yield from self._charge("calls", self._limits.calls, ours, 1)
        yield from self._charge("tokens", self._limits.tokens, ours, tokens)
        if organization_id is not None:
            theirs = (str(organization_id), *ours)
            yield from self._charge("calls", self._limits.organization_calls, theirs, 1)
            yield from self._charge("tokens", self._limits.organization_tokens, theirs, tokens)

    @staticmethod
    def _charge(kind: str, limit: int | None, names: tuple[str, ...], cost: int) -> Iterator[Charge]:
        if limit is not None:
            yield Charge(RateLimitItemPerMinute(limit, namespace=kind), names, min(cost, limit))

    def _counted(self, charge: Charge) -> tuple[int, float, int, float]:
        return self._redis.get_sliding_window(charge.key, int(MINUTE))

    def _give_back(self, charges: Sequence[Charge]) -> None:
        for charge in charges:
            self._redis.acquire_sliding_window_entry(charge.key, _NO_LIMIT, int(MINUTE), -charge.cost)

    def _change(self, changes: Sequence[tuple[Charge, int]]) -> None:
        if time.monotonic() < self._away_until:
            return
        try:
            for charge, more in changes:
                if more:
                    self._redis.acquire_sliding_window_entry(charge.key, _NO_LIMIT, int(MINUTE), more)
        except RedisError as error:
            self._lost(error)

    def _lost(self, error: RedisError) -> None:
        """One warning an outage, not one a call."""
        with self._lock:
            first, self._away_until = not self._away_until, time.monotonic() + _PAUSE_SECONDS
        if first:
            log.warning("allowances_unchecked", error=type(error).__name__)

    def _found(self) -> None:
        if self._away_until:
            with self._lock:
                self._away_until = 0.0
            log.info("allowances_checked_again")

    def close(self) -> None:
        self._redis.storage.close()
