"""The other end of the bus: one subscription a process, to all that is said, for an asyncio loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

import structlog
from redis.asyncio import Redis
from redis.asyncio.client import PubSub
from redis.exceptions import RedisError

from storage.bus import CATALOG_CHANNEL, DELTA_CHANNEL, JOB_CHANNEL

_CHANNELS = (JOB_CHANNEL, CATALOG_CHANNEL, DELTA_CHANNEL)
#: After so long a silence the connection is tried, and given up when nothing comes for as long again.
_SILENCE_SECONDS = 5.0
#: Between two tries to reach Redis: it doubles from the one to the other.
_PAUSE_SECONDS, _LONGEST_PAUSE = 0.1, 3.0

log = structlog.get_logger(__name__)

#: Called with the channel (``JOB_CHANNEL`` ...), the id it is about, and the text that follows the id, if any.
Heard = Callable[[str, UUID, str], None]


class _Silent(Exception):
    """Nothing came, not even the answer to a ping."""


async def listen(redis_url: str, heard: Heard, connected: Callable[[], None]) -> None:
    """Hand on what comes, until cancelled. ``connected`` is called whenever a subscription has been confirmed: what was
    said before it is lost, so whoever waits for something should look now. Redis being away raises nothing."""
    pause = _PAUSE_SECONDS

    def confirmed() -> None:
        nonlocal pause
        pause = _PAUSE_SECONDS
        connected()

    while True:
        client = Redis.from_url(redis_url, socket_timeout=_SILENCE_SECONDS, socket_connect_timeout=2)
        try:
            async with client, client.pubsub() as ear:
                await ear.subscribe(*_CHANNELS)
                await _hand_on(ear, heard, confirmed)
        except (RedisError, OSError, _Silent) as error:
            log.warning("wakes_unheard", error=type(error).__name__)
        await asyncio.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


async def _hand_on(ear: PubSub, heard: Heard, confirmed: Callable[[], None]) -> None:
    asked = False
    while True:
        message: dict[str, Any] | None = await ear.get_message(timeout=_SILENCE_SECONDS)
        if message is None:
            if asked:
                raise _Silent
            await ear.ping()
        # The client may have reconnected by itself; then it has subscribed again, and says so here.
        elif message["type"] == "subscribe":
            if message["channel"].decode() == _CHANNELS[-1]:
                confirmed()
        elif message["type"] == "message":
            about, _, text = message["data"].decode().partition(" ")
            heard(message["channel"].decode(), UUID(about), text)
        asked = message is None
