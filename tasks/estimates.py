"""How long a job will take, and how much of its way each step is, as past jobs tell. They are looked at once a minute,
not for each job that is asked for or shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TypeVar, cast
from uuid import UUID
from weakref import WeakKeyDictionary

from storage.db import Database
from storage.figures import history
from storage.figures.history import StepHistory
from storage.figures.statistics import expected_seconds
from storage.jobs import SecondsLeft
from tasks import forecast
from tasks.deps import Deps
from tasks.pipeline import PIPELINES

T = TypeVar("T")
Clock = Callable[[], float]

KEPT_SECONDS = 60.0
#: So many answers are kept; then they are asked for anew.
_MOST = 20_000

#: Of each database: what was asked, about whose jobs, of which type; until when the answer holds, and the answer.
_known: WeakKeyDictionary[Database, dict[tuple[str, UUID, str], tuple[float, object]]] = WeakKeyDictionary()


def _remembered(deps: Deps, key: tuple[str, UUID, str], ask: Callable[[], T], now: Clock) -> T:
    known = _known.setdefault(deps.db, {})
    holds_until, answer = known.get(key, (0.0, None))
    if now() < holds_until:
        return cast(T, answer)
    found = ask()
    if len(known) >= _MOST:
        known.clear()
    known[key] = now() + KEPT_SECONDS, found
    return found


def estimated_seconds(deps: Deps, organization_id: UUID, job_type: str, now: Clock = time.monotonic) -> float | None:
    """What half of the past jobs like it took at most; none when there are too few. Not to be called within a
    transaction: it may need a connection of its own."""

    def ask() -> float | None:
        expected = expected_seconds(deps.db, organization_id, job_type)
        return round(expected.p50, 1) if expected else None

    return _remembered(deps, ("job", organization_id, job_type), ask, now)


def step_shares(deps: Deps, organization_id: UUID, job_type: str, now: Clock = time.monotonic) -> tuple[float, ...]:
    """How much of the way each step of a new job is, in percent: its share of the time of past jobs, or the built-in
    guess where there are too few. Not to be called within a transaction."""
    pipeline = PIPELINES[job_type]
    past = _history(deps, organization_id, job_type, now)
    told = forecast.shares_of([past[step.name].seconds for step in pipeline.steps]) if past else None
    return told or pipeline.shares


def seconds_left(deps: Deps, organization_id: UUID, now: Clock = time.monotonic) -> SecondsLeft:
    """For showing jobs of an organization: how long one has left that has been at a step for so many seconds. Not to be
    asked within a transaction."""

    def left(job_type: str, step: str, elapsed: float) -> float | None:
        past = _history(deps, organization_id, job_type, now) if job_type in PIPELINES else None
        return forecast.seconds_left(past[step].ahead, elapsed) if past and step in past else None

    return left


def _history(deps: Deps, organization_id: UUID, job_type: str, now: Clock) -> Mapping[str, StepHistory] | None:
    steps = [step.name for step in PIPELINES[job_type].steps]
    ask = lambda: history.of_steps(deps.db, organization_id, job_type, steps)  # noqa: E731 - nothing else to say
    return _remembered(deps, ("steps", organization_id, job_type), ask, now)
