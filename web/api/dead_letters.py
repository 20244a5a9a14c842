"""``/api/admin/dead-letters``: jobs whose retries are used up, with their whole history, and how to get rid of them."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, jsonify, request
from marshmallow import fields, validate

from schema.errors import FieldError, Invalid
from schema.fields import Flag, StrictSchema, Text, Whole, load
from schema.job import OLDER_JOB_TYPES
from storage import jobs
from storage.engine import attempts
from tasks import admin
from web.api.admin import AttemptErrorSchema, DeadLetterSchema
from web.arguments import paged, text
from web.auditing import audited
from web.body import only_arguments, optional_body, page, read_cursor, whole_argument
from web.describe import describe
from web.identity import Need, needs, who
from web.wiring import deps

blueprint = needs(
    Blueprint("dead_letters", __name__, url_prefix="/api/admin/dead-letters"),
    Need(read="admin", write="admin", scope="admin"),
)

_MOST = 500
_QUERY = {
    "jobType": text("Only jobs of this kind."),
    **paged("Dead letters", 200, 50),
}


class DeadLetterListSchema(StrictSchema):
    deadLetters = fields.List(fields.Nested(DeadLetterSchema), required=True)
    nextCursor = Text(required=True, allow_none=True)


class RequeueSchema(StrictSchema):
    """``POST /api/admin/dead-letters/requeue``: which."""

    code = Text(validate=validate.Length(max=100))
    jobType = Text(validate=validate.Length(max=100))
    limit = Whole(load_default=100, validate=validate.Range(1, _MOST))


class RequeuedJobSchema(StrictSchema):
    jobId = fields.UUID(required=True)
    requeued = Flag(required=True)
    error = fields.Nested(AttemptErrorSchema, required=True, allow_none=True)


class RequeuedSchema(StrictSchema):
    requeued = Whole(required=True)
    refused = Whole(required=True)
    jobs = fields.List(fields.Nested(RequeuedJobSchema), required=True)


@blueprint.get("")
@describe(
    "List dead letters with every attempt, newest first.",
    {200: (DeadLetterListSchema, "A page of dead letters.")},
    query=_QUERY,
    problems=(422,),
)
def index() -> Response:
    only_arguments(_QUERY)
    limit = whole_argument("limit", 50, 1, 200)
    filters = {"status": "dead_letter"}
    if (kind := request.args.get("jobType")) is not None:
        if "\x00" in kind:
            raise Invalid([FieldError("jobType", "invalid_value", "It contains a NUL character.")])
        filters["job_type"] = OLDER_JOB_TYPES.get(kind, kind)
    organization_id = who().organization_id
    found = jobs.newest(deps().db, organization_id, filters, read_cursor(), limit + 1)
    letters, following = page(found, limit)
    ids = [UUID(job["jobId"]) for job in letters]
    tried = attempts.attempts(deps().db, organization_id, ids)
    shown = [{"job": job, "attempts": tried[job_id]} for job_id, job in zip(ids, letters, strict=True)]
    return jsonify({"deadLetters": shown, "nextCursor": following})


@blueprint.post("/requeue")
@audited("admin.requeued", target="job")
@describe(
    "Requeue several dead letters, the oldest first.",
    {200: (RequeuedSchema, "What became of each.")},
    body=RequeueSchema,
    body_required=False,
    problems=(400, 422),
)
def requeue() -> Response:
    given = load(RequeueSchema(), optional_body())
    kind = given.get("jobType")
    outcomes = admin.requeue_dead_letters(
        deps(),
        who().asker,
        code=given.get("code"),
        job_type=OLDER_JOB_TYPES.get(kind, kind) if kind else None,
        limit=given["limit"],
    )
    done = sum(outcome.error is None for outcome in outcomes)
    shown = [outcome.as_json() for outcome in outcomes]
    return jsonify({"requeued": done, "refused": len(outcomes) - done, "jobs": shown})
