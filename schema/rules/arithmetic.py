"""Recomputing what can be computed: the ``arithmetic`` field of an item, and simple equations in its text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from fractions import Fraction

from schema.course import Item
from schema.problem import Problem
from schema.rules.draft import finding, key_text

_NUMBER = r"[-−]?(?:\d{1,3}(?:,\d{3})+|\d{1,15})(?:\.\d{1,15})?"
_TERM = rf"({_NUMBER}|\[blank\])"
_EQUATION = re.compile(rf"(?<![\w.,]){_TERM}\s*([-+−–×*·÷/:]|x(?=[\s\d]))\s*{_TERM}\s*=\s*{_TERM}(?![\w%°]|[.,]\d)")
_SIGNS = {"−": "-", "–": "-", "×": "*", "·": "*", "x": "*", "÷": "/", ":": "/"}
# Where one of these words stands, the plain result is not what is asked for.
_OTHER_RULES = re.compile(
    r"round|nearest|about|approximat|estimat|remainder|quotient|\bmod|clock|o['’]clock|\bbase\b|binary|\br\b|wrong|incorrect|mistake|error",
    re.IGNORECASE,
)


# An equation that goes on before or after what was found is not a simple one.
_GOES_ON_BEFORE = re.compile(r"[-+−–×*·÷/^=(<>)\]]\Z|\d:?\Z|(?:\A|\W)[a-z]\Z")
_GOES_ON_AFTER = re.compile(r"[-+−–×*·÷/:^=)<>%°]|x\s*\d|per ?cent", re.IGNORECASE)


def check_arithmetic(place: int, item: Item) -> Iterator[Problem]:
    """At most one ``math_incorrect`` for an item. Items that are not arithmetic, or whose key is missing, have none."""
    key = key_text(item)
    if key is None:
        return
    value = _number(key)
    fault = _field_fault(item, key, value) or _text_fault(item["text"], value)
    if fault:
        path = f"items.{place}.answer" if item["mode"] == "numeric" else f"items.{place}.correctIndex"
        yield finding(path, "math_incorrect", fault)


def _field_fault(item: Item, key: str, value: Fraction | None) -> str | None:
    if "arithmetic" not in item:
        return None
    asked = item["arithmetic"]
    sum_text = f"{asked['a']} {asked['op']} {asked['b']}"
    result = _compute(Fraction(asked["a"]), asked["op"], Fraction(asked["b"]))
    if result is None:
        return f"{sum_text} has no result. Change the numbers."
    if result != asked["expected"]:
        return f"{sum_text} is {_plain(result)}, not {asked['expected']}. Correct the expected result."
    equation = _equation_in(item["text"])
    if equation and equation[3] != "[blank]":
        return None  # an operand is asked for, not the result; the equation itself is judged
    if value != result:
        return f"{sum_text} is {_plain(result)}, but the answer key says {key}. Correct the answer key."
    return None


def _text_fault(text: str, value: Fraction | None) -> str | None:
    equation = _equation_in(text)
    if equation is None or value is None or _OTHER_RULES.search(text):
        return None
    left, sign, right, outcome = equation
    terms = [value if term == "[blank]" else _number(term) for term in (left, right, outcome)]
    if terms[0] is None or terms[1] is None or terms[2] is None:
        return None
    result = _compute(terms[0], sign, terms[1])
    if result is not None and (result == terms[2] or (outcome == "[blank]" and _rounds_to(result, terms[2]))):
        return None
    filled = f"{left} {sign} {right} = {outcome}".replace("[blank]", _plain(value))
    return f"With the answer key filled in, the question says {filled}, which is wrong. Correct the answer key."


def _equation_in(text: str) -> tuple[str, str, str, str] | None:
    """The terms and the sign of the one simple equation with one blank in a text; none when it is part of a longer
    expression, or when there are several."""
    found = [match for match in _EQUATION.finditer(text) if list(match.groups()).count("[blank]") == 1]
    if len(found) != 1:
        return None
    match = found[0]
    before, after = text[: match.start()].rstrip(), text[match.end() :].lstrip()
    if _GOES_ON_BEFORE.search(before) or _GOES_ON_AFTER.match(after):
        return None
    left, sign, right, outcome = match.groups()
    return left, _SIGNS.get(sign, sign), right, outcome


def _number(text: str) -> Fraction | None:
    plain = text.strip()
    if not re.fullmatch(_NUMBER, plain):
        return None
    return Fraction(plain.replace("−", "-").replace(",", ""))


def _compute(left: Fraction, sign: str, right: Fraction) -> Fraction | None:
    """The exact result; none for a division by zero."""
    if sign == "+":
        return left + right
    if sign == "-":
        return left - right
    if sign == "*":
        return left * right
    return left / right if right else None


def _rounds_to(result: Fraction, given: Fraction) -> bool:
    """Whether ``given`` is ``result`` cut to its own decimals, as 3.33 is for 10 ÷ 3. Whole numbers must be exact."""
    places = len(_plain(given).partition(".")[2])
    return places > 0 and not _ends(result) and abs(result - given) <= Fraction(1, 10**places)


def _ends(value: Fraction) -> bool:
    """Whether a number has finitely many decimals."""
    rest = value.denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    return rest == 1


def _plain(value: Fraction) -> str:
    return str(value.numerator) if value.denominator == 1 else f"{float(value):.12g}"
