from __future__ import annotations

from typing import Any

import pytest

from schema.rules import check
from tests.factories import CONTENT, course, study_text
from tests.unit.rules.judged import found, of_text


@pytest.mark.parametrize("change", [{"title": "TODO"}, {"description": "lorem ipsum"}])
def test_a_placeholder_in_a_name_is_unfilled(change: dict[str, Any]) -> None:
    assert found(course(**change)) == [(next(iter(change)), "unfilled_text", "error")]


@pytest.mark.parametrize(
    "content", ["", "...", "TODO", "[SECTION:One]\n\n[SECTION:Two]\n\nTODO", "[SECTION:One]\n[IMAGE: a leaf]"]
)
def test_a_study_text_without_words_is_unfilled(content: str) -> None:
    assert of_text(content) == [("studyTexts.0.content", "unfilled_content", "error")]


def test_an_empty_section_is_unfilled() -> None:
    problems = check(course(studyTexts=[study_text(content=CONTENT + "\n\n[SECTION:More]\n\n")]))
    assert [(problem.path, problem.code) for problem in problems] == [("studyTexts.0.content", "unfilled_content")]
    assert "'More'" in problems[0].message


def test_a_lesson_without_content_is_unfilled() -> None:
    lesson = {"id": "l", "title": "One", "content": "TODO", "objectives": [], "questionIds": []}
    topics = [{"id": "t", "name": "Topic", "questionIds": [], "lessons": [lesson]}]
    assert found(course(topics=topics)) == [("topics.0.lessons.0.content", "unfilled_content", "error")]


def test_missing_section_markers_are_a_warning() -> None:
    assert of_text("Plants need light.") == [("studyTexts.0.content", "missing_section_markers", "warning")]
