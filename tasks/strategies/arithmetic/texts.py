"""Choosing and filling the study texts of an arithmetic course: per operation what it means, how to work it out, and
how to check oneself.

The texts stand in the ``lessons_`` modules by part and style. Styles: ``ten`` within 10, ``twenty`` within 20,
``columns`` for longer numbers; ``facts`` for tables, ``parts`` for longer numbers; ``signed`` below zero; ``any`` for
all that have no text of their own. In them ``{a} {b} {r}`` are an example and its result, ``{sum}`` is the example as
it is written, ``{working}`` the way to its result, ``{other}`` the sum that checks it. Lines of a paragraph are joined.
"""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

from tasks.strategies.arithmetic.bands import Band, drawn
from tasks.strategies.arithmetic.ladders import NOUNS
from tasks.strategies.arithmetic.lessons_addition import ADDITION
from tasks.strategies.arithmetic.lessons_division import DIVISION
from tasks.strategies.arithmetic.lessons_multiplication import MULTIPLICATION
from tasks.strategies.arithmetic.lessons_subtraction import SUBTRACTION
from tasks.strategies.arithmetic.sums import Op, Sum, figure
from tasks.strategies.arithmetic.working import working

PARTS = ("meaning", "working", "checking")
_LESSONS: dict[Op, dict[tuple[str, str], str]] = {
    "+": ADDITION,
    "-": SUBTRACTION,
    "*": MULTIPLICATION,
    "/": DIVISION,
}
_TITLES: dict[Op, tuple[str, str, str]] = {
    "+": ("What adding means", "How to add", "Check your adding"),
    "-": ("What subtracting means", "How to subtract", "Check your subtracting"),
    "*": ("What multiplying means", "How to multiply", "Check your multiplying"),
    "/": ("What dividing means", "How to divide", "Check your dividing"),
}
#: Friendly numbers to show the meaning with, for bands whose numbers stay within 20, within 100, or go further.
_FRIENDLY: dict[Op, tuple[Sum, Sum, Sum]] = {
    "+": (Sum(3, "+", 2), Sum(24, "+", 13), Sum(240, "+", 130)),
    "-": (Sum(5, "-", 2), Sum(28, "-", 13), Sum(250, "-", 120)),
    "*": (Sum(3, "*", 2), Sum(4, "*", 6), Sum(12, "*", 4)),
    "/": (Sum(6, "/", 2), Sum(24, "/", 6), Sum(48, "/", 4)),
}


def title_of(op: Op, part: str) -> str:
    return _TITLES[op][PARTS.index(part)]


def text_id(op: Op, part: str) -> str:
    return f"{NOUNS[op].lower()}-{part}"


def example(op: Op, part: str, bands: Sequence[Band], draw: random.Random) -> Sum:
    """The sum a text explains, with numbers as they stand in the middle one of the operation's bands."""
    mine = [band for band in bands if band.op == op]
    middle = mine[len(mine) // 2]
    if part == "meaning":
        return _FRIENDLY[op][0 if middle.largest <= 20 else 1 if middle.largest <= 100 else 2]
    offered = [one for cluster in drawn(middle, 30, set(), draw) for one in cluster]
    telling = [one for one in offered if one.below_zero] or [one for one in offered if one.carries]
    return (telling or [one for one in offered if not one.trivial] or offered)[0]


def lesson(part: str, one: Sum) -> str:
    """The study text on ``part``, with ``one`` as its example. ``[SECTION:Title]`` markers, no pictures."""
    texts = _LESSONS[one.op]
    style = _style(one)
    words = {
        "a": figure(one.a),
        "b": figure(one.b),
        "r": figure(one.result),
        "large": figure(max(one.a, one.b)),
        "small": figure(min(one.a, one.b)),
        "sum": one.written,
        "working": working(one),
        "other": _check_of(one),
    }
    return _unwrapped(texts[part, style if (part, style) in texts else "any"]).format_map(words)


def _unwrapped(text: str) -> str:
    """Paragraphs and entries of lists on one line each."""
    return re.sub(r"(?<!\n)\n(?!\n|- |\d+\. )\s*", " ", text.strip())


def _style(one: Sum) -> str:
    if one.below_zero:
        return "signed"
    if one.op in "+-":
        return "ten" if one.largest <= 10 else "twenty" if one.largest <= 20 else "columns"
    longest = max(one.a, one.b) if one.op == "*" else max(one.b, one.result)
    return "facts" if longest <= 12 else "parts"


def _check_of(one: Sum) -> str:
    """The sum that undoes ``one``, written out."""
    back: dict[Op, Op] = {"+": "-", "-": "+", "*": "/", "/": "*"}
    undone = Sum(one.result, back[one.op], one.b)
    return f"{undone.written} = {figure(undone.result)}"
