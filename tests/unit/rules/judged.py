"""What the tests of the rules have in common: courses with one fault, and what is found in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from schema.rules import Limits, check
from tests.factories import course, numeric_item, option_item, study_text


def found(drawn: dict[str, Any], limits: Limits | None = None) -> list[tuple[str, str, str]]:
    return [(problem.path, problem.code, problem.severity) for problem in check(drawn, limits)]


def of_item(limits: Limits | None = None, /, **changes: Any) -> list[tuple[str, str]]:
    """What is found in a course of one changed options item."""
    return [(path, code) for path, code, _ in found(course(items=[option_item(0, **changes)]), limits)]


def of_sum(**changes: Any) -> list[tuple[str, str]]:
    return [(path, code) for path, code, _ in found(course(items=[numeric_item(0, **changes)]))]


def of_text(content: str, limits: Limits | None = None, **changes: Any) -> list[tuple[str, str, str]]:
    return found(course(studyTexts=[study_text(content=content)], **changes), limits)


def option_items(texts: Sequence[str], **changes: Any) -> list[dict[str, Any]]:
    return [option_item(number, text=text, **changes) for number, text in enumerate(texts)]


WORDS = (
    *("apple", "river", "stone", "cloud", "winter", "garden", "silver", "mirror", "candle", "forest"),
    *("bridge", "window", "pepper", "rocket", "island", "market", "button", "saddle", "turtle", "violin"),
)


def distinct_items(count: int, **changes: Any) -> list[dict[str, Any]]:
    """Items no two of which are alike."""
    texts = [
        f"{WORDS[number % 20]} {WORDS[number * 7 % 20]} {WORDS[number * 3 % 17]} is [blank]" for number in range(count)
    ]
    return option_items(texts, **changes)
