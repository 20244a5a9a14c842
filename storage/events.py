"""A job's numbered events. They are appended only under the job's row lock, so their numbers have no gaps."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from schema.events import Event, as_shown
from storage.db import Database, Transaction

#: Put behind a CTE named ``held`` that locked the job and raised ``last_seq`` by the number of events; it appends them.
TOLD = """told AS (
  INSERT INTO job_events (job_id, seq, organization_id, type, body, created_at)
  SELECT held.id, held.last_seq - :told + e.ordinality, held.organization_id,
         e.value->>'type', e.value->'body', clock_timestamp()
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
              RETURNING id, organization_id, last_seq
            ), {TOLD} SELECT last_seq FROM held""",
            {"job": job_id, **told(events)},
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
