"""``/api/jobs/{jobId}/stream``: a job's events as Server-Sent Events, resumed by ``Last-Event-ID`` (public contract 3).

The view decides whether there is something to stream, and to whom. What is streamed is up to ``web.streams``.
"""

from __future__ import annotations

from functools import partial

from flask import Blueprint, Response

from schema.clock import utc_now
from schema.errors import NotFound
from storage import events, jobs
from tasks.estimates import seconds_left
from web.api.jobs import job_id_of
from web.arguments import last_seen as number
from web.describe import describe
from web.identity import Need, needs, who
from web.streams import token
from web.streams.asking import AGAIN, comes_back, last_seen
from web.streams.connection import Start
from web.streams.feeds import JobFeed
from web.streams.handover import open_stream
from web.wiring import deps

_NEED = Need(read="viewer", write="author", by_token=True, scope="jobs")
blueprint = needs(Blueprint("stream", __name__, url_prefix="/api/jobs"), _NEED)
#: The same under the name older clients know.
older = needs(Blueprint("older_stream", __name__, url_prefix="/api/generation"), _NEED)

_DESCRIBED = describe(
    "Follow a job's events.",
    {
        200: (None, "Every event after Last-Event-ID, and then each as it comes, until the job is over."),
        204: (None, "The job is over and every event was seen."),
    },
    headers={"Last-Event-ID": number("The id of the last event seen. A browser's EventSource sends it by itself.")},
    query={
        "lastEventId": number("For the first connect, where an EventSource can't set Last-Event-ID."),
        **AGAIN,
    },
    problems=(404, 422, 501, 503),
    media_type="text/event-stream",
)


@blueprint.get("/<job_id>/stream")
@_DESCRIBED
def stream(job_id: str) -> Response:
    return _stream(job_id)


@older.get("/stream/<job_id>")
@_DESCRIBED
def older_stream(job_id: str) -> Response:
    return _stream(job_id)


def _stream(job_id: str) -> Response:
    identity, found_id = who(), job_id_of(job_id)
    whose = identity.organization_id
    seen = last_seen("token")
    # One event at most: what is there decides the answer, the rest is read for all who follow the job together.
    found = events.look(deps().db, whose, found_id, seen or 0, limit=1)
    if found is None:
        raise NotFound("There is no such job.")
    if identity.way == "stream":
        token.check_age(found.ended_at, utc_now())
    if found.over and (seen or 0) >= found.last_seq:
        # A job may be taken up again, so nobody may keep this.
        return _for_everybody(Response(status=204, headers={"Cache-Control": "no-store"}))
    # Who claims to have seen more than there is has seen all there is.
    shown = partial(jobs.read_numbered, deps().db, whose, found_id, seconds_left(deps(), whose))
    feed = JobFeed(deps().db, whose, found_id, shown)
    return _for_everybody(open_stream(Start(feed, min(seen or 0, found.last_seq), resumed=comes_back())))


def _for_everybody(answer: Response) -> Response:
    """A token in the address is all a page of another site needs; nothing of this site's own identity goes with it."""
    if who().way == "stream":
        answer.headers["Access-Control-Allow-Origin"] = "*"
    return answer
