from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.factories import course, numeric_item
from tests.unit.rules.judged import found, of_item, of_sum
from tests.unit.strategies import SETTINGS


def test_the_answer_must_be_what_the_arithmetic_says() -> None:
    assert of_sum(text="Seven and five make [blank].", answer=13) == [("items.0.answer", "math_incorrect")]


def test_the_expected_result_is_recomputed() -> None:
    arithmetic = {"a": 7, "b": 5, "op": "+", "expected": 13}
    assert of_sum(text="They make [blank].", answer=13, arithmetic=arithmetic) == [("items.0.answer", "math_incorrect")]


@pytest.mark.parametrize(
    ("a", "b", "op", "expected"), [(7, 5, "-", 2), (7, 5, "*", 35), (35, 5, "/", 7), (-7, 5, "-", -12)]
)
def test_every_operation_is_known(a: int, b: int, op: str, expected: int) -> None:
    def judged(result: int) -> list[tuple[str, str]]:
        arithmetic = {"a": a, "b": b, "op": op, "expected": result}
        return of_sum(text="It is [blank].", answer=result, arithmetic=arithmetic)

    assert judged(expected) == []
    assert judged(expected + 1) == [("items.0.answer", "math_incorrect")]


@pytest.mark.parametrize(("a", "b"), [(7, 0), (7, 2)])
def test_a_division_without_a_whole_result_is_wrong(a: int, b: int) -> None:
    arithmetic = {"a": a, "b": b, "op": "/", "expected": 3}
    assert of_sum(text="It is [blank].", answer=3, arithmetic=arithmetic) == [("items.0.answer", "math_incorrect")]


def test_an_operand_may_be_asked_for() -> None:
    assert of_sum(text="7 + [blank] = 12", answer=5) == []
    assert of_sum(text="7 + [blank] = 12", answer=6) == [("items.0.answer", "math_incorrect")]


def test_the_key_of_options_is_recomputed_too() -> None:
    arithmetic = {"a": 7, "b": 5, "op": "+", "expected": 12}
    changes = {"text": "They make [blank].", "options": ["11", "12", "13"], "arithmetic": arithmetic}
    assert of_item(correctIndex=1, **changes) == []
    assert of_item(correctIndex=0, **changes) == [("items.0.correctIndex", "math_incorrect")]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("6 × 7 = [blank]", 42),
        ("6 x 7 = [blank]", 42),
        ("What is 42 ÷ 6 = [blank]?", 7),
        ("9 − 12 = [blank].", -3),
        ("9 – 4 = [blank]", 5),
        ("1.5 + 2.25 = [blank]", 3.75),
        ("1,200 + 300 = [blank]", 1500),
        ("[blank] · 4 = 20", 5),
        ("5 : 2 = [blank]", 2.5),
        ("10 ÷ 3 = [blank]", 3.33),
        ("-3 + 5 = [blank]", 2),
    ],
)
def test_a_simple_equation_in_the_text_is_recomputed(text: str, right: float) -> None:
    item = numeric_item(text=text)
    del item["arithmetic"]
    assert found(course(items=[item | {"answer": right}])) == []
    assert found(course(items=[item | {"answer": right + 1}])) == [("items.0.answer", "math_incorrect", "error")]


def test_a_simple_equation_is_recomputed_for_options() -> None:
    changes = {"text": "6 × 7 = [blank]", "options": ["36", "42", "48"]}
    assert of_item(correctIndex=1, **changes) == []
    assert of_item(correctIndex=2, **changes) == [("items.0.correctIndex", "math_incorrect")]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("2 + 3 × 4 = [blank]", 14),
        ("(1 + 2) × 3 = [blank]", 9),
        ("1/2 + 1/4 = [blank]/4", 3),
        ("5 + 3 = [blank] + 2", 6),
        ("17 ÷ 5 = [blank] remainder 2", 3),
        ("To the nearest ten, 17 + 5 = [blank]", 20),
        ("3/4 = [blank] percent", 75),
        ("3/4 = [blank] %", 75),
        ("2x + 3 = 7, so x = [blank]", 2),
        ("x - 3 + 5 = [blank] when x is 1", 3),
        ("1,5 + 2 = [blank]", 3.5),
        ("In base 8, 5 + 5 = [blank]", 12),
        ("3 : 4 = [blank] : 8", 6),
        ("1 + 1 = 2 and 2 + 2 = [blank]", 4),
    ],
)
def test_what_is_no_simple_equation_is_not_judged(text: str, right: float) -> None:
    item = numeric_item(text=text, answer=right)
    del item["arithmetic"]
    assert found(course(items=[item])) == []


@SETTINGS
@given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6), st.integers(1, 9))
def test_any_right_sum_is_right_and_any_wrong_one_is_wrong(a: int, b: int, off: int) -> None:
    assert of_sum(a=a, b=b) == []
    assert of_sum(a=a, b=b, answer=a + b + off) == [("items.0.answer", "math_incorrect")]
