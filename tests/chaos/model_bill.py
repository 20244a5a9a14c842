"""The bill of calls to the model: how many there may be at most."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from tests.chaos.faults import Done

POSTGRES = frozenset({"postgres killed", "postgres restarted"})
_WORKER = frozenset({"worker killed", "worker stopped"})

#: From when to when something went on, in Unix time.
Span = tuple[float, float]


@dataclass(frozen=True)
class Sums:
    """The bill: calls made, calls needed, calls that met an injected fault, and calls whose answer was not kept yet
    when something was killed or stopped."""

    calls: int = 0
    needed: int = 0
    faulty: int = 0
    at_risk: int = 0

    @property
    def allowed(self) -> int:
        return self.needed + self.faulty + self.at_risk


def takes_answers(done: Done, job_id: str) -> bool:
    """Whether a fault can take from this job what a call for a text brought, before it is kept."""
    return done.kind in POSTGRES or (done.kind in _WORKER and job_id in done.held)


def at_risk(attempts: Sequence[Span], losses: Sequence[Span]) -> int:
    """How many answers for one thing may have been lost: at most one for each attempt that a loss fell into, and at
    most one for each loss."""
    hits = [
        (a, b) for a, (begun, end) in enumerate(attempts) for b, loss in enumerate(losses) if _meet((begun, end), loss)
    ]
    return min(len({attempt for attempt, _ in hits}), len({loss for _, loss in hits}))


def _meet(one: Span, other: Span) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]
