"""``/content``: what readers download, from the object store (public contract 5)."""

from __future__ import annotations

import re
from uuid import UUID

from flask import Blueprint, Response, request

from schema.errors import NotFound
from schema.job import COURSE_ID
from storage import documents, media, organizations
from storage.documents import Revision
from tasks.publish import as_bytes, course_key
from web.caching import tagged
from web.describe import describe
from web.identity import PUBLIC, Need, needs, who
from web.wiring import deps

blueprint = needs(Blueprint("content", __name__, url_prefix="/content"), Need(read="viewer", write="author"))
public = needs(Blueprint("public_content", __name__, url_prefix="/content/public"), PUBLIC)

_MISSING = "There is no such course."


def _course_file(organization_id: UUID, course_id: str, *, only_public: bool) -> Response:
    current = None
    if COURSE_ID.match(course_id):
        current = documents.current(deps().db, organization_id, "course", course_id)
    if current is None or (only_public and current.content["visibility"] != "public"):
        raise NotFound(_MISSING)
    response = Response(_stored(current), content_type="application/json; charset=utf-8")
    is_public = current.content["visibility"] == "public"
    asked_for_this = request.args.get("v") == current.content["contentVersion"]
    cache = "public, max-age=3600" if is_public and asked_for_this else "private, no-cache"
    if is_public and not asked_for_this:
        cache = "no-cache"
    return tagged(response, f"r{current.revision}", cache)


def _stored(current: Revision) -> bytes:
    """The file as it is in the store; when that one is older or gone, the same bytes from the row behind it."""
    bucket = deps().settings.s3.courses_bucket
    key = course_key(current.organization_id, current.document_id)
    before = deps().objects.stored(bucket, key)
    if before is not None and before.number == current.revision:
        body = deps().objects.read(bucket, key)
        if body is not None:
            return body
    return as_bytes(current.content)


@blueprint.get("/courses/<course_id>/course.json")
@describe("Download a course of the organization.", {200: (None, "The course document.")}, problems=(404, 503))
def course(course_id: str) -> Response:
    return _course_file(who().organization_id, course_id, only_public=False)


@public.get("/<organization_slug>/<course_id>/course.json")
@describe("Download a public course.", {200: (None, "The course document.")}, problems=(404, 503))
def public_course(organization_slug: str, course_id: str) -> Response:
    found = organizations.by_slug(deps().db, organization_slug)
    if found is None:
        raise NotFound(_MISSING)
    return _course_file(found.id, course_id, only_public=True)


@blueprint.get("/media/<name>")
@describe(
    "Download a medium. Ranges are answered.",
    {200: (None, "Its bytes.")},
    problems=(404, 416, 503),
    media_type="image/png",
)
def medium(name: str) -> Response:
    found = re.fullmatch(r"([0-9a-f]{64})\.([a-z0-9]{2,5})", name)
    asset = media.read(deps().db, who().organization_id, found[1], found[2]) if found else None
    if asset is None:
        raise NotFound("There is no such medium.")
    key = f"{asset.organization_id}/{asset.sha256}.{asset.extension}"
    body = deps().objects.read(deps().settings.s3.media_bucket, key)
    if body is None:
        raise NotFound("There is no such medium.")
    shared = "public" if asset.visibility == "public" else "private"
    response = Response(body, content_type=asset.content_type)
    response.set_etag(asset.sha256)
    response.headers["Cache-Control"] = f"{shared}, max-age=31536000, immutable"
    response.headers["X-Content-Type-Options"] = "nosniff"
    response.make_conditional(request, accept_ranges=True, complete_length=len(body))
    return response
