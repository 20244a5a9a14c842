from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.problem import Problem
from schema.rules import Limits, check
from schema.rules.draft import SEVERITIES
from tests.factories import CONTENT, course, numeric_item, option_item, study_text
from tests.unit.strategies import SETTINGS, json_values, valid_courses

EASY = "The cat sat on the mat and looked at the dog. The dog ran off and hid in the shed. "
HARD = (
    "Photosynthetic organisms continuously transform electromagnetic radiation into biochemical energy, necessitating "
    "extraordinarily sophisticated molecular machinery distributed throughout specialized cellular compartments. "
)


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


class TestTheWhole:
    def test_a_sound_course_has_no_problem(self) -> None:
        assert check(course()) == []

    def test_every_message_is_a_sentence_that_says_what_to_do(self) -> None:
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

    def test_codes_have_one_severity_each(self) -> None:
        assert SEVERITIES["key_not_verified"] == "error"
        assert {code for code, severity in SEVERITIES.items() if severity == "warning"} == {
            "missing_section_markers",
            "longest_option_is_key",
            "all_of_the_above",
            "key_position_bias",
            "negative_stem",
        }

    @SETTINGS
    @given(json_values)
    def test_whatever_is_given_is_judged(self, anything: Any) -> None:
        assert check(anything)[0].code == "malformed"

    @SETTINGS
    @given(valid_courses(), st.data())
    def test_a_course_with_any_part_replaced_is_judged(self, drawn: dict[str, Any], data: st.DataObject) -> None:
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
    def test_judging_changes_nothing_and_says_the_same_twice(self, drawn: dict[str, Any]) -> None:
        assert check(drawn) == check(drawn)

    def test_a_thousand_items_are_judged_quickly(self) -> None:
        items = option_items(
            [f"{WORDS[n % 20]} {WORDS[n // 20 % 20]} {WORDS[n // 50 % 20]} is {n} [blank]" for n in range(1000)]
        )
        began = time.perf_counter()
        check(course(items=items), Limits(banned=("zebra",), allowed_hard_words=frozenset()))
        assert time.perf_counter() - began < 3


class TestShape:
    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"title": ""}, "title"),
            ({"visibility": "all"}, "visibility"),
            ({"colour": "red"}, "colour"),
            ({"items": []}, "items"),
            ({"items": [option_item(correctIndex="1")]}, "items.0.correctIndex"),
            ({"items": [option_item(), "item"]}, "items.1"),
            ({"groups": [{"id": "group-1"}]}, "groups.0.name"),
            ({"studyTexts": [study_text(order=-1)]}, "studyTexts.0.order"),
        ],
    )
    def test_a_fault_of_shape_is_named_with_its_path(self, change: dict[str, Any], path: str) -> None:
        assert (path, "malformed", "error") in found({**course(), **change})

    def test_sound_items_are_judged_beside_malformed_ones(self) -> None:
        items = [option_item(0, text="No blank here"), option_item(1, text=5), option_item(2, correctIndex=9)]
        assert found(course(items=items)) == [
            ("items.1.text", "malformed", "error"),
            ("items.0.text", "invalid_blank_count", "error"),
            ("items.2.correctIndex", "invalid_correct_index", "error"),
        ]

    def test_snake_case_is_read_as_well(self) -> None:
        drawn = course(items=[option_item(0, correctIndex=8)])
        drawn["grade_band"], drawn["study_texts"] = drawn.pop("gradeBand"), drawn.pop("studyTexts")
        drawn["items"][0]["correct_index"] = drawn["items"][0].pop("correctIndex")
        assert found(drawn) == [("items.0.correctIndex", "invalid_correct_index", "error")]


