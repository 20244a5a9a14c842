"""Server-Sent Events as text. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
    # Its address may hold a token.
    "Referrer-Policy": "no-referrer",
}
#: Says nothing, and shows both ends that the connection lives.
HEARTBEAT = b": heartbeat\n\n"


def retry(milliseconds: int) -> bytes:
    """How long a client waits before it connects again."""
    return f"retry: {milliseconds}\n\n".encode()


def frame(event: Mapping[str, Any], number: int | None = None) -> bytes:
    """One event, under its ``type``. ``number`` is the id a client comes back with; one without can't be asked for
    again."""
    # json.dumps escapes line breaks, so the data is always one line.
    return framed(event["type"], json.dumps(event, ensure_ascii=False), number)


def framed(type_: str, data: str, number: int | None = None) -> bytes:
    """The same of an event that is JSON already, on one line."""
    head = "" if number is None else f"id: {number}\n"
    return f"{head}event: {type_}\ndata: {data}\n\n".encode()


def seen(number: int) -> bytes:
    """Sets the id a client comes back with, and is no event."""
    return f"id: {number}\n\n".encode()
