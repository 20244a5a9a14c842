"""Courses of plain arithmetic: what counts as such, that every key is right, and that nothing is asked twice."""

from __future__ import annotations

import random
import re
from collections import Counter
from typing import Any

import pytest
import textstat
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rapidfuzz import fuzz

from schema.job import CourseRequest
from schema.normalize import normalize_course
from schema.rules import check
from schema.rules.language import plain_sentences
from schema.skeleton import Skeleton
from tasks.strategies import arithmetic
from tasks.strategies.arithmetic.slips import wrong_answers
from tasks.strategies.arithmetic.sums import Sum, sum_of
from tasks.strategies.arithmetic.words import SCENES, told
from tasks.strategies.arithmetic.working import hint, working

ALL = ["+", "-", "*", "/"]
GRADES = ["K", *(str(grade) for grade in range(1, 13))]
#: Unit tests do no I/O, so hypothesis keeps no database of examples.
SETTINGS = hypothesis_settings(database=None, deadline=None, max_examples=40)


def request_for(subject: str, grade: str | None = "3", **changes: Any) -> CourseRequest:
    request: dict[str, Any] = {
        "subject": subject,
        "gradeBand": "everyone",
        "mode": "options",
        "itemsPerGroup": 12,
        "levelsCount": 3,
        "studyTextsCount": 2,
        "notes": "",
        "language": "en",
        "visibility": "org",
        "tags": [],
        "generateStudyTextImages": False,
    }
    if grade is not None:
        request["grade"] = grade
    return CourseRequest(**(request | changes))  # type: ignore[typeddict-item]


def assembled(request: CourseRequest, seed: int = 1, course_id: str = "sums-abc234") -> dict[str, Any]:
    plan = arithmetic.skeleton(request, seed)
    groups = [arithmetic.fill_group(plan, request, group["id"], course_id) for group in plan["groups"]]
    return {
        "id": course_id,
        "title": plan["title"],
        "description": plan["description"],
        "subject": request["subject"],
        "gradeBand": request["gradeBand"],
        "grade": request.get("grade"),
        "language": "en",
        "visibility": "org",
        "tags": [],
        "contentVersion": "1",
        "objectives": plan["objectives"],
        "groups": plan["groups"],
        "levels": plan["levels"],
        "items": [item for items in groups for item in items],
        "studyTexts": [arithmetic.fill_text(plan, request, slot) for slot in plan["textSlots"]],
        "topics": [],
        "provenance": plan["provenance"],
    }


def sums_in(plan: Skeleton) -> list[Sum]:
    return [sum_of(*slot["ref"].split()[:3]) for slot in plan["slots"]]


def is_story(item: dict[str, Any]) -> bool:
    return "= [blank]" not in item["text"]


@pytest.mark.parametrize(
    ("subject", "operations"),
    [
        *[(word, ["+"]) for word in ("Addition", "adding", "plus", "sums", "+", "first grade addition")],
        *[(word, ["-"]) for word in ("Subtraction", "minus", "difference", "taking away", "−")],
        *[(word, ["*"]) for word in ("Multiplication facts", "Times tables 2 to 9", "the 7x table", "product", "×")],
        *[
            (word, ["/"])
            for word in ("long division", "quotients", "dividing by 7", "÷", "division without remainders")
        ],
        *[(word, ALL) for word in ("Basic arithmetic", "the four operations", "mental math", "Basic operations")],
        *[(word, ALL) for word in ("+ − × ÷", "+-*/", "plus, minus, times and divided by", "whole number operations")],
        ("Addition and subtraction within 1,000", ["+", "-"]),
        ("Two-digit addition with regrouping", ["+"]),
        ("multiplication & division word problems", ["*", "/"]),
        ("Addition/Subtraction for grades 1-2", ["+", "-"]),
    ],
)
def test_an_arithmetic_subject_names_its_operations(subject: str, operations: list[str]) -> None:
    assert arithmetic.operations_for(subject) == operations


