"""Foreign errors become ours at this door: what the openai library raises, as ``Transient`` or ``Permanent``.

No message repeats what the other side wrote: its answers quote parts of keys and prompts.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from email.utils import parsedate_to_datetime
from math import isfinite
from typing import TYPE_CHECKING

from schema.clock import utc_now
from schema.errors import CoursewrightError, Permanent, Transient

if TYPE_CHECKING:
    import openai

#: Codes with which vendors answer 400 when their content rules, not the shape of the request, were hurt.
_REFUSALS = frozenset({"content_policy_violation", "moderation_blocked", "content_filter"})
_STREAM = re.compile(r"\bstream(ing|_options)?\b", re.IGNORECASE)
_IDENTIFIER = re.compile(r"[A-Za-z0-9_.\[\]-]{1,64}\Z")


class Unreadable(Transient):
    """The model answered, but not with what was asked for. Asking again often helps."""

    code = "model_answer_unreadable"


def refused(model: str) -> Permanent:
    """The model declined, or a content filter cut its answer."""
    words = f"The model {model} declined to answer. Change the subject or the notes, or choose another model."
    return Permanent(words, code="model_refused")


def broken_off(cause: str) -> Transient:
    """Nobody answered, or an answer broke off. ``cause`` is a short name for operators."""
    words = "The model endpoint can't be reached, or the connection broke. Check OPENAI_BASE_URL and the network."
    return Transient(words, code="model_unavailable", details={"cause": cause})


def refuses_streams(error: openai.APIStatusError) -> bool:
    """Whether an endpoint doesn't accept that an answer is asked for as a stream, or its tokens with it."""
    return error.status_code in (400, 422, 501) and _STREAM.search(f"{error.param} {error.message}") is not None


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Seconds the other side asked us to wait: ``retry-after-ms``, or ``retry-after`` as seconds or an HTTP date
    (RFC 9110, 10.2.3). None when it said nothing that can be read; never negative."""
    for name, scale in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        raw = headers.get(name, "").strip()
        try:
            seconds = float(raw) / scale
        except ValueError:
            continue
        if isfinite(seconds):
            return max(0.0, seconds)
    try:
        moment = parsedate_to_datetime(headers.get("retry-after", ""))
    except ValueError:
        return None
    if moment.tzinfo is None:  # "-0000": a date without a zone can't be compared
        return None
    return max(0.0, (moment - now).total_seconds())


def _of_status(error: openai.APIStatusError, model: str, now: datetime) -> CoursewrightError:
    """Our error for an HTTP status of 400 and above."""
    status = error.status_code
    details: dict[str, object] = {"status": status}
    for name, value in (("vendorCode", error.code), ("parameter", error.param)):
        if isinstance(value, str) and _IDENTIFIER.match(value):
            details[name] = value
    quota = "insufficient_quota" in (error.code, error.type)
    wait = retry_after(error.response.headers, now)
    if status in (401, 403):
        words = (
            f"The model endpoint refused our key (HTTP {status}). Check OPENAI_API_KEY, and that it may use {model}."
        )
        return Permanent(words, code="model_unauthorized", details=details)
    if status == 402 or (status == 429 and quota):
        words = "The account behind OPENAI_API_KEY has no quota left. Check its plan and billing."
        return Permanent(words, code="model_quota_exhausted", details=details)
    if status == 429:
        words = f"The model endpoint asks for fewer calls to {model}."
        return Transient(words, code="model_rate_limited", retry_after=wait, details=details)
    if status == 408:
        return Transient("The model endpoint gave up waiting (HTTP 408).", code="model_timeout", details=details)
    if status == 409 or status >= 500:
        words = f"The model endpoint is in trouble (HTTP {status})."
        return Transient(words, code="model_unavailable", retry_after=wait, details=details)
    if error.code in _REFUSALS:
        return refused(model)
    words = (
        f"The model endpoint does not accept the request (HTTP {status}). "
        f"Check that OPENAI_BASE_URL is right and that it offers {model} with JSON schema answers."
    )
    return Permanent(words, code="model_request_invalid", details=details)


def _of_stream(error: openai.APIError, model: str) -> CoursewrightError:
    """Our error for one that came as an event in the middle of an answer, without a status."""
    named = {str(error.code), str(error.type)}
    if "insufficient_quota" in named:
        words = "The account behind OPENAI_API_KEY has no quota left. Check its plan and billing."
        return Permanent(words, code="model_quota_exhausted")
    if named & {"429", "rate_limit_exceeded", "rate_limit_error"}:
        return Transient(f"The model endpoint asks for fewer calls to {model}.", code="model_rate_limited")
    if named & _REFUSALS:
        return refused(model)
    return Transient("The model endpoint broke its answer off with an error.", code="model_unavailable")


@contextmanager
def translated(model: str, timeout_seconds: float) -> Iterator[None]:
    """Turns whatever one call to ``model`` raises into ours. Cancellation passes through.

    Raises ``Permanent`` (``model_unauthorized``, ``model_request_invalid``, ``model_quota_exhausted``,
    ``model_refused``) or ``Transient`` (``model_rate_limited``, ``model_unavailable``, ``model_timeout``,
    ``model_answer_unreadable``).
    """
    import httpx2  # noqa: PLC0415 - both take a while
    import openai  # noqa: PLC0415 - takes 0.6 s, and a process that never calls a model never pays it

    try:
        yield
    except openai.APIStatusError as error:
        raise _of_status(error, model, utc_now()) from None
    except (openai.APITimeoutError, TimeoutError, httpx2.TimeoutException):
        words = f"The model endpoint did not answer within {timeout_seconds:g} seconds."
        raise Transient(words, code="model_timeout") from None
    except openai.APIConnectionError as error:
        raise broken_off(type(error.__cause__ or error).__name__) from None
    except httpx2.RequestError as error:  # while an answer is read without the library's help
        raise broken_off(type(error).__name__) from None
    except (openai.APIResponseValidationError, json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        words = "The model endpoint's answer is not whole JSON."
        raise Unreadable(words, details={"cause": type(error).__name__}) from None
    except openai.APIError as error:
        raise _of_stream(error, model) from None
