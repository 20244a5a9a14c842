from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage.figures.statistics import Expected
from tasks.forecast import LEAST_SHARE, seconds_left, shares_of

SETTINGS = settings(database=None, deadline=None)
times = st.lists(st.floats(0, 1e6), min_size=1, max_size=10)


class TestShares:
    @SETTINGS
    @given(times)
    def test_all_are_the_whole_way_and_none_is_nothing(self, seconds: list[float]) -> None:
        shares = shares_of(seconds)
        if shares is None:
            assert sum(seconds) == 0
            return
        assert len(shares) == len(seconds)
        assert round(sum(shares), 6) == 100
        assert min(shares) >= LEAST_SHARE

    @SETTINGS
    @given(times.filter(lambda seconds: sum(seconds) > 0))
    def test_what_took_longer_is_more_of_the_way(self, seconds: list[float]) -> None:
        shares = shares_of(seconds)
        assert shares is not None
        for mine, my_share in zip(seconds, shares, strict=True):
            for other, other_share in zip(seconds, shares, strict=True):
                assert mine < other or my_share >= other_share - 0.1 * len(seconds)  # rounded to tenths

    def test_they_are_the_shares_of_the_time(self) -> None:
        assert shares_of([10, 80, 10, 0, 0]) == (11.0, 74.0, 11.0, 2.0, 2.0)

    def test_no_time_tells_nothing(self) -> None:
        assert shares_of([0, 0, 0]) is None


class TestSecondsLeft:
    @pytest.mark.parametrize(
        ("elapsed", "left"),
        [(0, 40.0), (10, 30.0), (40, 0.0), (40.5, 49.5), (90, 0.0), (90.1, None), (1e9, None), (-3, 40.0)],
    )
    def test_the_half_then_the_nine_of_ten_then_nobody_knows(self, elapsed: float, left: float | None) -> None:
        assert seconds_left(Expected(40.0, 90.0), elapsed) == left

    @SETTINGS
    @given(st.floats(0, 1e5), st.floats(0, 1e5), st.floats(0, 3e5))
    def test_it_is_never_less_than_nothing_or_more_than_is_likely(self, p50: float, more: float, at: float) -> None:
        left = seconds_left(Expected(p50, p50 + more), at)
        assert left is None or 0 <= left <= round(p50 + more, 1)
