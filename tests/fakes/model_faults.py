"""The scripted model's faults, its record of calls, and what its answers look like with a fault in them."""

from __future__ import annotations

import base64
import io
import json
from dataclasses import dataclass, field
from typing import Any

from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from tests.fakes.knowledge import hashed
from tests.fakes.model_answers import with_duplicates, with_items_missing, with_wrong_key

STATUS = {
    "400": (400, "invalid_request_error", "unsupported_value"),
    "401": (401, "invalid_request_error", "invalid_api_key"),
    "403": (403, "invalid_request_error", "model_not_allowed"),
    "404": (404, "invalid_request_error", "model_not_found"),
    "422": (422, "invalid_request_error", "unprocessable"),
    "429": (429, "requests", "rate_limit_exceeded"),
    "quota": (429, "insufficient_quota", "insufficient_quota"),
    "500": (500, "server_error", None),
    "503": (503, "server_error", "overloaded"),
}
PAGE = "<!doctype html><title>Sign in</title><p>Please sign in to the guest network."
#: Faults of the answer itself, besides the HTTP statuses.
FAULTS = frozenset(
    [
        *("hang", "slow", "cut", "broken_body", "html", "fenced", "truncated", "length", "misshaped", "empty"),
        *("refusal", "content_filter", "wrong_key", "duplicate_items", "missing_items", "no_picture"),
        # Of an answer that was asked for as a stream.
        *("stalls", "stream_error", "ends_early", "no_usage", "unstreamed", "refuses_streams"),
    ]
)


@dataclass
class Fault:
    fault: str
    purpose: str | None = None
    times: int = 1
    seconds: float | None = None
    retryAfter: float | str | None = None
    count: int = 1


@dataclass
class Call:
    """One call as the server saw it. ``at`` is Unix time; ``seconds`` is none while it goes on; ``inFlight`` counts
    the calls going on when it came, itself included; ``hungUpAt`` is when the client was seen to have closed."""

    number: int
    at: float
    path: str
    purpose: str
    schemaName: str
    model: str
    apiKey: str
    question: str
    streamed: bool
    inFlight: int
    fault: str | None = None
    status: int | None = None
    seconds: float | None = None
    hungUp: bool = False
    hungUpAt: float | None = None
    body: dict[str, Any] = field(default_factory=dict)


def pause(fault: Fault) -> float:
    if fault.fault == "slow":
        return 1.0 if fault.seconds is None else fault.seconds
    return fault.seconds or 0.0


def message_of(value: Any, fault: Fault) -> tuple[dict[str, Any], str]:
    """The assistant's message and why it ended, as the fault wants them."""
    if fault.fault == "wrong_key":
        value = with_wrong_key(value, fault.count)
    elif fault.fault == "duplicate_items":
        value = with_duplicates(value)
    elif fault.fault == "missing_items":
        value = with_items_missing(value, fault.count)
    elif fault.fault == "misshaped":
        value = {"reply": value}
    content: str | None = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    refusal = None
    if fault.fault == "fenced":
        content = f"Here is what you asked for:\n```json\n{content}\n```\nTell me if you need more."
    elif fault.fault in ("truncated", "length"):
        content = str(content)[: len(str(content)) // 2]
    elif fault.fault in ("empty", "content_filter"):
        content = ""
    elif fault.fault == "refusal":
        content, refusal = None, "I can't help with that."
    reason = fault.fault if fault.fault in ("length", "content_filter") else "stop"
    return {"role": "assistant", "content": content, "refusal": refusal}, reason


def usage_of(question: str, content: str) -> dict[str, int]:
    asked, given = len(question) // 4 + 1, len(content) // 4 + 1
    return {"prompt_tokens": asked, "completion_tokens": given, "total_tokens": asked + given}


def error_body(status: int, kind: str, code: str | None) -> dict[str, Any]:
    """Quotes a key, as vendors do: nothing of it may reach anyone."""
    return {"error": {"message": f"Incorrect key sk-quoted-by-vendor ({status}).", "type": kind, "code": code}}


def picture_answer(call: Call, fault: Fault) -> dict[str, Any]:
    """A PNG of the asked size, with the prompt in its metadata as some servers write it."""
    width, height = (int(side) for side in call.body.get("size", "1024x1024").split("x"))
    seed = hashed(call.question)
    image = Image.new("RGB", (width, height), (seed % 256, seed // 256 % 256, 200))
    ImageDraw.Draw(image).ellipse((width // 4, height // 4, width * 3 // 4, height * 3 // 4), fill=(250, 240, 220))
    told = PngInfo()
    told.add_text("prompt", call.question)
    written = io.BytesIO()
    image.save(written, "PNG", compress_level=1, pnginfo=told)
    raw = b"This is no picture." if fault.fault == "no_picture" else written.getvalue()
    spent = {"input_tokens": 12, "output_tokens": 196, "total_tokens": 208}
    return {"created": int(call.at), "data": [{"b64_json": base64.b64encode(raw).decode()}], "usage": spent}
