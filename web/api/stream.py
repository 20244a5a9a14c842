"""``/api/jobs/{jobId}/stream``: a job's events as Server-Sent Events, resumed by ``Last-Event-ID``.

Each connection replays what the client hasn't seen and ends; the ``retry`` it is given brings the client back two
seconds later with the id it has, so nothing is lost and no thread is held while there is nothing to say. After the
last event of a finished job the answer is 204, which stops an ``EventSource`` for good.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, request

from schema.errors import FieldError, Invalid
from storage import events
from web import sse
from web.api.jobs import read_job
from web.describe import describe
from web.identity import Need, needs, who
from web.wiring import deps

blueprint = needs(Blueprint("stream", __name__, url_prefix="/api/jobs"), Need(read="viewer", write="author"))

RETRY_MILLISECONDS = 2000
_FINAL = {"done", "failed", "cancelled", "dead_letter"}


@blueprint.get("/<job_id>/stream")
@describe(
    "Follow a job's events.",
    {200: (None, "Events after Last-Event-ID."), 204: (None, "The job is over and every event was seen.")},
    headers={"Last-Event-ID": "The id of the last event seen. A browser's EventSource sends it by itself."},
    query={"lastEventId": "For the first connect, where an EventSource can't set Last-Event-ID."},
    problems=(404, 422),
    media_type="text/event-stream",
)
def stream(job_id: str) -> Response:
    after = _last_seen()
    job = read_job(job_id)
    new = events.after(deps().db, who().organization_id, UUID(job_id), after)
    if not new and _over(job):
        return Response(status=204)
    body = sse.retry(RETRY_MILLISECONDS) + "".join(sse.frame(event) for event in new)
    return Response(body, headers=sse.HEADERS)


def _over(job: dict[str, Any]) -> bool:
    return job["status"] in _FINAL and not job["mediaPending"]


def _last_seen() -> int:
    raw = request.headers.get("Last-Event-ID") or request.args.get("lastEventId") or "0"
    if not raw.isascii() or not raw.isdigit() or len(raw) > 9:
        raise Invalid([FieldError("lastEventId", "invalid_value", "Use the id of the last event you have seen.")])
    return int(raw)
