"""The way to a result in one or two sentences, and a hint that leads onto that way without giving the result."""

from __future__ import annotations

from tasks.strategies.arithmetic.sums import Sum, figure, places

_TIMES = {2: "twice", 3: "three times", 4: "four times", 5: "five times"}


def working(one: Sum) -> str:
    """How the result is found."""
    if one.below_zero:
        return _working_below_zero(one)
    return {"+": _adding, "-": _taking_away, "*": _multiplying, "/": _dividing}[one.op](one)


def hint(one: Sum) -> str:
    """A first step. Never holds the result."""
    if one.below_zero:
        return "Look at the signs first. Then work with the plain numbers."
    if one.op == "/":
        return f"Think: how many times does {one.b} fit into {one.a}?"
    return {"+": _hint_to_add, "-": _hint_to_take_away, "*": _hint_to_multiply}[one.op](one)


def _hint_to_add(one: Sum) -> str:
    large, small = max(one.a, one.b), min(one.a, one.b)
    if one.carries and large < 10:
        return f"Make ten first: how much does {large} need to reach 10?"
    if small < 10 and (one.largest <= 20 or not one.carries):
        return f"Start at {large} and count on."
    return "Add column by column. Mind what carries over." if one.carries else "Add each column by itself."


def _hint_to_take_away(one: Sum) -> str:
    if one.carries and one.a > 20:
        return "When a column has too few, trade one from the column to its left."
    return f"Think: {one.b} plus how many makes {one.a}?" if one.b < 20 else "Take each column away by itself."


def _hint_to_multiply(one: Sum) -> str:
    a, b = one.a, one.b
    if min(a, b) < 2:
        return f"Think of {a} groups with {b} in each." if a != 1 else f"Think of one group with {b} in it."
    if max(a, b) > 12:
        return f"Split {max(a, b)} by its places and multiply each part by {min(a, b)}."
    return {
        2: f"Double {b}.",
        3: f"Double {b}, then add {b} once more.",
        4: f"Double {b}, then double again.",
        5: f"Take half of 10 × {b}.",
        6: f"Take 5 × {b}, then add {b} once more.",
        7: f"Take 5 × {b}, then add {b} twice.",
        8: f"Take 5 × {b}, then add {b} three times.",
        9: f"Take 10 × {b}, then take away {b}.",
        10: f"Think of {b} tens.",
        11: f"Take 10 × {b}, then add {b} once more.",
        12: f"Take 10 × {b}, then add {b} twice.",
    }[a]


def _adding(one: Sum) -> str:
    large, small, result = max(one.a, one.b), min(one.a, one.b), one.result
    if small == 0:
        return f"Adding 0 changes nothing, so {one.written} = {result}."
    if large < 10 < result:
        return f"Make ten first: {large} + {10 - large} = 10, and {result - 10} more makes {result}."
    parts = places(small)
    if len(parts) == 1:
        return f"Start at {large} and go on by {small}: {large} + {small} = {result}."
    return f"Add {small} part by part: {_chain(large, parts)}."


def _taking_away(one: Sum) -> str:
    if one.b == 0:
        return f"Taking away 0 changes nothing, so {one.written} = {one.result}."
    parts = places(one.b)
    if len(parts) == 1:
        return f"{one.result} + {one.b} = {one.a}, so {one.written} = {one.result}."
    return f"Take {one.b} away part by part: {_chain(one.a, [-part for part in parts])}."


def _chain(start: int, parts: list[int]) -> str:
    """``345 + 200 = 545, 545 + 70 = 615``"""
    steps = []
    for part in parts:
        steps.append(f"{start} {'+' if part > 0 else '−'} {abs(part)} = {start + part}")
        start += part
    return ", ".join(steps)


def _multiplying(one: Sum) -> str:
    a, b, result = one.a, one.b, one.result
    if result == 0:
        return f"With no groups, or groups of none, there is nothing, so {one.written} = 0."
    if 1 in (a, b):
        return f"One times a number is the number, so {one.written} = {result}."
    if max(a, b) <= 12:
        return _from_table(a, b)
    split, by = (a, b) if len(places(a)) > len(places(b)) or b < 10 <= a else (b, a)
    parts = places(split)
    if len(parts) == 1:  # only zeros follow the first digit
        first = int(str(split)[0])
        return f"{first} × {by} = {first * by}. Put the zeros of {split} behind it: {one.written} = {result}."
    pieces = " and ".join(f"{part} × {by} = {part * by}" for part in parts)
    return f"Split {split}: {pieces}. Together that makes {result}."


def _from_table(a: int, b: int) -> str:
    if a <= 5:
        return f"Add {b} {_TIMES[a]}: {' + '.join([str(b)] * a)} = {a * b}."
    if a == 10:
        return f"10 × {b} is {b} tens, and {b} tens make {10 * b}."
    base = 10 if a > 10 else 5
    rest = a - base
    return f"{base} × {b} = {base * b} and {rest} × {b} = {rest * b}, and together that makes {a * b}."


def _dividing(one: Sum) -> str:
    a, b, result = one.a, one.b, one.result
    parts = places(result)
    if result <= 12 or len(parts) < 2:
        return f"{result} × {b} = {a}, so {one.written} = {result}."
    pieces = " and ".join(f"{part} × {b} = {part * b}" for part in parts)
    return f"{pieces}, which together makes {a}. So {one.written} = {result}."


def _working_below_zero(one: Sum) -> str:
    a, b, result = one.a, one.b, one.result
    if one.op in "*/":
        if result > 0:
            rule = "Two negative numbers give a positive result"
        else:
            rule = "One number is negative, so the result is negative"
        return f"{rule}. {Sum(abs(a), one.op, abs(b)).written} = {abs(result)}, so {one.written} = {figure(result)}."
    if one.op == "-" and b < 0:
        return f"Taking away {figure(b)} is the same as adding {-b}. {Sum(a, '+', -b).written} = {figure(result)}."
    if one.op == "+" and b < 0:
        return f"Adding {figure(b)} is the same as taking away {-b}. {Sum(a, '-', -b).written} = {figure(result)}."
    way = "up" if one.op == "+" else "down"
    return f"Start at {figure(a)} and go {b} {way} on the number line. You reach {figure(result)}."