class TestFilledIn:
    @pytest.mark.parametrize(
        "text",
        ["", "  ", "TODO", "todo.", "...", "…", "???", "[text]", "[insert question here]", "Lorem ipsum dolor sit amet",
         "TBD", "[blank]", "TODO: ask about the sky [blank]", "Lorem ipsum [blank]", "xxx", "<your question>"],
    )  # fmt: skip
    def test_a_stem_that_is_empty_or_a_placeholder_is_unfilled(self, text: str) -> None:
        assert of_item(text=text) == [("items.0.text", "unfilled_text")]

    @pytest.mark.parametrize("option", ["", " ", "...", "TODO", "[answer]", "lorem ipsum"])
    def test_an_option_that_is_empty_or_a_placeholder_is_unfilled(self, option: str) -> None:
        assert of_item(options=["leaves", option, "roots"]) == [("items.0.options.1", "unfilled_text")]

    def test_options_that_only_count_themselves_are_unfilled(self) -> None:
        assert of_item(options=["Option A", "Option B", "Option C"]).count(("items.0.options.1", "unfilled_text")) == 1

    @pytest.mark.parametrize(
        "options",
        [["...", ".", "?", "!"], ["+", "-", "×"], ["todo", "nada", "algo"], ["[1, 2]", "(1, 2)", "{1, 2}"],
         ["Option A", "Plan B", "neither"], ["<div>", "<p>", "<a>"], ["none", "null", "zero"]],
    )  # fmt: skip
    def test_signs_and_plain_words_are_proper_options(self, options: list[str]) -> None:
        assert of_item(options=options) == []

    def test_a_picture_may_stand_for_the_question(self) -> None:
        picture = {"type": "image", "url": "https://example.org/leaf.png", "alt": "a leaf"}
        assert of_item(text="[blank]", stimulus=picture) == []

    @pytest.mark.parametrize("key", ["hint", "explain"])
    def test_a_placeholder_in_hint_or_explanation_is_unfilled(self, key: str) -> None:
        assert of_item(**{key: "TODO"}) == [(f"items.0.{key}", "unfilled_text")]
        assert of_item(**{key: ""}) == []

    @pytest.mark.parametrize("change", [{"title": "TODO"}, {"description": "lorem ipsum"}])
    def test_a_placeholder_in_a_name_is_unfilled(self, change: dict[str, Any]) -> None:
        assert found(course(**change)) == [(next(iter(change)), "unfilled_text", "error")]

    @pytest.mark.parametrize(
        "content", ["", "...", "TODO", "[SECTION:One]\n\n[SECTION:Two]\n\nTODO", "[SECTION:One]\n[IMAGE: a leaf]"]
    )
    def test_a_study_text_without_words_is_unfilled(self, content: str) -> None:
        assert of_text(content) == [("studyTexts.0.content", "unfilled_content", "error")]

    def test_an_empty_section_is_unfilled(self) -> None:
        problems = check(course(studyTexts=[study_text(content=CONTENT + "\n\n[SECTION:More]\n\n")]))
        assert [(problem.path, problem.code) for problem in problems] == [("studyTexts.0.content", "unfilled_content")]
        assert "'More'" in problems[0].message

    def test_a_lesson_without_content_is_unfilled(self) -> None:
        lesson = {"id": "l", "title": "One", "content": "TODO", "objectives": [], "questionIds": []}
        topics = [{"id": "t", "name": "Topic", "questionIds": [], "lessons": [lesson]}]
        assert found(course(topics=topics)) == [("topics.0.lessons.0.content", "unfilled_content", "error")]

    def test_missing_section_markers_are_a_warning(self) -> None:
        assert of_text("Plants need light.") == [("studyTexts.0.content", "missing_section_markers", "warning")]


