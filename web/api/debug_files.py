"""``/api/admin/jobs/{jobId}/debug``: the files that were kept of a job for operators. They leave the store this way and
no other, to admins of the job's organization."""

from __future__ import annotations

import re
from typing import Any
from uuid import UUID

from flask import Blueprint, Response, jsonify, request, url_for
from marshmallow import fields

from schema.clock import iso
from schema.errors import FieldError, Invalid, NotFound
from schema.fields import StrictSchema, Text
from storage.objects import Found
from tasks.publish import DEBUG_CACHE, debug_key
from web.api.jobs import read_job
from web.arguments import as_pattern, paged
from web.body import only_arguments, whole_argument
from web.describe import describe
from web.identity import Need, needs, who
from web.wiring import deps

blueprint = needs(
    Blueprint("debug_files", __name__, url_prefix="/api/admin/jobs"), Need(read="admin", write="admin", scope="admin")
)

#: As the steps write them: ``repair.json``, ``llm/fill-group-1-2.json``.
_NAME = re.compile(r"(?:[A-Za-z0-9_-][A-Za-z0-9._-]{0,150}/)?[A-Za-z0-9_-][A-Za-z0-9._-]{0,150}\Z")
_QUERY = paged("Files", 200, 200, pattern=as_pattern(_NAME))


class DebugFileSchema(StrictSchema):
    name = Text(required=True)
    writtenAt = fields.DateTime(required=True)
    url = Text(required=True)


class DebugFileListSchema(StrictSchema):
    files = fields.List(fields.Nested(DebugFileSchema), required=True)
    nextCursor = Text(required=True, allow_none=True)


@blueprint.get("/<job_id>/debug")
@describe(
    "List the files kept of a job for operators: wishes, repairs, problems, conversations with models.",
    {200: (DebugFileListSchema, "A page of them, by name.")},
    query=_QUERY,
    problems=(404, 422),
)
def index(job_id: str) -> Response:
    only_arguments(_QUERY)
    limit = whole_argument("limit", 200, 1, 200)
    after = request.args.get("cursor", "")
    if "cursor" in request.args and not _NAME.match(after):
        raise Invalid([FieldError("cursor", "invalid_value", "Use the nextCursor of the page before.")])
    folder = _key(job_id, "")
    bucket = deps().settings.s3.courses_bucket
    found = deps().objects.list(bucket, f"{folder}{after}" if after else "", limit + 1, prefix=folder)
    files = [_shown(job_id, folder, one) for one in found[:limit]]
    return jsonify({"files": files, "nextCursor": files[-1]["name"] if len(found) > limit else None})


@blueprint.get("/<job_id>/debug/<path:name>")
@describe("Download one of them.", {200: (None, "The file.")}, problems=(404,))
def show(job_id: str, name: str) -> Response:
    key = _key(job_id, name)
    body = deps().objects.read(deps().settings.s3.courses_bucket, key) if _NAME.match(name) else None
    if body is None:
        raise NotFound("There is no such file.")
    response = Response(body, content_type="application/json; charset=utf-8")
    response.headers["Cache-Control"] = DEBUG_CACHE
    # What a model wrote is shown nowhere as a page.
    response.headers.set("Content-Disposition", "attachment", filename=name.replace("/", "-"))
    return response


def _key(job_id: str, name: str) -> str:
    """Where a file of this organization's job is. Raises ``NotFound`` when it has no such job."""
    return debug_key(who().organization_id, UUID(read_job(job_id)["jobId"]), name)


def _shown(job_id: str, folder: str, found: Found) -> dict[str, Any]:
    name = found.key.removeprefix(folder)
    url = url_for("debug_files.show", job_id=job_id, name=name)
    return {"name": name, "writtenAt": iso(found.written_at), "url": url}
