"""A gate that stands open, for clients without a database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from storage.spending.calls import Beginning
from tasks.clients.gate import Gate
from tasks.clients.keeper import Passage


class OpenGate(Gate):
    """Lets everybody through who finds a place."""

    def __init__(self) -> None:
        """Asks nobody, so it needs nothing."""

    @asynccontextmanager
    async def through(self, call: Beginning, tokens: int, places: asyncio.Semaphore) -> AsyncIterator[Passage]:
        async with places:
            yield Passage(call.model, None, None)