class TestOptions:
    @pytest.mark.parametrize("text", ["No place here.", "[blank] and [blank]", "[blank] and ____", "Two ___ and ___"])
    def test_exactly_one_blank_is_needed(self, text: str) -> None:
        assert of_item(text=text) == [("items.0.text", "invalid_blank_count")]

    @pytest.mark.parametrize("options", [["a1", "b1"], ["a1", "b1", "c1", "d1", "e1"]])
    def test_three_or_four_options_are_needed(self, options: list[str]) -> None:
        assert of_item(options=options) == [("items.0.options", "invalid_options_count")]

    @pytest.mark.parametrize("index", [-1, 3, 4])
    def test_the_right_option_must_exist(self, index: int) -> None:
        assert of_item(options=["a1", "b1", "c1"], correctIndex=index) == [
            ("items.0.correctIndex", "invalid_correct_index")
        ]

    def test_the_right_option_must_be_named(self) -> None:
        item = option_item()
        del item["correctIndex"]
        assert found(course(items=[item])) == [("items.0.correctIndex", "invalid_correct_index", "error")]

    @pytest.mark.parametrize(
        "pair", [("Paris", "paris"), ("Paris", "Paris."), ("Paris", " “Paris”!"), ("U.S.A.", "USA"), ("a  b", "A b")]
    )
    def test_options_that_differ_in_case_and_punctuation_are_the_same(self, pair: tuple[str, str]) -> None:
        assert of_item(options=["Rome", *pair]) == [("items.0.options", "duplicate_options")]

    @pytest.mark.parametrize(
        "pair",
        [("5", "-5"), ("its", "it's"), ("3.5", "35"), ("C", "C++"), ("<", ">"), ("1/2", "12"), (",", ";"),
         ("3:15", "315")],
    )  # fmt: skip
    def test_signs_that_carry_meaning_make_options_different(self, pair: tuple[str, str]) -> None:
        assert of_item(options=["Rome", *pair]) == []

    @pytest.mark.parametrize(
        "option", ["All of the above", "none of the above.", "Both A and B", "All of these", "Neither A nor B"]
    )
    def test_options_about_options_are_a_warning(self, option: str) -> None:
        items = [option_item(options=["leaves", "roots", option])]
        assert found(course(items=items)) == [("items.0.options.2", "all_of_the_above", "warning")]

    def test_an_option_that_speaks_of_things_above_is_fine(self) -> None:
        assert of_item(options=["all of the leaves", "the sky above", "both parents"]) == []


class TestRevealed:
    def revealed(self, text: str, key: str, others: tuple[str, str] = ("Rome", "Oslo")) -> bool:
        codes = of_item(text=text, options=[key, *others], correctIndex=0)
        assert {code for _, code in codes} <= {"answer_revealed"}
        return bool(codes)

    @pytest.mark.parametrize(
        "text", ["Paris is called [blank].", "PARIS, or [blank].", "In [blank], the Paris of old."]
    )
    def test_the_key_in_the_stem_is_an_error(self, text: str) -> None:
        assert self.revealed(text, "Paris")

    def test_a_phrase_is_found_too(self) -> None:
        assert self.revealed("New York lies in [blank].", "new york")

    @pytest.mark.parametrize(
        ("text", "key"),
        [
            ("Parisians live in [blank].", "Paris"),
            ("Vitamin A is [blank].", "A"),
            ("The 12 of us make [blank].", "12"),
            ("In 1,500 years it was [blank].", "500"),
            ("They ran and they [blank] fell.", "and"),
            ("The capital is [blank].", "blank"),
            ("Go on: it is [blank].", "on"),
        ],
    )
    def test_parts_of_words_short_keys_and_words_of_grammar_are_not_judged(self, text: str, key: str) -> None:
        assert not self.revealed(text, key)

    def test_where_every_option_stands_nothing_is_revealed(self) -> None:
        assert not self.revealed("Of Oslo, Rome and Paris, the one in France is [blank].", "Paris")
        assert self.revealed("Of Rome and Paris, the one in France is [blank].", "Paris")

    def test_numeric_items_are_not_judged(self) -> None:
        assert of_sum(text="Of 100 and 2 hundreds, 100 is [blank].", answer=100, arithmetic=None) != []
        item = numeric_item(text="Of 100 and 200, the smaller is [blank].", answer=100)
        del item["arithmetic"]
        assert found(course(items=[item])) == []


