"""Letting go of what is old: events first, then whole jobs, in small batches that lock little.

A purged job leaves its row as a tombstone (idempotency key, status, course, last ``seq``) for 90 days. Results stay:
documents, catalog and media don't belong to the job that made them. Dead letters are kept until a person ends them.
"""

from __future__ import annotations

from storage.db import Database

TOMBSTONE_HOURS = 90 * 24
_BATCH = 500

_FINISHED = "status IN ('done', 'failed', 'cancelled')"
_OLD = "COALESCE(completed_at, cancelled_at, updated_at) < clock_timestamp() - make_interval(hours => 1) * :hours"
# Both, because a child that is taken up at this moment shows in its parent's row, which is read again under its lock.
_NO_LIVING_CHILD = """media_pending = 0 AND NOT EXISTS (SELECT 1 FROM jobs c WHERE c.parent_job_id = jobs.id
  AND c.status NOT IN ('done', 'failed', 'cancelled'))"""


def purge(db: Database, *, jobs_hours: float, events_hours: float) -> dict[str, int]:
    """Purge everything past its time. Returns how many jobs lost their events, were purged, and were forgotten."""
    return {
        "events": _until_empty(
            db,
            f"""WITH old AS (SELECT id FROM jobs WHERE {_FINISHED} AND {_OLD} AND purged_at IS NULL
                AND EXISTS (SELECT 1 FROM job_events e WHERE e.job_id = jobs.id) LIMIT :batch)
            , gone AS (DELETE FROM job_events e USING old WHERE e.job_id = old.id)
            SELECT count(*) FROM old""",
            events_hours,
        ),
        "jobs": _until_empty(
            db,
            f"""WITH old AS (SELECT id FROM jobs WHERE {_FINISHED} AND {_OLD} AND purged_at IS NULL
                AND {_NO_LIVING_CHILD} LIMIT :batch FOR NO KEY UPDATE SKIP LOCKED)
            , payloads AS (DELETE FROM job_payloads p USING old WHERE p.job_id = old.id)
            , kept AS (DELETE FROM job_steps s USING old WHERE s.job_id = old.id)
            , told AS (DELETE FROM job_events e USING old WHERE e.job_id = old.id)
            , marked AS (UPDATE jobs SET purged_at = clock_timestamp() FROM old WHERE jobs.id = old.id)
            SELECT count(*) FROM old""",
            jobs_hours,
        ),
        "tombstones": _until_empty(
            db,
            """WITH old AS (SELECT id FROM jobs WHERE purged_at < clock_timestamp() - make_interval(hours => 1) * :hours
                AND NOT EXISTS (SELECT 1 FROM jobs c WHERE c.parent_job_id = jobs.id) LIMIT :batch)
            , gone AS (DELETE FROM jobs USING old WHERE jobs.id = old.id)
            SELECT count(*) FROM old""",
            TOMBSTONE_HOURS,
        ),
    }


def _until_empty(db: Database, statement: str, hours: float) -> int:
    total = 0
    while True:
        with db.statement() as tx:
            found = int(tx.run(statement, {"hours": hours, "batch": _BATCH}).scalar_one())
        total += found
        if found < _BATCH:
            return total
