from __future__ import annotations

import copy
import importlib
import sys
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.normalize import normalize_course, normalize_item, placed_options
from schema.wording import BLANK
from tests.factories import course, numeric_item, option_item
from tests.unit.strategies import SETTINGS, json_values, sound_courses

COLOURS = ["red", "green", "blue", "pink"]


def stem(text: str, **changes: Any) -> str:
    """The text of an item on colours, normalized."""
    item = option_item(text=text, options=COLOURS, correctIndex=1) | changes
    return str(normalize_item(item, "c")["text"])


def sum_stem(text: str) -> str:
    return str(normalize_item(numeric_item(text=text), "c")["text"])


def key_of(options: list[Any], **key: Any) -> Any:
    raw = {name: value for name, value in option_item(options=options).items() if name != "correctIndex"} | key
    done = normalize_item(raw, "c")
    assert not set(done) & {"correct_index", "correct_answer", "correctAnswer"} or "correctIndex" not in done
    return done.get("correctIndex")


class TestBlanks:
    @pytest.mark.parametrize(
        "written", ["__", "____", "[ BLANK ]", "[Blank]", "[___]", r"\_\_\_", "_ _ _", "_", "[blank]", "[blank][blank]"]
    )
    def test_every_way_to_write_a_blank_becomes_one(self, written: str) -> None:
        assert stem(f"Grass is {written}.") == "Grass is [blank]."

    def test_further_blanks_are_removed(self) -> None:
        assert stem("Grass is ____ and [blank] too ___.") == "Grass is [blank] and too."

    def test_a_blank_inside_a_word_stays_there(self) -> None:
        assert stem("One cat, two cat__.") == "One cat, two cat[blank]."

    @pytest.mark.parametrize("text", ["Call snake_case [blank].", "Call __init__ [blank].", "In Python, _ is [blank]."])
    def test_underscores_that_are_no_blanks_stay(self, text: str) -> None:
        assert stem(text) == text

    def test_without_a_blank_the_right_option_becomes_it(self) -> None:
        assert stem("Grass is green, very green.") == "Grass is [blank], very green."

    def test_the_right_option_is_replaced_in_any_case(self) -> None:
        assert stem("Green is the grass.") == "[blank] is the grass."

    def test_only_a_whole_word_becomes_the_blank(self) -> None:
        assert stem("Greenland is evergreen.") == "Greenland is evergreen."

    def test_a_number_is_not_taken_out_of_a_longer_one(self) -> None:
        changes = {"options": ["5", "6", "7"], "correctIndex": 0}
        assert stem("It has 1,500 and 5.2 and 5.", **changes) == "It has 1,500 and 5.2 and [blank]."

    def test_with_a_blank_the_right_option_stays_in_the_stem(self) -> None:
        assert stem("Green grass is [blank].") == "Green grass is [blank]."

    @pytest.mark.parametrize(
        ("given_text", "becomes"),
        [
            ("7 + 5 = ?", "7 + 5 = [blank]"),
            ("7 + 5 =", "7 + 5 = [blank]"),
            ("7 + 5 = ", "7 + 5 = [blank]"),
            ("7 + 5 =?", "7 + 5 = [blank]"),
            ("7 + ? = 12", "7 + ? = 12"),
            ("Is x >= ?", "Is x >= ?"),
            ("7 + 5 = ___", "7 + 5 = [blank]"),
        ],
    )
    def test_an_open_equation_gets_its_blank(self, given_text: str, becomes: str) -> None:
        assert sum_stem(given_text) == becomes

    def test_a_stem_that_says_nothing_of_a_blank_stays(self) -> None:
        assert stem("What colour is the sea?") == "What colour is the sea?"


