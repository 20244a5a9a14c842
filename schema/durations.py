"""Durations counted in fixed buckets: the histograms of many days can be added up, and a sum still knows its median.

The bounds never change, because rows of ``daily_stats`` were counted by them. Each is about one and a half times the
one before, so an estimate is off by less than that.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from itertools import accumulate, zip_longest

#: Where one bucket ends and the next begins, in seconds: from a hundredth to an hour.
BOUNDS: tuple[float, ...] = (
    *(0.01, 0.0153, 0.0235, 0.0359, 0.0551, 0.0843, 0.129, 0.198, 0.303, 0.464, 0.711, 1.09, 1.67, 2.56, 3.92, 6.0),
    *(9.19, 14.1, 21.6, 33.0, 50.6, 77.5, 119.0, 182.0, 279.0, 427.0, 654.0, 1000.0, 1530.0, 2350.0, 3600.0),
)
#: One below the first bound, one from the last one on.
BUCKETS = len(BOUNDS) + 1


def bucket(seconds: float) -> int:
    """The number of a duration's bucket, from 0. A bound belongs to the bucket it begins (as with ``width_bucket`` of
    Postgres, which counts the rows)."""
    return bisect_right(BOUNDS, seconds)


def counted(durations: Iterable[float]) -> list[int]:
    """The histogram of some durations: how many lie in each bucket."""
    histogram = [0] * BUCKETS
    for seconds in durations:
        histogram[bucket(seconds)] += 1
    return histogram


def merged(histograms: Iterable[Sequence[int]]) -> list[int]:
    """The histogram of everything that was counted in any of these."""
    return [sum(counts) for counts in zip_longest([0] * BUCKETS, *histograms, fillvalue=0)]


def quantile(histogram: Sequence[int], q: float) -> float | None:
    """About how long (in seconds) the share ``q`` (0 to 1) took at most; none when nothing was counted.

    The estimate lies in the bucket of the true value, as if that bucket's durations were spread evenly over it. Of an
    hour and more only that is known: the answer is the last bound."""
    total = sum(histogram)
    if total == 0:
        return None
    # The least share of a count away, because 0.07 * 100 is a little more than 7.
    rank = min(max(math.ceil(q * total - 1e-9), 1), total)
    up_to = list(accumulate(histogram))
    number = bisect_left(up_to, rank)
    low = BOUNDS[number - 1] if number else 0.0
    if number >= len(BOUNDS):
        return low
    place = (rank - (up_to[number] - histogram[number]) - 0.5) / histogram[number]
    return low + (BOUNDS[number] - low) * place
