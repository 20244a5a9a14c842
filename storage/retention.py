"""Letting go of what is old: events first, then whole jobs, in small batches that lock little.

What a purged job, its steps and its calls to models tell is folded into ``daily_stats`` by the statement that removes
them: it commits whole or not at all, so nothing is counted twice or lost. A purged job leaves its row as a tombstone
(idempotency key, status, course, last ``seq``) for 90 days. Results stay: documents, catalog and media don't belong to
the job that made them. Dead letters are kept until a person ends them.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from uuid import UUID
from weakref import WeakKeyDictionary

from storage.db import Database
from storage.figures.daily import ENDED_AT, folded, of_calls, of_jobs, of_steps

TOMBSTONE_HOURS = 90 * 24
#: How long it can be seen what was told to webhooks and by mail.
NOTICE_HOURS = 30 * 24
#: How long topics that were found in questions are kept for other exams without being of use.
TOPICS_HOURS = 180 * 24
#: How long the rows of sessions are kept after their end, for whoever looks into what happened.
SESSION_HOURS = 30 * 24
#: How long entries of the audit log are kept unless told.
AUDIT_HOURS = 400 * 24
#: Who makes a batch makes its jobs in the same moment; a day is far beyond that.
_BATCH_HOURS = 24
_BATCH = 500
_CALLS = 5000

_FINISHED = "status IN ('done', 'failed', 'cancelled')"
# An index can't be searched with a volatile clock, but with the answer of a query to it.
_AGO = "(SELECT clock_timestamp() - make_interval(hours => 1) * :hours)"
# What ``ix_jobs_kept`` knows. It must not cover ``updated_at``, which every progress changes; so jobs that nobody gave
# an end stand first in it, and the line after it decides about them.
_END = "COALESCE(completed_at, cancelled_at, '-infinity')"
_OLD = f"{_FINISHED} AND purged_at IS NULL AND {_END} < {_AGO} AND {ENDED_AT} < {_AGO}"
#: Nobody works on a child of the job, nor may a person still decide about one.
# Both, because a child that is taken up at this moment shows in its parent's row, which is read again under its lock.
NO_LIVING_CHILD = """media_pending = 0 AND NOT EXISTS (SELECT 1 FROM jobs c WHERE c.parent_job_id = jobs.id
  AND c.purged_at IS NULL AND c.status NOT IN ('done', 'failed', 'cancelled'))"""

_EVENTS = f"""WITH old AS (SELECT id, {_END} AS ended FROM jobs WHERE {_OLD}
  AND ({_END}, id) > (CAST(:ended AS timestamptz), :job) ORDER BY {_END}, id LIMIT :batch)
, gone AS (DELETE FROM job_events e USING old WHERE e.job_id = old.id RETURNING e.job_id)
SELECT ended::text, id, (SELECT count(*) FROM old) AS seen, (SELECT count(DISTINCT job_id) FROM gone) AS told
FROM old ORDER BY old.ended DESC, id DESC LIMIT 1"""


def letting_go(old: str) -> str:
    """The statement that purges the jobs which ``old`` selects: it folds what they tell, removes all they have but
    their tombstones, and says how many they were. A call that is going on stays until it has ended: who makes it will
    write its end down, and it is to be counted once."""
    return f"""WITH old AS ({old})
, payloads AS (DELETE FROM job_payloads p USING old WHERE p.job_id = old.id)
, steps AS (DELETE FROM job_steps s USING old WHERE s.job_id = old.id
  RETURNING s.organization_id, s.step, s.part, s.seconds, s.created_at, old.job_type)
, calls AS (DELETE FROM model_calls c USING old WHERE c.job_id = old.id AND c.outcome <> 'started' RETURNING c.*)
, told AS (DELETE FROM job_events e USING old WHERE e.job_id = old.id)
, marked AS (UPDATE jobs SET purged_at = clock_timestamp() FROM old WHERE jobs.id = old.id)
, folded AS ({folded(of_jobs("old"), of_steps("old", "steps"), of_calls("calls"))})
SELECT count(*) FROM old"""


_JOBS = letting_go(f"""SELECT * FROM jobs WHERE {_OLD} AND {NO_LIVING_CHILD}
  ORDER BY {_END} LIMIT :batch FOR NO KEY UPDATE SKIP LOCKED""")

# Calls of no job, and those that ended after their job was purged.
_LOOSE_CALLS = f"""WITH old AS (SELECT id FROM model_calls c WHERE c.created_at < {_AGO} AND outcome <> 'started'
  AND (job_id IS NULL
  OR EXISTS (SELECT 1 FROM jobs j WHERE j.id = c.job_id AND j.purged_at IS NOT NULL))
  LIMIT :batch FOR UPDATE SKIP LOCKED)
, calls AS (DELETE FROM model_calls c USING old WHERE c.id = old.id RETURNING c.*)
, folded AS ({folded(of_calls("calls"))})
SELECT count(*) FROM old"""

_TOMBSTONES = f"""WITH old AS (SELECT id FROM jobs WHERE purged_at < {_AGO}
  AND NOT EXISTS (SELECT 1 FROM jobs c WHERE c.parent_job_id = jobs.id)
  AND NOT EXISTS (SELECT 1 FROM model_calls m WHERE m.job_id = jobs.id)
  ORDER BY purged_at LIMIT :batch FOR UPDATE SKIP LOCKED)
