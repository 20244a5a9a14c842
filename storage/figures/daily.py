"""What ended jobs, their steps and calls to models tell about themselves, as rows of ``daily_stats``.

The purge folds rows with the very statement that counts the living ones, so a figure is the same before and after.
Every day is one of UTC: for a job that of its end, for a step and a call that of its own.
"""

from __future__ import annotations

from schema.durations import BOUNDS, BUCKETS

#: When a job ended.
ENDED_AT = "COALESCE(completed_at, cancelled_at, updated_at)"
#: How long a job was worked on; from its first start to its end when nobody measured it.
WORKED = f"CASE WHEN worked_seconds > 0 THEN worked_seconds ELSE EXTRACT(epoch FROM {ENDED_AT} - started_at) END"
ENDED = "status IN ('done', 'failed', 'cancelled', 'dead_letter')"
COLUMNS = "organization_id, day, kind, name, outcome, count, seconds, durations, input_tokens, output_tokens, cost_usd"
#: The outcome under which the retries of jobs are counted; no job ends with it.
RETRIED = "retried"


def _fact(kind: str, name: str, outcome: str, moment: str, *, count: str = "1", seconds: str = "NULL") -> str:
    return f"""organization_id, ({moment} AT TIME ZONE 'UTC')::date AS day, '{kind}' AS kind, {name} AS name,
      {outcome} AS outcome, {count} AS count, CAST({seconds} AS double precision) AS seconds"""


_NO_CALL = "0 AS input_tokens, 0 AS output_tokens, 0::numeric AS cost_usd"


def of_jobs(jobs: str) -> str:
    """Facts about ended jobs: how each ended and how long it was worked on, and how often it was tried again."""
    return f"""SELECT {_fact("job", "job_type", "status", ENDED_AT, seconds=WORKED)}, {_NO_CALL} FROM {jobs}
    UNION ALL SELECT {_fact("job", "job_type", f"'{RETRIED}'", ENDED_AT, count="retry_count")}, {_NO_CALL}
      FROM {jobs} WHERE retry_count > 0"""


def of_steps(jobs: str, steps: str) -> str:
    """Facts about steps: ``done`` for each whole checkpoint in ``steps`` (which have the ``job_type`` too), and for the
    step an ended job of ``jobs`` did not get over the code of its error, or ``cancelled``."""
    reached = "job_type || '/' || COALESCE(error->>'step', current_step, 'unknown')"
    outcome = "CASE status WHEN 'cancelled' THEN status ELSE COALESCE(error->>'code', status) END"
    return f"""SELECT {_fact("step", reached, outcome, ENDED_AT)}, {_NO_CALL} FROM {jobs} WHERE status <> 'done'
    UNION ALL SELECT {_fact("step", "job_type || '/' || step", "'done'", "created_at", seconds="seconds")}, {_NO_CALL}
      FROM {steps} WHERE part = ''"""


def of_calls(calls: str) -> str:
    """Facts about calls to models that ended. A cost nobody knows counts as nothing."""
    return f"""SELECT {_fact("call", "model", "outcome", "created_at", seconds="seconds")}, input_tokens, output_tokens,
      COALESCE(cost_usd, 0) AS cost_usd FROM {calls} WHERE outcome <> 'started'"""


def summed(*facts: str) -> str:
    """The facts as rows of ``daily_stats``, its columns in their order."""
    # By bucket first: a list of filters over each fact would take several times as long.
    counts = ", ".join(f"COALESCE(sum(timed) FILTER (WHERE bucket = {n}), 0)" for n in range(BUCKETS))
    bounds = ", ".join(map(str, BOUNDS))
    return f"""SELECT organization_id, day, kind, name, outcome, sum(count)::bigint AS count,
      COALESCE(sum(seconds), 0) AS seconds, ARRAY[{counts}]::bigint[] AS durations,
      sum(input_tokens)::bigint AS input_tokens, sum(output_tokens)::bigint AS output_tokens, sum(cost_usd) AS cost_usd
    FROM (SELECT organization_id, day, kind, name, outcome,
        width_bucket(seconds, ARRAY[{bounds}]::double precision[]) AS bucket, count(seconds) AS timed,
        sum(count) AS count, sum(seconds) AS seconds, sum(input_tokens) AS input_tokens,
        sum(output_tokens) AS output_tokens, sum(cost_usd) AS cost_usd
      FROM ({" UNION ALL ".join(facts)}) facts GROUP BY 1, 2, 3, 4, 5, 6) counted
    GROUP BY 1, 2, 3, 4, 5"""


def folded(*facts: str) -> str:
    """The statement that adds the facts to ``daily_stats``. Its rows are taken in one order, so that two foldings at
    once wait for each other instead of blocking each other for good."""
    return f"""INSERT INTO daily_stats AS kept ({COLUMNS})
    SELECT * FROM ({summed(*facts)}) told ORDER BY organization_id, day, kind, name, outcome
    ON CONFLICT (organization_id, day, kind, name, outcome) DO UPDATE SET
      count = kept.count + EXCLUDED.count, seconds = kept.seconds + EXCLUDED.seconds,
      durations = ARRAY(SELECT COALESCE(before, 0) + COALESCE(more, 0)
        FROM unnest(kept.durations, EXCLUDED.durations) WITH ORDINALITY AS both_of_them (before, more, place)
        ORDER BY place),
      input_tokens = kept.input_tokens + EXCLUDED.input_tokens,
      output_tokens = kept.output_tokens + EXCLUDED.output_tokens, cost_usd = kept.cost_usd + EXCLUDED.cost_usd"""
