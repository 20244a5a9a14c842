from __future__ import annotations

from typing import Any

import pytest

from schema.rules.draft import SEVERITIES
from tests.factories import course, option_item, study_text
from tests.unit.rules.judged import found


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
def test_a_fault_of_shape_is_named_with_its_path(change: dict[str, Any], path: str) -> None:
    assert (path, "malformed", "error") in found({**course(), **change})


def test_sound_items_are_judged_beside_malformed_ones() -> None:
    items = [option_item(0, text="No blank here"), option_item(1, text=5), option_item(2, correctIndex=9)]
    assert found(course(items=items)) == [
        ("items.1.text", "malformed", "error"),
        ("items.0.text", "invalid_blank_count", "error"),
        ("items.2.correctIndex", "invalid_correct_index", "error"),
    ]


def test_snake_case_is_read_as_well() -> None:
    drawn = course(items=[option_item(0, correctIndex=8)])
    drawn["grade_band"], drawn["study_texts"] = drawn.pop("gradeBand"), drawn.pop("studyTexts")
    drawn["items"][0]["correct_index"] = drawn["items"][0].pop("correctIndex")
    assert found(drawn) == [("items.0.correctIndex", "invalid_correct_index", "error")]


def test_codes_have_one_severity_each() -> None:
    assert SEVERITIES["key_not_verified"] == "error"
    assert {code for code, severity in SEVERITIES.items() if severity == "warning"} == {
        "missing_section_markers",
        "longest_option_is_key",
        "all_of_the_above",
        "key_position_bias",
        "negative_stem",
    }
