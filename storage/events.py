"""A job's numbered events. They are appended only under the job's row lock, so their numbers have no gaps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from schema.events import Event, as_shown
from storage.db import Database, Transaction
from storage.engine.statuses import IS_OVER
from storage.notices.outbox import noticed, noticing

#: Put behind a CTE named ``held`` that locked the job and raised ``last_seq`` by the number of events; it appends them.
#: An event that leaves its ``progress`` open (none) gets that of the row: whoever claims a job hasn't read it yet.
TOLD = """told AS (
  INSERT INTO job_events (job_id, seq, organization_id, type, body, created_at)
  SELECT held.id, held.last_seq - :told + e.ordinality, held.organization_id, e.value->>'type',
         CASE WHEN e.value->'body'->'progress' = 'null'
           THEN e.value->'body' || jsonb_build_object('progress', held.progress)
           ELSE e.value->'body' END, clock_timestamp()
  FROM held, jsonb_array_elements(CAST(:events AS jsonb)) WITH ORDINALITY AS e
)"""


def told(events: Sequence[Event]) -> dict[str, Any]:
    """The parameters ``TOLD`` needs."""
    return {"told": len(events), "events": json.dumps([{"type": e.type, "body": e.body} for e in events])}


def append(tx: Transaction, job_id: UUID, events: Sequence[Event]) -> int:
    """Append events to a job whatever its status, and return its last ``seq``. Takes the job's row lock."""
    return int(
        tx.run(
            f"""WITH held AS (
              UPDATE jobs SET last_seq = last_seq + :told, updated_at = clock_timestamp() WHERE id = :job
              RETURNING *
            ), {TOLD} {noticed(events)} SELECT last_seq FROM held""",
            {"job": job_id, **told(events), **noticing(events)},
        ).scalar_one()
    )


def after(db: Database, organization_id: UUID, job_id: UUID, seq: int, limit: int = 1000) -> list[dict[str, Any]]:
    """A job's events with numbers above ``seq``, as shown, oldest first."""
    with db.statement() as tx:
        rows = tx.run(
            "SELECT seq, created_at, type, body FROM job_events"
            " WHERE job_id = :job AND organization_id = :org AND seq > :seq ORDER BY seq LIMIT :limit",
            {"job": job_id, "org": organization_id, "seq": seq, "limit": limit},
        ).all()
    return [as_shown(str(job_id), row.seq, row.created_at, row.type, row.body) for row in rows]


@dataclass(frozen=True)
class Look:
    """A job and what it has told beyond a number, as they were at one moment. ``ended_at`` is when the last of it was
    told, none while the job goes on; ``missed``: events after the number have been purged, so ``found`` is empty."""

    over: bool
    last_seq: int
    ended_at: datetime | None
    missed: bool
    found: list[dict[str, Any]]


_LOOK = f"""SELECT j.last_seq, {IS_OVER} AS over, e.*,
  COALESCE((SELECT last.created_at FROM job_events last WHERE last.job_id = j.id AND last.seq = j.last_seq),
    j.completed_at, j.cancelled_at) AS ended_at
FROM jobs j LEFT JOIN LATERAL (
  SELECT seq, created_at, type, body FROM job_events WHERE job_id = j.id AND seq > :seq ORDER BY seq LIMIT :limit
) e ON true WHERE j.id = :job AND j.organization_id = :org ORDER BY e.seq"""


def look(db: Database, organization_id: UUID, job_id: UUID, seq: int, limit: int = 1000) -> Look | None:
    """What a job has told after ``seq``, at most ``limit`` of it, and whether more can come; none when the organization
    has no such job. One statement, so all of it is from the same moment."""
    values = {"job": job_id, "org": organization_id, "seq": seq, "limit": limit}
    with db.statement() as tx:
        rows = tx.run(_LOOK, values).all()
    if not rows:
        return None
    first = rows[0]
    missed = seq < first.last_seq and first.seq != seq + 1
    found = [] if missed or first.seq is None else rows
    return Look(
        over=first.over,
        last_seq=first.last_seq,
        ended_at=first.ended_at if first.over else None,
        missed=missed,
        found=[as_shown(str(job_id), row.seq, row.created_at, row.type, row.body) for row in found],
    )


_BEYOND = f"""SELECT seen.id FROM unnest(CAST(:ids AS uuid[]), CAST(:seqs AS integer[])) AS seen (id, seq)
LEFT JOIN jobs j ON j.id = seen.id WHERE j.id IS NULL OR j.last_seq > seen.seq OR {IS_OVER}"""


def told_beyond(db: Database, seen: Mapping[UUID, int]) -> list[UUID]:
    """Of these jobs, with the ``seq`` seen last of each, those that are worth a look: more was told, or the job is
    over, or gone."""
    values = {"ids": list(seen), "seqs": list(seen.values())}
    with db.statement() as tx:
        return [row.id for row in tx.run(_BEYOND, values).all()]
