from __future__ import annotations

from math import floor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.spending.allowances import MINUTE, fits_in
from tests.unit.strategies import SETTINGS


def fits_after(
    seconds: float, limit: int, cost: int, before: int, before_left: float, now: int, now_left: float
) -> bool:
    """What the counter would say in so many seconds: the window moves on when its own minute is over."""
    before_left, now_left = max(0.0, before_left - seconds), now_left - seconds
    if 0 < now_left < MINUTE:
        before, before_left, now = now, now_left, 0
    elif now_left <= 0:
        before, before_left, now = 0, 0.0, 0
    return floor(before * before_left / MINUTE) + now + cost <= limit


@st.composite
def windows(draw: st.DrawFn) -> tuple[int, int, int, float, int, float]:
    limit = draw(st.integers(1, 100_000))
    left = draw(st.floats(0.01, MINUTE))
    before, now = draw(st.integers(0, 3 * limit)), draw(st.integers(0, 3 * limit))
    return limit, draw(st.integers(1, limit)), before, left, now, left + MINUTE


@SETTINGS
@given(windows())
def test_after_the_wait_it_fits_and_before_it_does_not(window: tuple[int, int, int, float, int, float]) -> None:
    wait = fits_in(*window)
    assert 0 <= wait <= 2 * MINUTE
    assert fits_after(wait + 0.01, *window)
    assert wait == 0 or not fits_after(max(0.0, wait - 0.01), *window)


@pytest.mark.parametrize(
    ("window", "wait"),
    [
        ((10, 1, 0, 0.0, 0, 0.0), 0),  # nothing was used
        ((10, 1, 0, 0.0, 9, 100.0), 0),  # the last one of this minute
        ((10, 1, 0, 0.0, 10, 100.0), 40),  # the window ends, and a little of it has faded by then
        ((10, 10, 0, 0.0, 10, 100.0), 94),  # all of it must fade but less than one
        ((10, 1, 20, 60.0, 0, 120.0), 30),  # the last window fades
        ((10, 5, 0, 0.0, -3, 100.0), 0),  # given back
    ],
)
def test_the_wait_for_one_window(window: tuple[int, int, int, float, int, float], wait: float) -> None:
    assert fits_in(*window) == pytest.approx(wait)
