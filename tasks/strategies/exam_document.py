"""The course document of an exam: its topics and lessons, and an item for each question that can be one.

A question becomes an item when it has three or four options of which exactly one is right. Where its text has no place
for the answer, the blank goes to its end, as on paper. Its options are shuffled: many exams are written with the right
one first. A question that breaks a rule for items (it gives its own answer
away, or asks nearly what another asks) is the exam's own: it is no item then, and stays in its lesson all the same.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, cast

from schema.course import Course, Item, Level, Topic
from schema.exam import Exam, Question
from schema.normalize import normalize_course, placed_options
from schema.problem import Problem
from schema.rules import check
from schema.rules.items import speaks_of_others
from schema.rules.topics import check_coverage
from schema.wording import BLANK, blank_count
from tasks.prompts import prompt
from tasks.strategies.llm_asking import one_line, taken

LONGEST_STEM, LONGEST_OPTION, LONGEST_EXPLANATION = 2000, 200, 1000
MOST_TAGS, MOST_OBJECTIVES = 10, 40

#: Where, and by which code, a problem is about the exam's own words.
_EXAMS_OWN = {("items", "reading_level"), ("title", "unfilled_text")}
_PROMPTS = ("exam_topics", "exam_left_out", "exam_merge", "exam_lesson", "exam_answers", "exam_same")


def prompt_version() -> str:
    """All prompts in use with their versions, as kept in a course's provenance."""
    return " ".join(prompt(name).label for name in _PROMPTS)


def course_of(exam: Exam, course_id: str, topics: Sequence[Topic], model: str) -> Course:
    """The whole document in its proper form, with every item that breaks no rule."""
    course = _draft(exam, course_id, topics, model, _candidates(exam, course_id, topics))
    while faulty := _faulty_items(check(course)):
        kept = [item for place, item in enumerate(course["items"]) if place not in faulty]
        course = _draft(exam, course_id, topics, model, kept)
    return course


def problems_of(course: Course, exam: Exam) -> list[Problem]:
    """Everything that is wrong with the course, or remarkable. The exam's own title, and how hard its questions read,
    are no faults of a course: writing it again would not mend them."""
    ids = [question["id"] for question in exam["questions"]]
    found = [*check(course), *check_coverage(course["topics"], ids)]
    return [replace(one, severity="warning") if (one.path, one.code) in _EXAMS_OWN else one for one in found]


def _draft(exam: Exam, course_id: str, topics: Sequence[Topic], model: str, items: Sequence[Item]) -> Course:
    names = [topic["name"] for topic in topics]
    draft: Course = {
        "id": course_id,
        "title": one_line(exam["title"], 120),
        "description": taken(" · ".join(names), 2000),
        "subject": exam["subject"] or one_line(exam["title"], 200),
        "gradeBand": exam["gradeBand"] or "All Grades",
        "grade": None,
        "language": exam["language"],
        "visibility": "org",
        "tags": _tags(exam["questions"]),
        "contentVersion": "v0",
        "objectives": _objectives(topics),
        "groups": [{"id": topic["id"], "name": one_line(topic["name"], 120)} for topic in topics],
        "levels": _levels(topics, items),
        "items": [cast(Item, {**item, "id": place}) for place, item in enumerate(items)],
        "studyTexts": [],
        "topics": list(topics),
        "provenance": {
            "source": "llm",
            "model": model,
            "promptVersion": prompt_version(),
            "verified": False,
            "sources": [{"examId": exam["id"], "examRevision": str(exam["revision"]), "title": exam["title"]}],
        },
    }
    return cast(Course, normalize_course(cast(Mapping[str, Any], draft)))


def _tags(questions: Sequence[Question]) -> list[str]:
    """What most questions are filed under."""
    counted = Counter(tag for question in questions for tag in question["tags"] if len(tag) <= 50)
    return [tag for tag, _ in counted.most_common(MOST_TAGS)]


def _objectives(topics: Sequence[Topic]) -> list[Any]:
    """The first objective of each lesson, each once."""
    firsts = [lesson["objectives"][0] for topic in topics for lesson in topic["lessons"] if lesson["objectives"]]
    return [
        {"id": f"objective-{number}", "text": text}
        for number, text in enumerate(list(dict.fromkeys(firsts))[:MOST_OBJECTIVES], start=1)
    ]


def _levels(topics: Sequence[Topic], items: Sequence[Item]) -> list[Level]:
    """A level for each topic that has items. They stand in the order of the topics."""
    levels: list[Level] = []
    start = 0
    for topic in topics:
        count = sum(item["groupId"] == topic["id"] for item in items)
        if count:
            name = one_line(topic["name"], 120)
            levels.append({"id": f"level-{topic['id']}", "title": name, "start": start, "end": start + count - 1})
            start += count
    return levels


def _candidates(exam: Exam, course_id: str, topics: Sequence[Topic]) -> list[Item]:
    questions = {question["id"]: question for question in exam["questions"]}
    found = [
        _item(course_id, topic["id"], questions[question_id])
        for topic in topics
        for question_id in topic["questionIds"]
        if question_id in questions
    ]
    return [item for item in found if item is not None]


def _item(course_id: str, group_id: str, question: Question) -> Item | None:
    options = question["options"] or []
    text = question["text"] if blank_count(question["text"]) else f"{question['text'].rstrip()} {BLANK}"
    if not 3 <= len(options) <= 4 or len(question["answers"]) != 1 or question["answers"][0] not in options:
        return None
    if blank_count(text) != 1 or len(text) > LONGEST_STEM or any(len(option) > LONGEST_OPTION for option in options):
        return None
    shuffled, right = _shuffled(course_id, question["id"], options, question["answers"][0])
    item: Item = {
        "id": 0,
        "groupId": group_id,
        "clusterId": question["id"],
        "variant": "1",
        "mode": "options",
        "text": text,
        "options": shuffled,
        "correctIndex": right,
    }
    if 0 < len(question["explanation"].strip()) <= LONGEST_EXPLANATION:
        item["explain"] = question["explanation"]
    return item


def _shuffled(course_id: str, question_id: str, options: Sequence[str], right: str) -> tuple[list[str], int]:
    """The options in an order that course and question alone decide, and the place of the right one. As they are where
    one speaks of the others."""
    if any(speaks_of_others(option) for option in options):
        return list(options), options.index(right)
    return placed_options(course_id, int(question_id[1:]), right, [option for option in options if option != right])


def _faulty_items(problems: Sequence[Problem]) -> set[int]:
    """The places of items with an error."""
    errors = (re.match(r"items\.(\d+)", problem.path) for problem in problems if problem.severity == "error")
    return {int(found[1]) for found in errors if found}
