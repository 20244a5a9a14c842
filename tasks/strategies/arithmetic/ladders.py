"""Which bands a subject and a school year ask for, from easy to hard.

The ranges follow what most curricula ask for: within 10 and 20 in the first years, within 100 in year 2, tables in
years 2 and 3, longer numbers from year 4 on, numbers below zero from year 7 on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from tasks.strategies.arithmetic.bands import Band
from tasks.strategies.arithmetic.subjects import Scope
from tasks.strategies.arithmetic.sums import Op

#: A request that names no school year is taken to be for this one.
USUAL_YEAR, FIRST_YEAR_BELOW_ZERO, HIGHEST_YEAR = 3, 7, 12

NOUNS: dict[Op, str] = {"+": "Addition", "-": "Subtraction", "*": "Multiplication", "/": "Division"}
VERBS: dict[Op, str] = {"+": "Add", "-": "Subtract", "*": "Multiply", "/": "Divide"}

_TOPS: dict[int, tuple[int, ...]] = {
    0: (5, 10),
    1: (10, 20),
    2: (20, 50, 100),
    3: (100, 500, 1000),
    4: (1000, 5000, 10_000),
    5: (1000, 10_000, 50_000),
    6: (10_000, 50_000, 100_000),
}
_REACH: dict[int, tuple[int, ...]] = {
    7: (10, 20, 50),
    8: (20, 50, 100),
    9: (50, 100, 500),
    10: (100, 200, 1000),
    11: (100, 500, 1000),
    12: (100, 1000, 10_000),
}
_FACTOR_REACH: dict[int, tuple[int, ...]] = {7: (9, 12, 20), 8: (12, 20, 30), 9: (12, 25, 50)}
_LATER_FACTOR_REACH = (20, 50, 99)
_ROUND = (5, 10, 20, 50, 100, 500, 1000, 5000, 10_000, 50_000)
_TEN, _SHORT, _LONG = range(1, 11), range(2, 10), range(11, 100)
#: Years 2 to 6 of × and ÷: what the product and the quotient are called, ``left``, ``right``. The last of a year is
#: the band for the whole year, used where other operations are asked for too.
_FACTORS: dict[int, tuple[tuple[str, str, Sequence[int], Sequence[int]], ...]] = {
    2: (
        ("by 2, 5 and 10", "by 2, 5 and 10", _TEN, (2, 5, 10)),
        ("by 3 and 4", "by 3 and 4", _TEN, (3, 4)),
        ("by 2, 3, 4, 5 and 10", "by 2, 3, 4, 5 and 10", _TEN, (2, 3, 4, 5, 10)),
    ),
    3: (
        ("by 2, 5 and 10", "by 2, 5 and 10", _TEN, (2, 5, 10)),
        ("by 3 and 4", "by 3 and 4", _TEN, (3, 4)),
        ("by 6, 7, 8 and 9", "by 6, 7, 8 and 9", _TEN, (6, 7, 8, 9)),
        ("by 2 to 10", "by 2 to 10", _TEN, range(2, 11)),
    ),
    4: (
        ("by 6 to 12", "by 6 to 12", range(2, 13), range(6, 13)),
        ("of numbers up to 50 by one digit", "by one digit with results up to 50", range(11, 50), _SHORT),
        ("of two digits by one digit", "by one digit with results up to 99", range(50, 100), _SHORT),
        ("of two digits by one digit", "by one digit", _LONG, _SHORT),
    ),
    5: (
        ("of two digits by one digit", "by one digit", _LONG, _SHORT),
        ("of two-digit numbers up to 40", "by numbers up to 40", range(11, 41), range(11, 41)),
        ("of two digits by two digits", "by two digits", range(41, 100), _LONG),
        ("of two digits by two digits", "by two digits", _LONG, _LONG),
    ),
    6: (
        ("of two digits by two digits", "by two digits with short results", _LONG, _LONG),
        ("of numbers up to 500 by two digits", "by two digits with results up to 500", range(101, 500), _LONG),
        ("of three digits by two digits", "by two digits with results up to 999", range(500, 1000), _LONG),
        ("of three digits by two digits", "by two digits", range(101, 1000), _LONG),
    ),
}


def bands_for(scope: Scope, year: int) -> tuple[Band, ...]:
    """Where one operation is asked for, its bands from easy to hard; of several, one band each. An operation that has
    nothing to offer in this scope has no band."""
    stays_above_zero = scope.whole or scope.carry is not None
    year = min(year, FIRST_YEAR_BELOW_ZERO - 1 if stays_above_zero else HIGHEST_YEAR)
    bands: list[Band] = []
    for op in scope.operations:
        *steps, joined = _ladder(op, scope, year)
        bands += steps if len(scope.operations) == 1 else [joined]
    if scope.top is not None:
        bands = [replace(band, top=min(band.top, scope.top)) for band in bands]
    if scope.carry is not None:
        bands = [replace(band, carry=scope.carry) for band in bands]
    return tuple(band for band in bands if band.offers_any)


def _ladder(op: Op, scope: Scope, year: int) -> list[Band]:
    """The bands of an operation from easy to hard; the last is the band for the operation as a whole."""
    if scope.tables:
        return _fixed(op, scope, year)
    if scope.digits:
        return _by_digits(op, scope)
    if scope.top is not None:
        return _within(op, _steps_to(scope.top), min(year, FIRST_YEAR_BELOW_ZERO - 1))
    if year >= FIRST_YEAR_BELOW_ZERO:
        return _below_zero(op, year)
    if op in "+-" or year < 2:
        return _within(op, _TOPS[year], year)
    return [
        replace(_band(op, product if op == "*" else quotient, left, right), tables=right[-1] <= 12)
        for product, quotient, left, right in _FACTORS[year]
    ]


def _band(op: Op, about: str, left: Sequence[int], right: Sequence[int]) -> Band:
    return Band(op, f"{NOUNS[op]} {about}", f"{VERBS[op]} {about.removeprefix('of ')}.", left, right)


def _steps_to(top: int) -> tuple[int, ...]:
    """Round numbers on the way to ``top``: 100 is reached by 20 and 50."""
    half = max((one for one in _ROUND if one * 2 <= top), default=top)
    fifth = max((one for one in _ROUND if one * 5 <= top), default=top) if top >= 100 else top
    return tuple(sorted({fifth, half, top}))


def _within(op: Op, tops: tuple[int, ...], year: int) -> list[Band]:
    steps: list[Band] = []
    for before, top in zip((-1, *tops), tops, strict=False):
        if op in "+-":
            smallest = (0 if year < 2 else 1) if top <= 20 else 2 if top <= 100 else top // 20
            left, right = range(smallest, top + 1), range(smallest, top + 1)
        elif top <= 20:
            left, right = range(1, top + 1), range(1, top + 1)
        else:
            left, right = range(2, top // 2 + 1), range(2, 13)
        steps.append(replace(_band(op, f"within {top}", left, right), lowest=before + 1, top=top))
    return [*steps, replace(steps[-1], lowest=0 if year < 2 else tops[-1] // 10)]


def _below_zero(op: Op, year: int) -> list[Band]:
    if op in "+-":
        reaches, smallest = _REACH[year], 1
    else:
        reaches, smallest = _FACTOR_REACH.get(year, _LATER_FACTOR_REACH), 2
    steps: list[Band] = []
    for reach in reaches:
        span = [number for number in range(-reach, reach + 1) if abs(number) >= smallest]
        about = f"{'by' if op == '/' else 'with'} numbers from −{reach} to {reach}"
        steps.append(replace(_band(op, about, span, span), top=reach if op in "+-" else 10**9))
    return [*steps, steps[-1]]


def _fixed(op: Op, scope: Scope, year: int) -> list[Band]:
    """Bands of the tables a subject names; of + and −, the numbers it says to add or take away."""
    reach = 12 if year >= 4 or scope.tables[-1] > 10 else 10
    if op in "+-":
        reach = _TOPS[min(year, 2)][-1] if scope.top is None else scope.top
    middle = (len(scope.tables) + 1) // 2
    parts = [scope.tables] if len(scope.tables) == 1 else [scope.tables[:middle], scope.tables[middle:]]
    if op == "*" and len(scope.tables) == 1:
        table = scope.tables[0]
        spans = [range(1, 6), range(6, reach + 1)]
        steps = [_band(op, f"by {table}, up to {span[-1]} × {table}", span, scope.tables) for span in spans]
    else:
        steps = [_band(op, _by(op, part), range(1, reach + 1), part) for part in parts]
    steps.append(_band(op, _by(op, scope.tables), range(1, reach + 1), scope.tables))
    return [replace(band, tables=True) for band in steps]


def _by(op: Op, numbers: tuple[int, ...]) -> str:
    if len(numbers) > 2 and numbers == tuple(range(numbers[0], numbers[-1] + 1)):
        listed = f"{numbers[0]} to {numbers[-1]}"
    else:
        listed = ", ".join(map(str, numbers[:-1])) + " and " * (len(numbers) > 1) + str(numbers[-1])
    return f"of {listed}" if op in "+-" else f"by {listed}"


def _by_digits(op: Op, scope: Scope) -> list[Band]:
    """Bands for numbers of given lengths. + and − go from sums without to sums with carrying, × and ÷ from small to
    large second numbers."""
    longer = max(scope.digits)
    shorter = scope.digits[-1] if len(scope.digits) == 2 else 1 if op == "/" else longer
    shorter = min(longer, shorter)
    right = _numbers_of(shorter)
    about = f"of {longer}-digit numbers" if shorter == longer else f"of {longer}-digit by {shorter}-digit numbers"
    if op in "+*":
        band = _band(op, about, _numbers_of(longer), right)
    else:  # here the result is drawn, and what it makes of the first number must have the right length
        most = 10**longer // (right[0] if op == "/" else 1)
        band = replace(
            _band(op, about, range(1 if op == "-" else 2, most + 1), right),
            lowest=max(10 ** (longer - 1), 1),
            top=10**longer - 1,
        )
    if op in "+-":
        without = replace(band, name=f"{band.name} without carrying", carry=False)
        carrying = replace(band, name=f"{band.name} with carrying", carry=True)
        return [band, band] if scope.carry is not None else [without, carrying, band]
    middle = len(right) // 2
    return [
        replace(band, name=f"{band.name}, smaller numbers", right=right[:middle]),
        replace(band, name=f"{band.name}, larger numbers", right=right[middle:]),
        band,
    ]


def _numbers_of(digits: int) -> range:
    return range(2 if digits == 1 else 10 ** (digits - 1), 10**digits)