@pytest.mark.parametrize(
    "subject",
    [
        *["time management", "history of division in Korea", "cell division", "division of labour", "Product design"],
        *["fractions", "adding fractions", "decimals", "adding decimals", "sum of angles", "arithmetic sequences"],
        *[
            "The New York Times",
            "Times",
            "Tables",
            "table tennis",
            "NCAA Division 1",
            "business operations",
            "operations",
        ],
        *[
            "plus size fashion",
            "C++",
            "math",
            "basic maths",
            "grade 3",
            "",
            "x",
            "2024",
            "—",
            "division with remainders",
        ],
        *["adding three numbers", "5-digit addition", "addition within 2", "additional needs", "multiply polynomials"],
    ],
)
def test_a_subject_with_any_other_word_is_not_arithmetic(subject: str) -> None:
    assert arithmetic.operations_for(subject) == []
    assert not arithmetic.serves(request_for(subject))


def test_only_what_can_be_kept_is_served() -> None:
    assert arithmetic.serves(request_for("addition"))
    assert not arithmetic.serves(request_for("addition", language="de"))
    assert arithmetic.serves(request_for("addition", language="en-GB", mode="numeric"))
    assert not arithmetic.serves(request_for("addition word problems", "1"))
    assert arithmetic.serves(request_for("addition word problems", "2"))
    assert not arithmetic.serves(request_for("adding negative numbers", "4"))
    assert arithmetic.serves(request_for("adding negative numbers", "7"))
    assert not arithmetic.serves(request_for("1-digit subtraction with borrowing"))


@pytest.mark.parametrize(
    ("grade", "subject", "largest"),
    [("K", "addition and subtraction", 10), ("1", "addition", 20), ("2", "arithmetic", 100), ("3", "arithmetic", 1000)],
)
def test_numbers_stay_within_the_grade(grade: str, subject: str, largest: int) -> None:
    plan = arithmetic.skeleton(request_for(subject, grade, itemsPerGroup=60), 1)
    assert max(one.largest for one in sums_in(plan)) <= largest


def test_numbers_below_zero_are_the_rule_from_grade_7_on() -> None:
    sums = sums_in(arithmetic.skeleton(request_for("arithmetic", "7"), 1))
    assert sum(one.below_zero for one in sums) > len(sums) / 2
    whole = sums_in(arithmetic.skeleton(request_for("whole number arithmetic", "7"), 1))
    assert not any(one.below_zero for one in whole)


def test_without_a_grade_the_subject_decides_and_then_grade_3() -> None:
    third = arithmetic.skeleton(request_for("multiplication", None), 1)
    assert third["groups"] == arithmetic.skeleton(request_for("multiplication", "3"), 1)["groups"]
    named = arithmetic.skeleton(request_for("grade 5 multiplication", None), 1)
    assert named["groups"] == arithmetic.skeleton(request_for("multiplication", "5"), 1)["groups"]


def test_the_limits_a_subject_names_are_kept() -> None:
    def sums(subject: str) -> list[Sum]:
        return sums_in(arithmetic.skeleton(request_for(subject, "4", itemsPerGroup=40), 1))

    assert max(one.largest for one in sums("addition within 20")) <= 20
    assert all({one.a, one.b} & set(range(6, 10)) for one in sums("times tables 6 to 9"))
    assert all(one.b == 7 for one in sums("dividing by 7"))
    assert all(10 <= one.a <= 99 and 10 <= one.b <= 99 for one in sums("two-digit addition"))
    assert all(100 <= one.a <= 999 and one.b <= 9 for one in sums("3-digit by 1-digit division"))
    assert all(one.carries for one in sums("subtraction with borrowing"))
    assert not any(one.carries for one in sums("addition without regrouping"))


