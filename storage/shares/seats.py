"""Seats that somebody holds for as long as they use them: how many there are is counted over all processes, in Redis.

A seat that nobody renews is free after 45 seconds, so a process that dies takes none with it.
"""

from __future__ import annotations

from collections.abc import Iterable

from storage.shares.quick_redis import QuickRedis

#: A seat is held for so many seconds after it was taken or renewed.
HELD_SECONDS = 45
#: ARGV: the seat, the most there may be, and for how long it is held. A seat that is held already is taken again.
_TAKE = """
local now = tonumber(redis.call('TIME')[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) and redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[2]) then
  return 0
end
redis.call('ZADD', KEYS[1], now + tonumber(ARGV[3]), ARGV[1])
redis.call('EXPIRE', KEYS[1], tonumber(ARGV[3]))
return 1
"""
_NO_LIMIT = 2**53


class Seats:
    """Takes and gives back seats. Nothing here raises when Redis is away."""

    def __init__(self, redis: QuickRedis) -> None:
        self._redis = redis
        self._take = redis.client.register_script(_TAKE)

    def take(self, holder: str, seat: str, limit: int) -> bool | None:
        """Whether the holder may have one more seat. None when nobody can tell."""
        taken = self._redis.ask(lambda: self._take([_key(holder)], [seat, limit, HELD_SECONDS]))
        return None if taken is None else bool(taken)

    def renew(self, held: Iterable[tuple[str, str]]) -> None:
        """Hold these (holder, seat) for another while, whether Redis still knows of them or not."""
        pipeline = self._redis.client.pipeline(transaction=False)
        for holder, seat in held:
            self._take([_key(holder)], [seat, _NO_LIMIT, HELD_SECONDS], client=pipeline)
        self._redis.ask(pipeline.execute)

    def give_back(self, held: Iterable[tuple[str, str]]) -> None:
        """Free these (holder, seat) for others."""
        pipeline = self._redis.client.pipeline(transaction=False)
        for holder, seat in held:
            pipeline.zrem(_key(holder), seat)
        self._redis.ask(pipeline.execute)


def _key(holder: str) -> str:
    return f"coursewright:seats:{holder}"
