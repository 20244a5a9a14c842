"""What past jobs say about one that is at work: how much of its way each step is, and how long it has left. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from storage.figures.statistics import Expected

#: What even the shortest step is of the way, in percent: the bar is to move with every step.
LEAST_SHARE = 2.0


def shares_of(seconds: Sequence[float]) -> tuple[float, ...] | None:
    """How much of the way each step is, in percent, when so many seconds went into each in past jobs. A step has at
    least ``LEAST_SHARE``, all have 100 together, in tenths. None when no time went into any."""
    whole = sum(seconds)
    if whole <= 0:
        return None
    free = 100 - LEAST_SHARE * len(seconds)
    tenths = [int(10 * (LEAST_SHARE + free * max(taken, 0) / whole)) for taken in seconds]
    tenths[max(range(len(tenths)), key=lambda at: tenths[at])] += 1000 - sum(tenths)
    return tuple(tenth / 10 for tenth in tenths)


def seconds_left(ahead: Expected, elapsed: float) -> float | None:
    """How long a job has left that has been for ``elapsed`` seconds on a way that took half of the past jobs ``p50``
    and nine of ten ``p90``: what is left to the half, then to the nine of ten. None when it has outlasted those too."""
    for likely in (ahead.p50, ahead.p90):
        if elapsed <= likely:
            return round(likely - max(elapsed, 0.0), 1)
    return None