class TestNumbers:
    def test_an_answer_is_needed(self) -> None:
        item = numeric_item()
        del item["answer"]
        assert found(course(items=[item])) == [("items.0.answer", "missing_answer", "error")]

    def test_zero_is_an_answer(self) -> None:
        assert of_sum(a=5, b=-5, text="5 − 5 = [blank]") == []

    @pytest.mark.parametrize(
        ("change", "path"), [({"options": ["1", "2", "3"]}, "options"), ({"correctIndex": 0}, "correctIndex")]
    )
    def test_options_are_unexpected(self, change: dict[str, Any], path: str) -> None:
        assert of_sum(**change) == [(f"items.0.{path}", "unexpected_options")]

    def test_the_answer_must_be_what_the_arithmetic_says(self) -> None:
        assert of_sum(text="Seven and five make [blank].", answer=13) == [("items.0.answer", "math_incorrect")]

    def test_the_expected_result_is_recomputed(self) -> None:
        arithmetic = {"a": 7, "b": 5, "op": "+", "expected": 13}
        assert of_sum(text="They make [blank].", answer=13, arithmetic=arithmetic) == [
            ("items.0.answer", "math_incorrect")
        ]

    @pytest.mark.parametrize(
        ("a", "b", "op", "expected"), [(7, 5, "-", 2), (7, 5, "*", 35), (35, 5, "/", 7), (-7, 5, "-", -12)]
    )
    def test_every_operation_is_known(self, a: int, b: int, op: str, expected: int) -> None:
        def judged(result: int) -> list[tuple[str, str]]:
            arithmetic = {"a": a, "b": b, "op": op, "expected": result}
            return of_sum(text="It is [blank].", answer=result, arithmetic=arithmetic)

        assert judged(expected) == []
        assert judged(expected + 1) == [("items.0.answer", "math_incorrect")]

    @pytest.mark.parametrize(("a", "b"), [(7, 0), (7, 2)])
    def test_a_division_without_a_whole_result_is_wrong(self, a: int, b: int) -> None:
        arithmetic = {"a": a, "b": b, "op": "/", "expected": 3}
        assert of_sum(text="It is [blank].", answer=3, arithmetic=arithmetic) == [("items.0.answer", "math_incorrect")]

    def test_an_operand_may_be_asked_for(self) -> None:
        assert of_sum(text="7 + [blank] = 12", answer=5) == []
        assert of_sum(text="7 + [blank] = 12", answer=6) == [("items.0.answer", "math_incorrect")]

    def test_the_key_of_options_is_recomputed_too(self) -> None:
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
    def test_a_simple_equation_in_the_text_is_recomputed(self, text: str, right: float) -> None:
        item = numeric_item(text=text)
        del item["arithmetic"]
        assert found(course(items=[item | {"answer": right}])) == []
        assert found(course(items=[item | {"answer": right + 1}])) == [("items.0.answer", "math_incorrect", "error")]

    def test_a_simple_equation_is_recomputed_for_options(self) -> None:
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
    def test_what_is_no_simple_equation_is_not_judged(self, text: str, right: float) -> None:
        item = numeric_item(text=text, answer=right)
        del item["arithmetic"]
        assert found(course(items=[item])) == []

    @SETTINGS
    @given(st.integers(-(10**6), 10**6), st.integers(-(10**6), 10**6), st.integers(1, 9))
    def test_any_right_sum_is_right_and_any_wrong_one_is_wrong(self, a: int, b: int, off: int) -> None:
        assert of_sum(a=a, b=b) == []
        assert of_sum(a=a, b=b, answer=a + b + off) == [("items.0.answer", "math_incorrect")]


