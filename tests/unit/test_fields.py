from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from marshmallow import fields, validate

from schema.errors import MOST_FAULTS_TOLD, Invalid
from schema.fields import Few, Flag, Line, Lines, Number, StrictSchema, Text, Whole, flatten, load, snake
from tests.unit.strategies import SETTINGS, json_values


class Inner(StrictSchema):
    pageCount = Whole(required=True, validate=validate.Range(1, 9))


class Written(StrictSchema):
    title = Line()
    notes = Lines()


class Outer(StrictSchema):
    name = Text()
    itemsPerGroup = Whole()
    size = Number()
    isOpen = Flag()
    maybe = Text(allow_none=True)
    tags = fields.List(Text(validate=validate.Length(max=3)))
    firstPart = fields.Nested(Inner)
    parts = fields.List(fields.Nested(Inner))


def faults(given: Any, under: str = "") -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        load(Outer(), given, under)
    assert caught.value.status == 422
    assert all(error.message for error in caught.value.errors)
    return [(error.path, error.code) for error in caught.value.errors]


STRINGS = ("12", "", "true")
NOT_TEXT: tuple[Any, ...] = (12, 1.5, True, None, [], {}, b"bytes")
NOT_WHOLE: tuple[Any, ...] = (*STRINGS, True, False, 1.0, 1.5, math.nan, None, [], {})
NOT_A_NUMBER: tuple[Any, ...] = (*STRINGS, True, False, None, [], {})
NOT_A_FLAG: tuple[Any, ...] = (*STRINGS, 0, 1, 1.0, None, [], {})
OF_ANOTHER_TYPE: list[tuple[str, Any]] = [
    *(("name", value) for value in NOT_TEXT),
    *(("itemsPerGroup", value) for value in NOT_WHOLE),
    *(("size", value) for value in NOT_A_NUMBER),
    *(("isOpen", value) for value in NOT_A_FLAG),
    *(("tags", value) for value in ("text", 1, True, {"0": "a"})),
    *(("firstPart", value) for value in ("text", 1, True, [], [{"pageCount": 1}])),
    *(("parts", value) for value in ("text", 1, {"pageCount": 1})),
]


class TestTypes:
    @pytest.mark.parametrize(("field", "value"), OF_ANOTHER_TYPE)
    def test_a_value_of_another_json_type_is_refused_never_converted(self, field: str, value: Any) -> None:
        found = faults({field: value})
        assert len(found) == 1
        assert found[0][0] == field
        assert found[0][1] == "wrong_type" or value is None

    @pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
    def test_a_number_is_finite(self, number: float) -> None:
        assert faults({"size": number}) == [("size", "invalid_value")]

    @pytest.mark.parametrize("text", ["\x00", "a\x00b", "\ud800", "\udfff", "x\ud83d", "\ude00x"])
    def test_a_text_that_can_not_be_kept_is_refused(self, text: str) -> None:
        assert faults({"name": text}) == [("name", "invalid_value")]
        assert faults({"tags": ["a", text]}) == [("tags.1", "invalid_value")]

    @pytest.mark.parametrize("text", ["a\x07b", "\x1b[31m", "a\x7f", "\x9b", "a\u202eb", "\u2066a", "\x00", "\ud800"])
    def test_control_characters_are_refused_in_what_people_write(self, text: str) -> None:
        for name in ("title", "notes"):
            with pytest.raises(Invalid) as caught:
                load(Written(), {name: text})
            assert [(error.path, error.code) for error in caught.value.errors] == [(name, "invalid_value")]

    @pytest.mark.parametrize("text", ["a\nb", "a\r\nb", "\ta", "a\u2028b", "a\u2029b"])
    def test_several_lines_are_for_notes_alone(self, text: str) -> None:
        assert load(Written(), {"notes": text}) == {"notes": text}
        with pytest.raises(Invalid, match="title: Contains a line break, a tab or another control character"):
            load(Written(), {"title": text})

    @pytest.mark.parametrize("text", ["", "Größe", "مقدمة\u200f في العلوم", "नमस्ते\u200d", "水の循環", "👩‍🔬 a–b"])
    def test_every_script_can_be_written(self, text: str) -> None:
        assert load(Written(), {"title": text, "notes": text}) == {"title": text, "notes": text}

    @pytest.mark.parametrize(
        ("field", "value"),
        [
            ("name", ""),
            ("name", "snow ☃ and 😀\u2028\n"),
            ("itemsPerGroup", 0),
            ("itemsPerGroup", -(10**30)),
            ("size", 3),
            ("size", -0.5),
            ("isOpen", False),
            ("maybe", None),
            ("tags", []),
        ],
    )
    def test_a_proper_value_stays_exactly_what_it_is(self, field: str, value: Any) -> None:
        loaded = load(Outer(), {field: value})
        assert loaded == {field: value}
        assert type(loaded[field]) is type(value)

    @pytest.mark.parametrize("given", [None, [], "text", 1, True, [{"name": "a"}]])
    def test_what_is_no_object_is_refused_as_the_body(self, given: Any) -> None:
        assert faults(given) == [("body", "wrong_type")]
        assert faults(given, "payload") == [("payload", "wrong_type")]

    @SETTINGS
    @given(st.dictionaries(st.sampled_from(sorted(Outer().fields)) | st.text(max_size=5), json_values, max_size=4))
    def test_whatever_is_given_is_loaded_unchanged_or_refused_with_words(self, given: dict[str, Any]) -> None:
        try:
            loaded = load(Outer(), given)
        except Invalid as invalid:
            assert invalid.errors
        else:
            assert loaded == {
                key if key in Outer().fields else {snake(name): name for name in Outer().fields}[key]: value
                for key, value in given.items()
            }


