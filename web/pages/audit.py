"""``/audit``: who did what, for admins; the same entries and filters as ``/api/audit``."""

from __future__ import annotations

from urllib.parse import urlencode

from flask import Blueprint, Response, request

from schema.audit import ACTIONS
from storage import audit
from web.api.audit import FILTERS, filters
from web.body import page as page_of
from web.body import read_cursor
from web.identity import Need, needs, who
from web.pages.layout import page
from web.wiring import deps

blueprint = needs(Blueprint("audit_pages", __name__), Need(read="admin", write="admin", scope="audit"))

LISTED = 100


@blueprint.get("/audit")
def show() -> Response:
    chosen = {name: value for name, value in request.args.items() if name in FILTERS and value}
    found = audit.newest(deps().db, who().organization_id, filters(chosen), read_cursor(), LISTED + 1)
    entries, following = page_of(found, LISTED)
    return page(
        "audit.html",
        entries=entries,
        chosen=chosen,
        actions=ACTIONS,
        export=_with("/api/audit.csv", chosen),
        following=_with("/audit", {**chosen, "cursor": following}) if following else None,
    )


def _with(path: str, query: dict[str, str]) -> str:
    return f"{path}?{urlencode(query)}" if query else path