class TestLikeness:
    def alike(self, first: dict[str, Any], second: dict[str, Any]) -> bool:
        problems = found(course(items=[{**first, "id": 0}, {**second, "id": 1}]))
        assert problems in ([], [("items.1.text", "duplicate_item", "error")])
        return bool(problems)

    def test_the_same_text_twice_is_an_error_also_in_one_cluster(self) -> None:
        assert self.alike(option_item(0), option_item(0, options=["x1", "y1", "z1"]))
        assert self.alike(option_item(0), option_item(0, text="plants take in light  with THEIR [blank]."))

    def test_nearly_the_same_sentence_is_an_error(self) -> None:
        first = option_item(0, text="The largest planet of the solar system is [blank].")
        assert self.alike(first, option_item(1, text="The largest planet in the solar system is [blank].",
                                             options=first["options"], correctIndex=first["correctIndex"]))  # fmt: skip

    def test_the_same_sentence_with_another_place_blank_is_an_error(self) -> None:
        first = option_item(0, text="Green leaves make [blank] from light.", options=["sugar", "salt", "sand"])
        second = option_item(1, text="Green leaves make sugar from [blank].", options=["light", "noise", "snow"],
                             correctIndex=0)  # fmt: skip
        assert self.alike(first, second)

    def test_variants_of_one_cluster_may_be_alike(self) -> None:
        first = option_item(0, text="The largest planet of the solar system is [blank].")
        second = option_item(0, text="The largest planet in the solar system is [blank].", variant="2")
        assert not self.alike(first, second)

    def test_the_same_story_with_other_numbers_is_another_exercise(self) -> None:
        items = [
            numeric_item(number, text=f"Ann has {count} apples and eats 2, so she has [blank] left.", answer=count - 2)
            for number, count in enumerate((5, 8))
        ]
        for item in items:
            del item["arithmetic"]
        assert not self.alike(*items)

    def test_the_same_words_on_another_picture_are_another_exercise(self) -> None:
        first, second = (
            option_item(n, text="The picture shows a [blank].",
                        stimulus={"type": "image", "url": f"https://example.org/{n}.png", "alt": "a leaf"})
            for n in range(2)
        )  # fmt: skip
        assert not self.alike(first, second)
        assert self.alike(first, {**second, "stimulus": first["stimulus"]})

    def test_a_sum_asked_twice_is_an_error_in_whatever_words(self) -> None:
        assert self.alike(numeric_item(0), numeric_item(1, text="Add seven and five: [blank]"))

    @pytest.mark.parametrize("changes", [{"a": 7, "b": 6}, {"a": 5, "b": 7}])
    def test_other_sums_are_other_exercises(self, changes: dict[str, int]) -> None:
        assert not self.alike(numeric_item(0), numeric_item(1, **changes))

    def test_other_signs_are_other_exercises(self) -> None:
        options = {"options": ["4", "5", "6"], "correctIndex": 0}
        assert not self.alike(
            option_item(0, text="What is 2 + 2? [blank]", **options),
            option_item(1, text="What is 2 × 2? [blank]", **options),
        )

    def test_an_item_is_reported_once(self) -> None:
        items = [option_item(number, text="Same words here: [blank].") for number in range(4)]
        assert [path for path, _, _ in found(course(items=items))] == ["items.1.text", "items.2.text", "items.3.text"]


