"""``/catalog``: the courses there are, newest first. The page's script keeps it current from there on."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response

from schema.catalog import CatalogEntry
from storage import catalog, reviews
from web.identity import Need, needs, who
from web.pages.layout import page
from web.wiring import deps

blueprint = needs(Blueprint("catalog_pages", __name__), Need(read="viewer", write="author", scope="catalog"))

#: So many of the courses that wait for a review are named.
WAITING_SHOWN = 10
#: The card that the script copies for courses that come later.
_BLANK = CatalogEntry(
    id="",
    title="",
    description="",
    subject="",
    grade="",
    gradeBand="",
    language="",
    tags=[],
    itemCount=0,
    hasStudyTexts=False,
    contentVersion="",
    url="",
    updatedAt="",
)


@blueprint.get("/catalog")
def show() -> Response:
    whole = catalog.whole(deps().db, who().organization_id, private=who().sees_private)
    courses: list[CatalogEntry] = whole["courses"]
    courses.sort(key=lambda entry: (entry["updatedAt"], entry["id"]), reverse=True)
    return page("catalog.html", courses=courses, blank=_BLANK, waiting=_waiting())


def _waiting() -> list[dict[str, Any]]:
    """What somebody who may approve has not looked at yet, oldest first."""
    asking = who()
    return reviews.waiting(deps().db, asking.organization_id, None, WAITING_SHOWN) if asking.role == "admin" else []
