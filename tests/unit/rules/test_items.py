from __future__ import annotations

from typing import Any

import pytest

from tests.factories import course, numeric_item, option_item
from tests.unit.rules.judged import found, of_item, of_sum


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
