from __future__ import annotations

import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from schema.problem import Problem
from schema.rules import Limits, check
from schema.rules.draft import SEVERITIES
from tests.factories import course, numeric_item, option_item, study_text
from tests.unit.rules.judged import WORDS, option_items
from tests.unit.strategies import SETTINGS, json_values, valid_courses


def test_a_sound_course_has_no_problem() -> None:
    assert check(course()) == []


def test_every_message_is_a_sentence_that_says_what_to_do() -> None:
    broken = course(
        items=[option_item(0, text="TODO", options=["a", "A"], correctIndex=7), numeric_item(5, answer=1)],
        levels=[{"id": "l", "title": "L", "start": 3, "end": 1}],
        studyTexts=[study_text(content="...")],
    )
    problems = check(broken)
    assert len(problems) > 6
    for problem in problems:
        assert problem.message.endswith(".")
        assert problem.message.count(".") >= 2, "a finding and an advice"


@SETTINGS
@given(json_values)
def test_whatever_is_given_is_judged(anything: Any) -> None:
    assert check(anything)[0].code == "malformed"


@SETTINGS
@given(valid_courses(), st.data())
def test_a_course_with_any_part_replaced_is_judged(drawn: dict[str, Any], data: st.DataObject) -> None:
    at = data.draw(st.sampled_from(sorted(drawn)))
    if isinstance(drawn[at], list) and drawn[at] and isinstance(drawn[at][0], dict):
        entry = drawn[at][0]
        drawn[at] = [entry | {data.draw(st.sampled_from(sorted(entry))): data.draw(json_values)}, *drawn[at][1:]]
    else:
        drawn[at] = data.draw(json_values)
    problems = check(drawn, Limits(max_reading_level=9, banned=("cat",), allowed_hard_words=frozenset()))
    assert all(isinstance(problem, Problem) and problem.code in SEVERITIES for problem in problems)


@SETTINGS
@given(valid_courses())
def test_judging_changes_nothing_and_says_the_same_twice(drawn: dict[str, Any]) -> None:
    assert check(drawn) == check(drawn)


def test_a_thousand_items_are_judged_quickly() -> None:
    items = option_items(
        [f"{WORDS[n % 20]} {WORDS[n // 20 % 20]} {WORDS[n // 50 % 20]} is {n} [blank]" for n in range(1000)]
    )
    began = time.perf_counter()
    check(course(items=items), Limits(banned=("zebra",), allowed_hard_words=frozenset()))
    assert time.perf_counter() - began < 3
