"""Wrong answers that come from real slips, each with the words that say which slip leads there."""

from __future__ import annotations

import random
from collections.abc import Callable

from tasks.strategies.arithmetic.sums import Sum, figure

DISTRACTORS = 3


def wrong_answers(one: Sum, draw: random.Random) -> list[tuple[int, str]]:
    """Three wrong results with a reason each: all different, and none below zero unless the right one is."""
    slips = _usable(one, [*_mistaken(one), *_digits_swapped(one)])
    near = _usable(one, _near(one))
    draw.shuffle(slips)
    draw.shuffle(near)
    far_off = _usable(one, [(one.result + off, _counted(off)) for off in (1, -1, 2, -2, 3, 4)])
    chosen: dict[int, str] = {}
    # One or two slips stand beside near misses, so that the key is not the odd one out.
    shown = draw.choice((1, 2))
    for value, reason in [*slips[:shown], *near, *slips[shown:], *far_off]:
        if len(chosen) < DISTRACTORS:
            chosen.setdefault(value, reason)
    return list(chosen.items())


def _usable(one: Sum, slips: list[tuple[int, str]]) -> list[tuple[int, str]]:
    return [slip for slip in slips if slip[0] != one.result and (slip[0] >= 0 or one.result < 0)]


def _near(one: Sum) -> list[tuple[int, str]]:
    offs = [1, -1]
    if one.largest >= 20 and abs(one.result) >= 10:
        offs += [10, -10]
    if abs(one.result) >= 200:
        offs += [100, -100]
    return [(one.result + off, _counted(off)) for off in offs]


def _counted(off: int) -> str:
    column = {10: "Look at the tens once more.", 100: "Look at the hundreds once more."}
    return f"This is {abs(off)} too {'large' if off > 0 else 'small'}. {column.get(abs(off), 'Work it out once more.')}"


def _digits_swapped(one: Sum) -> list[tuple[int, str]]:
    size = abs(one.result)
    digits = str(size)
    swapped = int(digits[:-2] + digits[-1] + digits[-2]) if len(digits) > 1 else size
    if swapped == size or (len(digits) == 2 and digits.endswith("0")):
        return []
    return [(swapped if one.result > 0 else -swapped, "Here the last two digits have changed places.")]


def _mistaken(one: Sum) -> list[tuple[int, str]]:
    """Slips that belong to the operation."""
    a, b = one.a, one.b
    if one.op == "+":
        other = (abs(a - b), f"This comes from taking away. The sign + asks for {one.written}.")
        return [other, *_sign_lost(one), *_carry_lost(one)]
    if one.op == "-":
        other = (a + b, f"This comes from adding. The sign − asks for {one.written}.")
        return [other, *_sign_lost(one), *_borrow_lost(one)]
    return _mistaken_product(one) if one.op == "*" else _mistaken_quotient(one)


def _mistaken_product(one: Sum) -> list[tuple[int, str]]:
    a, b = one.a, one.b
    slips = [
        (a + b, f"This is {Sum(a, '+', b).written}. The sign × asks to multiply."),
        ((a + 1) * b, f"This is {Sum(a + 1, '*', b).written}, one step too far in the table."),
        ((a - 1) * b, f"This is {Sum(a - 1, '*', b).written}, one step too short in the table."),
        (a * (b + 1), f"This is {Sum(a, '*', b + 1).written}. Look at the second number again."),
        (a * (b - 1), f"This is {Sum(a, '*', b - 1).written}. Look at the second number again."),
    ]
    if a > 10 and b > 1 and a % 10:
        only_tens = (a - a % 10) * b + a % 10
        slips.append((only_tens, f"Here {a % 10} was added only once. It must be multiplied by {b} as well."))
    return [*_sign_lost(one), *slips]


def _mistaken_quotient(one: Sum) -> list[tuple[int, str]]:
    a, b, q = one.a, one.b, one.result
    slips = [
        (q + off, f"Check by multiplying: {Sum(q + off, '*', b).written} = {figure((q + off) * b)}, not {figure(a)}.")
        for off in (1, -1, 2)
    ]
    if abs(b) != 1:
        slips.append((b, f"This is the number to divide by. Find how many times {figure(b)} fits into {figure(a)}."))
    if 0 < abs(a) <= 100:
        slips.append((a - b, f"This comes from taking {figure(b)} away once. The sign ÷ asks to divide."))
    if q % 10 == 0 and q:
        slips.append((q // 10, "A zero is missing at the end."))
    return [*_sign_lost(one), *slips]


def _sign_lost(one: Sum) -> list[tuple[int, str]]:
    if not one.below_zero:
        return []
    slips = [(-one.result, "The size is right, but the sign is wrong. Look at the signs once more.")]
    if one.op in "+-":
        sizes = abs(one.a) + abs(one.b)
        slips += [(sign * sizes, "Here the signs of the numbers were not minded.") for sign in (1, -1)]
    return slips


def _carry_lost(one: Sum) -> list[tuple[int, str]]:
    """Every column added by itself, nothing carried over."""
    if not one.carries or one.largest < 20:
        return []
    return [(_columns(one.a, one.b, lambda x, y: (x + y) % 10), "Here what carries over was left out.")]


def _borrow_lost(one: Sum) -> list[tuple[int, str]]:
    """In every column the smaller digit taken from the larger one."""
    if not one.carries or one.a < 20:
        return []
    words = "In one column the upper digit was taken from the lower one. Trade one from the column to the left first."
    return [(_columns(one.a, one.b, lambda x, y: abs(x - y)), words)]


def _columns(a: int, b: int, together: Callable[[int, int], int]) -> int:
    """Each column of two numbers from zero up put together by itself."""
    total, place = 0, 1
    while a or b:
        total += together(a % 10, b % 10) * place
        a, b, place = a // 10, b // 10, place * 10
    return total
