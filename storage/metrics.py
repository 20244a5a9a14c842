"""What operators measure, read from the rows: true for the whole system, whichever process is asked.

A reading costs the same after a year as on the first day. What lives is counted through partial indexes, which hold
nothing else. What has ended is counted over a window, five minutes or the day so far, never over all that is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from storage import brakes
from storage.brakes import Brake
from storage.db import Database
from storage.statuses import IS_ACTIVE

#: Each by its name. An index can't be searched with a volatile clock, but with the answer of a query to it.
STATEMENTS = {
    "living": f"""SELECT status, job_type, count(*) AS n, sum(retry_count) AS retries FROM jobs
      WHERE {IS_ACTIVE} GROUP BY 1, 2
      UNION ALL SELECT status, job_type, count(*), 0 FROM jobs
      WHERE status = 'dead_letter' AND purged_at IS NULL GROUP BY 1, 2""",
    "ended": """SELECT status, job_type, count(*) AS n FROM jobs
      WHERE status IN ('done', 'failed', 'cancelled', 'dead_letter')
        AND COALESCE(completed_at, cancelled_at) > (SELECT clock_timestamp() - interval '5 minutes') GROUP BY 1, 2""",
    "queues": """SELECT queue, count(*) FILTER (WHERE due_at <= clock_timestamp()) AS due,
        count(*) FILTER (WHERE due_at > clock_timestamp()) AS later,
        GREATEST(max(EXTRACT(epoch FROM clock_timestamp() - due_at)), 0)::float AS oldest
      FROM jobs WHERE due_at IS NOT NULL GROUP BY 1""",
    "moved": """SELECT step, count(*) AS five,
        count(*) FILTER (WHERE created_at > clock_timestamp() - interval '1 minute') AS one
      FROM job_steps WHERE created_at > (SELECT clock_timestamp() - interval '5 minutes') GROUP BY 1""",
    "leases": """SELECT count(*) AS n,
        count(*) FILTER (WHERE heartbeat_at < clock_timestamp() - make_interval(secs => :stale)) AS silent,
        count(*) FILTER (WHERE progress_at < clock_timestamp() - make_interval(secs => patience_seconds)) AS stuck,
        COALESCE(max(EXTRACT(epoch FROM clock_timestamp() - heartbeat_at)), 0)::float AS oldest_heartbeat,
        COALESCE(max(EXTRACT(epoch FROM clock_timestamp() - progress_at)), 0)::float AS oldest_progress
      FROM job_leases""",
    "calls": """SELECT name AS model, outcome, sum(n)::bigint AS n, sum(seconds)::float AS seconds,
        sum(input)::bigint AS input, sum(output)::bigint AS output, sum(cost)::float AS cost
      FROM (
        SELECT model AS name, outcome, count(*) AS n, sum(seconds) AS seconds, sum(input_tokens) AS input,
          sum(output_tokens) AS output, COALESCE(sum(cost_usd), 0) AS cost FROM model_calls
        WHERE created_at >= (SELECT date_trunc('day', clock_timestamp(), 'UTC')) GROUP BY 1, 2
        UNION ALL SELECT name, outcome, count, seconds, input_tokens, output_tokens, cost_usd FROM daily_stats
        WHERE kind = 'call' AND day = (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date)
      ) AS today GROUP BY 1, 2""",
    "corrections": "SELECT kind, count FROM corrections",
    "behind": """SELECT (SELECT count(*) FROM catalogs WHERE file_version < version) AS catalogs,
        (SELECT count(*) FROM documents WHERE stored_revision < revision) AS documents""",
    "connections": """SELECT current_setting('max_connections')::int AS most, sum(numbackends) AS used
      FROM pg_stat_database""",
}


@dataclass(frozen=True)
class Queue:
    """Jobs of one queue: ``due`` now and not begun, due ``later``, and how long the oldest has waited, in seconds."""

    due: int
    later: int
    oldest: float


@dataclass(frozen=True)
class Leases:
    """All leases; those whose process is ``silent``, those whose step is ``stuck``; and the oldest signs of life, as
    ages in seconds."""

    count: int
    silent: int
    stuck: int
    oldest_heartbeat: float
    oldest_progress: float


@dataclass(frozen=True)
class Use:
    """What calls to one model came to."""

    calls: int
    seconds: float
    input_tokens: int
    output_tokens: int
    cost_usd: float


@dataclass(frozen=True)
class Figures:
    """One reading. ``living`` and ``ended`` (in five minutes) by status and kind, ``moved`` by step as checkpoints in
    the last minute and in five, ``calls`` by model and outcome since midnight UTC."""

    living: dict[tuple[str, str], int]
    retries: int
    ended: dict[tuple[str, str], int]
    queues: dict[str, Queue]
    moved: dict[str, tuple[int, int]]
    leases: Leases
    calls: dict[tuple[str, str], Use]
    brakes: list[Brake]
    corrections: dict[str, int]
    catalogs_behind: int
    documents_behind: int
    connections: int
    connections_limit: int


def read(db: Database, *, stale_after_seconds: float) -> Figures:
    """All figures, each from one short statement. Raises ``Unavailable``."""
    found = {name: _rows(db, statement, stale_after_seconds) for name, statement in STATEMENTS.items()}
    [leases], [behind], [connections] = found["leases"], found["behind"], found["connections"]
    return Figures(
        living={(row.status, row.job_type): row.n for row in found["living"]},
        retries=int(sum(row.retries for row in found["living"])),
        ended={(row.status, row.job_type): row.n for row in found["ended"]},
        queues={row.queue: Queue(row.due, row.later, row.oldest) for row in found["queues"]},
        moved={row.step: (row.one, row.five) for row in found["moved"]},
        leases=Leases(leases.n, leases.silent, leases.stuck, leases.oldest_heartbeat, leases.oldest_progress),
        calls={
            (row.model, row.outcome): Use(row.n, row.seconds, row.input, row.output, row.cost) for row in found["calls"]
        },
        brakes=brakes.read_all(db),
        corrections={row.kind: row.count for row in found["corrections"]},
        catalogs_behind=behind.catalogs,
        documents_behind=behind.documents,
        connections=int(connections.used),
        connections_limit=connections.most,
    )


def _rows(db: Database, statement: str, stale_after_seconds: float) -> list[Any]:
    with db.statement() as tx:
        return list(tx.run(statement, {"stale": stale_after_seconds} if ":stale" in statement else {}).all())
