from __future__ import annotations

import pytest

from tests.factories import course, option_item
from tests.unit.rules.judged import distinct_items, found, of_item


def test_a_key_that_is_mostly_the_longest_option_is_a_warning() -> None:
    long_key = {"options": ["red", "green as grass", "blue"], "correctIndex": 1}
    short_key = {"options": ["red", "green as grass", "blue"], "correctIndex": 0}
    items = distinct_items(8)
    mixed = [item | (long_key if number < 5 else short_key) for number, item in enumerate(items)]
    assert found(course(items=mixed)) == [("items", "longest_option_is_key", "warning")]
    half = [item | (long_key if number < 4 else short_key) for number, item in enumerate(items)]
    assert found(course(items=half)) == []
    few = [item | long_key for item in items[:7]]
    assert found(course(items=few)) == []


def test_as_long_as_another_is_not_the_longest() -> None:
    items = distinct_items(8, options=["red", "green", "white"], correctIndex=1)
    assert found(course(items=items)) == []


@pytest.mark.parametrize(
    ("options", "favoured", "biased"),
    [
        (["aa", "bb", "cc", "dd"], 9, False),  # 45 % of 20
        (["aa", "bb", "cc", "dd"], 10, True),
        (["aa", "bb", "cc"], 11, False),  # 55 % of 20
        (["aa", "bb", "cc"], 12, True),
    ],
)
def test_a_favourite_place_of_the_key_is_a_warning(options: list[str], favoured: int, biased: bool) -> None:
    items = distinct_items(20, options=options)
    for number, item in enumerate(items):
        item["correctIndex"] = 2 if number < favoured else number % 2
    expected = [("items", "key_position_bias", "warning")] if biased else []
    assert found(course(items=items, grade="9")) == expected


def test_eleven_items_are_too_few_to_speak_of_bias() -> None:
    items = distinct_items(11, options=["aa", "bb", "cc", "dd"], correctIndex=0)
    assert found(course(items=items)) == []


@pytest.mark.parametrize(
    "text",
    ["Which is NOT a plant? [blank]", "All of them are plants EXCEPT [blank].",
     "Which of these is not a plant? [blank]",
     "Which animals don't fly? [blank]", "All birds fly except [blank]."],
)  # fmt: skip
def test_a_negative_question_is_a_warning(text: str) -> None:
    items = [option_item(0, text=text)]
    assert found(course(items=items)) == [("items.0.text", "negative_stem", "warning")]
    assert found(course(items=items, language="de")) == []


@pytest.mark.parametrize("text", ["He did not run; he [blank].", "A note is [blank].", "Which plant is [blank]?"])
def test_a_sentence_with_not_is_no_negative_question(text: str) -> None:
    assert of_item(text=text) == []
