"""What a batch is: many jobs asked for at once, all or none accepted."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from schema.errors import FieldError, Invalid
from schema.fields import Flag, StrictSchema, Text, Whole, load
from schema.job import STATUSES, JobErrorSchema, NewJob, UsageSchema, load_new_job

#: The most jobs one batch may have.
MOST_JOBS = 500


class NewBatchSchema(StrictSchema):
    """``POST /api/jobs/batch``: each job as ``POST /api/jobs`` takes it."""

    jobs = fields.List(
        fields.Raw(),
        required=True,
        validate=validate.Length(1, MOST_JOBS, error=f"Ask for 1 to {MOST_JOBS} jobs."),
    )


def load_new_batch(given: Any) -> list[NewJob]:
    """Check the body of ``POST /api/jobs/batch``. Raises ``Invalid`` naming every faulty field of every job."""
    loaded: list[NewJob] = []
    faults: list[FieldError] = []
    for number, job in enumerate(load(NewBatchSchema(), given)["jobs"]):
        try:
            loaded.append(load_new_job(job, f"jobs.{number}"))
        except Invalid as error:
            faults += error.errors
    if faults:
        raise Invalid(faults)
    return loaded


class BatchSchema(StrictSchema):
    """A batch, as shown: sums over its jobs."""

    batchId = fields.UUID(required=True)
    total = Whole(required=True)
    createdBy = Text(required=True, allow_none=True)
    createdAt = fields.DateTime(required=True)
    byStatus = fields.Dict(keys=Text(validate=validate.OneOf(STATUSES)), values=Whole(), required=True)
    done = Whole(required=True)
    failed = Whole(required=True)
    progress = fields.Float(required=True)
    usage = fields.Nested(UsageSchema, required=True)
    finished = Flag(required=True)


class BatchJobSchema(StrictSchema):
    """A job as its batch shows it."""

    jobId = fields.UUID(required=True)
    status = Text(required=True, validate=validate.OneOf(STATUSES))
    courseId = Text(required=True, allow_none=True)
    error = fields.Nested(JobErrorSchema, required=True, allow_none=True)
