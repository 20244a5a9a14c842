"""Schedules: requests that are made again at given times. The database's clock says when one is due."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from schema.clock import iso
from schema.schedule import shown_times
from storage import pages
from storage.db import Database, Transaction
from storage.pages import Position
from storage.people.privacy import IS_PRIVATE_SCHEDULE


@dataclass(frozen=True)
class Schedule:
    """A schedule as far as starting it needs. ``due_at`` is none while it is paused, and when no time is left."""

    schedule_id: UUID
    organization_id: UUID
    cron: str
    time_zone: str
    request: dict[str, Any]
    paused: bool
    due_at: datetime | None
    created_by: str | None


def _schedule(row: Any) -> Schedule:
    return Schedule(
        schedule_id=row.id,
        organization_id=row.organization_id,
        cron=row.cron,
        time_zone=row.time_zone,
        request=row.request,
        paused=row.paused,
        due_at=row.due_at,
        created_by=row.created_by,
    )


def as_shown(row: Any) -> dict[str, Any]:
    """A schedule as the API shows it (``schema.schedule.ScheduleSchema``)."""
    following = shown_times(row.cron, row.time_zone, row.due_at) if row.due_at else []
    return {
        "scheduleId": str(row.id),
        "name": row.name,
        "cron": row.cron,
        "timeZone": row.time_zone,
        "request": row.request,
        "paused": row.paused,
        "nextDueAt": iso(row.due_at),
        "nextTimes": [iso(at) for at in following],
        "lastDueAt": iso(row.last_due_at),
        "lastJobId": str(row.last_job_id) if row.last_job_id else None,
        "lastError": row.last_error,
        "createdBy": row.created_by,
        "createdAt": iso(row.created_at),
        "updatedAt": iso(row.updated_at),
    }


def now(tx: Transaction) -> datetime:
    """The moment by the database's clock."""
    at: datetime = tx.run("SELECT clock_timestamp()").scalar_one()
    return at


# --- making, changing, reading ----------------------------------------------------------------------------------------


def insert(
    tx: Transaction,
    schedule_id: UUID,
    organization_id: UUID,
    created_by: str | None,
    values: Mapping[str, Any],
    due_at: datetime | None,
    most: int,
) -> dict[str, Any] | None:
    """Make a schedule of ``name, cron, timeZone, request, paused``, unless the organization has ``most`` of them: then
    none is the answer."""
    tx.run("SELECT 1 FROM organizations WHERE id = :org FOR NO KEY UPDATE", {"org": organization_id})
    row = tx.run(
        """INSERT INTO schedules (id, organization_id, name, cron, time_zone, request, paused, due_at, created_by)
        SELECT :id, :org, :name, :cron, :timeZone, CAST(:request AS jsonb), :paused, :due, :by
        WHERE (SELECT count(*) FROM schedules WHERE organization_id = :org) < :most RETURNING *""",
        {
            **values,
            "request": json.dumps(values["request"]),
            "id": schedule_id,
            "org": organization_id,
            "by": created_by,
            "due": due_at,
            "most": most,
        },
    ).one_or_none()
    return as_shown(row) if row else None


def lock(tx: Transaction, organization_id: UUID, schedule_id: UUID) -> Schedule | None:
    """Lock a schedule of the organization; none when it has no such one."""
    row = tx.run(
        "SELECT * FROM schedules WHERE id = :id AND organization_id = :org FOR NO KEY UPDATE",
        {"id": schedule_id, "org": organization_id},
    ).one_or_none()
    return _schedule(row) if row else None


#: What a change may set, by its name in the API.
_COLUMNS = {"name": "name", "cron": "cron", "timeZone": "time_zone", "request": "request", "paused": "paused"}