def test_one_operation_is_split_by_difficulty_and_several_by_operation() -> None:
    single = arithmetic.skeleton(request_for("addition", "1"), 1)["groups"]
    assert [group["name"] for group in single] == ["Addition within 10", "Addition within 20"]
    several = arithmetic.skeleton(request_for("arithmetic"), 1)
    assert [group["id"] for group in several["groups"]] == [
        "addition-1",
        "subtraction-2",
        "multiplication-3",
        "division-4",
    ]
    assert Counter(slot["groupId"] for slot in several["slots"]) == {group["id"]: 12 for group in several["groups"]}


@pytest.mark.parametrize("grade", ["K", "2", "4", "7"])
def test_clusters_hold_up_to_three_and_never_both_orders_of_a_sum(grade: str) -> None:
    plan = arithmetic.skeleton(request_for("arithmetic", grade, itemsPerGroup=30), 1)
    clusters: dict[str, list[tuple[str, Sum]]] = {}
    for slot, one in zip(plan["slots"], sums_in(plan), strict=True):
        clusters.setdefault(slot["clusterId"], []).append((slot["variant"], one))
    for members in clusters.values():
        assert [variant for variant, _ in members] == ["1", "2", "3"][: len(members)]
        sums = [one for _, one in members]
        assert not any(one.mirrored in sums for one in sums if one.a != one.b)
    assert len(clusters) < len(plan["slots"]) / 2


def test_the_same_seed_gives_the_same_course_and_another_seed_another() -> None:
    request = request_for("arithmetic", studyTextsCount=12)
    assert assembled(request, 5) == assembled(request, 5)
    assert assembled(request, 5)["items"] != assembled(request, 6)["items"]


def test_a_range_that_is_too_small_gives_fewer_items_and_says_so() -> None:
    plan = arithmetic.skeleton(request_for("addition", "K", itemsPerGroup=100, studyTextsCount=5), 1)
    assert {(info["path"], info["code"], info["severity"]) for info in plan["infos"]} == {
        ("groups.addition-1", "fewer_items", "info"),
        ("groups.addition-2", "fewer_items", "info"),
        ("studyTexts", "fewer_study_texts", "info"),
    }
    assert len(plan["slots"]) == len(set(sums_in(plan))) == 66  # every sum of numbers from 0 with a result up to 10
    assert plan["levels"][-1]["end"] == 65
    assert len(plan["textSlots"]) == 3


def test_provenance_says_that_the_keys_are_computed() -> None:
    plan = arithmetic.skeleton(request_for("addition"), 7)
    assert plan["provenance"] == {"source": "arithmetic", "seed": 7, "verified": True}
    assert plan["strategy"] == "arithmetic"


SUBJECTS = st.sampled_from(
    [
        *["addition", "subtraction", "multiplication", "division", "arithmetic", "addition and division"],
        *["subtraction and multiplication", "addition within 20", "times tables to 12", "two-digit subtraction"],
        *["3-digit by 1-digit multiplication", "division within 100", "adding 9", "mental math word problems"],
    ]
)


@SETTINGS
@given(
    subject=SUBJECTS,
    grade=st.sampled_from(GRADES[:9]),
    mode=st.sampled_from(["options", "numeric"]),
    items=st.sampled_from([1, 2, 7, 12, 30, 100]),
    seed=st.integers(0, 2**31),
)
def test_every_course_keeps_the_rules(subject: str, grade: str, mode: str, items: int, seed: int) -> None:
    request = request_for(subject, grade, mode=mode, itemsPerGroup=items, studyTextsCount=12)
    if not arithmetic.serves(request):
        assert "word problems" in subject and grade in {"K", "1"}
        return
    course = assembled(request, seed)
    assert [problem for problem in check(course) if problem.severity == "error"] == []
    assert normalize_course(course) == course
    year = 0 if grade == "K" else int(grade)
    for item in course["items"]:
        asked = item["arithmetic"]
        one = Sum(asked["a"], asked["op"], asked["b"])
        assert one.op != "/" or (one.b != 0 and one.a % one.b == 0)
        assert year >= 7 or not one.below_zero
        assert len(item["hint"]) <= 200 and len(item["explain"]) <= 1000
        if mode == "numeric":
            assert item["answer"] == asked["expected"] and "options" not in item
            continue
        assert item["options"][item["correctIndex"]] == str(asked["expected"])
        assert len(set(item["options"])) == 4
        assert set(item["wrongExplanations"]) == set(item["options"]) - {str(asked["expected"])}
        assert asked["expected"] < 0 or min(map(int, item["options"])) >= 0


