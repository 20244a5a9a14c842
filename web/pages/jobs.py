"""``/jobs``: what is being made, and one job's progress as a page of its own."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from schema.job import RETRYABLE
from storage import job_lists, reviews
from web.api.jobs import job_id_of, read_job
from web.identity import Need, needs, who
from web.pages.layout import HEADERS, page
from web.streams.asking import stream_url
from web.wiring import deps

blueprint = needs(
    Blueprint("job_pages", __name__, url_prefix="/jobs"), Need(read="viewer", write="author", scope="jobs")
)

LISTED = 50


@blueprint.get("")
def index() -> Response:
    found = job_lists.recent(deps().db, who().organization_id, LISTED, private=who().sees_private)
    return page("jobs.html", jobs=found)


@blueprint.get("/at-work")
def at_work() -> Response:
    """How many there are, for the number in the frame."""
    running = job_lists.at_work(deps().db, who().organization_id, private=who().sees_private)
    response = jsonify({"running": running})
    response.headers.update(HEADERS)
    return response


@blueprint.get("/<job_id>")
def show(job_id: str) -> Response:
    job = read_job(job_id)
    found = job_id_of(job_id)
    return page(
        "job.html",
        job=job,
        waits=job["status"] == "done" and _waits(job["courseId"]),
        heading=job_lists.title(deps().db, who().organization_id, found),
        stream_url=stream_url(found),
        is_over=job["status"] == "done" or job["status"] in RETRYABLE,
    )


def _waits(course_id: str | None) -> bool:
    """Whether a job's course waits for a review, whichever job saved it last."""
    return course_id is not None and reviews.waits(deps().db, who().organization_id, course_id)
