from __future__ import annotations

from typing import Any, cast

import pytest

from schema.course import Topic
from schema.problem import errors_of
from schema.rules import check
from schema.rules.topics import check_coverage
from tests.factories import course
from tests.unit.rules.judged import found


def lesson(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"lesson-{number}",
        "title": f"Lesson {number}",
        "content": "Water is wet. It runs down the hill.",
        "objectives": ["Say what water does."],
        "questionIds": [f"q{number}"],
    } | changes


def topic(number: int = 1, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"topic-{number}",
        "name": f"Water {number}",
        "questionIds": [f"q{number}"],
        "lessons": [lesson(number)],
    } | changes


def of_topics(*topics: dict[str, Any]) -> list[tuple[str, str, str]]:
    return found(course(topics=list(topics)))


def test_topics_with_a_lesson_for_each_question_are_sound() -> None:
    both = topic(questionIds=["q1", "q2"], lessons=[lesson(1), lesson(2)])
    assert of_topics(both, topic(3)) == []


def test_a_lessons_questions_are_its_topics() -> None:
    astray = topic(lessons=[lesson(questionIds=["q1", "q3"])])
    assert of_topics(astray) == [("topics.0.lessons.0.questionIds.1", "unknown_reference", "error")]


def test_a_question_without_a_lesson_is_named() -> None:
    assert of_topics(topic(questionIds=["q1", "q2"])) == [("topics.0.questionIds.1", "uncovered_question", "error")]
    assert of_topics(topic(lessons=[])) == [("topics.0.questionIds.0", "uncovered_question", "error")]


def test_a_question_stands_in_one_lesson_and_in_one_topic() -> None:
    twice = topic(lessons=[lesson(1), lesson(2, questionIds=["q1"])])
    assert of_topics(twice) == [("topics.0.lessons.1.questionIds.0", "duplicate_question", "error")]
    again = topic(2, questionIds=["q2", "q1"], lessons=[lesson(2, questionIds=["q2", "q1"])])
    assert of_topics(topic(1), again) == [("topics.1.questionIds.1", "duplicate_question", "error")]


def test_lessons_have_ids_of_their_own_over_the_whole_course() -> None:
    same = topic(2, lessons=[lesson(2, id="lesson-1")])
    assert of_topics(topic(1), same) == [("topics.1.lessons.0.id", "duplicate_id", "error")]


@pytest.mark.parametrize(
    "content",
    [
        "Water <b>is</b> wet.",
        "<script>alert(1)</script>",
        "Water.\n\n<!-- is wet -->",
        "[Water](javascript:alert(1))",
        "[Water](JAVA&#x53;CRIPT:alert(1))",
        "[Water](<data:text/html,x>)",
        "![Water](https://elsewhere.example/w.png)",
        "![Water](//elsewhere.example/w.png)",
    ],
)
def test_what_could_do_harm_in_a_browser_is_refused(content: str) -> None:
    harmful = topic(lessons=[lesson(content=content)])
    assert of_topics(harmful) == [("topics.0.lessons.0.content", "unsafe_markup", "error")]


@pytest.mark.parametrize(
    "content",
    [
        "2 < 3 and 4 > 1",
        "`<b>` is a tag, and\n\n```\n<script>\n```\n\nis a block.",
        "[Read on](/content/courses/x) or [write](mailto:a@b.example), see <https://example.org>",
        r"\<b\> \[x\](javascript:y)",
        "![A map](/content/media/ab.png)",
    ],
)
def test_what_does_no_harm_is_not(content: str) -> None:
    assert of_topics(topic(lessons=[lesson(content=content)])) == []


def test_a_title_is_more_than_a_placeholder() -> None:
    nameless = topic(lessons=[lesson(title="TODO")])
    assert of_topics(nameless) == [("topics.0.lessons.0.title", "unfilled_text", "error")]


def test_a_lesson_that_is_too_hard_to_read_is_only_remarked_on() -> None:
    hard = (
        "Notwithstanding constitutional considerations, legislative representatives deliberate extraordinarily. " * 30
    )
    assert of_topics(topic(lessons=[lesson(content=hard)])) == [
        ("topics.0.lessons.0.content", "reading_level", "warning")
    ]


class TestWithoutItems:
    def test_lessons_can_stand_for_items(self) -> None:
        assert check(course(items=[], levels=[], studyTexts=[], topics=[topic()])) == []

    @pytest.mark.parametrize(
        ("changes", "path"),
        [
            ({"items": [], "levels": []}, "items"),
            ({"levels": []}, "levels"),
            ({"levels": [], "topics": [topic()]}, "levels"),
        ],
    )
    def test_a_course_of_neither_is_none_and_items_stand_in_levels(self, changes: dict[str, Any], path: str) -> None:
        assert path in {problem.path for problem in errors_of(check(course(**changes)))}


class TestCoverage:
    def test_every_question_of_the_exam_is_in_a_topic(self) -> None:
        topics = cast(list[Topic], [topic(1), topic(2)])
        assert list(check_coverage(topics, ["q1", "q2"])) == []
        [missing] = check_coverage(topics, ["q1", "q2", "q3"])
        assert (missing.path, missing.code, "'q3'" in missing.message) == ("topics", "uncovered_question", True)

    def test_and_no_other(self) -> None:
        [astray] = check_coverage(cast(list[Topic], [topic(1), topic(2)]), ["q1"])
        assert (astray.path, astray.code) == ("topics.1.questionIds.0", "unknown_reference")