def change(tx: Transaction, schedule_id: UUID, changes: Mapping[str, Any], due_at: datetime | None) -> dict[str, Any]:
    """Change a locked schedule. Returns it as shown."""
    values = dict(changes)
    if "request" in values:
        values["request"] = json.dumps(values["request"])
    given = {name: "CAST(:request AS jsonb)" if name == "request" else f":{name}" for name in values}
    sets = ", ".join(f"{_COLUMNS[name]} = {value}" for name, value in given.items())
    row = tx.run(
        f"""UPDATE schedules SET {sets}{", " if sets else ""}due_at = :due, updated_at = clock_timestamp()
        WHERE id = :id RETURNING *""",
        {**values, "id": schedule_id, "due": due_at},
    ).one()
    return as_shown(row)


def remove(tx: Transaction, organization_id: UUID, schedule_id: UUID) -> bool:
    """Remove a schedule; the jobs it started stay. False when there is no such one."""
    gone = tx.run(
        "DELETE FROM schedules WHERE id = :id AND organization_id = :org", {"id": schedule_id, "org": organization_id}
    )
    return gone.rowcount == 1


def read(db: Database, organization_id: UUID, schedule_id: UUID, *, private: bool = True) -> dict[str, Any] | None:
    """One schedule of the organization as shown; none when it has no such one, or without ``private`` when it is one of
    a private course."""
    with db.statement() as tx:
        row = tx.run(
            f"""SELECT * FROM schedules WHERE id = :id AND organization_id = :org
            AND (:private OR NOT {IS_PRIVATE_SCHEDULE})""",
            {"id": schedule_id, "org": organization_id, "private": private},
        ).one_or_none()
    return as_shown(row) if row else None


def newest(
    db: Database, organization_id: UUID, before: Position | None, limit: int, *, private: bool = True
) -> list[dict[str, Any]]:
    """Schedules of the organization, newest first, those made before the given one; with or without those of private
    courses."""
    rows = f"SELECT * FROM schedules WHERE organization_id = :org AND (:private OR NOT {IS_PRIVATE_SCHEDULE})"
    return pages.newest(db, rows, {"org": organization_id, "private": private}, before, limit, as_shown)


# --- the clock's work -------------------------------------------------------------------------------------------------


def due(db: Database, limit: int = 100) -> list[Schedule]:
    """Schedules that are due, the longest first."""
    with db.statement() as tx:
        rows = tx.run(
            "SELECT * FROM schedules WHERE due_at <= (SELECT clock_timestamp()) ORDER BY due_at LIMIT :limit",
            {"limit": limit},
        ).all()
    return [_schedule(row) for row in rows]


def take(tx: Transaction, seen: Schedule) -> datetime | None:
    """Lock a schedule that was seen to be due, and return the moment. None when somebody else has it or had it, or it
    was changed meanwhile: then there is nothing to do."""
    row = tx.run(
        """SELECT clock_timestamp() AS now FROM schedules
        WHERE id = :id AND due_at = :due AND cron = :cron AND time_zone = :zone AND request = CAST(:request AS jsonb)
        FOR NO KEY UPDATE SKIP LOCKED""",
        {
            "id": seen.schedule_id,
            "due": seen.due_at,
            "cron": seen.cron,
            "zone": seen.time_zone,
            "request": json.dumps(seen.request),
        },
    ).one_or_none()
    return row.now if row else None


def move_on(
    tx: Transaction,
    schedule_id: UUID,
    *,
    last_due_at: datetime,
    due_at: datetime | None,
    job_id: UUID | None,
    error: Mapping[str, Any] | None,
) -> None:
    """What became of a due time of a locked schedule, and when the next one is. A job that was started stays the last
    one when a later time starts none."""
    tx.run(
        """UPDATE schedules SET last_due_at = :last, due_at = :due, last_job_id = COALESCE(:job, last_job_id),
          last_error = CAST(:error AS jsonb) WHERE id = :id""",
        {
            "id": schedule_id,
            "last": last_due_at,
            "due": due_at,
            "job": job_id,
            "error": json.dumps(dict(error)) if error else None,
        },
    )


def note_started(tx: Transaction, schedule_id: UUID, job_id: UUID) -> None:
    """A job that somebody had a schedule start by hand."""
    tx.run(
        "UPDATE schedules SET last_job_id = :job, last_error = NULL WHERE id = :id", {"id": schedule_id, "job": job_id}
    )
