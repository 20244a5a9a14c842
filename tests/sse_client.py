"""A client of streams that sees every byte: a plain socket, read block by block."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable
from typing import Any, Self
from urllib.parse import urlsplit

Block = dict[str, str]


class Listener:
    """One GET on a connection of its own. What comes is kept in ``blocks``: fields by name, comments under ``""``."""

    def __init__(
        self, url: str, headers: dict[str, str] | None = None, *, method: str = "GET", receive_buffer: int | None = None
    ) -> None:
        parts = urlsplit(url)
        self.socket = socket.socket()
        if receive_buffer is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(30)
        self.socket.connect((parts.hostname, parts.port))
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        lines = [f"{method} {target} HTTP/1.1", f"Host: {parts.netloc}", "Accept: text/event-stream"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self.socket.sendall("\r\n".join([*lines, "", ""]).encode())
        self.blocks: list[Block] = []
        self.ended = False
        self._left = b""
        self._head()

    def _head(self) -> None:
        while b"\r\n\r\n" not in self._left:
            read = self.socket.recv(65536)
            assert read, self._left
            self._left += read
        head, _, self._left = self._left.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        self.status = int(first.split()[1])
        self.headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
        self._take(b"")

    def _take(self, read: bytes) -> None:
        if self.headers.get("content-type", "").startswith("text/event-stream"):
            *whole, self._left = (self._left + read).split(b"\n\n")
            self.blocks += [_block(text.decode()) for text in whole]
        else:
            self._left += read

    def read(self, seconds: float = 0.2) -> None:
        """Take what comes within so many seconds, as soon as something comes."""
        self.socket.settimeout(seconds)
        try:
            read = self.socket.recv(65536)
        except TimeoutError:
            return
        except ConnectionResetError:
            read = b""
        if read:
            self._take(read)
        else:
            self.ended = True

    def until(self, wanted: Callable[[Self], Any], within: float = 30.0) -> Self:
        """Read until something holds. Fails when the stream ends before, or when it takes too long."""
        limit = time.monotonic() + within
        while not wanted(self):
            assert not self.ended, f"the stream ended after {self.blocks[-3:]}"
            assert time.monotonic() < limit, f"within {within} s there came only {self.blocks[-3:]}"
            self.read()
        return self

    def until_end(self, within: float = 30.0) -> Self:
        """Read until the server closes."""
        limit = time.monotonic() + within
        while not self.ended:
            assert time.monotonic() < limit, f"it did not end within {within} s, after {self.blocks[-3:]}"
            self.read()
        return self

    def json(self) -> Any:
        """The body of an answer that is no stream."""
        wanted = int(self.headers["content-length"])
        while len(self._left) < wanted:
            self.read(5)
        return json.loads(self._left)

    @property
    def events(self) -> list[dict[str, Any]]:
        """The events, as they were sent."""
        return [json.loads(block["data"]) for block in self.blocks if "data" in block]

    @property
    def ids(self) -> list[int]:
        """The ids of the events that have one."""
        return [int(block["id"]) for block in self.blocks if "id" in block and "data" in block]

    @property
    def last_id(self) -> int:
        """What an EventSource would send as Last-Event-ID."""
        return max((int(block["id"]) for block in self.blocks if "id" in block), default=0)

    def close(self) -> None:
        self.socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _block(text: str) -> Block:
    fields: Block = {}
    for line in text.split("\n"):
        name, _, value = line.partition(":")
        assert name not in fields, f"twice in a block: {text}"
        fields[name] = value.removeprefix(" ")
    return fields
