"""What operators measure, read from the rows: true for the whole system, whichever process is asked.

A reading costs the same after a year as on the first day. What lives is counted through partial indexes, which hold
nothing else. What has ended is counted over a window, five minutes or the day so far, never over all that is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from storage import brakes, corrections
from storage.brakes import Brake
from storage.db import Database
from storage.statuses import IS_ACTIVE

#: What is not in the store as it is for longer than this, in seconds, is behind.
BEHIND_SECONDS = 60.0

#: Each by its name, over all organizations. Nobody who is walled in could ask so: each is the body of a function of the
#: database, ``figures_living`` and so on, that answers as whoever owns the tables (decision 19). To change one takes a
#: migration. An index can't be searched with a volatile clock, but with the answer of a query to it.
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
        count(*) FILTER (WHERE heartbeat_at < clock_timestamp() - make_interval(secs => stale)) AS silent,
        count(*) FILTER (WHERE progress_at < clock_timestamp() - make_interval(secs => patience_seconds)) AS stuck,
        COALESCE(max(EXTRACT(epoch FROM clock_timestamp() - heartbeat_at)), 0)::float AS oldest_heartbeat,
        COALESCE(max(EXTRACT(epoch FROM clock_timestamp() - progress_at)), 0)::float AS oldest_progress
      FROM job_leases""",
    "calls": """SELECT name AS model, outcome, sum(n)::bigint AS n, sum(seconds)::float AS seconds,
        sum(input)::bigint AS input, sum(output)::bigint AS output, sum(cost)::float AS cost
      FROM (
        SELECT model AS name, outcome, count(*) AS n, sum(seconds) AS seconds, sum(input_tokens) AS input,
          sum(output_tokens) AS output, COALESCE(sum(cost_usd), 0) AS cost FROM model_calls
        WHERE created_at >= (SELECT date_trunc('day', clock_timestamp(), 'UTC')) AND outcome <> 'started' GROUP BY 1, 2
        UNION ALL SELECT name, outcome, count, seconds, input_tokens, output_tokens, cost_usd FROM daily_stats
        WHERE kind = 'call' AND day = (SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date)
      ) AS today GROUP BY 1, 2""",
    "in_flight": "SELECT model, count(*) AS n FROM model_calls WHERE outcome = 'started' GROUP BY 1",
    # Under load something is always being written. A catalog is behind since the first change its file does not show,
    # because it may change every second.
    "behind": """SELECT (SELECT count(*) FROM catalogs c WHERE file_version < version AND COALESCE(
          (SELECT created_at FROM catalog_updates u WHERE u.catalog_id = c.id AND u.version = c.file_version + 1),
          updated_at) < clock_timestamp() - make_interval(secs => behind)) AS catalogs,
        (SELECT count(*) FROM documents WHERE stored_revision < revision
          AND updated_at < (SELECT clock_timestamp() - make_interval(secs => behind))) AS documents""",
    # An attempt moves ``due_at`` on, so what is overdue is what nobody tries. A delivery that was put in line at the
    # very moment its webhook was paused stands there until it is resumed.
    "notices": """SELECT kind, count(*) FILTER (WHERE due_at IS NOT NULL) AS pending,
        GREATEST(max(EXTRACT(epoch FROM clock_timestamp() - due_at)), 0)::float AS overdue
      FROM (SELECT 'webhook' AS kind, due_at FROM webhook_deliveries d JOIN webhooks w ON w.id = d.webhook_id
          WHERE due_at IS NOT NULL AND NOT w.paused
        UNION ALL SELECT 'mail', due_at FROM mails WHERE due_at IS NOT NULL) AS waiting GROUP BY 1""",
    "told": """SELECT kind, outcome, count(*) AS n FROM (
        SELECT 'webhook' AS kind, status AS outcome FROM webhook_deliveries
        WHERE attempted_at > (SELECT clock_timestamp() - interval '5 minutes')
        UNION ALL SELECT 'mail', CASE status WHEN 'sent' THEN 'delivered' ELSE status END FROM mails
        WHERE attempted_at > (SELECT clock_timestamp() - interval '5 minutes')) AS tried GROUP BY 1, 2""",
    "schedules": """SELECT outcome, count(*) FILTER (WHERE last_due_at > clock_timestamp() - interval '5 minutes') AS n,
        GREATEST(max(EXTRACT(epoch FROM clock_timestamp() - due_at)), 0)::float AS overdue
      FROM (SELECT last_due_at, due_at, CASE WHEN last_error IS NULL THEN 'started'
        WHEN last_error->>'code' = 'schedule_missed' THEN 'skipped' ELSE 'refused' END AS outcome
        FROM schedules) AS told GROUP BY 1""",
}
_CONNECTIONS = """SELECT current_setting('max_connections')::int AS most, sum(numbackends) AS used
  FROM pg_stat_database"""


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
class Notices:
    """What is to be told to webhooks, or by mail: how much is ``pending``, and for how many seconds the oldest has been
    due without being tried."""

    pending: int
    overdue: float


@dataclass(frozen=True)
class Figures:
    """One reading. ``living`` and ``ended`` (in five minutes) by status and kind, ``moved`` by step as checkpoints in
    the last minute and in five, ``calls`` that ended by model and outcome since midnight UTC, those ``in_flight`` by
    model, ``catalogs_behind`` and ``documents_behind`` for longer than a minute, ``notices`` by kind, what was ``told``
    in five minutes by kind and outcome, ``schedules`` whose time came in five minutes by outcome, and for how many
    seconds the oldest has been due."""

    living: dict[tuple[str, str], int]
    retries: int
    ended: dict[tuple[str, str], int]
    queues: dict[str, Queue]
    moved: dict[str, tuple[int, int]]
    leases: Leases
    calls: dict[tuple[str, str], Use]
    in_flight: dict[str, int]
    brakes: list[Brake]
    corrections: dict[str, int]
    catalogs_behind: int
    documents_behind: int
    notices: dict[str, Notices]
    told: dict[tuple[str, str], int]
    schedules: dict[str, int]
    schedules_overdue: float
    connections: int
    connections_limit: int


def read(db: Database, *, stale_after_seconds: float) -> Figures:
    """All figures, each from one short statement. Raises ``Unavailable``."""
    given = {"leases": stale_after_seconds, "behind": BEHIND_SECONDS}
    found = {name: _rows(db, name, given.get(name)) for name in STATEMENTS}
    [leases], [behind] = found["leases"], found["behind"]
    with db.statement() as tx:
        connections = tx.run(_CONNECTIONS).one()
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
        in_flight={row.model: row.n for row in found["in_flight"]},
        brakes=brakes.read_all(db),
        corrections={one.kind: one.count for one in corrections.read(db)},
        catalogs_behind=behind.catalogs,
        documents_behind=behind.documents,
        notices={row.kind: Notices(row.pending, row.overdue) for row in found["notices"]},
        told={(row.kind, row.outcome): row.n for row in found["told"]},
        schedules={row.outcome: row.n for row in found["schedules"]},
        schedules_overdue=max((row.overdue or 0.0 for row in found["schedules"]), default=0.0),
        connections=int(connections.used),
        connections_limit=connections.most,
    )


def _rows(db: Database, name: str, given: float | None) -> list[Any]:
    with db.statement() as tx:
        argument, values = ("", {}) if given is None else ("CAST(:given AS double precision)", {"given": given})
        return list(tx.run(f"SELECT * FROM figures_{name}({argument})", values).all())
