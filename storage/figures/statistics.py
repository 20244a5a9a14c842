"""How it went, over the last days of one organization: from the rows that are there and what ``daily_stats`` keeps of
those that are gone. Both are read by one statement, so a purge in between changes no figure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import groupby
from typing import Any
from uuid import UUID

from schema.durations import merged, quantile
from storage.db import Database
from storage.engine.statuses import IS_ACTIVE
from storage.figures.daily import COLUMNS, ENDED, ENDED_AT, RETRIED, WORKED, of_calls, of_jobs, of_steps, summed

#: How many of the newest jobs are looked at to say how long the next one will take, and how few say nothing.
_RECENT, _FEWEST = 1000, 5

_SINCE = "CAST(:since AS timestamp) AT TIME ZONE 'UTC'"
# The line about the time of the end is what the index knows. It says no less than the one after it.
_ENDED_JOBS = f"""jobs AS (SELECT * FROM jobs WHERE organization_id = :org AND purged_at IS NULL AND {ENDED}
  AND (COALESCE(completed_at, cancelled_at) >= {_SINCE} OR COALESCE(completed_at, cancelled_at) IS NULL)
  AND {ENDED_AT} >= {_SINCE})"""
_STEPS = f"""steps AS (SELECT s.organization_id, s.step, s.part, s.seconds, s.created_at, j.job_type
  FROM job_steps s JOIN jobs j ON j.id = s.job_id
  WHERE s.organization_id = :org AND s.part = '' AND s.created_at >= {_SINCE})"""
_CALLS = f"calls AS (SELECT * FROM model_calls WHERE organization_id = :org AND created_at >= {_SINCE})"


def _with_kept(living: str, facts: Sequence[str], kind: str) -> str:
    return f"""WITH {living} {summed(*facts)}
    UNION ALL SELECT {COLUMNS} FROM daily_stats
    WHERE organization_id = :org AND day >= :since AND kind = '{kind}'"""


_TOLD = {
    "job": _with_kept(_ENDED_JOBS, [of_jobs("jobs")], "job"),
    "step": _with_kept(f"{_STEPS}, {_ENDED_JOBS}", [of_steps("jobs", "steps")], "step"),
    "call": _with_kept(_CALLS, [of_calls("calls")], "call"),
}


@dataclass(frozen=True)
class Span:
    """The last ``days`` days in UTC, today being one of them; ``since`` is the first."""

    days: int
    since: date

    def as_json(self) -> dict[str, Any]:
        return {"days": self.days, "since": self.since.isoformat()}


def _span(db: Database, days: int) -> Span:
    with db.statement() as tx:
        today = tx.run("SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date - :days + 1", {"days": days}).scalar_one()
    return Span(days, today)


def _told(db: Database, organization_id: UUID, span: Span, kind: str) -> Sequence[Any]:
    """Rows in the shape of ``daily_stats``. The same day, name and outcome may stand there twice: living and kept."""
    with db.statement() as tx:
        return tx.run(_TOLD[kind], {"org": organization_id, "since": span.since}).all()


def _by(rows: Iterable[Any], *columns: str) -> Iterator[tuple[Any, list[Any]]]:
    def key(row: Any) -> tuple[Any, ...]:
        return tuple(getattr(row, column) for column in columns)

    for values, group in groupby(sorted(rows, key=key), key):
        yield values, list(group)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


# --- jobs -------------------------------------------------------------------------------------------------------


def metrics(db: Database, organization_id: UUID, days: int) -> dict[str, Any]:
    """Jobs by type and status (those at work now, and those that ended in the span), the share that was cancelled, how
    often they were tried again, and what waits."""
    span = _span(db, days)
    rows = _told(db, organization_id, span, "job")
    with db.statement() as tx:
        active = tx.run(
            f"""SELECT job_type AS name, status AS outcome, count(*) AS count, sum(retry_count) AS retries FROM jobs
            WHERE organization_id = :org AND {IS_ACTIVE} GROUP BY 1, 2""",
            {"org": organization_id},
        ).all()
    ended = [row for row in rows if row.outcome != RETRIED]
    cancelled = sum(row.count for row in ended if row.outcome == "cancelled")
    retries = sum(row.count for row in rows if row.outcome == RETRIED) + sum(int(row.retries) for row in active)
    return {
        **span.as_json(),
        "jobs": [
            {"jobType": name, "status": status, "count": sum(row.count for row in group)}
            for (name, status), group in _by([*ended, *active], "name", "outcome")
        ],
        "cancellationRate": _share(cancelled, sum(row.count for row in ended)),
        "retries": retries,
        "queues": _queues(db, organization_id),
    }


def _queues(db: Database, organization_id: UUID) -> list[dict[str, Any]]:
    with db.statement() as tx:
        rows = tx.run(
            """SELECT queue, count(*) AS depth, EXTRACT(epoch FROM clock_timestamp() - min(due_at))::float AS oldest
            FROM jobs WHERE organization_id = :org AND due_at <= clock_timestamp() GROUP BY 1 ORDER BY 1""",
            {"org": organization_id},
        ).all()
    return [
        {"queue": row.queue, "depth": row.depth, "oldestWaitingSeconds": round(max(row.oldest, 0.0), 1)} for row in rows
    ]


# --- durations --------------------------------------------------------------------------------------------------


def durations(db: Database, organization_id: UUID, days: int) -> dict[str, Any]:
    """How long jobs that were done, and their steps, were worked on."""
    span = _span(db, days)
    done = {
        kind: [row for row in _told(db, organization_id, span, kind) if row.outcome == "done"]
        for kind in ("job", "step")
    }
    return {
        **span.as_json(),
        "jobs": [{"jobType": name, **_times(group)} for (name,), group in _by(done["job"], "name")],
        "steps": [{**_place(name), **_times(group)} for (name,), group in _by(done["step"], "name")],
    }


def _place(name: str) -> dict[str, str]:
    job_type, _, step = name.partition("/")
    return {"jobType": job_type, "step": step}


def _times(rows: Sequence[Any]) -> dict[str, Any]:
    histogram = merged(row.durations for row in rows)
    measured = sum(histogram)
    found = {f"p{share}Seconds": quantile(histogram, share / 100) for share in (50, 95, 99)}
    return {
        "count": sum(row.count for row in rows),
        "averageSeconds": round(sum(row.seconds for row in rows) / measured, 3) if measured else None,
        **{name: None if seconds is None else round(seconds, 3) for name, seconds in found.items()},
    }


# --- failures ---------------------------------------------------------------------------------------------------


def failures(db: Database, organization_id: UUID, days: int) -> dict[str, Any]:
    """Of each step: how often it was done, in how many jobs it failed, with which errors, and how many were cancelled
    in it."""
    span = _span(db, days)
    rows = _told(db, organization_id, span, "step")
    return {
        **span.as_json(),
        "steps": [{**_place(name), **_outcomes(group)} for (name,), group in _by(rows, "name")],
    }


def _outcomes(rows: Sequence[Any]) -> dict[str, Any]:
    counts = {outcome: sum(row.count for row in group) for (outcome,), group in _by(rows, "outcome")}
    completed, cancelled = counts.pop("done", 0), counts.pop("cancelled", 0)
    failed = sum(counts.values())
    return {
        "completed": completed,
        "failed": failed,
        "cancelled": cancelled,
        "failureRate": _share(failed, completed + failed),
        "errors": [{"code": code, "count": counts[code]} for code in sorted(counts, key=lambda code: -counts[code])],
    }


# --- cost -------------------------------------------------------------------------------------------------------


def cost(db: Database, organization_id: UUID, days: int) -> dict[str, Any]:
    """Calls to models that ended, with their tokens and cost: in all, and by day and model, the newest day first."""
    span = _span(db, days)
    rows = _told(db, organization_id, span, "call")
    by_day = [
        {"day": day.isoformat(), "model": model, **_spent(group)} for (day, model), group in _by(rows, "day", "name")
    ]
    return {**span.as_json(), "total": _spent(rows), "byDay": sorted(by_day, key=lambda one: one["day"], reverse=True)}


def _spent(rows: Sequence[Any]) -> dict[str, Any]:
    return {
        "calls": sum(row.count for row in rows),
        # One that was given up, because its job was cancelled or its process died, is no fault of the model's.
        "failedCalls": sum(row.count for row in rows if row.outcome not in {"ok", "abandoned"}),
        "inputTokens": sum(row.input_tokens for row in rows),
        "outputTokens": sum(row.output_tokens for row in rows),
        "costUsd": round(float(sum(row.cost_usd for row in rows)), 6),
    }


# --- what to expect ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Expected:
    """Half of the past jobs took at most ``p50`` seconds of work, nine of ten at most ``p90``."""

    p50: float
    p90: float


def expected_seconds(db: Database, organization_id: UUID | None, job_type: str) -> Expected | None:
    """How long a job of this type takes, judged by the newest jobs of the organization, or by those of everybody when
    it has fewer than five that were done (or is none); none when there are fewer than five of those too. Tombstones
    count as well. At most some thousand rows are looked at, whatever there is."""
    values = {"org": organization_id, "type": job_type, "recent": _RECENT}
    own = _percentiles(db, _OWN_TIMES, values)
    return own or _percentiles(db, "SELECT n, found FROM everybodys_job_times(:type)", {"type": job_type})


def _times_of(job_type: str, whose: str, each: int | str, recent: int | str) -> str:
    return f"""SELECT count(seconds) AS n, percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY seconds) AS found
    FROM (SELECT CASE WHEN status = 'done' AND job_type = {job_type} THEN {WORKED} END AS seconds
      FROM organizations CROSS JOIN LATERAL (SELECT * FROM jobs WHERE organization_id = organizations.id
        ORDER BY created_at DESC, id DESC LIMIT {each}) newest WHERE {whose} LIMIT {recent}) recent"""


_OWN_TIMES = _times_of(":type", "organizations.id = :org", ":recent", ":recent")
#: What the function ``everybodys_job_times`` asks, because nobody who is walled in could.
EVERYBODYS_TIMES = _times_of("wanted_type", "true", 100, _RECENT)


def _percentiles(db: Database, statement: str, values: dict[str, Any]) -> Expected | None:
    with db.statement() as tx:
        row = tx.run(statement, values).one()
    return Expected(*(round(seconds, 3) for seconds in row.found)) if row.n >= _FEWEST else None
