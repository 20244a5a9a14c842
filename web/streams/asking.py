"""What a request says about a stream, and what an answer says about where one is."""

from __future__ import annotations

from uuid import UUID

from flask import request, url_for

from schema.errors import FieldError, Invalid
from web.body import only_arguments
from web.identity import who
from web.streams import token
from web.wiring import deps

#: How the OpenAPI document tells of ``comes_back``.
AGAIN = {"reconnect": "yes, where a new EventSource takes the place of one that broke. It is counted, no more."}


def last_seen(*others: str) -> int | None:
    """The id a client says it saw last; none when it says nothing. ``others`` are further parameters that an address of
    a stream may have. Raises ``Invalid``, also for any that is unknown: a misspelt id must not look like none."""
    only_arguments(("lastEventId", "reconnect", *others))
    raw = request.headers.get("Last-Event-ID") or request.args.get("lastEventId")
    if not raw:
        return None
    if not raw.isascii() or not raw.isdigit() or len(raw) > 18:
        raise Invalid([FieldError("lastEventId", "invalid_value", "Use the id of the last event you have seen.")])
    return int(raw)


def comes_back() -> bool:
    """Whether a client was here before. An ``EventSource`` that connects again by itself sends the header, and so do
    programs; a page that opens a new one says so. ``lastEventId`` alone is what a first connection begins with."""
    return request.args.get("reconnect") == "yes" or request.headers.get("Last-Event-ID", "0") not in ("", "0")


def stream_url(job_id: UUID) -> str:
    """Where a job of this request's organization is followed, with the token that lets anybody who has it."""
    made = token.make(deps().settings.signing_keys, who().grounds, job_id)
    return url_for("stream.stream", job_id=job_id, token=made)
