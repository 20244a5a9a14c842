from __future__ import annotations

from typing import Any

import pytest

from tests.factories import course, option_item, study_text
from tests.unit.rules.judged import found, of_item


def test_item_ids_are_dense_from_zero() -> None:
    items = [option_item(0), option_item(1, id=2), option_item(2, id=3)]
    assert found(course(items=items)) == [("items.1.id", "invalid_item_ids", "error")]


@pytest.mark.parametrize("section", ["groups", "objectives", "studyTexts"])
def test_an_id_is_used_once(section: str) -> None:
    drawn = course()
    drawn[section] = [*drawn[section], drawn[section][0]]
    assert found(drawn) == [(f"{section}.1.id", "duplicate_id", "error")]


def test_a_levels_id_is_used_once() -> None:
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
def test_an_item_refers_to_what_exists(change: dict[str, Any], path: str) -> None:
    assert of_item(**change) == [(f"items.0.{path}", "unknown_reference")]


def test_option_media_match_the_options() -> None:
    assert of_item(optionMedia=[None, None, None, None]) == []


def test_a_study_text_refers_to_objectives_that_exist() -> None:
    drawn = course(studyTexts=[study_text(learningObjectives=["objective-9"])])
    assert found(drawn) == [("studyTexts.0.learningObjectives.0", "unknown_reference", "error")]


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
def test_levels_cover_every_item_once_in_order(ranges: list[tuple[int, int]], faulty: list[int]) -> None:
    levels = [
        {"id": f"l{number}", "title": f"Level {number}", "start": start, "end": end}
        for number, (start, end) in enumerate(ranges)
    ]
    assert found(course(levels=levels)) == [(f"levels.{number}", "level_range", "error") for number in faulty]
