"""Reading the JSON in what a text model returned: it may be fenced, in ``<json>`` tags, with comments, trailing commas,
single quotes, and words around it. What was cut off is never completed: a half course is asked for again.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any, NoReturn

import json5

#: A whole course of 1,000 items has about 600,000 characters.
LARGEST = 2_000_000
#: json5 is written in Python and reads about 30,000 characters in a second, so it gets no more than this.
LARGEST_TOLERANT = 200_000
DEEPEST = 60
#: Bracketed words before the JSON, such as ``[blank]``, that are passed over.
_MOST_ASIDES = 20

# Where a fence or a tag begins the JSON. Inside a JSON text no line can begin with a fence.
_OPENING = re.compile(r"(?:<json>|^[ \t]*(?:```|~~~)[ \t]*+[\w+-]*)\s*+(?=[{\[/])", re.IGNORECASE | re.MULTILINE)
_TOKEN = re.compile(
    r"""(?P<nothing> \s++ | //[^\n]*+ | /\*.*?(?:\*/|\Z) )
      | (?P<string>  "(?:[^"\\]++|\\.?+)*+(?:"|\Z) )
      | (?P<mark>    [{}\[\],:] )
      | (?P<word>    [^\s"'{}\[\],:/]++ | . )""",
    re.DOTALL | re.VERBOSE,
)
_BRACKET = re.compile(r"[{\[]")
_SINGLE_QUOTED = re.compile(r"'(?:[^'\\]++|\\.?+)*+(?:'|\Z)", re.DOTALL)


class Unreadable(ValueError):
    """No JSON object or array can be read. ``truncated``: one begins, but the text ends before it does."""

    def __init__(self, message: str, *, truncated: bool = False) -> None:
        super().__init__(message)
        self.truncated = truncated


def read_json(text: str) -> Any:
    """The first complete object or array in ``text``. Raises ``Unreadable``; numbers that JSON doesn't have (NaN,
    Infinity) and texts that are too large or nested too deeply are refused as well."""
    if len(text) > LARGEST:
        raise Unreadable(f"The text has {len(text)} characters; at most {LARGEST} are read.")
    opening = None if text.lstrip("\ufeff \t\r\n").startswith(("{", "[")) else _OPENING.search(text)
    end = opening.end() if opening else 0
    tolerance = LARGEST_TOLERANT
    for _ in range(_MOST_ASIDES):
        begin = _BRACKET.search(text, end)
        if begin is None:
            break
        end = _end_of(text, begin.start())
        candidate = text[begin.start() : end]
        try:
            return _strict(candidate)
        except json.JSONDecodeError as error:
            fault = error
        tolerance -= len(candidate)
        if tolerance < 0:
            raise Unreadable(f"The text is no proper JSON ({fault}), and too long to read it tolerantly.")
        try:
            return _tolerant(candidate)
        except Unreadable:
            # Words in brackets are passed over. In a faulty object no part is taken for the whole.
            if '"' in candidate or (candidate[0] == "{" and ":" in candidate):
                raise
    raise Unreadable("There is no JSON object or array in the text.")


def _end_of(text: str, begin: int) -> int:
    """Where the object or array that begins at ``begin`` ends. Brackets in strings and comments don't count."""
    open_brackets: list[str] = []
    at, value_due = begin, True
    # An apostrophe begins a string only where a key or value is due; elsewhere it belongs to a word.
    while token := (_SINGLE_QUOTED.match(text, at) if value_due else None) or _TOKEN.match(text, at):
        at = token.end()
        if token.re is _TOKEN and token["nothing"]:
            continue
        mark = (token["mark"] or "") if token.re is _TOKEN else ""
        value_due = mark in {"{", "[", ",", ":"}
        if mark in {"{", "["}:
            open_brackets.append("}" if mark == "{" else "]")
            if len(open_brackets) > DEEPEST:
                raise Unreadable(f"The JSON is nested more than {DEEPEST} deep.")
        elif mark in {"}", "]"}:
            if open_brackets.pop() != mark:
                raise Unreadable(f"At character {at - 1}, {mark} closes what it didn't open.")
            if not open_brackets:
                return at
    raise Unreadable("The JSON begins, but the text ends before it does.", truncated=True)


def _strict(candidate: str) -> Any:
    """Plain JSON, but for line breaks inside strings, which can be read in one way only."""
    try:
        return json.loads(candidate, strict=False, parse_constant=_refuse, parse_float=_finite)
    except (Unreadable, json.JSONDecodeError):
        raise
    except ValueError as error:  # an integer of thousands of digits
        raise Unreadable(f"The JSON can't be read: {error}") from None


def _tolerant(candidate: str) -> Any:
    try:
        return _joined(json5.loads(candidate, parse_constant=_refuse, parse_float=_finite))
    except Unreadable:
        raise
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"The JSON is faulty: {error}") from None


def _joined(value: Any) -> Any:
    """json5 leaves a character that is escaped as two surrogates, as most emoji are, in its halves."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
    if isinstance(value, list):
        return [_joined(inner) for inner in value]
    if isinstance(value, dict):
        return {_joined(key): _joined(inner) for key, inner in value.items()}
    return value


def _refuse(constant: str) -> NoReturn:
    raise Unreadable(f"{constant} is no JSON number.")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        _refuse(digits)
    return number
