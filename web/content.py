"""``/content``: what readers download (public contract 5).

Courses come from the row their file in the store is written from, so both ways always agree and a store that hangs
stops nobody. Media come from the store; their names are hashes of their bytes.
"""

from __future__ import annotations

import re
from uuid import UUID

from flask import Blueprint, Response, request

from schema.access import allows
from schema.errors import Forbidden, NotFound, Unauthenticated
from schema.job import COURSE_ID
from storage import documents, media, organizations, reviews
from tasks.publish import as_bytes
from web.caching import tagged
from web.describe import describe
from web.identity import PUBLIC, Identity, Need, maybe, needs, who
from web.wiring import deps

#: Bytes under the hash of themselves never change, so who has them may keep them. What is public may be closed any day:
#: a cache that serves others (``s-maxage`` is for those alone) asks again after a minute.
_OWN = "private, max-age=31536000, immutable"
_PUBLIC = "public, max-age=31536000, immutable, s-maxage=60"

blueprint = needs(
    Blueprint("content", __name__, url_prefix="/content"), Need(read="viewer", write="author", scope="courses")
)
public = needs(Blueprint("public_content", __name__, url_prefix="/content"), PUBLIC)


def sees(asking: Identity | None, organization_id: UUID, visibility: str) -> bool:
    """Whether somebody, or nobody, may read what an organization keeps at this visibility. All of ``/content`` asks
    here, before it answers anything else: an ETag, a length, that it is there."""
    if visibility == "public":
        return True
    if asking is None or asking.organization_id != organization_id:
        return False
    return visibility == "org" or asking.sees_private


def _course_file(organization_id: UUID, course_id: str, asking: Identity | None) -> Response:
    current = None
    if COURSE_ID.match(course_id):
        current = documents.current(deps().db, organization_id, "course", course_id)
    # Asked in this order: a revision that waits is there only together with the row that says so.
    visibility = current.content["visibility"] if current is not None else "private"
    if visibility == "public" and reviews.waits(deps().db, organization_id, course_id):
        visibility = "org"  # nobody else reads what nobody has approved
    if current is None or not sees(asking, organization_id, visibility):
        raise NotFound("There is no such course.")
    response = Response(as_bytes(current.content), content_type="application/json; charset=utf-8")
    cache = "private, no-cache"
    if visibility == "public":
        asked_for_this = request.args.get("v") == current.content["contentVersion"]
        cache = "public, max-age=3600" if asked_for_this else "no-cache"
    return tagged(response, f"{organization_id}-r{current.revision}", cache)


@blueprint.get("/courses/<course_id>/course.json")
@describe("Download a course of the organization.", {200: (None, "The course document.")}, problems=(404,), tagged=True)
def course(course_id: str) -> Response:
    return _course_file(who().organization_id, course_id, who())


@public.get("/public/<organization_slug>/<course_id>/course.json")
@describe("Download a public course.", {200: (None, "The course document.")}, problems=(404,), tagged=True)
def public_course(organization_slug: str, course_id: str) -> Response:
    organization_id = organizations.public_id(deps().db, organization_slug)
    if organization_id is None:
        raise NotFound("There is no such course.")
    return _course_file(organization_id, course_id, None)


@public.get("/media/<name>")
@describe(
    "Download a medium. Those of public courses need no identity. Ranges are answered.",
    {200: (None, "Its bytes."), 206: (None, "The part that was asked for.")},
    problems=(400, 401, 403, 404, 416, 503),
    media_type="image/png",
    tagged=True,
)
def medium(name: str) -> Response:
    found = re.fullmatch(r"([0-9a-f]{64})\.([a-z0-9]{2,5})", name)
    asking = maybe()
    organization_id = asking.organization_id if asking else None
    asset = media.read(deps().db, organization_id, found[1], found[2]) if found else None
    if asset is None or not sees(asking, asset.organization_id, asset.visibility):
        if asking is None:
            # Also for one there isn't: who asks without an identity learns nothing about what others have.
            raise Unauthenticated("It isn't public, or there is no such medium. Say who you are to see your own.")
        raise NotFound("There is no such medium.")
    if asset.visibility != "public" and asking is not None and not allows(asking.scopes, "media", writing=False):
        raise Forbidden("This needs the scope media:read, which your token doesn't have.", code="scope_missing")
    key = f"{asset.organization_id}/{asset.sha256}.{asset.extension}"
    body = deps().objects.read(deps().settings.s3.media_bucket, key)
    if body is None:
        raise NotFound("There is no such medium.")
    response = Response(body, content_type=asset.content_type)
    response.set_etag(asset.sha256)
    response.headers["Cache-Control"] = _PUBLIC if asset.visibility == "public" else _OWN
    response.make_conditional(request, accept_ranges=True, complete_length=len(body))
    return response
