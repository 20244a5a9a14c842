"""``/api/generation``: four of the commands under the names older clients know, answered in the shape they read (public
contract 2.1). The stream among them is in ``web.api.stream``: its events are the same."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from flask import Blueprint, Response, jsonify
from marshmallow import fields, validate

from schema.errors import Invalid
from schema.fields import Flag, Lines, StrictSchema, Text, load
from schema.job import RETRYABLE, load_new_job
from tasks import commands
from web.api.jobs import DoneSchema, idempotency_key, job_id_of, key_argument, read_job
from web.auditing import audited
from web.body import json_body
from web.describe import describe
from web.identity import Need, needs, who
from web.streams.asking import stream_url
from web.wiring import deps

blueprint = needs(
    Blueprint("generation", __name__, url_prefix="/api/generation"), Need(read="viewer", write="author", scope="jobs")
)

_STATUSES = {
    "pending": "pending",
    "processing": "running",
    "stale": "running",
    "done": "completed",
    "failed": "failed",
    "dead_letter": "failed",
    "cancelled": "cancelled",
}


class OlderStartSchema(StrictSchema):
    """What older clients send for a course from an exam. Everything else is as it comes."""

    examId = Text(required=True)


class OlderCancelSchema(StrictSchema):
    jobId = Text(required=True)
    reason = Lines(load_default="", validate=validate.Length(max=500))


class OlderStartedSchema(StrictSchema):
    jobId = fields.UUID(required=True)
    status = Text(required=True, validate=validate.OneOf(sorted(set(_STATUSES.values()))))
    streamUrl = Text(required=True)


class OlderStatusSchema(StrictSchema):
    job = fields.Dict(required=True)
    canResume = Flag(required=True)


def as_older(job: dict[str, Any]) -> dict[str, Any]:
    """A job in the shape older clients read: its fields in snake_case, their five statuses, and two names of theirs."""
    told = {re.sub(r"(?<=[a-z])([A-Z])", lambda found: f"_{found[1].lower()}", name): job[name] for name in job}
    return {"id": job["jobId"], "user_id": job["createdBy"], **told, "status": _STATUSES[job["status"]]}


@blueprint.post("/start")
@audited("job.started", target="job")
@describe(
    "Ask for a course from an exam (older name).",
    {202: (OlderStartedSchema, "The job is accepted."), 200: (OlderStartedSchema, "There is a job for it already.")},
    body=OlderStartSchema,
    headers={"Idempotency-Key": key_argument("job")},
    problems=(400, 409, 413, 422, 429),
)
def start() -> Response:
    key = idempotency_key()
    given = load(OlderStartSchema(), json_body())
    try:
        new = load_new_job({"jobType": "exam_course", "payload": {"examId": given["examId"]}})
        started = commands.start_job(deps(), who().asker, new, key)
    except Invalid as error:
        # They sent no payload, so none may be named.
        named = [replace(fault, path=fault.path.removeprefix("payload.")) for fault in error.errors]
        raise Invalid(named) from None
    response = jsonify(
        {
            "jobId": str(started.job_id),
            "status": _STATUSES[started.status],
            "streamUrl": stream_url(started.job_id),
        }
    )
    response.status_code = 202 if started.fresh else 200
    return response


@blueprint.post("/cancel")
@audited("job.cancelled", target="job")
@describe(
    "Cancel a job (older name).",
    {200: (DoneSchema, "It is cancelled.")},
    body=OlderCancelSchema,
    problems=(400, 404, 409, 422),
)
def cancel() -> Response:
    given = load(OlderCancelSchema(), json_body())
    message = commands.cancel_job(deps(), who().asker, job_id_of(given["jobId"]), given["reason"])
    return jsonify({"success": True, "message": message})


@blueprint.get("/status/<job_id>")
@describe("Show a job (older name).", {200: (OlderStatusSchema, "The job, in snake_case.")}, problems=(404,))
def status(job_id: str) -> Response:
    job = read_job(job_id)
    return jsonify({"job": as_older(job), "canResume": job["status"] in RETRYABLE})
