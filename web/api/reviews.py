"""``/api/reviews``: what waits for a review, and approving it (public contract 2.4)."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify
from marshmallow import fields, validate

from schema.errors import NotFound
from schema.fields import StrictSchema, Text, Whole, load
from schema.job import COURSE_ID
from storage import reviews as rows
from tasks import reviews
from web.arguments import paged
from web.auditing import audited
from web.body import only_arguments, optional_body, page, read_cursor, whole_argument
from web.describe import describe
from web.identity import Need, needs, who
from web.wiring import deps

blueprint = needs(
    Blueprint("reviews", __name__, url_prefix="/api"), Need(read="author", write="admin", scope="courses")
)

_LIST_QUERY = paged("Courses", 100, 50)


class WaitingSchema(StrictSchema):
    courseId = Text(required=True)
    title = Text(required=True)
    revision = Whole(required=True)
    waitingSince = fields.DateTime(required=True)
    jobId = Text(required=True, allow_none=True)


class ReviewListSchema(StrictSchema):
    reviews = fields.List(fields.Nested(WaitingSchema), required=True)
    nextCursor = Text(required=True, allow_none=True)


class ApprovalSchema(StrictSchema):
    """``revision`` is the one that was looked at."""

    revision = Whole(validate=validate.Range(1, 2**31 - 1))


class ApprovedSchema(StrictSchema):
    courseId = Text(required=True)
    revision = Whole(required=True)
    catalogVersion = Whole(required=True)


@blueprint.get("/reviews")
@describe(
    "List the courses that wait for a review, oldest first.",
    {200: (ReviewListSchema, "A page of courses, each at its current revision.")},
    query=_LIST_QUERY,
    problems=(422,),
)
def index() -> Response:
    only_arguments(_LIST_QUERY)
    limit = whole_argument("limit", 50, 1, 100)
    found = rows.waiting(deps().db, who().organization_id, read_cursor(), limit + 1)
    shown, following = page(found, limit)
    return jsonify({"reviews": shown, "nextCursor": following})


@blueprint.post("/courses/<course_id>/approve")
@audited("review.approved", target="course")
@describe(
    "Approve a course: its current revision enters the catalog.",
    {200: (ApprovedSchema, "It is in the catalog; also when it was before.")},
    body=ApprovalSchema,
    body_required=False,
    problems=(404, 409),
)
def approve(course_id: str) -> Response:
    given = load(ApprovalSchema(), optional_body())
    if not COURSE_ID.match(course_id):
        raise NotFound("There is no such course.")
    made = reviews.approve(deps(), who().asker, course_id, given.get("revision"))
    shown = {"courseId": made.course_id, "revision": made.revision, "catalogVersion": made.catalog_version}
    return jsonify(shown)
