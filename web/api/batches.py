"""``/api/jobs/batch`` and ``/api/batches``: many jobs asked for at once (public contract 2.1)."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask import Blueprint, Response, jsonify, request, url_for
from marshmallow import fields, validate

from schema.batch import MOST_JOBS, BatchJobSchema, BatchSchema, load_new_batch
from schema.errors import NotFound
from schema.fields import Flag, StrictSchema, Text, Whole, load
from schema.job import CancelSchema, is_id
from storage import batches as rows
from tasks import batches
from web.api.jobs import JobRequestSchema, idempotency_key, key_argument
from web.arguments import paged
from web.auditing import audited
from web.body import json_body, only_arguments, optional_body, page, read_cursor, whole_argument
from web.describe import describe
from web.identity import Need, needs, who
from web.wiring import deps

blueprint = needs(Blueprint("batches", __name__), Need(read="viewer", write="author", scope="jobs"))

#: The largest body of a batch, in bytes: 500 jobs with long notes.
LARGEST_BATCH = 8_000_000
_LIST_QUERY = paged("Batches", 100, 20)


class NewCourseBatchSchema(StrictSchema):
    """What is sent to ask for many courses."""

    jobs = fields.List(fields.Nested(JobRequestSchema), required=True, validate=validate.Length(1, MOST_JOBS))


class BatchStartedSchema(StrictSchema):
    batchId = fields.UUID(required=True)
    total = Whole(required=True)
    jobIds = fields.List(fields.UUID(), required=True)
    statusUrl = Text(required=True)


class BatchAnswerSchema(StrictSchema):
    batch = fields.Nested(BatchSchema, required=True)
    jobs = fields.List(fields.Nested(BatchJobSchema), required=True)


class BatchListSchema(StrictSchema):
    batches = fields.List(fields.Nested(BatchSchema), required=True)
    nextCursor = Text(required=True, allow_none=True)


class BatchCancelledSchema(StrictSchema):
    success = Flag(required=True)
    message = Text(required=True)
    cancelled = Whole(required=True)


def _batch_id_of(text: str) -> UUID:
    if not is_id(text):
        raise NotFound("There is no such batch.")
    return UUID(text)


@blueprint.post("/api/jobs/batch")
@audited("batch.started", target="batch")
@describe(
    "Ask for 1 to 500 courses at once. All are accepted, or none.",
    {
        202: (BatchStartedSchema, "All jobs are accepted."),
        200: (BatchStartedSchema, "This very request was accepted before; here is its batch."),
    },
    body=NewCourseBatchSchema,
    headers={"Idempotency-Key": key_argument("batch")},
    problems=(400, 409, 413, 422),
)
def start() -> Response:
    request.max_content_length = LARGEST_BATCH
    key = idempotency_key()
    started = batches.start_batch(deps(), who().asker, load_new_batch(json_body()), key)
    status_url = url_for("batches.show", batch_id=started.batch_id)
    body: dict[str, Any] = {
        "batchId": str(started.batch_id),
        "total": len(started.job_ids),
        "jobIds": [str(job_id) for job_id in started.job_ids],
        "statusUrl": status_url,
    }
    response = jsonify(body)
    response.status_code = 202 if started.fresh else 200
    response.headers["Location"] = status_url
    return response


@blueprint.get("/api/batches")
@describe(
    "List batches, newest first.",
    {200: (BatchListSchema, "A page of batches.")},
    query=_LIST_QUERY,
    problems=(422,),
)
def index() -> Response:
    only_arguments(_LIST_QUERY)
    limit = whole_argument("limit", 20, 1, 100)
    found = rows.newest(deps().db, who().organization_id, read_cursor(), limit + 1, private=who().sees_private)
    shown, following = page(found, limit)
    return jsonify({"batches": shown, "nextCursor": following})


@blueprint.get("/api/batches/<batch_id>")
@describe(
    "Sum a batch up, and show how each of its jobs stands.",
    {200: (BatchAnswerSchema, "The batch and its jobs, in the order they were asked for.")},
    problems=(404,),
)
def show(batch_id: str) -> Response:
    found = _batch_id_of(batch_id)
    private = who().sees_private
    batch = rows.read(deps().db, who().organization_id, found, private=private)
    if batch is None:
        raise NotFound("There is no such batch.")
    return jsonify({"batch": batch, "jobs": rows.members(deps().db, found, private=private)})


@blueprint.post("/api/batches/<batch_id>/cancel")
@audited("batch.cancelled", target="batch")
@describe(
    "Cancel every job of a batch that has not ended, and the pictures finished ones still wait for.",
    {200: (BatchCancelledSchema, "They are cancelled.")},
    body=CancelSchema,
    body_required=False,
    problems=(400, 404, 409, 422),
)
def cancel(batch_id: str) -> Response:
    reason = load(CancelSchema(), optional_body())["reason"]
    cancelled = batches.cancel_batch(deps(), who().asker, _batch_id_of(batch_id), reason)
    # Of courses that are done it may have been pictures only.
    jobs = "1 job" if cancelled == 1 else f"{cancelled} jobs"
    message = f"What had not ended of {jobs} is cancelled. What is finished so far is kept; a retry goes on from there."
    return jsonify({"success": True, "message": message, "cancelled": cancelled})
