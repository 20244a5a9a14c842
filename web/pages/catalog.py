"""``/catalog``: the courses there are, newest first. The page's script keeps it current from there on."""

from __future__ import annotations

from flask import Blueprint, Response

from schema.catalog import CatalogEntry
from storage import catalog
from web.identity import Need, needs, who
from web.pages.layout import page
from web.wiring import deps

blueprint = needs(Blueprint("catalog_pages", __name__), Need(read="viewer", write="author"))

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
    courses: list[CatalogEntry] = catalog.whole(deps().db, who().organization_id)["courses"]
    courses.sort(key=lambda entry: (entry["updatedAt"], entry["id"]), reverse=True)
    return page("catalog.html", courses=courses, blank=_BLANK)