, gone AS (DELETE FROM jobs USING old WHERE jobs.id = old.id)
SELECT count(*) FROM old"""

_BATCHES = f"""WITH old AS (SELECT id FROM batches WHERE created_at < {_AGO}
  AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.batch_id = batches.id) LIMIT :batch FOR UPDATE SKIP LOCKED)
, gone AS (DELETE FROM batches USING old WHERE batches.id = old.id)
SELECT count(*) FROM old"""


def _old_notices(table: str) -> str:
    """Deletes what was delivered or given up long ago; and what waits since then for a webhook that is paused, or that
    somebody paused without taking it out of the line."""
    return f"""WITH old AS (SELECT id FROM {table} WHERE created_at < {_AGO} AND (due_at IS NULL OR due_at < {_AGO})
      LIMIT :batch FOR UPDATE SKIP LOCKED)
    , gone AS (DELETE FROM {table} n USING old WHERE n.id = old.id)
    SELECT count(*) FROM old"""


_DELIVERIES, _MAILS = _old_notices("webhook_deliveries"), _old_notices("mails")

_TOPICS = f"""WITH gone AS (DELETE FROM exam_topics WHERE ctid IN (
  SELECT ctid FROM exam_topics WHERE used_at < {_AGO} LIMIT :batch FOR UPDATE SKIP LOCKED) RETURNING 1)
SELECT count(*) FROM gone"""

_AUDIT = f"""WITH old AS (SELECT id FROM audit_log WHERE at < {_AGO} ORDER BY at LIMIT :batch)
, gone AS (DELETE FROM audit_log a USING old WHERE a.id = old.id RETURNING 1)
SELECT count(*) FROM gone"""

_SESSIONS = f"""WITH gone AS (DELETE FROM sessions WHERE id IN (
  SELECT id FROM sessions WHERE expires_at < {_AGO} LIMIT :batch) RETURNING 1)
SELECT count(*) FROM gone"""

#: The end, and among equal ones the id, of the job up to which events are gone. Only this process knows it: after a
#: restart all kept jobs are looked at once. What is told about one later stays as long as the job itself.
_events_gone: WeakKeyDictionary[Database, tuple[str, UUID]] = WeakKeyDictionary()
_BEGINNING = ("-infinity", UUID(int=0))

#: Purges some, and says how many, and whether there may be more.
_Batch = Callable[[], tuple[int, bool]]


def purge(
    db: Database,
    *,
    jobs_hours: float,
    events_hours: float,
    audit_hours: float = AUDIT_HOURS,
    go_on: Callable[[], bool] = lambda: True,
) -> dict[str, int]:
    """Purge what is past its time, batch by batch of each kind in turn, until nothing is left or ``go_on`` says no.
    Returns how many jobs lost their events, were purged and were forgotten, how many calls of no kept job were folded,
    how many batches without jobs were removed, and how many deliveries, mails, sets of topics, sessions and entries of
    the audit log."""
    waiting: dict[str, _Batch] = {
        "events": partial(_purge_events, db, events_hours),
        "jobs": partial(_purge_some, db, _JOBS, jobs_hours, _BATCH),
        "calls": partial(_purge_some, db, _LOOSE_CALLS, jobs_hours, _CALLS),
        "tombstones": partial(_purge_some, db, _TOMBSTONES, TOMBSTONE_HOURS, _BATCH),
        "batches": partial(_purge_some, db, _BATCHES, _BATCH_HOURS, _BATCH),
        "deliveries": partial(_purge_some, db, _DELIVERIES, NOTICE_HOURS, _BATCH),
        "mails": partial(_purge_some, db, _MAILS, NOTICE_HOURS, _BATCH),
        "topics": partial(_purge_some, db, _TOPICS, TOPICS_HOURS, _BATCH),
        "sessions": partial(_purge_some, db, _SESSIONS, SESSION_HOURS, _BATCH),
        "audit": partial(_purge_some, db, _AUDIT, audit_hours, _CALLS),
    }
    purged = dict.fromkeys(waiting, 0)
    while waiting:
        for kind, batch in list(waiting.items()):
            if not go_on():
                return purged
            count, more = batch()
            purged[kind] += count
            if not more:
                del waiting[kind]
    return purged


def _purge_some(db: Database, statement: str, hours: float, batch: int) -> tuple[int, bool]:
    with db.statement() as tx:
        found = int(tx.run(statement, {"hours": hours, "batch": batch}).scalar_one())
    return found, found >= batch


def _purge_events(db: Database, hours: float) -> tuple[int, bool]:
    ended, job_id = _events_gone.get(db, _BEGINNING)
    values = {"hours": hours, "batch": _BATCH, "ended": ended, "job": job_id}
    with db.statement() as tx:
        last = tx.run(_EVENTS, values).one_or_none()
    if last is None:
        return 0, False
    _events_gone[db] = (last.ended, last.id)
    return last.told, last.seen >= _BATCH