class TestLanguage:
    def test_a_banned_term_is_found_wherever_it_is_read(self) -> None:
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

    def test_a_banned_term_inside_a_word_is_none(self) -> None:
        assert of_item(Limits(banned=("ant", "", " "))) == []

    def test_hard_words_are_reported_once_with_their_first_place(self) -> None:
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
    def test_allowed_hard_words_may_be_used_in_singular_and_plural(self, allowed: str) -> None:
        limits = Limits(allowed_hard_words=frozenset({allowed}))
        assert of_item(limits, hint="Evaporation and evaporations.") == []

    def test_vocabulary_is_not_judged_without_a_list_or_in_another_language(self) -> None:
        assert of_item(hint="Evaporation.") == []
        drawn = course(language="es", items=[option_item(hint="evaporation")])
        assert found(drawn, Limits(allowed_hard_words=frozenset())) == []

    def test_a_text_far_over_the_grade_is_an_error(self) -> None:
        assert of_text("[SECTION:One]\n\n" + HARD * 7) == [("studyTexts.0.content", "reading_level", "error")]

    @pytest.mark.parametrize(
        ("grade", "band", "severity"),
        [("3", "9-12", "error"), ("4", "1", "warning"), (None, "Grades 5-8", "warning"), ("All", "Grade 3", "error"),
         ("6", "1", None), (None, "everyone", None)],
    )  # fmt: skip
    def test_the_distance_to_the_grade_decides(self, grade: str | None, band: str, severity: str | None) -> None:
        # Flesch-Kincaid 5.6.
        content = (
            "[SECTION:One]\n\n" + "The water in the ocean is warmed by the sun and rises up into the air as vapor. " * 7
        )
        expected = [] if severity is None else [("studyTexts.0.content", "reading_level", severity)]
        assert of_text(content, grade=grade, gradeBand=band) == expected

    def test_a_highest_level_replaces_the_grade_as_bound(self) -> None:
        content = "[SECTION:One]\n\n" + HARD * 7
        assert of_text(content, Limits(max_reading_level=60)) == [("studyTexts.0.content", "reading_level", "warning")]
        easy = "[SECTION:One]\n\n" + EASY * 7
        assert of_text(easy, Limits(max_reading_level=0.05), grade=None, gradeBand="all") == [
            ("studyTexts.0.content", "reading_level", "error")
        ]

    def test_short_texts_and_other_languages_are_not_judged(self) -> None:
        assert of_text("[SECTION:One]\n\n" + HARD * 4) == []
        assert of_text("[SECTION:One]\n\n" + HARD * 7, language="de") == []

    def test_headings_lists_tables_and_code_are_not_read_as_one_long_sentence(self) -> None:
        listed = "\n".join(f"- The {word} is small" for word in WORDS)
        table = "\n".join("| the cell | holds a word | and then one more |" for _ in range(30))
        code = "```\n" + "photosynthesis = electromagnetic * biochemical\n" * 30 + "```"
        content = f"[SECTION:One]\n\n# A title about it\n\n{EASY * 3}\n\n{listed}\n\n{table}\n\n{code}"
        assert of_text(content, grade="3") == []

    def test_the_questions_are_read_together(self) -> None:
        items = [
            option_item(
                number, text=f"{HARD.split('.')[0]} {WORDS[number]} {WORDS[19 - number]} [blank].", clusterId="one"
            )
            for number in range(5)
        ]  # fmt: skip
        assert ("items", "reading_level", "error") in found(course(items=items))
        assert ("items", "reading_level", "error") not in found(course(items=items[:3]))

    def test_sums_are_no_sentences(self) -> None:
        items = [numeric_item(number, a=number, b=2) for number in range(60)]
        assert found(course(items=items, grade="1")) == []


