from __future__ import annotations

from typing import Any

import pytest

from tests.factories import course, numeric_item, option_item
from tests.unit.rules.judged import found


def alike(first: dict[str, Any], second: dict[str, Any]) -> bool:
    problems = found(course(items=[{**first, "id": 0}, {**second, "id": 1}]))
    assert problems in ([], [("items.1.text", "duplicate_item", "error")])
    return bool(problems)


def test_the_same_text_twice_is_an_error_also_in_one_cluster() -> None:
    assert alike(option_item(0), option_item(0, options=["x1", "y1", "z1"]))
    assert alike(option_item(0), option_item(0, text="plants take in light  with THEIR [blank]."))


def test_nearly_the_same_sentence_is_an_error() -> None:
    first = option_item(0, text="The largest planet of the solar system is [blank].")
    assert alike(first, option_item(1, text="The largest planet in the solar system is [blank].",
                                    options=first["options"], correctIndex=first["correctIndex"]))  # fmt: skip


def test_the_same_sentence_with_another_place_blank_is_an_error() -> None:
    first = option_item(0, text="Green leaves make [blank] from light.", options=["sugar", "salt", "sand"])
    second = option_item(1, text="Green leaves make sugar from [blank].", options=["light", "noise", "snow"],
                         correctIndex=0)  # fmt: skip
    assert alike(first, second)


def test_variants_of_one_cluster_may_be_alike() -> None:
    first = option_item(0, text="The largest planet of the solar system is [blank].")
    second = option_item(0, text="The largest planet in the solar system is [blank].", variant="2")
    assert not alike(first, second)


def test_the_same_story_with_other_numbers_is_another_exercise() -> None:
    items = [
        numeric_item(number, text=f"Ann has {count} apples and eats 2, so she has [blank] left.", answer=count - 2)
        for number, count in enumerate((5, 8))
    ]
    for item in items:
        del item["arithmetic"]
    assert not alike(*items)


def test_the_same_words_on_another_picture_are_another_exercise() -> None:
    first, second = (
        option_item(n, text="The picture shows a [blank].",
                    stimulus={"type": "image", "url": f"https://example.org/{n}.png", "alt": "a leaf"})
        for n in range(2)
    )  # fmt: skip
    assert not alike(first, second)
    assert alike(first, {**second, "stimulus": first["stimulus"]})


def test_a_sum_asked_twice_is_an_error_in_whatever_words() -> None:
    assert alike(numeric_item(0), numeric_item(1, text="Add seven and five: [blank]"))


@pytest.mark.parametrize("changes", [{"a": 7, "b": 6}, {"a": 5, "b": 7}])
def test_other_sums_are_other_exercises(changes: dict[str, int]) -> None:
    assert not alike(numeric_item(0), numeric_item(1, **changes))


def test_other_signs_are_other_exercises() -> None:
    options = {"options": ["4", "5", "6"], "correctIndex": 0}
    assert not alike(
        option_item(0, text="What is 2 + 2? [blank]", **options),
        option_item(1, text="What is 2 × 2? [blank]", **options),
    )


def test_an_item_is_reported_once() -> None:
    items = [option_item(number, text="Same words here: [blank].") for number in range(4)]
    assert [path for path, _, _ in found(course(items=items))] == ["items.1.text", "items.2.text", "items.3.text"]