class TestKeys:
    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("correctIndex", "B"),
            ("correctIndex", "b)"),
            ("correctIndex", "green"),
            ("correctIndex", "1"),
            ("correctIndex", 1.0),
            ("correct_index", 1),
            ("correct_answer", "B."),
            ("correct_answer", "(b)"),
            ("correctAnswer", "Green."),
            ("answer", "green"),
            ("answer", "B) green"),
        ],
    )
    def test_a_key_that_names_one_option_becomes_its_index(self, name: str, value: Any) -> None:
        assert key_of(COLOURS, **{name: value}) == 1

    @pytest.mark.parametrize(
        ("options", "name", "value"),
        [
            (["B", "A", "C"], "correct_answer", "A"),  # the first by its letter, the second by its text
            (["red", "Red.", "blue"], "answer", "RED"),
            (["red", "green", "blue"], "answer", "D"),
            (["red", "green", "blue"], "answer", "yellow"),
            (["red", "green", "blue"], "correct_answer", 1),
            (["red", "green", "blue"], "answer", "A) green"),
            (["red", "green", "blue"], "answer", ""),
        ],
    )
    def test_a_key_that_names_no_option_or_two_is_left_alone(self, options: list[str], name: str, value: Any) -> None:
        raw = {**option_item(options=options), name: value}
        del raw["correctIndex"]
        done = normalize_item(raw, "c")
        assert "correctIndex" not in done
        assert done[name] == value

    def test_a_lower_case_letter_that_is_an_option_is_that_option(self) -> None:
        assert key_of(["an", "a", "the"], correct_answer="a") == 1

    def test_a_number_as_answer_is_an_options_text_never_its_place(self) -> None:
        assert key_of([3, 1, 2], correct_answer=2) == 2

    def test_an_index_that_contradicts_the_answer_is_not_hidden(self) -> None:
        done = normalize_item(option_item(options=COLOURS, correctIndex=0, answer="blue"), "c")
        assert (done["correctIndex"], done["answer"]) == (0, "blue")

    def test_an_answer_that_repeats_the_index_is_dropped(self) -> None:
        done = normalize_item(option_item(options=COLOURS, correctIndex=2, answer="blue"), "c")
        assert done["correctIndex"] == 2
        assert "answer" not in done

    def test_an_index_out_of_range_stays_for_the_rules_to_name(self) -> None:
        assert key_of(COLOURS, correctIndex=9) == 9

    def test_an_answer_with_distractors_is_placed_among_them(self) -> None:
        raw = {"id": 3, "mode": "options", "text": "Grass is ___", "correct_answer": 4, "distractors": [1, 2, "three"]}
        done = normalize_item(raw, "course-1")
        options, index = placed_options("course-1", 3, "4", ["1", "2", "three"])
        assert done == {
            "id": 3, "mode": "options", "text": "Grass is [blank]", "options": options, "correctIndex": index,
        }  # fmt: skip

    @pytest.mark.parametrize(
        ("option", "text"), [(7, "7"), (-2, "-2"), (2.5, "2.5"), (True, True), (float("nan"), None), (10**300, 10**300)]
    )
    def test_options_that_are_numbers_become_texts(self, option: Any, text: Any) -> None:
        given_options = [option, "b", "c"]
        done = normalize_item(option_item(options=given_options), "c")["options"][0]
        assert done == text if text is not None else done is option

    @pytest.mark.parametrize(
        ("answer", "number"), [("12", 12), (" -3 ", -3), ("2.50", 2.5), ("−4", -4), ("+1", 1), ("007", 7)]
    )
    def test_a_numeric_text_becomes_a_number(self, answer: str, number: float) -> None:
        done = normalize_item(numeric_item(answer=answer), "c")["answer"]
        assert done == number
        assert type(done) is type(number)

    @pytest.mark.parametrize("answer", ["1,200", "twelve", "1/2", "", "1e5", "9" * 5000, True, [12]])
    def test_what_is_no_plain_number_stays(self, answer: Any) -> None:
        assert normalize_item(numeric_item(answer=answer), "c")["answer"] == answer

    def test_null_for_a_part_that_does_not_apply_is_dropped(self) -> None:
        done = normalize_item(numeric_item(options=None, correctIndex=None, hint=None, stimulus=None), "c")
        assert done == numeric_item(stimulus=None)


class TestTexts:
    def test_spaces_are_tidied(self) -> None:
        item = option_item(text="  Grass   is\t[blank] . ", options=[" red", "light  blue", "pink "], hint=" a  b ")
        done = normalize_item(item, "c")
        assert (done["text"], done["options"], done["hint"]) == (
            "Grass is [blank] .",
            ["red", "light blue", "pink"],
            "a b",
        )

    def test_markdown_keeps_its_lines_indentation_breaks_and_code(self) -> None:
        content = (
            "[SECTION:Lists]\r\n\r\nA  line  \nwith a break.\n\n\n- one\n    - two   three\n\n"
            "```python\nif x:\n    y  =  1   \n```\nUse `a  b` here.\n\n"
        )
        done = normalize_course(course(studyTexts=[{"content": content}]))["studyTexts"][0]["content"]
        assert done == (
            "[SECTION:Lists]\n\nA line  \nwith a break.\n\n\n- one\n    - two three\n\n"
            "```python\nif x:\n    y  =  1   \n```\nUse `a  b` here."
        )

    def test_ids_are_never_touched(self) -> None:
        item = option_item(groupId=" g ", clusterId=" c  d ")
        done = normalize_course(course(items=[item], groups=[{"id": " g ", "name": " A  b "}]))
        assert (done["items"][0]["groupId"], done["items"][0]["clusterId"]) == (" g ", " c  d ")
        assert done["groups"] == [{"id": " g ", "name": "A b"}]


