"""What a request says about a stream, and what an answer says about where one is."""

from __future__ import annotations

from uuid import UUID

from flask import request, url_for

from schema.errors import FieldError, Invalid
from web.identity import who
from web.streams import token
from web.wiring import deps


def last_seen() -> int | None:
    """The id a client says it saw last; none when it says nothing. Raises ``Invalid``."""
    raw = request.headers.get("Last-Event-ID") or request.args.get("lastEventId")
    if not raw:
        return None
    if not raw.isascii() or not raw.isdigit() or len(raw) > 18:
        raise Invalid([FieldError("lastEventId", "invalid_value", "Use the id of the last event you have seen.")])
    return int(raw)


def stream_url(job_id: UUID) -> str:
    """Where a job of this request's organization is followed, with the token that lets anybody who has it."""
    made = token.make(deps().settings.secret_key, who().organization_id, job_id)
    return url_for("stream.stream", job_id=job_id, token=made)
