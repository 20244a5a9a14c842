"""Server-Sent Events as text. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

HEADERS = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache, no-transform",
    "X-Accel-Buffering": "no",
}


def retry(milliseconds: int) -> str:
    """How long a client waits before it connects again."""
    return f"retry: {milliseconds}\n\n"


def frame(event: Mapping[str, Any]) -> str:
    """One event; its ``seq`` is the id a client comes back with."""
    # json.dumps escapes line breaks, so the data is always one line.
    return f"id: {event['seq']}\nevent: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n"