class TestHangingTogether:
    def test_item_ids_are_dense_from_zero(self) -> None:
        items = [option_item(0), option_item(1, id=2), option_item(2, id=3)]
        assert found(course(items=items)) == [("items.1.id", "invalid_item_ids", "error")]

    @pytest.mark.parametrize("section", ["groups", "objectives", "studyTexts"])
    def test_an_id_is_used_once(self, section: str) -> None:
        drawn = course()
        drawn[section] = [*drawn[section], drawn[section][0]]
        assert found(drawn) == [(f"{section}.1.id", "duplicate_id", "error")]

    def test_a_levels_id_is_used_once(self) -> None:
        drawn = course()
        drawn["levels"][1]["id"] = "level-1"
        assert found(drawn) == [("levels.1.id", "duplicate_id", "error")]

    @pytest.mark.parametrize(
        ("change", "path"),
        [
            ({"groupId": "group-9"}, "groupId"),
            ({"learningObjectiveId": "objective-9"}, "learningObjectiveId"),
            ({"relatedStudyTextIds": ["text-1", "text-9"]}, "relatedStudyTextIds.1"),
            ({"optionMedia": [None, None]}, "optionMedia"),
        ],
    )
    def test_an_item_refers_to_what_exists(self, change: dict[str, Any], path: str) -> None:
        assert of_item(**change) == [(f"items.0.{path}", "unknown_reference")]

    def test_option_media_match_the_options(self) -> None:
        assert of_item(optionMedia=[None, None, None, None]) == []

    def test_a_study_text_refers_to_objectives_that_exist(self) -> None:
        drawn = course(studyTexts=[study_text(learningObjectives=["objective-9"])])
        assert found(drawn) == [("studyTexts.0.learningObjectives.0", "unknown_reference", "error")]

    def test_a_lessons_questions_are_its_topics(self) -> None:
        lesson = {"id": "l", "title": "One", "content": "Words.", "objectives": [], "questionIds": ["q1", "q3"]}
        topics = [{"id": "t", "name": "Topic", "questionIds": ["q1", "q2"], "lessons": [lesson]}]
        assert found(course(topics=topics)) == [("topics.0.lessons.0.questionIds.1", "unknown_reference", "error")]

    @pytest.mark.parametrize(
        ("ranges", "faulty"),
        [
            ([(0, 5)], []),
            ([(0, 0), (1, 1), (2, 5)], []),
            ([(0, 2), (4, 5)], [1]),  # a gap
            ([(0, 3), (3, 5)], [1]),  # an overlap
            ([(1, 5)], [0]),
            ([(0, 4)], [0]),  # one left over
            ([(0, 2), (3, 6)], [1]),  # one too many
            ([(3, 5), (0, 2)], [0, 1, 1]),  # out of order
            ([(2, 0), (3, 5)], [0]),  # ends before it starts
        ],
    )
    def test_levels_cover_every_item_once_in_order(self, ranges: list[tuple[int, int]], faulty: list[int]) -> None:
        levels = [
            {"id": f"l{number}", "title": f"Level {number}", "start": start, "end": end}
            for number, (start, end) in enumerate(ranges)
        ]
        assert found(course(levels=levels)) == [(f"levels.{number}", "level_range", "error") for number in faulty]


class TestHabits:
    def test_a_key_that_is_mostly_the_longest_option_is_a_warning(self) -> None:
        long_key = {"options": ["red", "green as grass", "blue"], "correctIndex": 1}
        short_key = {"options": ["red", "green as grass", "blue"], "correctIndex": 0}
        items = distinct_items(8)
        mixed = [item | (long_key if number < 5 else short_key) for number, item in enumerate(items)]
        assert found(course(items=mixed)) == [("items", "longest_option_is_key", "warning")]
        half = [item | (long_key if number < 4 else short_key) for number, item in enumerate(items)]
        assert found(course(items=half)) == []
        few = [item | long_key for item in items[:7]]
        assert found(course(items=few)) == []

    def test_as_long_as_another_is_not_the_longest(self) -> None:
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
    def test_a_favourite_place_of_the_key_is_a_warning(self, options: list[str], favoured: int, biased: bool) -> None:
        items = distinct_items(20, options=options)
        for number, item in enumerate(items):
            item["correctIndex"] = 2 if number < favoured else number % 2
        expected = [("items", "key_position_bias", "warning")] if biased else []
        assert found(course(items=items, grade="9")) == expected

    def test_eleven_items_are_too_few_to_speak_of_bias(self) -> None:
        items = distinct_items(11, options=["aa", "bb", "cc", "dd"], correctIndex=0)
        assert found(course(items=items)) == []

    @pytest.mark.parametrize(
        "text",
        ["Which is NOT a plant? [blank]", "All of them are plants EXCEPT [blank].",
         "Which of these is not a plant? [blank]",
         "Which animals don't fly? [blank]", "All birds fly except [blank]."],
    )  # fmt: skip
    def test_a_negative_question_is_a_warning(self, text: str) -> None:
        items = [option_item(0, text=text)]
        assert found(course(items=items)) == [("items.0.text", "negative_stem", "warning")]
        assert found(course(items=items, language="de")) == []

    @pytest.mark.parametrize("text", ["He did not run; he [blank].", "A note is [blank].", "Which plant is [blank]?"])
    def test_a_sentence_with_not_is_no_negative_question(self, text: str) -> None:
        assert of_item(text=text) == []