class TestAsAWhole:
    @SETTINGS
    @given(sound_courses)
    def test_a_valid_course_stays_exactly_untouched(self, drawn: dict[str, Any]) -> None:
        assert normalize_course(drawn) == drawn

    @SETTINGS
    @given(st.data())
    def test_normalizing_twice_changes_nothing_more(self, data: st.DataObject) -> None:
        pieces = st.sampled_from(
            ["_", "__", "[blank]", "[ BLANK]", " ", "\n", "red", "a", "\\_", "[", "]", "=", "?", "12", "`", "``` ", "."]
        )
        text = data.draw(st.lists(pieces, max_size=14).map("".join))
        options = data.draw(st.lists(pieces | st.integers() | st.floats(), max_size=4))
        raw: dict[str, Any] = {
            "id": 1, "mode": data.draw(st.sampled_from(["options", "numeric"])), "text": text, "options": options
        }  # fmt: skip
        for key in ("correctIndex", "correct_index", "correct_answer", "answer", "distractors"):
            if data.draw(st.booleans()):
                raw[key] = data.draw(
                    st.integers(-1, 4) | pieces | st.sampled_from(["A", "b)", None, 1.0]) | st.just(options)
                )
        once = normalize_item(raw, "c")
        assert repr(normalize_item(once, "c")) == repr(once)
        assert once["text"].count(BLANK) <= 1

    @SETTINGS
    @given(json_values, json_values)
    def test_a_draft_of_any_shape_is_taken_and_not_changed_in_place(self, items: Any, part: Any) -> None:
        draft = {
            "id": part,
            "items": [items, {"mode": "options", "options": items, "text": part}, part],
            "groups": items,
        }
        before = copy.deepcopy(draft)
        normalize_course(draft)
        assert draft == before

    def test_a_hostile_stem_is_done_quickly(self) -> None:
        nested = "[bl" * 500 + "[blank]" + "ank]" * 500
        assert stem("[blank] " + nested).count(BLANK) == 1
        assert len(stem("[bl" * 300_000 + "[blank]" + "ank]" * 300_000)) == 2_100_007

    def test_it_does_not_load_the_readability_library(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name in ("schema.normalize", "schema.answer_key", "schema.wording"):
            monkeypatch.delitem(sys.modules, name)
        monkeypatch.setitem(sys.modules, "textstat", None)  # importing it would raise
        assert importlib.import_module("schema.normalize").placed_options("c", 0, "a", [])


class TestPlaces:
    def test_the_order_never_changes(self) -> None:
        # Written down, so that another Python or another machine that orders otherwise is noticed.
        assert placed_options("course-1", 0, "a", ["b", "c", "d"]) == (["d", "a", "b", "c"], 1)
        assert placed_options("course-1", 1, "a", ["b", "c", "d"]) == (["d", "b", "a", "c"], 2)

    @given(st.text(), st.integers(0, 5000), st.lists(st.text(), min_size=1, max_size=4))
    @SETTINGS
    def test_the_options_are_those_given_and_the_index_is_the_answers(
        self, course_id: str, item_id: int, texts: list[str]
    ) -> None:
        options, index = placed_options(course_id, item_id, texts[0], texts[1:])
        assert Counter(options) == Counter(texts)
        assert options[index] == texts[0]

    @pytest.mark.parametrize("count", [3, 4])
    def test_the_key_has_no_favourite_place(self, count: int) -> None:
        total = 4000
        places = Counter(placed_options("course-1", item, "key", ["x"] * (count - 1))[1] for item in range(total))
        for place in range(count):
            assert abs(places[place] / total - 1 / count) < 0.03

    def test_courses_are_ordered_independently(self) -> None:
        first = [placed_options("course-1", item, "a", ["b", "c", "d"])[1] for item in range(40)]
        assert first != [placed_options("course-2", item, "a", ["b", "c", "d"])[1] for item in range(40)]
