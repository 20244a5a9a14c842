from __future__ import annotations

import pytest

from schema.rules import Limits, check
from tests.factories import CONTENT, course, numeric_item, option_item, study_text
from tests.unit.rules.judged import WORDS, found, of_item, of_text

EASY = "The cat sat on the mat and looked at the dog. The dog ran off and hid in the shed. "
HARD = (
    "Photosynthetic organisms continuously transform electromagnetic radiation into biochemical energy, necessitating "
    "extraordinarily sophisticated molecular machinery distributed throughout specialized cellular compartments. "
)


def test_a_banned_term_is_found_wherever_it_is_read() -> None:
    limits = Limits(banned=("Dark  Magic", "wand"))
    drawn = course(
        title="The wand",
        items=[option_item(0, hint="use DARK MAGIC", options=["wands", "roots", "seeds"])],
        studyTexts=[study_text(content=CONTENT + " No dark\nmagic, no wand, no wand.")],
    )
    assert found(drawn, limits) == [
        ("title", "banned_term", "error"),
        ("items.0.options.0", "banned_term", "error"),
        ("items.0.hint", "banned_term", "error"),
        ("studyTexts.0.content", "banned_term", "error"),
        ("studyTexts.0.content", "banned_term", "error"),
    ]


def test_a_banned_term_inside_a_word_is_none() -> None:
    assert of_item(Limits(banned=("ant", "", " "))) == []


def test_hard_words_are_reported_once_with_their_first_place() -> None:
    drawn = course(studyTexts=[study_text(content=CONTENT + " Evaporation, evaporation. Condensation’s.")])
    drawn["items"][0]["hint"] = "Think of evaporation."
    problems = check(drawn, Limits(allowed_hard_words=frozenset()))
    assert [(problem.path, problem.code) for problem in problems] == [
        ("items.0.hint", "vocabulary"),
        ("studyTexts.0.content", "vocabulary"),
    ]
    assert "'evaporation' (and in 1 more places)" in problems[0].message
    assert "'condensation'" in problems[1].message


@pytest.mark.parametrize("allowed", ["evaporation", "Evaporations", "water evaporation"])
def test_allowed_hard_words_may_be_used_in_singular_and_plural(allowed: str) -> None:
    limits = Limits(allowed_hard_words=frozenset({allowed}))
    assert of_item(limits, hint="Evaporation and evaporations.") == []


def test_vocabulary_is_not_judged_without_a_list_or_in_another_language() -> None:
    assert of_item(hint="Evaporation.") == []
    drawn = course(language="es", items=[option_item(hint="evaporation")])
    assert found(drawn, Limits(allowed_hard_words=frozenset())) == []


def test_a_text_far_over_the_grade_is_an_error() -> None:
    assert of_text("[SECTION:One]\n\n" + HARD * 7) == [("studyTexts.0.content", "reading_level", "error")]


@pytest.mark.parametrize(
    ("grade", "band", "severity"),
    [("3", "9-12", "error"), ("4", "1", "warning"), (None, "Grades 5-8", "warning"), ("All", "Grade 3", "error"),
     ("6", "1", None), (None, "everyone", None)],
)  # fmt: skip
def test_the_distance_to_the_grade_decides(grade: str | None, band: str, severity: str | None) -> None:
    # Flesch-Kincaid 5.6.
    content = (
        "[SECTION:One]\n\n" + "The water in the ocean is warmed by the sun and rises up into the air as vapor. " * 7
    )
    expected = [] if severity is None else [("studyTexts.0.content", "reading_level", severity)]
    assert of_text(content, grade=grade, gradeBand=band) == expected


def test_a_highest_level_replaces_the_grade_as_bound() -> None:
    content = "[SECTION:One]\n\n" + HARD * 7
    assert of_text(content, Limits(max_reading_level=60)) == [("studyTexts.0.content", "reading_level", "warning")]
    easy = "[SECTION:One]\n\n" + EASY * 7
    assert of_text(easy, Limits(max_reading_level=0.05), grade=None, gradeBand="all") == [
        ("studyTexts.0.content", "reading_level", "error")
    ]


def test_short_texts_and_other_languages_are_not_judged() -> None:
    assert of_text("[SECTION:One]\n\n" + HARD * 4) == []
    assert of_text("[SECTION:One]\n\n" + HARD * 7, language="de") == []


def test_headings_lists_tables_and_code_are_not_read_as_one_long_sentence() -> None:
    listed = "\n".join(f"- The {word} is small" for word in WORDS)
    table = "\n".join("| the cell | holds a word | and then one more |" for _ in range(30))
    code = "```\n" + "photosynthesis = electromagnetic * biochemical\n" * 30 + "```"
    content = f"[SECTION:One]\n\n# A title about it\n\n{EASY * 3}\n\n{listed}\n\n{table}\n\n{code}"
    assert of_text(content, grade="3") == []


def test_the_questions_are_read_together() -> None:
    items = [
        option_item(
            number, text=f"{HARD.split('.')[0]} {WORDS[number]} {WORDS[19 - number]} [blank].", clusterId="one"
        )
        for number in range(5)
    ]  # fmt: skip
    assert ("items", "reading_level", "error") in found(course(items=items))
    assert ("items", "reading_level", "error") not in found(course(items=items[:3]))


def test_sums_are_no_sentences() -> None:
    items = [numeric_item(number, a=number, b=2) for number in range(60)]
    assert found(course(items=items, grade="1")) == []
