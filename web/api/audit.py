"""``/api/audit``: who did what to what, from where, for admins; as JSON a page at a time, or whole as CSV."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime, time
from typing import Any

from flask import Blueprint, Response, jsonify, request, stream_with_context
from marshmallow import fields, validate

from schema.audit import ACTIONS, WAYS, neutral
from schema.errors import FieldError, Invalid
from schema.fields import StrictSchema, Text
from storage import audit, wall
from storage.audit import Filters
from web.arguments import Argument, one_of, paged, text
from web.body import only_arguments, page, read_cursor, whole_argument
from web.describe import describe
from web.identity import Need, needs, who
from web.wiring import deps

blueprint = needs(Blueprint("audit", __name__), Need(read="admin", write="admin", scope="audit"))

#: What of the log is wanted: parameters of a query.
FILTERS = {
    "actor": text("Only what this user, or the token of this name, did."),
    "action": one_of("Only this action, such as job.cancelled.", ACTIONS),
    "target": text("Only what was done to the thing with this id."),
    "from": Argument("Only from this time on: a date, or a time with its zone.", format="moment"),
    "to": Argument("Only before this time.", format="moment"),
}
_QUERY = {
    **FILTERS,
    **paged("Entries", 200, 50),
}
_COLUMNS = (
    *("at", "actor", "way", "role", "action", "targetKind", "targetId", "address", "requestId", "details"),
    "id",
)
#: Rows read from the database at a time.
_AT_ONCE = 1000


class AuditEntrySchema(StrictSchema):
    id = fields.UUID(required=True)
    at = fields.DateTime(required=True)
    actor = Text(required=True, allow_none=True)
    way = Text(required=True, validate=validate.OneOf(WAYS))
    role = Text(required=True, allow_none=True)
    action = Text(required=True, validate=validate.OneOf(list(ACTIONS)))
    targetKind = Text(required=True, allow_none=True)
    targetId = Text(required=True, allow_none=True)
    address = Text(required=True, allow_none=True)
    requestId = Text(required=True, allow_none=True)
    details = fields.Dict(required=True)


class AuditListSchema(StrictSchema):
    entries = fields.List(fields.Nested(AuditEntrySchema), required=True)
    nextCursor = Text(required=True, allow_none=True)


@blueprint.get("/api/audit")
@describe(
    "List who did what, newest first.", {200: (AuditListSchema, "A page of entries.")}, query=_QUERY, problems=(422,)
)
def index() -> Response:
    only_arguments(_QUERY)
    limit = whole_argument("limit", 50, 1, 200)
    found = audit.newest(deps().db, who().organization_id, filters(request.args), read_cursor(), limit + 1)
    shown, following = page(found, limit)
    return jsonify({"entries": shown, "nextCursor": following})


@blueprint.get("/api/audit.csv")
@describe(
    "Export who did what, newest first, as CSV for a spreadsheet. Cells that it might take for formulas begin with '.",
    {200: (None, "A line for each entry.")},
    query=FILTERS,
    problems=(422,),
    media_type="text/csv",
)
def export() -> Response:
    only_arguments(FILTERS)
    lines = _lines(who().organization_id, filters(request.args))
    response = Response(stream_with_context(lines), content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="audit.csv"'
    response.headers["Cache-Control"] = "no-store"
    return response


def filters(given: Mapping[str, str]) -> Filters:
    """The filters of a query. Raises ``Invalid`` naming each that can't be read."""
    action = given.get("action")
    faults = []
    if action is not None and action not in ACTIONS:
        faults.append(FieldError("action", "invalid_value", "There is no such action. /docs lists them."))
    for name in ("actor", "target"):
        if "\x00" in given.get(name, ""):
            faults.append(FieldError(name, "invalid_value", "It contains a NUL character."))
    times = {}
    for name in ("from", "to"):
        try:
            times[name] = _moment(given.get(name))
        except (ValueError, OverflowError):
            words = "Use a date such as 2026-11-21, or a time with its zone such as 2026-11-21T10:00:00Z."
            faults.append(FieldError(name, "invalid_value", words))
    if faults:
        raise Invalid(faults)
    return Filters(given.get("actor"), action, given.get("target"), times["from"], times["to"])


def _moment(given: str | None) -> datetime | None:
    if given is None:
        return None
    if len(given) == len("2026-11-21"):
        return datetime.combine(date.fromisoformat(given), time(), UTC)
    # A plus sign of a zone is a space once an address was read.
    read = datetime.fromisoformat(given.replace(" ", "+"))
    if read.tzinfo is None:
        raise ValueError("naive")
    return read.astimezone(UTC)


def _lines(organization_id: Any, wanted: Filters) -> Iterator[str]:
    yield _line(_COLUMNS)
    before = None
    while True:
        with wall.within(organization_id):  # the answer is being sent, and the request is over
            found = audit.newest(deps().db, organization_id, wanted, before, _AT_ONCE)
        if not found:
            return
        for entry in found:
            yield _line([_cell(entry[name]) for name in _COLUMNS])
        before = found[-1]["_position"]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return neutral(json.dumps(value, ensure_ascii=False) if isinstance(value, dict) else str(value))


def _line(cells: Any) -> str:
    out = io.StringIO()
    csv.writer(out).writerow(cells)
    return out.getvalue()
