"""``/api/catalog``: the organization's catalog, whole, as changes or as a stream; and the public one (public contract
2.5)."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, jsonify

from schema.catalog import CatalogChangesSchema, CatalogSchema
from storage import catalog
from storage.catalog import PUBLIC
from web.arguments import last_seen as number
from web.arguments import whole
from web.body import only_arguments, whole_argument
from web.caching import tagged, unchanged
from web.describe import describe
from web.identity import PUBLIC as NOTHING
from web.identity import Need, needs, who
from web.streams.asking import AGAIN, comes_back, last_seen
from web.streams.connection import Start
from web.streams.feeds import CatalogFeed
from web.streams.handover import open_stream
from web.wiring import deps

blueprint = needs(
    Blueprint("catalog", __name__, url_prefix="/api/catalog"), Need(read="viewer", write="author", scope="catalog")
)
public = needs(Blueprint("public_catalog", __name__, url_prefix="/api/public/catalog"), NOTHING)

_OWN, _PUBLIC = "private, no-cache", "no-cache"
_SINCE = {"since": whole("The last version seen; 0 is the beginning.", 0, 10**18 - 1)}


def _whole(catalog_id: UUID, *, private: bool = False) -> Response:
    # The version alone is a tenth of the work, and most who ask have the rest already.
    cache = _PUBLIC if catalog_id == PUBLIC else _OWN
    # The id in the tag: two organizations' catalogs may have the same version. And viewers don't see all of it.
    whose = f"{catalog_id}-p" if private else f"{catalog_id}"
    early = unchanged(f"{whose}-v{catalog.version(deps().db, catalog_id)}", cache)
    if early is not None:
        return early
    read = catalog.whole(deps().db, catalog_id, private=private)
    return tagged(jsonify(read), f"{whose}-v{read['version']}", cache)


def _changes(catalog_id: UUID, *, private: bool = False) -> Response:
    only_arguments(_SINCE)
    since = whole_argument("since", 0, 0, 10**18 - 1)
    response = jsonify(catalog.changes(deps().db, catalog_id, since, private=private))
    response.headers["Cache-Control"] = _PUBLIC if catalog_id == PUBLIC else _OWN
    return response


def _stream(catalog_id: UUID, *, private: bool = False) -> Response:
    seen = last_seen()
    # Who says nothing of what they have seen begins with what is now.
    position = catalog.version(deps().db, catalog_id) if seen is None else seen
    feed = CatalogFeed(deps().db, catalog_id, private)
    return open_stream(Start(feed, position, resumed=comes_back(), told=seen is None))


_STREAMED = describe(
    "Follow what changes in a catalog.",
    {200: (None, "Every change after Last-Event-ID, and then each as it comes; reset when they can't be told.")},
    headers={"Last-Event-ID": number("The last version seen. A browser's EventSource sends it by itself.")},
    query={
        "lastEventId": number(
            "For the first connect, where an EventSource can't set Last-Event-ID: a catalog's version."
        ),
        **AGAIN,
    },
    problems=(422, 501, 503),
    media_type="text/event-stream",
)


@blueprint.get("")
@describe("Read the catalog, whole and current.", {200: (CatalogSchema, "Every course in it.")}, tagged=True)
def show() -> Response:
    return _whole(who().organization_id, private=who().sees_private)


@blueprint.get("/changes")
@describe(
    "Read what changed in the catalog after a version.",
    {200: (CatalogChangesSchema, "Changes, oldest first; or reset when they can't be told from there.")},
    query=_SINCE,
    problems=(422,),
)
def changes() -> Response:
    return _changes(who().organization_id, private=who().sees_private)


@blueprint.get("/stream")
@_STREAMED
def stream() -> Response:
    return _stream(who().organization_id, private=who().sees_private)


@public.get("")
@describe("Read the public catalog.", {200: (CatalogSchema, "Every public course.")}, tagged=True)
def show_public() -> Response:
    return _whole(PUBLIC)


@public.get("/changes")
@describe(
    "Read what changed in the public catalog after a version.",
    {200: (CatalogChangesSchema, "Changes, oldest first; or reset when they can't be told from there.")},
    query=_SINCE,
    problems=(422,),
)
def changes_public() -> Response:
    return _changes(PUBLIC)


@public.get("/stream")
@_STREAMED
def stream_public() -> Response:
    return _stream(PUBLIC)
