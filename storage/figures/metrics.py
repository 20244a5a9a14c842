"""What operators measure, read from the rows: true for the whole system, whichever process is asked.

A reading costs the same after a year as on the first day. What lives is counted through partial indexes, which hold
nothing else. What has ended is counted over a window, five minutes or the day so far, never over all that is kept.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from storage.db import Database
from storage.engine import corrections
from storage.spending import brakes
from storage.spending.brakes import Brake

#: What is not in the store as it is for longer than this, in seconds, is behind.
BEHIND_SECONDS = 60.0

#: What is read over all organizations, each by a function of the database: ``figures_living`` and so on. Nobody who is
#: walled in could ask so; the functions answer as whoever owns the tables (decision 19). What they ask stands in
#: ``storage/migrations/sql``, and to change it takes a migration.
FIGURES = (
    *("living", "ended", "queues", "moved", "leases", "calls"),
    *("in_flight", "behind", "notices", "told", "schedules"),
)
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
    found = {name: _rows(db, name, given.get(name)) for name in FIGURES}
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