@pytest.mark.parametrize("grade", GRADES[2:])
@pytest.mark.parametrize("subject", ["addition", "subtraction", "multiplication", "division", "arithmetic"])
def test_about_a_third_are_word_problems_told_unlike_each_other(subject: str, grade: str) -> None:
    items = assembled(request_for(subject, grade, mode="numeric"))["items"]
    stories = [item["text"].casefold() for item in items if is_story(item)]
    assert 0.2 <= len(stories) / len(items) <= 0.34
    for at, story in enumerate(stories):
        assert max((fuzz.ratio(story, other) for other in stories[:at]), default=0) < 85


def test_there_are_no_word_problems_before_grade_2_and_nothing_else_when_they_are_the_subject() -> None:
    assert not any(is_story(item) for item in assembled(request_for("arithmetic", "1"))["items"])
    for grade in ("2", "5", "8"):
        assert all(is_story(item) for item in assembled(request_for("arithmetic word problems", grade))["items"])


def test_every_scene_is_told_in_whole_sentences_around_one_blank() -> None:
    by_key = {(scene.op, scene.id) for scene in SCENES}
    assert len(by_key) == len(SCENES)
    for scene in SCENES:
        one = Sum((scene.a[0] + scene.a[1]) // 2, scene.op, scene.b[0])
        assert scene.why.endswith(".")
        for telling in range(30):
            text = told(scene, one, telling)
            assert text.count("[blank]") == 1
            assert "[blank]" in re.split(r"(?<=\.) ", text)[-1]
            assert text.endswith(".") and text[0].isupper() and "{" not in text and "  " not in text
            assert not re.search(r"\ba [aeio]", text), text


def test_each_operation_has_at_least_six_situations_in_every_range() -> None:
    typical = [
        *[Sum(24, "+", 19), Sum(340, "+", 225), Sum(4500, "+", 2300), Sum(31_000, "+", 15_000)],
        *[Sum(64, "-", 19), Sum(740, "-", 225), Sum(8500, "-", 2300), Sum(51_000, "-", 15_000)],
        *[Sum(4, "*", 6), Sum(34, "*", 6), Sum(38, "*", 27), Sum(340, "*", 45)],
        *[Sum(24, "/", 6), Sum(192, "/", 6), Sum(1215, "/", 27), Sum(15_300, "/", 45)],
        *[Sum(-5, "+", 9), Sum(-5, "-", 9), Sum(-5, "*", 9), Sum(-45, "/", 9)],
    ]
    for one in typical:
        assert sum(scene.fits(one) for scene in SCENES) >= (5 if one.largest > 20_000 or one.below_zero else 6), one


def test_stories_stay_with_numbers_that_take_the_plural() -> None:
    for one in (Sum(1, "+", 8), Sum(9, "-", 8), Sum(1, "*", 5), Sum(7, "/", 7), Sum(8, "/", 1), Sum(8, "-", 0)):
        assert not any(scene.fits(one) for scene in SCENES), one


SOME_SUM = st.one_of(
    st.builds(Sum, st.integers(0, 999), st.just("+"), st.integers(0, 999)),
    st.builds(lambda r, b: Sum(r + b, "-", b), st.integers(-99, 999), st.integers(-99, 999)),
    st.builds(Sum, st.integers(-99, 99), st.just("*"), st.integers(-99, 99)),
    st.builds(lambda q, b: Sum(q * b, "/", b), st.integers(-99, 999), st.integers(1, 99)),
)


@SETTINGS
@given(one=SOME_SUM, chance=st.randoms(use_true_random=False))
def test_wrong_answers_are_wrong_different_and_explained(one: Sum, chance: Any) -> None:
    wrong = dict(wrong_answers(one, chance))
    assert len(wrong) == 3 and one.result not in wrong
    assert all(reason.endswith(".") and len(reason) > 15 for reason in wrong.values())
    assert one.result < 0 or min(wrong) >= 0


def test_real_slips_are_among_the_wrong_answers() -> None:
    def offered(one: Sum) -> set[int]:
        return {value for seed in range(40) for value, _ in wrong_answers(one, random.Random(seed))}

    # Carrying forgotten, the other operation, digits swapped, off by one, off by ten.
    assert {83, 19, 39, 92, 94, 103} <= offered(Sum(56, "+", 37))
    # The smaller digit taken from the larger in every column.
    assert {35, 99, 52, 24, 26, 15} <= offered(Sum(62, "-", 37))
    # The other operation and the neighbours in the table.
    assert {15, 48, 64, 49, 63} <= offered(Sum(7, "*", 8))
    assert {7, 9, 6, 42} <= offered(Sum(48, "/", 6))
    # The sign lost.
    assert {24, -2} <= offered(Sum(-6, "*", 4))


_EQUATION = re.compile(r"(−?\d+) ([+−×÷]) (\(?−?\d+\)?) = (−?\d+)(?!\d)")

_LONG_SUM = re.compile(r"\d+ \+ (?:\d+ \+ )+\d+ = \d+")


def equations_hold(text: str) -> int:
    """Checks every plain equation in a text and says how many there are."""
    found = _EQUATION.findall(_LONG_SUM.sub("", text))
    for left, sign, right, result in found:
        a, b, r = (int(part.strip("()").replace("−", "-")) for part in (left, right, result))
        assert {"+": a + b == r, "−": a - b == r, "×": a * b == r, "÷": b != 0 and a == b * r}[sign], text
    return len(found)


@SETTINGS
@given(one=SOME_SUM)
def test_the_working_is_true_and_the_hint_keeps_the_result(one: Sum) -> None:
    words = working(one)
    equations_hold(words)
    assert re.search(rf"(?<!\d){abs(one.result)}(?!\d)", words), words
    assert words.endswith(".") and len(words) < 400
    given_numbers = {abs(one.a), abs(one.b), *range(13)}
    assert abs(one.result) in given_numbers or not re.search(rf"(?<!\d){abs(one.result)}(?!\d)", hint(one))


@pytest.mark.parametrize("grade", GRADES)
def test_study_texts_are_true_short_and_simple(grade: str) -> None:
    year = 0 if grade == "K" else int(grade)
    for seed in range(2):
        texts = assembled(request_for("arithmetic", grade, studyTextsCount=12), seed)["studyTexts"]
        assert len(texts) == 12 and [text["order"] for text in texts] == list(range(12))
        for text in texts:
            content = text["content"]
            assert 120 <= len(content.replace("[SECTION:", "").split()) <= 250, text["title"]
            assert content.startswith("[SECTION:") and "[IMAGE" not in content and "{" not in content
            assert equations_hold(content) >= 1
            assert textstat.flesch_kincaid_grade(plain_sentences(content)) <= max(2, min(year, 4)), text["title"]


def test_study_texts_and_items_refer_to_each_other() -> None:
    course = assembled(request_for("addition and subtraction", studyTextsCount=6))
    texts = {text["id"]: set(text["learningObjectives"]) for text in course["studyTexts"]}
    assert list(texts) == [
        f"{op}-{part}" for part in ("meaning", "working", "checking") for op in ("addition", "subtraction")
    ]
    for item in course["items"]:
        assert len(item["relatedStudyTextIds"]) == 3
        assert all(item["learningObjectiveId"] in texts[text_id] for text_id in item["relatedStudyTextIds"])
