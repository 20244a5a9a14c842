from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import (
    BadRequest,
    Conflict,
    CoursewrightError,
    Forbidden,
    Invalid,
    ModelNotConfigured,
    NotFound,
    Permanent,
    SettingsError,
    Transient,
    Unauthenticated,
    Unavailable,
    ValidationFailed,
)
from tasks.retry import (
    BASE_SECONDS,
    BRAKED,
    BRAKED_SPREAD_SECONDS,
    LONGEST_ASKED_SECONDS,
    LONGEST_SECONDS,
    Again,
    GiveUp,
    decide,
)
from tests.unit.strategies import SETTINGS

luck = st.floats(0, 1)
retries = st.integers(0, 100)
hopeful = st.sampled_from([Transient("x"), Unavailable("x"), Transient("x", code="model_timeout")])
hopeless = [
    *(kind("x") for kind in (BadRequest, Unauthenticated, Forbidden, NotFound, Conflict, SettingsError)),
    *(kind("x") for kind in (Permanent, ValidationFailed, ModelNotConfigured, CoursewrightError)),
    Invalid([]),
]


@pytest.mark.parametrize("error", hopeless, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize(("used", "allowed"), [(0, 3), (3, 3), (0, 0)])
def test_what_a_person_has_to_change_is_given_up_at_once(error: CoursewrightError, used: int, allowed: int) -> None:
    assert decide(error, used, allowed, 0.5) == GiveUp(dead_letter=False)


@pytest.mark.parametrize("error", [Transient("x"), Unavailable("x"), Transient("x", retry_after=5)])
@pytest.mark.parametrize(("used", "allowed"), [(3, 3), (4, 3), (0, 0)])
def test_used_up_retries_end_among_the_dead_letters(error: CoursewrightError, used: int, allowed: int) -> None:
    assert decide(error, used, allowed, 0.5) == GiveUp(dead_letter=True)


@pytest.mark.parametrize(("used", "longest"), [(0, 2), (1, 4), (2, 8), (3, 16), (4, 32), (5, 60), (6, 60), (99, 60)])
def test_the_wait_doubles_up_to_a_minute(used: int, longest: float) -> None:
    assert decide(Transient("x"), used, 100, 1.0) == Again(longest)
    assert decide(Unavailable("x"), used, 100, 0.5) == Again(longest / 2)
    assert decide(Transient("x"), used, 100, 0.0) == Again(0)


@pytest.mark.parametrize(
    ("asked", "waits"),
    [(0, 0), (0.5, 0.5), (37, 37), (3600, 3600), (-5, 0), (1e300, LONGEST_ASKED_SECONDS), (math.inf, 86_400)],
)
def test_what_the_other_side_asks_for_is_kept_to_within_a_day(asked: float, waits: float) -> None:
    assert decide(Transient("x", retry_after=asked), 2, 3, 0.9) == Again(waits)


@SETTINGS
@given(hopeful, retries, retries, luck)
def test_a_wait_is_never_negative_nor_longer_than_the_longest(
    error: CoursewrightError, used: int, allowed: int, drawn: float
) -> None:
    decision = decide(error, used, allowed, drawn)
    if used >= allowed:
        assert decision == GiveUp(dead_letter=True)
    else:
        assert isinstance(decision, Again)
        assert 0 <= decision.seconds <= min(LONGEST_SECONDS, BASE_SECONDS * 2 ** (used + 1))


@SETTINGS
@given(st.floats(), retries, luck)
def test_whatever_the_other_side_asks_the_wait_can_be_kept(asked: float, used: int, drawn: float) -> None:
    decision = decide(Transient("x", retry_after=asked), used, 101, drawn)
    assert isinstance(decision, Again)
    assert 0 <= decision.seconds <= LONGEST_ASKED_SECONDS


@SETTINGS
@given(st.none() | st.floats(), retries, retries, luck)
def test_a_wait_at_the_brake_is_no_retry_and_ends_a_little_after_the_moment(
    asked: float | None, used: int, allowed: int, drawn: float
) -> None:
    decision = decide(Transient("x", code=BRAKED, retry_after=asked), used, allowed, drawn)
    assert isinstance(decision, Again)
    assert decision.counted is False
    moment = 0 if asked is None or not asked > 0 else min(asked, LONGEST_ASKED_SECONDS)
    assert moment <= decision.seconds <= moment + BRAKED_SPREAD_SECONDS


def test_those_that_wait_for_one_moment_do_not_come_back_together() -> None:
    error = Transient("x", code=BRAKED, retry_after=30)
    waits = {decide(error, 3, 3, number / 100) for number in range(100)}
    assert len(waits) == 100


@SETTINGS
@given(hopeful, retries, luck)
def test_the_same_error_always_gets_the_same_answer(error: CoursewrightError, used: int, drawn: float) -> None:
    assert decide(error, used, 50, drawn) == decide(error, used, 50, drawn)
