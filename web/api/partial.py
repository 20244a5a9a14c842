"""``/api/jobs/{jobId}/partial``: what a job has finished so far, to be read while the rest is still being made."""

from __future__ import annotations

import hashlib

from flask import Blueprint, Response, jsonify
from marshmallow import fields, validate

from schema.errors import NotFound
from schema.fields import StrictSchema, Text, Whole
from schema.job import STATUSES
from storage import partial
from web.api.jobs import job_id_of
from web.caching import tagged
from web.describe import describe
from web.identity import Need, needs, who
from web.wiring import deps

blueprint = needs(
    Blueprint("partial", __name__, url_prefix="/api/jobs"), Need(read="viewer", write="author", scope="jobs")
)


class PartialGroupSchema(StrictSchema):
    id = Text(required=True)
    name = Text(required=True)
    items = fields.List(fields.Dict(), required=True)


class PartialSchema(StrictSchema):
    """Items, study texts and topics are as in a course, but not yet checked as long as the job isn't done."""

    jobId = fields.UUID(required=True)
    status = Text(required=True, validate=validate.OneOf(STATUSES))
    title = Text(required=True, allow_none=True)
    groups = fields.List(fields.Nested(PartialGroupSchema), required=True)
    studyTexts = fields.List(fields.Dict(), required=True)
    topics = fields.List(fields.Dict(), required=True)
    finished = Whole(required=True)
    total = Whole(required=True, allow_none=True)


@blueprint.get("/<job_id>/partial")
@describe(
    "Read what a job has finished so far.",
    {200: (PartialSchema, "Finished groups, study texts and topics; of a job that is done its course.")},
    problems=(404,),
    tagged=True,
)
def show(job_id: str) -> Response:
    found = partial.read(deps().db, who().organization_id, job_id_of(job_id))
    if found is None:
        raise NotFound("There is no such job.")
    response = jsonify(found)
    return tagged(response, hashlib.sha256(response.get_data()).hexdigest()[:32], "private, no-cache")
