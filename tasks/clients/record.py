"""One record for every call to a model, whether it succeeded, failed or was abandoned."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal
from uuid import UUID

from schema.errors import CoursewrightError
from storage.spending.calls import Beginning
from tasks.clients.prices import cost_usd

Outcome = Literal["ok", "refused", "rate_limited", "unreadable", "timeout", "failed", "abandoned"]

#: What an error's code says about the call it ended. Every other code is ``failed``.
_OUTCOMES: dict[str, Outcome] = {
    "model_refused": "refused",
    "model_rate_limited": "rate_limited",
    "model_quota_exhausted": "rate_limited",
    "model_answer_unreadable": "unreadable",
    "model_timeout": "timeout",
}


@dataclass
class Conversation:
    """What was said in one call to a text model. ``answer`` is the JSON value that was read, the bare text where that
    could not be read or has another shape, and none when no text came."""

    system: str
    user: str
    answer: Any = None


@dataclass(frozen=True)
class CallRecord:
    """``seconds`` is the call alone, without waiting for a free place. Tokens are none when the other side did not
    say; ``cost_usd`` is none when tokens or price are unknown. ``error_code`` is none for ok and abandoned;
    ``conversation`` is none for pictures."""

    call_id: UUID
    purpose: str
    prompt_version: str
    model: str
    input_tokens: int | None
    output_tokens: int | None
    seconds: float
    outcome: Outcome
    error_code: str | None
    cost_usd: float | None
    conversation: Conversation | None = None


#: Called on the model loop's thread once per HTTP call: it must return at once (append to a list, no I/O).
Recorder = Callable[[CallRecord], None]


@dataclass
class Usage:
    """Filled in while a call goes on."""

    input_tokens: int | None = None
    output_tokens: int | None = None
    conversation: Conversation | None = None


@contextmanager
def recorded(record: Recorder, call: Beginning, *, base_url: str | None) -> Iterator[Usage]:
    """Records the call made inside, to the endpoint ``base_url`` (none: the vendor's own), however it ends."""
    usage = Usage()
    began = time.monotonic()
    outcome: Outcome = "failed"
    error_code: str | None = None
    try:
        yield usage
        outcome = "ok"
    except asyncio.CancelledError:
        outcome = "abandoned"
        raise
    except CoursewrightError as error:
        outcome, error_code = _OUTCOMES.get(error.code, "failed"), error.code
        raise
    finally:
        record(
            CallRecord(
                call_id=call.call_id,
                purpose=call.purpose,
                prompt_version=call.prompt_version,
                model=call.model,
                input_tokens=usage.input_tokens,
                output_tokens=usage.output_tokens,
                seconds=time.monotonic() - began,
                outcome=outcome,
                error_code=error_code,
                cost_usd=cost_usd(call.model, base_url, usage.input_tokens, usage.output_tokens),
                conversation=usage.conversation,
            )
        )
