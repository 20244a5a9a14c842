"""Letting go of what is old: events first, then whole jobs, in small batches that lock little.

What a purged job, its steps and its calls to models tell is folded into ``daily_stats`` by the statement that removes
them: it commits whole or not at all, so nothing is counted twice or lost. A purged job leaves its row as a tombstone
(idempotency key, status, course, last ``seq``) for 90 days. Results stay: documents, catalog and media don't belong to
the job that made them. Dead letters are kept until a person ends them.
"""

from __future__ import annotations

from storage.daily import ENDED_AT, folded, of_calls, of_jobs, of_steps
from storage.db import Database

TOMBSTONE_HOURS = 90 * 24
#: Who makes a batch makes its jobs in the same moment; a day is far beyond that.
_BATCH_HOURS = 24
_BATCH = 500
_CALLS = 5000

_FINISHED = "status IN ('done', 'failed', 'cancelled')"
_AGO = "clock_timestamp() - make_interval(hours => 1) * :hours"
_OLD = f"{ENDED_AT} < {_AGO}"
# Both, because a child that is taken up at this moment shows in its parent's row, which is read again under its lock.
_NO_LIVING_CHILD = """media_pending = 0 AND NOT EXISTS (SELECT 1 FROM jobs c WHERE c.parent_job_id = jobs.id
  AND c.purged_at IS NULL AND c.status NOT IN ('done', 'failed', 'cancelled'))"""

_EVENTS = f"""WITH old AS (SELECT id FROM jobs WHERE {_FINISHED} AND {_OLD} AND purged_at IS NULL
  AND EXISTS (SELECT 1 FROM job_events e WHERE e.job_id = jobs.id) LIMIT :batch)
, gone AS (DELETE FROM job_events e USING old WHERE e.job_id = old.id)
SELECT count(*) FROM old"""


def letting_go(old: str) -> str:
    """The statement that purges the jobs which ``old`` selects: it folds what they tell, removes all they have but
    their tombstones, and says how many they were."""
    return f"""WITH old AS ({old})
, payloads AS (DELETE FROM job_payloads p USING old WHERE p.job_id = old.id)
, steps AS (DELETE FROM job_steps s USING old WHERE s.job_id = old.id
  RETURNING s.organization_id, s.step, s.part, s.seconds, s.created_at, old.job_type)
, calls AS (DELETE FROM model_calls c USING old WHERE c.job_id = old.id RETURNING c.*)
, told AS (DELETE FROM job_events e USING old WHERE e.job_id = old.id)
, marked AS (UPDATE jobs SET purged_at = clock_timestamp() FROM old WHERE jobs.id = old.id)
, folded AS ({folded(of_jobs("old"), of_steps("old", "steps"), of_calls("calls"))})
SELECT count(*) FROM old"""


_JOBS = letting_go(f"""SELECT * FROM jobs WHERE {_FINISHED} AND {_OLD} AND purged_at IS NULL
  AND {_NO_LIVING_CHILD} LIMIT :batch FOR NO KEY UPDATE SKIP LOCKED""")

# Calls of no job, and those that were written down after their job was purged.
_LOOSE_CALLS = f"""WITH old AS (SELECT id FROM model_calls c WHERE c.created_at < {_AGO} AND (job_id IS NULL
  OR EXISTS (SELECT 1 FROM jobs j WHERE j.id = c.job_id AND j.purged_at IS NOT NULL))
  LIMIT :batch FOR UPDATE SKIP LOCKED)
, calls AS (DELETE FROM model_calls c USING old WHERE c.id = old.id RETURNING c.*)
, folded AS ({folded(of_calls("calls"))})
SELECT count(*) FROM old"""

_TOMBSTONES = f"""WITH old AS (SELECT id FROM jobs WHERE purged_at < {_AGO}
  AND NOT EXISTS (SELECT 1 FROM jobs c WHERE c.parent_job_id = jobs.id)
  AND NOT EXISTS (SELECT 1 FROM model_calls m WHERE m.job_id = jobs.id) LIMIT :batch FOR UPDATE SKIP LOCKED)
, gone AS (DELETE FROM jobs USING old WHERE jobs.id = old.id)
SELECT count(*) FROM old"""

_BATCHES = f"""WITH old AS (SELECT id FROM batches WHERE created_at < {_AGO}
  AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.batch_id = batches.id) LIMIT :batch FOR UPDATE SKIP LOCKED)
, gone AS (DELETE FROM batches USING old WHERE batches.id = old.id)
SELECT count(*) FROM old"""


def purge(db: Database, *, jobs_hours: float, events_hours: float) -> dict[str, int]:
    """Purge everything past its time. Returns how many jobs lost their events, were purged and were forgotten, how many
    calls of no kept job were folded, and how many batches without jobs were removed."""
    return {
        "events": _until_empty(db, _EVENTS, events_hours),
        "jobs": _until_empty(db, _JOBS, jobs_hours),
        "calls": _until_empty(db, _LOOSE_CALLS, jobs_hours, _CALLS),
        "tombstones": _until_empty(db, _TOMBSTONES, TOMBSTONE_HOURS),
        "batches": _until_empty(db, _BATCHES, _BATCH_HOURS),
    }


def _until_empty(db: Database, statement: str, hours: float, batch: int = _BATCH) -> int:
    total = 0
    while True:
        with db.statement() as tx:
            found = int(tx.run(statement, {"hours": hours, "batch": batch}).scalar_one())
        total += found
        if found < batch:
            return total