class TestKeys:
    @pytest.mark.parametrize(
        ("camel", "snaked"),
        [("itemsPerGroup", "items_per_group"), ("id", "id"), ("isOpen", "is_open"), ("levelsCount", "levels_count")],
    )
    def test_every_key_has_one_snake_case_spelling(self, camel: str, snaked: str) -> None:
        assert snake(camel) == snaked

    def test_both_spellings_mean_the_same_also_inside(self) -> None:
        older = {"items_per_group": 3, "is_open": True, "first_part": {"page_count": 2}, "parts": [{"page_count": 1}]}
        newer = {"itemsPerGroup": 3, "isOpen": True, "firstPart": {"pageCount": 2}, "parts": [{"pageCount": 1}]}
        assert load(Outer(), older) == load(Outer(), newer) == newer

    def test_both_spellings_at_once_are_refused_by_name(self) -> None:
        assert faults({"itemsPerGroup": 3, "items_per_group": 3}) == [("itemsPerGroup", "invalid_value")]
        inside = {"firstPart": {"pageCount": 1, "page_count": 2}}
        assert faults(inside) == [("firstPart.pageCount", "invalid_value")]

    @pytest.mark.parametrize("key", ["colour", "", "Name", "NAME", "items_Per_group", "items-per-group", "__class__"])
    def test_an_unknown_key_is_refused_by_name(self, key: str) -> None:
        assert faults({key: 1}) == [(key or "body", "unknown_field")]
        assert faults({"firstPart": {"pageCount": 1, key: 1}}) == [
            (f"firstPart.{key}" if key else "firstPart", "unknown_field")
        ]


class TestFaults:
    def test_every_fault_is_named_at_once_with_its_path(self) -> None:
        given = {
            "name": 1,
            "colour": "blue",
            "tags": ["a", 2, "four"],
            "firstPart": {},
            "parts": [{"pageCount": 1}, {"pageCount": 0}, "x", {"page_count": "1"}],
        }
        assert sorted(faults(given, "payload")) == [
            ("payload.colour", "unknown_field"),
            ("payload.firstPart.pageCount", "required"),
            ("payload.name", "wrong_type"),
            ("payload.parts.1.pageCount", "invalid_value"),
            ("payload.parts.2", "wrong_type"),
            ("payload.parts.3.pageCount", "wrong_type"),
            ("payload.tags.1", "wrong_type"),
            ("payload.tags.2", "invalid_value"),
        ]

    def test_the_message_names_the_first_and_counts_the_rest(self) -> None:
        with pytest.raises(Invalid, match=r"^name: Not a valid string\. \(and 1 more\)$"):
            load(Outer(), {"name": 1, "size": "x"})

    def test_two_faults_of_one_field_are_two(self) -> None:
        found = flatten({"a": {"b": ["Not a valid string.", "Too long."]}})
        assert [(error.path, error.code) for error in found] == [("a.b", "wrong_type"), ("a.b", "invalid_value")]


def test_the_length_of_a_list_is_judged_before_what_is_in_it() -> None:
    schema = StrictSchema.from_dict({"names": Few(Text(), 3, least=1)})()
    assert load(schema, {"names": ["a", "b", "c"]}) == {"names": ["a", "b", "c"]}
    for names in ([], [1, 2, 3, 4]):
        with pytest.raises(Invalid) as refused:
            load(schema, {"names": names})
        assert [fault.path for fault in refused.value.errors] == ["names"]


def test_of_very_many_faults_some_are_told_and_all_are_counted() -> None:
    with pytest.raises(Invalid) as refused:
        load(Outer(), {f"k{number}": 1 for number in range(MOST_FAULTS_TOLD + 5)})
    assert len(refused.value.errors) == MOST_FAULTS_TOLD
    assert refused.value.message.endswith(f"(and {MOST_FAULTS_TOLD + 4} more)")
