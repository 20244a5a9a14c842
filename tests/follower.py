"""A client of streams on an asyncio loop, for many at once: it connects, follows, and comes back with the id it saw."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from urllib.parse import SplitResult, urlsplit


class Follower:
    """Follows one address. ``last_id`` is what an EventSource would send: the id of the last block that had one.
    ``room`` is how much may wait for it on its side, in bytes, at each of two places; a block must fit in."""

    def __init__(
        self, url: str, headers: Mapping[str, str], last_id: int | None = None, room: int | None = None
    ) -> None:
        self.url = url
        self.headers = headers
        self.last_id = last_id
        self.room = room
        self.status = 0

    async def blocks(self) -> AsyncIterator[dict[str, str]]:
        """Connect, and yield what comes until the server closes. Nothing comes when it answers anything but 200. Raises
        ``OSError`` when it can't be reached or is gone without a word."""
        parts = urlsplit(self.url)
        reader, writer = await self._connect(parts)
        try:
            seen = {} if self.last_id is None else {"Last-Event-ID": str(self.last_id)}
            lines = [f"GET {parts.path} HTTP/1.1", f"Host: {parts.netloc}"]
            lines += [f"{name}: {value}" for name, value in {**self.headers, **seen}.items()]
            writer.write("\r\n".join([*lines, "", ""]).encode())
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                self.status = int(head.split(b" ", 2)[1])
                while self.status == 200:
                    block = _fields((await reader.readuntil(b"\n\n")).decode())
                    yield block
                    # Only now: who is stopped while at a block has not seen it.
                    if "id" in block:
                        self.last_id = int(block["id"])
            except asyncio.IncompleteReadError:
                return
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    async def _connect(self, parts: SplitResult) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        sock = socket.socket()
        try:
            if self.room is not None:  # told before it connects, or the kernel makes as much room as it likes
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.room)
            sock.setblocking(False)
            await asyncio.get_running_loop().sock_connect(sock, (parts.hostname, parts.port))
            return await asyncio.open_connection(sock=sock, limit=self.room or 4_000_000)
        except BaseException:
            sock.close()
            raise


def _fields(text: str) -> dict[str, str]:
    return {
        name: value.removeprefix(" ") for name, _, value in (line.partition(":") for line in text.strip().split("\n"))
    }
