"""``/api/admin``: what operators see of jobs, and do with them (public contract 2.6). Dead letters and figures have
files of their own.
"""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, jsonify
from marshmallow import fields

from schema.clock import iso
from schema.fields import Flag, StrictSchema, Text, Whole
from schema.job import RETRYABLE, JobSchema
from storage.engine import attempts, corrections
from tasks import admin, commands
from web.api import jobs
from web.api.jobs import LIST_QUERY, DoneSchema, JobListSchema, JobStartedSchema, job_id_of, read_job, started_answer
from web.auditing import audited
from web.describe import describe
from web.identity import Need, needs, who
from web.wiring import deps

blueprint = needs(
    Blueprint("admin", __name__, url_prefix="/api/admin"), Need(read="admin", write="admin", scope="admin")
)


class AttemptErrorSchema(StrictSchema):
    code = Text(required=True)
    message = Text(required=True)


class AttemptSchema(StrictSchema):
    attempt = Whole(required=True)
    run = Whole(required=True, allow_none=True)
    step = Text(required=True, allow_none=True)
    error = fields.Nested(AttemptErrorSchema, required=True)
    at = fields.DateTime(required=True)
    nextRunAt = fields.DateTime(required=True, allow_none=True)


class LeaseSchema(StrictSchema):
    holder = Text(required=True)
    step = Text(required=True)
    heartbeatAt = fields.DateTime(required=True)
    progressAt = fields.DateTime(required=True)
    patienceSeconds = fields.Float(required=True)


class CheckpointSchema(StrictSchema):
    step = Text(required=True)
    part = Text(required=True)
    run = Whole(required=True)
    seconds = fields.Float(required=True)
    createdAt = fields.DateTime(required=True)


class DeadLetterSchema(StrictSchema):
    job = fields.Nested(JobSchema, required=True)
    attempts = fields.List(fields.Nested(AttemptSchema), required=True)


class InspectedJobSchema(DeadLetterSchema):
    canResume = Flag(required=True)
    lease = fields.Nested(LeaseSchema, required=True, allow_none=True)
    checkpoints = fields.List(fields.Nested(CheckpointSchema), required=True)


class ReconciledSchema(StrictSchema):
    corrected = fields.Dict(keys=Text(), values=Whole(), required=True)


class CorrectionSchema(StrictSchema):
    kind = Text(required=True)
    count = Whole(required=True)
    lastAt = fields.DateTime(required=True)


class CorrectionListSchema(StrictSchema):
    corrections = fields.List(fields.Nested(CorrectionSchema), required=True)


@blueprint.get("/jobs")
@describe(
    "List jobs, newest first.",
    {200: (JobListSchema, "A page of jobs.")},
    query=LIST_QUERY,
    problems=(422,),
)
def index() -> Response:
    return jobs.index()


@blueprint.get("/jobs/<job_id>")
@describe(
    "Show a job with its attempts, its lease and its checkpoints.",
    {200: (InspectedJobSchema, "The job.")},
    problems=(404,),
)
def show(job_id: str) -> Response:
    job = read_job(job_id)
    seen = attempts.inspect(deps().db, who().organization_id, UUID(job["jobId"]))
    return jsonify({"job": job, "canResume": job["status"] in RETRYABLE, **seen})


@blueprint.post("/jobs/<job_id>/requeue")
@audited("admin.requeued", target="job")
@describe(
    "Take a job that ended badly up again, in a new run from its first unfinished step.",
    {202: (JobStartedSchema, "It will run again.")},
    problems=(404, 409),
)
def requeue(job_id: str) -> Response:
    found = job_id_of(job_id)
    commands.retry_job(deps(), who().asker, found, "admin.requeued")
    return started_answer(commands.Started(found, "pending", fresh=True))


@blueprint.post("/jobs/<job_id>/mark-stale")
@audited("admin.marked_stale", target="job")
@describe(
    "Take a job out of the hands of its worker. Within seconds the reconciler gives it a new run, which costs one of "
    "its retries; a job without retries left becomes a dead letter.",
    {200: (DoneSchema, "It is stale.")},
    problems=(404, 409),
)
def mark_stale(job_id: str) -> Response:
    admin.mark_stale(deps(), who().asker, job_id_of(job_id))
    return _done("The job is stale. The reconciler takes it up within seconds, for one of its retries.")


@blueprint.post("/jobs/<job_id>/dead-letter")
@audited("admin.dead_lettered", target="job")
@describe(
    "Put a job that failed or went stale among the dead letters.",
    {200: (DoneSchema, "It is a dead letter.")},
    problems=(404, 409),
)
def dead_letter(job_id: str) -> Response:
    admin.make_dead_letter(deps(), who().asker, job_id_of(job_id))
    return _done("The job is a dead letter. It is kept until somebody requeues or deletes it.")


@blueprint.delete("/jobs/<job_id>")
@audited("admin.deleted", target="job")
@describe(
    "Delete a job that ended badly. What it saved stays.",
    {200: (DoneSchema, "It is gone.")},
    problems=(404, 409),
)
def delete(job_id: str) -> Response:
    admin.delete_job(deps(), who().asker, job_id_of(job_id))
    return _done("The job is deleted. Its courses and pictures stay.")


def _done(message: str) -> Response:
    return jsonify({"success": True, "message": message})


@blueprint.post("/reconcile")
@audited("admin.reconciled")
@describe(
    "Find and correct drift now, in what belongs to the organization, instead of at the next tick.",
    {200: (ReconciledSchema, "How often each kind was corrected; empty when all was well.")},
)
def reconcile() -> Response:
    return jsonify({"corrected": admin.reconcile_now(deps())})


@blueprint.get("/corrections")
@describe(
    "Show what the reconciler has corrected so far, in the whole system.",
    {200: (CorrectionListSchema, "Each kind, how often and when last.")},
)
def list_corrections() -> Response:
    found = corrections.read(deps().db)
    shown = [{"kind": one.kind, "count": one.count, "lastAt": iso(one.last_at)} for one in found]
    return jsonify({"corrections": shown})
