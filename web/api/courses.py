"""``/api/courses``: finding and reading courses (public contract 2.4)."""

from __future__ import annotations

import re
from typing import Any, get_args

from flask import Blueprint, Response, jsonify, request
from marshmallow import fields, validate

from schema.catalog import ListedCourseSchema
from schema.clock import iso
from schema.course import CourseSchema, Visibility
from schema.errors import FieldError, Invalid, NotFound
from schema.fields import StrictSchema, Text, Whole
from schema.job import COURSE_ID
from storage import courses, documents, reviews
from storage.documents import Revision
from web.arguments import as_pattern, one_of, paged, text
from web.body import only_arguments, whole_argument
from web.caching import tagged
from web.describe import describe
from web.identity import Need, needs, who
from web.wiring import deps

blueprint = needs(
    Blueprint("courses", __name__, url_prefix="/api/courses"), Need(read="viewer", write="author", scope="courses")
)


class ReviewSchema(StrictSchema):
    """Of a course that needs no review, ``status`` alone."""

    status = Text(required=True, validate=validate.OneOf(["none", "waiting", "approved"]))
    waitingSince = fields.DateTime()
    jobId = Text(allow_none=True)
    approvedAt = fields.DateTime(allow_none=True)
    approvedBy = Text(allow_none=True)


class CourseAnswerSchema(StrictSchema):
    course = fields.Nested(CourseSchema, required=True)
    revision = Whole(required=True)
    updatedAt = fields.DateTime(required=True)
    review = fields.Nested(ReviewSchema, required=True)


class CourseSummarySchema(ListedCourseSchema):
    grade = Text(allow_none=True)
    visibility = Text()
    revision = Whole()
    catalogVersion = Whole()


class CourseListSchema(StrictSchema):
    courses = fields.List(fields.Nested(CourseSummarySchema), required=True)
    nextCursor = Text(required=True, allow_none=True)


_VISIBILITIES: tuple[str, ...] = get_args(Visibility)
_LIST_QUERY = {
    "q": text("Words in title, description or subject."),
    "subject": text("Only this subject."),
    "gradeBand": text("Only this grade band."),
    "tag": text("Only courses with this tag."),
    "visibility": one_of("Only private, org or public ones.", _VISIBILITIES),
    **paged("Courses", 200, 50, pattern=as_pattern(COURSE_ID)),
}


def current_course(course_id: str) -> Revision:
    """The current revision of a course of this organization. Raises ``NotFound``."""
    found = None
    if COURSE_ID.match(course_id):
        found = documents.current(deps().db, who().organization_id, "course", course_id)
    if found is None:
        raise NotFound("There is no such course.")
    return found


@blueprint.get("")
@describe(
    "Search courses by what they say about themselves.",
    {200: (CourseListSchema, "A page of courses, by id.")},
    query=_LIST_QUERY,
    problems=(422,),
)
def index() -> Response:
    only_arguments(_LIST_QUERY)
    limit = whole_argument("limit", 50, 1, 200)
    names = {"q": "q", "subject": "subject", "gradeBand": "grade_band", "tag": "tag", "visibility": "visibility"}
    filters = {column: request.args[name] for name, column in names.items() if name in request.args}
    if request.args.get("visibility", _VISIBILITIES[0]) not in _VISIBILITIES:
        raise Invalid([FieldError("visibility", "invalid_value", f"Use one of: {', '.join(_VISIBILITIES)}.")])
    after = request.args.get("cursor", "")
    if "cursor" in request.args and not COURSE_ID.match(after):
        raise Invalid([FieldError("cursor", "invalid_value", "Use the nextCursor of the page before.")])
    if any(re.search("\x00", value) for value in filters.values()):
        raise Invalid([FieldError("query", "invalid_value", "A filter contains a NUL character.")])
    whose, private = who().organization_id, who().sees_private
    found: list[Any] = courses.search(deps().db, whose, filters, after, limit + 1, private=private)
    following = found[limit - 1]["id"] if len(found) > limit else None
    return jsonify({"courses": found[:limit], "nextCursor": following})


@blueprint.get("/<course_id>")
@describe("Read a course.", {200: (CourseAnswerSchema, "Its current revision.")}, problems=(404,), tagged=True)
def show(course_id: str) -> Response:
    found = current_course(course_id)
    review = review_of(found)
    body = {"course": found.content, "revision": found.revision, "updatedAt": iso(found.created_at), "review": review}
    # An approval changes the answer and not the revision.
    stands = "" if review["status"] == "none" else f"-{review['status']}"
    return tagged(jsonify(body), f"{found.organization_id}-r{found.revision}{stands}", "private, no-cache")


def review_of(found: Revision) -> dict[str, Any]:
    """How the review of a course stands that was just read."""
    review = reviews.read(deps().db, found.organization_id, found.document_id)
    return review.as_shown() if review else {"status": "none"}
