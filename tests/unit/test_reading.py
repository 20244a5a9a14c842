from __future__ import annotations

import contextlib
import json
import re
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.reading import DEEPEST, LARGEST, LARGEST_TOLERANT, Unreadable, read_json
from tests.unit.strategies import SETTINGS, json_documents, json_objects


def _lines_with_comments(document: Any) -> str:
    lines = json.dumps(document, indent=1).split("\n")
    return "\n".join(f'{line} // a "note" with {{ and \'' for line in lines) + "\n"


def _block_comments(document: Any) -> str:
    lines = json.dumps(document, indent=1).split("\n")
    return "\n".join(f"{line} /* it's }} a\nnote */" for line in lines)


def _trailing_commas(document: Any) -> str:
    lines = json.dumps(document, indent=1).split("\n")
    ends = [re.match(r"\s*[}\]]", following) for following in [*lines[1:], ""]]
    return "\n".join(
        line + "," if end and line.strip() not in "{[" and not line.endswith((": {", ": [")) else line
        for line, end in zip(lines, ends, strict=True)
    )


def _single_quotes(document: Any) -> str:
    if isinstance(document, str):
        return "'" + json.dumps(document)[1:-1].replace('\\"', '"').replace("'", "\\'") + "'"
    if isinstance(document, dict):
        return (
            "{" + ", ".join(f"{_single_quotes(key)}: {_single_quotes(value)}" for key, value in document.items()) + "}"
        )
    if isinstance(document, list):
        return "[" + ", ".join(map(_single_quotes, document)) + "]"
    return json.dumps(document)


DISGUISES: dict[str, Callable[[Any], str]] = {
    "plain": json.dumps,
    "not escaped": lambda document: json.dumps(document, ensure_ascii=False),
    "indented": lambda document: "\ufeff\n" + json.dumps(document, indent=4) + "\n\n",
    "fenced": lambda document: f"```\n{json.dumps(document)}\n```",
    "fenced as json": lambda document: f"Here you are:\n\n```json\n{json.dumps(document, indent=2)}\n```\nIs it right?",
    "fenced with tildes": lambda document: f"~~~ JSON5\n{json.dumps(document)}\n~~~",
    "tagged": lambda document: f"I think [1] {{so}} it's <json>{json.dumps(document)}</json> {{or}} not.",
    "with words": lambda document: f"Sure! Here's what you're after: {json.dumps(document)} That's all :-] {{bye}}",
    "after an aside": lambda document: f"I filled each [blank] for {{name}} [I'm sure]: {json.dumps(document)}",
    "line comments": _lines_with_comments,
    "block comments": _block_comments,
    "trailing commas": _trailing_commas,
    "single quotes": _single_quotes,
    "all at once": lambda document: f"It's done.\n```json\n// the course\n{_trailing_commas(document)} // done\n```\n",
}


@pytest.mark.parametrize("disguise", DISGUISES)
@SETTINGS
@given(document=json_documents)
def test_what_is_wrapped_reads_back_equal(disguise: str, document: Any) -> None:
    read = read_json(DISGUISES[disguise](document))
    assert read == document
    assert json.dumps(read) == json.dumps(document)  # == takes 1, 1.0 and true for the same


@pytest.mark.parametrize("disguise", ["plain", "line comments", "block comments", "trailing commas", "single quotes"])
@SETTINGS
@given(document=json_objects, data=st.data())
def test_a_text_that_was_cut_off_is_never_completed(disguise: str, document: Any, data: st.DataObject) -> None:
    whole = DISGUISES[disguise](document)
    end = whole.rindex("} /" if "comments" in disguise else "}") + 1
    assert read_json(whole[:end]) == document
    cut = data.draw(st.integers(1, end - 1))
    with pytest.raises(Unreadable) as caught:
        read_json(whole[:cut])
    assert caught.value.truncated


def _reads(text: str) -> bool:
    try:
        read_json(text)
    except Unreadable:
        return False
    return True


@SETTINGS
@given(document=json_objects)
def test_every_proper_prefix_of_an_object_is_refused(document: Any) -> None:
    whole = json.dumps(document)
    assert not any(_reads(whole[:end]) for end in range(len(whole)))


def test_fences_inside_a_string_are_part_of_it() -> None:
    document = {"content": 'Look:\n```json\n{"a": 1}\n```\n<json>[2]</json>'}
    assert read_json(json.dumps(document)) == document
    assert read_json(f"```json\n{json.dumps(document)}\n```") == document


def test_a_line_break_inside_a_string_is_read() -> None:
    assert read_json('{"content": "one\ntwo"}') == {"content": "one\ntwo"}


@pytest.mark.parametrize("text", ["", "  ", "I can't do that.", "null", "12", '"text"', "[blank] and {name}"])
def test_without_an_object_or_array_nothing_is_read(text: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_json(text)
    assert not caught.value.truncated


@pytest.mark.parametrize(
    "text",
    [
        '{"items": [{"id": 1} {"id": 2}]}',
        '{"items": [{"id": 1}}, {"id": 2}]',
        '{"a" 1} {"b": 2}',
        "{a: b: c} [1]",
    ],
)
def test_no_part_of_a_faulty_object_is_taken_for_the_whole(text: str) -> None:
    with pytest.raises(Unreadable) as caught:
        read_json(text)
    assert not caught.value.truncated


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5000, "+Infinity", "1e999 // not so much"]
)
def test_numbers_that_json_does_not_have_are_refused(number: str) -> None:
    with pytest.raises(Unreadable):
        read_json(f'{{"answer": {number}\n}}')


def test_depth_is_bounded() -> None:
    assert read_json("[" * DEEPEST + "]" * DEEPEST)
    with pytest.raises(Unreadable, match="deep"):
        read_json("[" * (DEEPEST + 1) + "]" * (DEEPEST + 1))


def test_deep_json_that_needs_tolerance_raises_no_recursion_error() -> None:
    try:
        assert read_json("[" * DEEPEST + "1," + "]" * DEEPEST)
    except Unreadable as error:
        assert not error.truncated


def test_size_is_bounded() -> None:
    with pytest.raises(Unreadable, match="characters"):
        read_json('{"a": "' + "x" * LARGEST + '"}')
    with pytest.raises(Unreadable, match="too long"):
        read_json('{"a": "' + "x" * LARGEST_TOLERANT + '",}')
    assert read_json('{"a": "' + "x" * LARGEST_TOLERANT + '"}')


@pytest.mark.parametrize(
    "unit",
    [
        "[",
        "{",
        "[x]",
        '"',
        "['",
        "[//",
        "[/*",
        "\\",
        '["\\',
        "<json>",
        "```\n",
        "``` ",
        " ",
        "[ a/",
        "{'",
        "{a}",
        "<json> //",
    ],
)
def test_hostile_text_is_refused_quickly(unit: str) -> None:
    hostile = unit * (LARGEST // len(unit))
    began = time.perf_counter()
    with pytest.raises(Unreadable):
        read_json(hostile)
    assert time.perf_counter() - began < 5


@SETTINGS
@given(st.text() | st.lists(st.sampled_from("{}[]\",:'/*\\`<json>1ae\n ")).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(Unreadable):
        assert isinstance(read_json(text), dict | list)
