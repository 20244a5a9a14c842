"""``/api/jobs``: asking for work and following it (public contract 2.1 to 2.3)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, jsonify, request, url_for
from marshmallow import fields, validate

from schema.errors import BadRequest, FieldError, Invalid, NotFound
from schema.events import EventSchema
from schema.fields import Flag, StrictSchema, Text, load
from schema.job import (
    OLDER_JOB_TYPES,
    REQUESTABLE,
    RETRYABLE,
    STATUSES,
    CancelSchema,
    CourseRequestSchema,
    ExamCourseRequestSchema,
    JobSchema,
    is_id,
    load_new_job,
)
from storage import events, jobs
from tasks import commands
from tasks.estimates import seconds_left
from web.arguments import Argument, one_of, paged, text, whole
from web.arguments import idempotency_key as named_key
from web.auditing import audited
from web.body import json_body, only_arguments, optional_body, page, read_cursor, whole_argument
from web.describe import Either, describe
from web.identity import Need, needs, who
from web.streams.asking import stream_url
from web.wiring import deps

blueprint = needs(
    Blueprint("jobs", __name__, url_prefix="/api/jobs"), Need(read="viewer", write="author", scope="jobs")
)

KEY_LIMIT = 200
_MOST_EVENTS = 2**31 - 1
LIST_QUERY = {
    "status": one_of("Only jobs with this status.", STATUSES),
    "jobType": text("Only jobs of this kind."),
    "courseId": text("Only jobs of this course."),
    "createdBy": text("Only jobs asked for by this user."),
    "batchId": Argument("Only jobs of this batch.", format="uuid"),
    **paged("Jobs", 200, 50),
}
_COLUMNS = {
    "status": "status",
    "jobType": "job_type",
    "courseId": "course_id",
    "createdBy": "created_by",
    "batchId": "batch_id",
}
_EVENTS_QUERY = {"after": whole("The seq of the last event seen; 0 is the beginning.", 0, _MOST_EVENTS)}


class JobRequestSchema(StrictSchema):
    """What is sent to ask for a course: from a subject (``course``), or from an exam (``exam_course``)."""

    jobType = Text(required=True, validate=validate.OneOf(REQUESTABLE))
    payload = Either(CourseRequestSchema, ExamCourseRequestSchema, required=True)


class JobStartedSchema(StrictSchema):
    jobId = fields.UUID(required=True)
    status = Text(required=True)
    statusUrl = Text(required=True)
    streamUrl = Text(required=True)
    existing = Flag()


class JobAnswerSchema(StrictSchema):
    job = fields.Nested(JobSchema, required=True)
    canResume = Flag(required=True)


class JobListSchema(StrictSchema):
    jobs = fields.List(fields.Nested(JobSchema), required=True)
    nextCursor = Text(required=True, allow_none=True)


class JobEventsSchema(StrictSchema):
    events = fields.List(fields.Nested(EventSchema), required=True)


class DoneSchema(StrictSchema):
    success = Flag(required=True)
    message = Text(required=True)


def job_id_of(text: str) -> UUID:
    """A job id from an address. What can't be one is simply not there."""
    if not is_id(text):
        raise NotFound("There is no such job.")
    return UUID(text)


def read_job(job_id: str) -> dict[str, Any]:
    """The job of this organization, as shown. Raises ``NotFound``."""
    whose = who().organization_id
    job = jobs.read(deps().db, whose, job_id_of(job_id), seconds_left(deps(), whose))
    if job is None:
        raise NotFound("There is no such job.")
    return job


def key_argument(made: str) -> Argument:
    """The header by which a request that is sent again makes nothing new."""
    words = f"Your name for this request, 1 to {KEY_LIMIT} characters: sent again, the same {made}."
    return named_key(words, KEY_LIMIT)


