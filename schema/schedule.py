"""What a schedule is: a request that is made again and again, at the times of a cron expression in a time zone.

Times are told as Debian's cron does where clocks are changed: one that a day leaves out comes right after the gap, one
that a day has twice comes the first time. What comes every hour or more often goes by the hours that really pass.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo, available_timezones

from cronsim import CronSim, CronSimError
from marshmallow import ValidationError, fields, validate

from schema.errors import FieldError, Invalid
from schema.fields import Flag, Line, StrictSchema, Text, load
from schema.job import NewJob, load_new_job

#: The most schedules of one organization.
MOST_SCHEDULES = 100
#: A time that was missed is made up for when it is at most so many seconds ago; only the last of several is.
CATCH_UP_SECONDS = 3600.0
#: How many of the next times are shown.
SHOWN_TIMES = 3


# --- times ----------------------------------------------------------------------------------------------------------


def times(cron: str, time_zone: str, after: datetime) -> Iterator[datetime]:
    """The times of an expression after a moment, in UTC and in their order; none when they end. Raises ``ValueError``
    for an expression that can't be read."""
    if len(cron.split()) != 5:
        raise ValueError("Use five fields: minute, hour, day of month, month, day of week.")
    try:
        found = CronSim(cron, after.astimezone(ZoneInfo(time_zone)))
    except CronSimError as error:
        raise ValueError(f"{error}.") from None
    return _rising(found, after)


def _rising(found: CronSim, after: datetime) -> Iterator[datetime]:
    last = after
    for local in found:
        at = local.astimezone(UTC)
        # Where the clock is set back the library may tell a time that is over; where it is set forward, one twice.
        if at > last:
            last = at
            yield at


def next_time(cron: str, time_zone: str, after: datetime) -> datetime | None:
    """The first time after a moment; none when there is none any more."""
    return next(times(cron, time_zone, after), None)


def last_missed(cron: str, time_zone: str, due_at: datetime, now: datetime) -> datetime:
    """Of the times from ``due_at`` to ``now`` the last, as far as it may still be made up for; else ``due_at``."""
    last = due_at
    # Not from the beginning: after a month a schedule of every minute would have missed 43,000 times.
    since = max(due_at, now - timedelta(seconds=CATCH_UP_SECONDS + 1))
    for at in times(cron, time_zone, since):
        if at > now:
            break
        last = at
    return last


@cache
def _zones() -> frozenset[str]:
    # What these two mean depends on the machine.
    return frozenset(available_timezones() - {"localtime", "Factory"})


# --- what is sent to make and change one, and what is shown ---------------------------------------------------------


def _known_zone(name: str) -> None:
    if name not in _zones():
        raise ValidationError("Not a time zone. Use a name such as Europe/Berlin or UTC.")


def _readable(cron: str) -> None:
    if len(cron) > 100 or not re.fullmatch(r"[A-Za-z0-9*/,# -]+", cron):
        raise ValidationError("Use five fields: minute, hour, day of month, month, day of week.")
    try:
        first = next_time(cron, "UTC", datetime(2026, 1, 1, tzinfo=UTC))
    except ValueError as error:
        raise ValidationError(str(error)) from None
    if first is None:
        raise ValidationError("That day never comes.")


def _not_blank(value: str) -> None:
    if not value.strip():
        raise ValidationError("Must not be empty.")


def _name(**more: Any) -> Line:
    return Line(validate=[validate.Length(max=120), _not_blank], **more)


class NewScheduleSchema(StrictSchema):
    """``POST /api/schedules``. ``request`` is what ``POST /api/jobs`` takes."""

    name = _name(required=True)
    cron = Text(required=True, validate=_readable)
    timeZone = Text(load_default="UTC", validate=_known_zone)
    request = fields.Raw(required=True)
    paused = Flag(load_default=False)


class ScheduleChangesSchema(StrictSchema):
    """``PATCH /api/schedules/{scheduleId}``: what is left out stays."""

    name = _name()
    cron = Text(validate=_readable)
    timeZone = Text(validate=_known_zone)
    request = fields.Raw()
    paused = Flag()


def load_schedule(schema: NewScheduleSchema | ScheduleChangesSchema, given: Any) -> dict[str, Any]:
    """Check a body, and the request in it as ``POST /api/jobs`` would: it becomes a ``NewJob``. Raises ``Invalid``
    naming every faulty field, those of the request with paths such as ``request.payload.subject``."""
    faults: list[FieldError] = []
    loaded: dict[str, Any] = {}
    try:
        loaded = load(schema, given)
    except Invalid as error:
        faults += error.errors
    request = given.get("request") if isinstance(given, dict) else None
    if request is not None:
        try:
            loaded["request"] = load_new_job(request, "request")
        except Invalid as error:
            faults += error.errors
    elif "request" in loaded:
        faults.append(FieldError("request", "wrong_type", "Give what POST /api/jobs takes: jobType and payload."))
    if faults:
        raise Invalid(faults)
    return loaded


def as_kept(request: NewJob) -> dict[str, Any]:
    """A checked request as a schedule keeps and shows it, every default filled in."""
    return {"jobType": request.job_type, "payload": request.payload}


def shown_times(cron: str, time_zone: str, due_at: datetime) -> list[datetime]:
    """The next times of a schedule that is due at this one."""
    return [due_at, *islice(times(cron, time_zone, due_at), SHOWN_TIMES - 1)]


class ScheduledRequestSchema(StrictSchema):
    """The request of a schedule, as ``POST /api/jobs`` takes it."""

    jobType = Text(required=True)
    payload = fields.Dict(required=True)


class ScheduleErrorSchema(StrictSchema):
    """Why nothing was started the last time."""

    code = Text(required=True)
    message = Text(required=True)
    at = fields.DateTime(required=True)


class ScheduleSchema(StrictSchema):
    """A schedule, as shown."""

    scheduleId = fields.UUID(required=True)
    name = Text(required=True)
    cron = Text(required=True)
    timeZone = Text(required=True)
    request = fields.Nested(ScheduledRequestSchema, required=True)
    paused = Flag(required=True)
    nextDueAt = fields.DateTime(required=True, allow_none=True)
    nextTimes = fields.List(fields.DateTime(), required=True)
    lastDueAt = fields.DateTime(required=True, allow_none=True)
    lastJobId = fields.UUID(required=True, allow_none=True)
    lastError = fields.Nested(ScheduleErrorSchema, required=True, allow_none=True)
    createdBy = Text(required=True, allow_none=True)
    createdAt = fields.DateTime(required=True)
    updatedAt = fields.DateTime(required=True)
