"""The course document of an exam: what becomes an item, and what stays a question in its lesson."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from schema.course import Topic
from schema.exam import Question
from schema.problem import errors_of
from schema.rules import check
from tasks.strategies.exam_document import course_of, problems_of, prompt_version
from tests.unit.exams import exam, question, questions, written
from tests.unit.rules.judged import WORDS


def topics_for(given: list[Question], size: int = 4) -> list[Topic]:
    stretches = [given[at : at + size] for at in range(0, len(given), size)]
    return [
        {
            "id": f"topic-{number}",
            "name": f"Houses {number}",
            "questionIds": [one["id"] for one in part],
            "lessons": [{**written(*part).lesson, "id": f"lesson-{number}"}],
        }
        for number, part in enumerate(stretches, start=1)
    ]


def choice(number: int, **changes: Any) -> Question:
    """A question that can be an item, like no other."""
    words = [WORDS[(number * step) % 20] for step in (1, 3, 7)]
    options = [f"{word} {number}" for word in ("coal", "salt", "gold", "clay")]
    made: dict[str, Any] = {
        "text": f"What does the {words[0]} {words[1]} of {words[2]} number {number} hide?",
        "options": options,
        "answers": [options[number % 4]],
    }
    return question(number, **(made | changes))


class TestDocument:
    def test_it_is_sound_and_says_where_it_comes_from(self) -> None:
        given = [choice(1, tags=["a", "b"]), choice(2, tags=["b"]), *questions(9)[2:]]
        whole = exam(given)
        course = course_of(whole, "lane-abc234", topics_for(given), "scripted")
        assert errors_of(problems_of(course, whole)) == []
        assert (course["title"], course["subject"], course["gradeBand"]) == ("Who lives where", "Neighbours", "6-8")
        assert course["description"] == "Houses 1 · Houses 2 · Houses 3"
        assert course["tags"] == ["b", "a"]
        assert [group["id"] for group in course["groups"]] == ["topic-1", "topic-2", "topic-3"]
        assert [item["clusterId"] for item in course["items"]] == ["q1", "q2"]
        assert course["levels"] == [{"id": "level-topic-1", "title": "Houses 1", "start": 0, "end": 1}]
        assert course["provenance"]["sources"] == [
            {"examId": whole["id"], "examRevision": "1", "title": "Who lives where"}
        ]
        assert course["provenance"]["promptVersion"] == prompt_version()

    def test_an_exam_without_options_has_no_items_and_that_is_no_fault(self) -> None:
        whole = exam(questions(3), subject="", gradeBand="")
        course = course_of(whole, "lane-abc234", topics_for(whole["questions"]), "scripted")
        assert (course["items"], course["levels"]) == ([], [])
        assert (course["subject"], course["gradeBand"]) == ("Who lives where", "All Grades")
        assert errors_of(problems_of(course, whole)) == []

    def test_a_question_with_options_is_an_item_with_the_exam_s_own_words(self) -> None:
        given = [choice(1, explanation="It is heavy.")]
        [item] = course_of(exam(given), "lane", topics_for(given), "m")["items"]
        assert item["text"] == f"{given[0]['text']} [blank]"
        assert sorted(item["options"]) == sorted(given[0]["options"])  # type: ignore[arg-type]
        assert item["options"][item["correctIndex"]] == given[0]["answers"][0]
        assert (item["groupId"], item["explain"], item["mode"]) == ("topic-1", "It is heavy.", "options")

    def test_the_right_option_has_no_favourite_place(self) -> None:
        given = [choice(number, answers=[choice(number)["options"][0]]) for number in range(1, 41)]  # type: ignore[index]
        whole = exam(given)
        course = course_of(whole, "lane", topics_for(given), "m")
        places = Counter(item["correctIndex"] for item in course["items"])
        assert min(places[place] for place in range(4)) > 3
        assert "key_position_bias" not in {problem.code for problem in check(course)}
        assert course_of(whole, "lane", topics_for(given), "m")["items"] == course["items"]

    @pytest.mark.parametrize(
        "last", ["All of the above", "None of these.", "Both a and b", "A, B and C", "(a) oder (c)", "B et C."]
    )
    def test_options_that_speak_of_others_stay_where_they_are(self, last: str) -> None:
        options = ["coal", "salt", "gold", last]
        given = [choice(number, options=options, answers=["coal"]) for number in range(1, 9)]
        items = course_of(exam(given), "lane", topics_for(given), "m")["items"]
        assert items
        assert all((item["options"], item["correctIndex"]) == (options, 0) for item in items)

    def test_what_the_exam_itself_is_called_is_no_fault_of_the_course(self) -> None:
        whole = exam(questions(3), title="TBD")
        problems = problems_of(course_of(whole, "lane", topics_for(whole["questions"]), "m"), whole)
        assert errors_of(problems) == []
        assert ("title", "unfilled_text", "warning") in {(one.path, one.code, one.severity) for one in problems}

    def test_a_gap_in_the_question_is_the_blank(self) -> None:
        given = [choice(1, text="The old mill hides ____ under its floor.")]
        [item] = course_of(exam(given), "lane", topics_for(given), "m")["items"]
        assert item["text"] == "The old mill hides [blank] under its floor."

    @pytest.mark.parametrize(
        "changes",
        [
            {"options": ["coal", "salt"], "answers": ["coal"]},
            {"options": ["a1", "b1", "c1", "d1", "e1"], "answers": ["a1"]},
            {"answers": []},
            {"answers": ["coal 1", "salt 1"]},
            {"options": ["o" * 201, "salt", "gold"], "answers": ["salt"]},
            {"text": "t" * 1999},
            {"text": "Everybody knows that the mill hides salt 1, so what does it hide?"},
            {"text": "____ hides ____ here, or so they say."},
            {"options": ["coal", "Coal.", "salt"], "answers": ["salt"]},
        ],
    )
    def test_what_can_be_no_item_stays_in_its_lesson(self, changes: dict[str, Any]) -> None:
        given = [choice(1, **changes), choice(2)]
        whole = exam(given)
        course = course_of(whole, "lane", topics_for(given), "m")
        assert [item["clusterId"] for item in course["items"]] == ["q2"]
        assert [item["id"] for item in course["items"]] == [0]
        assert course["topics"][0]["lessons"][0]["questionIds"] == ["q1", "q2"]
        assert errors_of(problems_of(course, whole)) == []

    def test_of_two_questions_that_ask_the_same_one_is_an_item(self) -> None:
        given = [choice(1), choice(1, id="q9", text=choice(1)["text"].replace("number 1", "number  1"))]
        course = course_of(exam(given), "lane", topics_for(given), "m")
        assert [item["clusterId"] for item in course["items"]] == ["q1"]
        assert errors_of(check(course)) == []

    def test_questions_too_hard_for_the_grade_are_only_remarked_on(self) -> None:
        hard = "Notwithstanding constitutional deliberation, which representative institution number {} acts?"
        given = [choice(number, text=f"{hard.format(number)} {'x' * number}") for number in range(1, 16)]
        whole = exam(given, gradeBand="2")
        course = course_of(whole, "lane", topics_for(given), "m")
        levels = [problem for problem in problems_of(course, whole) if problem.path == "items"]
        assert {problem.severity for problem in levels} <= {"warning"}
        assert "reading_level" in {problem.code for problem in levels}

    def test_a_question_of_the_exam_without_a_topic_is_noticed(self) -> None:
        whole = exam(questions(9))
        course = course_of(whole, "lane", topics_for(whole["questions"][:8]), "m")
        assert [problem.code for problem in errors_of(problems_of(course, whole))] == ["uncovered_question"]
