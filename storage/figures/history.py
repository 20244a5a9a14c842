"""How long each step took in past jobs of a kind, and what was still ahead of it: for progress that tells the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from schema.durations import merged, quantile
from storage.db import Database
from storage.figures.statistics import Expected

#: How many of the newest jobs are looked at, how many of the kind are counted, and how few say nothing.
_RECENT, _COUNTED, _FEWEST = 1000, 200, 5
#: Of what the purge has kept, the days that count.
_KEPT_DAYS = 365


@dataclass(frozen=True)
class StepHistory:
    """``seconds``: what went into this step in all past jobs together. ``ahead``: how long a job took from the
    beginning of this step to its end."""

    seconds: float
    ahead: Expected


def of_steps(
    db: Database, organization_id: UUID, job_type: str, steps: Sequence[str]
) -> Mapping[str, StepHistory] | None:
    """The history of each of these steps, which are all steps of the kind in their order.

    Judged by the newest jobs of the organization; where fewer than five of them were done, by what is kept of older
    ones; where that is too little too, by the newest jobs of everybody. None when there are fewer than five of those.
    """
    values = {"org": organization_id, "type": job_type, "steps": list(steps)}
    own = _found(db, _OWN_STEPS, values)
    everybodys = "SELECT step, seconds, n, ahead FROM everybodys_step_times(:type, :steps)"
    return own or _kept(db, organization_id, job_type, steps) or _found(db, everybodys, values)


def _times_of(job_type: str, steps: str, whose: str, each: int) -> str:
    return f"""WITH newest AS (
      SELECT newest.id, job_type, status FROM organizations CROSS JOIN LATERAL (
        SELECT id, job_type, status FROM jobs WHERE organization_id = organizations.id
        ORDER BY created_at DESC, id DESC LIMIT {each}) newest WHERE {whose} LIMIT {_RECENT}
    ), past AS (SELECT id FROM newest WHERE job_type = {job_type} AND status = 'done' LIMIT {_COUNTED}
    ), taken AS (
      SELECT s.step, s.seconds, sum(s.seconds) OVER (
        PARTITION BY s.job_id ORDER BY array_position({steps}, s.step) DESC) AS ahead
      FROM past JOIN job_steps s ON s.job_id = past.id AND s.part = '' AND s.step = ANY({steps})
    )
    SELECT step, sum(seconds) AS seconds, count(*) AS n,
      percentile_cont(ARRAY[0.5, 0.9]) WITHIN GROUP (ORDER BY ahead) AS ahead FROM taken GROUP BY step"""


_OWN_STEPS = _times_of(":type", "CAST(:steps AS text[])", "organizations.id = :org", _RECENT)
#: What the function ``everybodys_step_times`` asks, because nobody who is walled in could.
EVERYBODYS_TIMES = _times_of("wanted_type", "wanted_steps", "true", 100)


def _found(db: Database, statement: str, values: Mapping[str, Any]) -> Mapping[str, StepHistory] | None:
    with db.statement() as tx:
        rows = tx.run(statement, values).all()
    found = {row.step: StepHistory(row.seconds, Expected(*row.ahead)) for row in rows if row.n >= _FEWEST}
    return found if len(found) == len(values["steps"]) else None


def _kept(db: Database, organization_id: UUID, job_type: str, steps: Sequence[str]) -> Mapping[str, StepHistory] | None:
    """What is left of purged jobs has each step for itself: what was ahead is summed up over the steps."""
    names = [f"{job_type}/{step}" for step in steps]
    with db.statement() as tx:
        rows = tx.run(
            """SELECT name, count AS n, seconds, durations FROM daily_stats
            WHERE organization_id = :org AND kind = 'step' AND outcome = 'done' AND name = ANY(:names)
              AND day > CAST(clock_timestamp() AS date) - :days""",
            {"org": organization_id, "names": names, "days": _KEPT_DAYS},
        ).all()
    found: dict[str, StepHistory] = {}
    p50 = p90 = 0.0
    for step, name in reversed(list(zip(steps, names, strict=True))):
        mine = [row for row in rows if row.name == name]
        if sum(row.n for row in mine) < _FEWEST:
            return None
        histogram = merged(row.durations for row in mine)
        p50 += quantile(histogram, 0.5) or 0.0
        p90 += quantile(histogram, 0.9) or 0.0
        found[step] = StepHistory(sum(row.seconds for row in mine), Expected(p50, p90))
    return found
