"""``/api/schedules``: requests that are made again and again at given times (public contract 2.6)."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, jsonify, url_for
from marshmallow import fields

from schema.fields import StrictSchema, Text
from schema.job import is_id
from schema.schedule import NewScheduleSchema, ScheduleChangesSchema, ScheduleSchema, load_schedule
from storage import schedules as rows
from tasks import schedules
from web.api.jobs import JobStartedSchema, started_answer
from web.arguments import paged
from web.auditing import audited
from web.body import json_body, only_arguments, page, read_cursor, whole_argument
from web.describe import describe
from web.identity import Need, needs, who
from web.wiring import deps

blueprint = needs(
    Blueprint("schedules", __name__, url_prefix="/api/schedules"),
    Need(read="viewer", write="author", scope="schedules"),
)

_LIST_QUERY = paged("Schedules", 100, 50)


class ScheduleListSchema(StrictSchema):
    schedules = fields.List(fields.Nested(ScheduleSchema), required=True)
    nextCursor = Text(required=True, allow_none=True)


def _schedule_id(text: str) -> UUID:
    if not is_id(text):
        raise schedules.no_such_schedule()
    return UUID(text)


@blueprint.get("")
@describe(
    "List schedules, newest first.",
    {200: (ScheduleListSchema, "A page of schedules.")},
    query=_LIST_QUERY,
    problems=(422,),
)
def index() -> Response:
    only_arguments(_LIST_QUERY)
    limit = whole_argument("limit", 50, 1, 100)
    found = rows.newest(deps().db, who().organization_id, read_cursor(), limit + 1, private=who().sees_private)
    shown, following = page(found, limit)
    return jsonify({"schedules": shown, "nextCursor": following})


@blueprint.post("")
@audited("schedule.made", target="schedule")
@describe(
    "Have a request made again and again. It is checked now, and again each time it is made.",
    {201: (ScheduleSchema, "The schedule, with its next times.")},
    body=NewScheduleSchema,
    problems=(409,),
)
def make() -> Response:
    made = schedules.make(deps(), who().asker, load_schedule(NewScheduleSchema(), json_body()))
    response = jsonify(made)
    response.status_code = 201
    response.headers["Location"] = url_for("schedules.show", schedule_id=made["scheduleId"])
    return response


@blueprint.get("/<schedule_id>")
@describe("Show a schedule.", {200: (ScheduleSchema, "The schedule, with its next times.")}, problems=(404,))
def show(schedule_id: str) -> Response:
    found = rows.read(deps().db, who().organization_id, _schedule_id(schedule_id), private=who().sees_private)
    if found is None:
        raise schedules.no_such_schedule()
    return jsonify(found)


@blueprint.patch("/<schedule_id>")
@audited("schedule.changed", "schedule.paused", "schedule.resumed", target="schedule")
@describe(
    "Change a schedule, pause or resume it. What is left out stays.",
    {200: (ScheduleSchema, "The schedule as it is now.")},
    body=ScheduleChangesSchema,
    problems=(404,),
)
def change(schedule_id: str) -> Response:
    changes = load_schedule(ScheduleChangesSchema(), json_body())
    return jsonify(schedules.change(deps(), who().asker, _schedule_id(schedule_id), changes))


@blueprint.delete("/<schedule_id>")
@audited("schedule.removed", target="schedule")
@describe("Remove a schedule. The jobs it started stay.", {204: (None, "It is removed.")}, problems=(404,))
def remove(schedule_id: str) -> Response:
    schedules.remove(deps(), who().asker, _schedule_id(schedule_id))
    return Response(status=204)


@blueprint.post("/<schedule_id>/run")
@audited("schedule.run", target="schedule")
@describe(
    "Make the request now, besides its times; also while the schedule is paused.",
    {
        202: (JobStartedSchema, "The job is accepted."),
        200: (JobStartedSchema, "A job that makes the same is at work; here it is."),
    },
    problems=(404, 409, 422, 429),
)
def run(schedule_id: str) -> Response:
    return started_answer(schedules.run_now(deps(), who().asker, _schedule_id(schedule_id)))
