"""``/api/admin``: how jobs went over the last days, what waits, and what models cost (public contract 2.6)."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify
from marshmallow import fields

from schema.fields import StrictSchema, Text, Whole
from storage.figures import statistics
from web.arguments import whole
from web.body import only_arguments, whole_argument
from web.describe import describe
from web.identity import Need, needs, who
from web.wiring import deps

blueprint = needs(
    Blueprint("statistics", __name__, url_prefix="/api/admin"), Need(read="admin", write="admin", scope="admin")
)

_QUERY = {"days": whole("How many days, today (in UTC) being the last; 1 to 366, 30 unless told.", 1, 366)}


class _SpanSchema(StrictSchema):
    days = Whole(required=True)
    since = fields.Date(required=True)


class JobCountSchema(StrictSchema):
    jobType = Text(required=True)
    status = Text(required=True)
    count = Whole(required=True)


class QueueSchema(StrictSchema):
    queue = Text(required=True)
    depth = Whole(required=True)
    oldestWaitingSeconds = fields.Float(required=True)


class JobMetricsSchema(_SpanSchema):
    jobs = fields.List(fields.Nested(JobCountSchema), required=True)
    cancellationRate = fields.Float(required=True, allow_none=True)
    retries = Whole(required=True)
    queues = fields.List(fields.Nested(QueueSchema), required=True)


class JobTimesSchema(StrictSchema):
    jobType = Text(required=True)
    count = Whole(required=True)
    averageSeconds = fields.Float(required=True, allow_none=True)
    p50Seconds = fields.Float(required=True, allow_none=True)
    p95Seconds = fields.Float(required=True, allow_none=True)
    p99Seconds = fields.Float(required=True, allow_none=True)


class StepTimesSchema(JobTimesSchema):
    step = Text(required=True)


class DurationsSchema(_SpanSchema):
    jobs = fields.List(fields.Nested(JobTimesSchema), required=True)
    steps = fields.List(fields.Nested(StepTimesSchema), required=True)


class ErrorCountSchema(StrictSchema):
    code = Text(required=True)
    count = Whole(required=True)


class StepFailuresSchema(StrictSchema):
    jobType = Text(required=True)
    step = Text(required=True)
    completed = Whole(required=True)
    failed = Whole(required=True)
    cancelled = Whole(required=True)
    failureRate = fields.Float(required=True, allow_none=True)
    errors = fields.List(fields.Nested(ErrorCountSchema), required=True)


class FailuresSchema(_SpanSchema):
    steps = fields.List(fields.Nested(StepFailuresSchema), required=True)


class SpentSchema(StrictSchema):
    calls = Whole(required=True)
    failedCalls = Whole(required=True)
    inputTokens = Whole(required=True)
    outputTokens = Whole(required=True)
    costUsd = fields.Float(required=True)


class SpentByDaySchema(SpentSchema):
    day = fields.Date(required=True)
    model = Text(required=True)


class CostSchema(_SpanSchema):
    total = fields.Nested(SpentSchema, required=True)
    byDay = fields.List(fields.Nested(SpentByDaySchema), required=True)


def _days() -> int:
    only_arguments(_QUERY)
    return whole_argument("days", 30, 1, 366)


@blueprint.get("/metrics")
@describe(
    "Count jobs by type and status, retries, and what waits.",
    {200: (JobMetricsSchema, "Jobs at work now, and those that ended in these days.")},
    query=_QUERY,
    problems=(422,),
)
def metrics() -> Response:
    return jsonify(statistics.metrics(deps().db, who().organization_id, _days()))


@blueprint.get("/durations")
@describe(
    "Tell how long jobs and their steps take.",
    {200: (DurationsSchema, "Median and the slow ones, of jobs that were done and of finished steps.")},
    query=_QUERY,
    problems=(422,),
)
def durations() -> Response:
    return jsonify(statistics.durations(deps().db, who().organization_id, _days()))


@blueprint.get("/failures")
@describe(
    "Tell in which steps jobs fail, and with which errors.",
    {200: (FailuresSchema, "Each step with its failure rate and its errors, the most frequent first.")},
    query=_QUERY,
    problems=(422,),
)
def failures() -> Response:
    return jsonify(statistics.failures(deps().db, who().organization_id, _days()))


@blueprint.get("/cost")
@describe(
    "Tell what calls to models cost, by day and model.",
    {200: (CostSchema, "Calls, tokens and cost, the newest day first.")},
    query=_QUERY,
    problems=(422,),
)
def cost() -> Response:
    return jsonify(statistics.cost(deps().db, who().organization_id, _days()))
