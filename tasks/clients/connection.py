"""One connection per process and endpoint: a client of the openai library and so many places for its calls in flight.

Text and pictures share it, and so do all jobs, because the endpoint counts them together.
"""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from schema.clock import new_id
from schema.errors import ModelNotConfigured
from schema.settings import ModelSettings
from storage.spending.calls import Beginning
from tasks.clients.gate import Gate
from tasks.clients.record import Recorder, Usage, recorded
from tasks.clients.translate import translated

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_VENDOR_URL = "https://api.openai.com/v1"
#: Local servers want no key, but the library refuses to start without one.
_NO_KEY = "none"

_Endpoint = tuple[str | None, str | None, float, int]


@dataclass(frozen=True)
class Connection:
    client: AsyncOpenAI
    places: asyncio.Semaphore


# Sockets and semaphores belong to the loop they were made on, and die with it.
_by_loop: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, dict[_Endpoint, Connection]] = (
    weakref.WeakKeyDictionary()
)


def connection(settings: ModelSettings) -> Connection:
    """The connection of the running loop to this endpoint. Raises ``ModelNotConfigured``."""
    if not settings.configured:
        raise ModelNotConfigured("No model is set up. Set OPENAI_API_KEY, or OPENAI_BASE_URL for a keyless server.")
    endpoint = (settings.api_key, settings.base_url, settings.timeout_seconds, settings.concurrency)
    ours = _by_loop.setdefault(asyncio.get_running_loop(), {})
    if endpoint not in ours:
        from openai import AsyncOpenAI, DefaultAsyncHttpxClient  # noqa: PLC0415 - takes 0.6 s, and a process that never calls a model never pays it

        client = AsyncOpenAI(
            api_key=settings.api_key or _NO_KEY,
            base_url=settings.base_url or _VENDOR_URL,
            timeout=settings.timeout_seconds,
            max_retries=0,  # whether and when to try again is decided by rows, not in here
            # Prompts go where the operator said, and not where that says.
            http_client=DefaultAsyncHttpxClient(timeout=settings.timeout_seconds, follow_redirects=False),
        )
        ours[endpoint] = Connection(client, asyncio.Semaphore(settings.concurrency))
    return ours[endpoint]


@asynccontextmanager
async def one_call(
    settings: ModelSettings, record: Recorder, gate: Gate, *, purpose: str, prompt_version: str, model: str, tokens: int
) -> AsyncIterator[tuple[AsyncOpenAI, Usage]]:
    """Everything around one HTTP call: leave to make it, the time limit, our errors, and its record.

    ``tokens`` is about how many the prompt has. ``timeout_seconds`` bounds the whole call; the library's own limit
    starts anew with every byte.
    """
    here = connection(settings)
    call = Beginning(new_id(), purpose, prompt_version, model)
    async with gate.through(call, tokens, here.places) as passage:
        with (
            recorded(record, call, base_url=settings.base_url) as usage,
            translated(model, settings.timeout_seconds),
        ):
            passage.usage = usage
            async with asyncio.timeout(settings.timeout_seconds):
                yield here.client, usage


async def close_connections() -> None:
    """Close every connection of the running loop; for an orderly end of a process."""
    for one in _by_loop.pop(asyncio.get_running_loop(), {}).values():
        await one.client.close()
