"""Histograms of durations: counting, adding up, and what can still be said afterwards."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.durations import BOUNDS, BUCKETS, bucket, counted, merged, quantile

durations = st.one_of(st.floats(0, 20), st.floats(0, 100_000), st.sampled_from(BOUNDS))
many = st.lists(durations, max_size=60)
shares = st.one_of(st.floats(0, 1), st.sampled_from([0.5, 0.9, 0.95, 0.99]))


def edges(number: int) -> tuple[float, float]:
    """Where a bucket begins and ends."""
    return (BOUNDS[number - 1] if number else 0.0), (BOUNDS[number] if number < len(BOUNDS) else math.inf)


def test_the_bounds_grow_evenly_from_a_hundredth_to_an_hour() -> None:
    assert (BOUNDS[0], BOUNDS[-1], BUCKETS) == (0.01, 3600.0, 32)
    factors = [after / before for before, after in pairwise(BOUNDS)]
    assert min(factors) > 1.5 and max(factors) < 1.56


@given(durations)
def test_a_duration_lies_between_the_edges_of_its_bucket(seconds: float) -> None:
    low, high = edges(bucket(seconds))
    assert low <= seconds < high


@given(many)
def test_every_duration_is_counted_once(some: list[float]) -> None:
    histogram = counted(some)
    assert len(histogram) == BUCKETS
    assert sum(histogram) == len(some)
    assert all(histogram[bucket(seconds)] for seconds in some)


@given(st.lists(many, max_size=5))
def test_merging_is_counting_together(parts: list[list[float]]) -> None:
    assert merged(counted(part) for part in parts) == counted([seconds for part in parts for seconds in part])


@given(many, st.integers(0, BUCKETS))
def test_a_shorter_histogram_is_one_without_the_longest(some: list[float], length: int) -> None:
    short = counted(some)[:length]
    assert merged([short, counted(some)]) == [a + b for a, b in zip(merged([short]), counted(some), strict=True)]


@given(st.lists(durations, min_size=1, max_size=60), shares)
def test_the_estimate_lies_in_the_bucket_of_the_true_value(some: list[float], q: float) -> None:
    true = sorted(some)[max(math.ceil(q * len(some) - 1e-9), 1) - 1]
    estimate = quantile(counted(some), q)
    assert estimate is not None
    assert bucket(estimate) == bucket(true)


@given(many, shares, shares)
def test_a_greater_share_takes_no_less(some: list[float], one: float, other: float) -> None:
    less, more = (quantile(counted(some), q) for q in sorted((one, other)))
    assert (less is None and more is None) or (less is not None and more is not None and less <= more)


@given(st.lists(many, max_size=5), shares)
def test_a_quantile_of_the_whole_lies_between_those_of_its_parts(parts: list[list[float]], q: float) -> None:
    found = [estimate for part in parts if (estimate := quantile(counted(part), q)) is not None]
    whole = quantile(merged(counted(part) for part in parts), q)
    if not found:
        assert whole is None
        return
    assert whole is not None
    assert min(map(bucket, found)) <= bucket(whole) <= max(map(bucket, found))


@pytest.mark.parametrize(("q", "seconds"), [(0.01, 6.0 + 3.19 * 0.005), (0.5, 7.579), (0.99, 6.0 + 3.19 * 0.985)])
def test_a_hundred_in_one_bucket_are_spread_over_it(q: float, seconds: float) -> None:
    histogram = counted([7.0] * 100)
    assert quantile(histogram, q) == pytest.approx(seconds, abs=0.001)


def test_nothing_counted_says_nothing() -> None:
    assert quantile(counted([]), 0.5) is None
    assert quantile([], 0.5) is None


def test_of_more_than_an_hour_only_that_is_known() -> None:
    assert quantile(counted([90_000.0] * 3), 0.5) == 3600.0