def idempotency_key() -> str | None:
    """The caller's name for the request; none when it has none. Raises ``BadRequest`` (``bad_key``)."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= KEY_LIMIT and key.isprintable() and key.isascii()):
        raise BadRequest(f"Use 1 to {KEY_LIMIT} printable ASCII characters as Idempotency-Key.", code="bad_key")
    return key


def started_answer(started: commands.Started) -> Response:
    """202 with where to look for a new job; 200 for one that was there."""
    status_url = url_for("jobs.show", job_id=started.job_id)
    body: dict[str, Any] = {
        "jobId": str(started.job_id),
        "status": started.status,
        "statusUrl": status_url,
        "streamUrl": stream_url(started.job_id),
    }
    if not started.fresh and not started.by_key:
        body["existing"] = True
    response = jsonify(body)
    response.status_code = 202 if started.fresh else 200
    response.headers["Location"] = status_url
    return response


@blueprint.post("")
@audited("job.started", target="job")
@describe(
    "Ask for a course. The job is durable once this answers.",
    {
        202: (JobStartedSchema, "The job is accepted."),
        200: (JobStartedSchema, "This very request was accepted before; here is its job."),
    },
    body=JobRequestSchema,
    headers={"Idempotency-Key": key_argument("job")},
    problems=(400, 409, 413, 422, 429),
)
def start() -> Response:
    key = idempotency_key()
    return started_answer(commands.start_job(deps(), who().asker, load_new_job(json_body()), key))


@blueprint.get("")
@describe(
    "List jobs, newest first.",
    {200: (JobListSchema, "A page of jobs.")},
    query=LIST_QUERY,
    problems=(422,),
)
def index() -> Response:
    only_arguments(LIST_QUERY)
    limit = whole_argument("limit", 50, 1, 200)
    if request.args.get("status", STATUSES[0]) not in STATUSES:
        raise Invalid([FieldError("status", "invalid_value", f"Use one of: {', '.join(STATUSES)}.")])
    filters = {column: request.args[name] for name, column in _COLUMNS.items() if name in request.args}
    if "job_type" in filters:
        filters["job_type"] = OLDER_JOB_TYPES.get(filters["job_type"], filters["job_type"])
    if any("\x00" in value for value in filters.values()):
        raise Invalid([FieldError("query", "invalid_value", "A filter contains a NUL character.")])
    if "batch_id" in filters and not is_id(filters["batch_id"]):
        raise Invalid([FieldError("batchId", "invalid_value", "Not a batch id.")])
    whose, private = who().organization_id, who().sees_private
    left = seconds_left(deps(), whose)
    found = jobs.newest(deps().db, whose, filters, read_cursor(), limit + 1, left, private=private)
    shown, following = page(found, limit)
    return jsonify({"jobs": shown, "nextCursor": following})


@blueprint.get("/<job_id>")
@describe("Show a job.", {200: (JobAnswerSchema, "The job.")}, problems=(404,))
def show(job_id: str) -> Response:
    job = read_job(job_id)
    return jsonify({"job": job, "canResume": job["status"] in RETRYABLE})


@blueprint.get("/<job_id>/events")
@describe(
    "Read a job's events after a number, for clients that poll.",
    {200: (JobEventsSchema, "Its events, oldest first; at most 1,000.")},
    query=_EVENTS_QUERY,
    problems=(404, 422),
)
def list_events(job_id: str) -> Response:
    only_arguments(_EVENTS_QUERY)
    after = whole_argument("after", 0, 0, _MOST_EVENTS)
    read_job(job_id)
    return jsonify({"events": events.after(deps().db, who().organization_id, UUID(job_id), after)})


@blueprint.post("/<job_id>/cancel")
@audited("job.cancelled", target="job")
@describe(
    "Cancel a job, or the pictures a finished one still waits for.",
    {200: (DoneSchema, "It is cancelled.")},
    body=CancelSchema,
    body_required=False,
    problems=(400, 404, 409, 422),
)
def cancel(job_id: str) -> Response:
    reason = load(CancelSchema(), optional_body())["reason"]
    message = commands.cancel_job(deps(), who().asker, job_id_of(job_id), reason)
    return jsonify({"success": True, "message": message})


@blueprint.post("/<job_id>/retry")
@audited("job.retried", target="job")
@describe(
    "Take a job up again from its first unfinished step.",
    {202: (JobStartedSchema, "It will run again.")},
    problems=(404, 409),
)
def retry(job_id: str) -> Response:
    found = job_id_of(job_id)
    commands.retry_job(deps(), who().asker, found)
    return started_answer(commands.Started(found, "pending", fresh=True))
