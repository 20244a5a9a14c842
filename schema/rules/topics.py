"""Topics and lessons: does each question have its lesson, and can every lesson be shown to readers."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from schema.course import Topic
from schema.markup import unsafe_parts
from schema.problem import Problem
from schema.rules.draft import finding


def check_topics(topics: Sequence[Topic]) -> Iterator[Problem]:
    """``unknown_reference``, ``uncovered_question``, ``duplicate_question``, ``duplicate_id`` of lessons, and
    ``unsafe_markup``."""
    lessons: set[str] = set()
    seen: dict[str, str] = {}
    for place, topic in enumerate(topics):
        for at, question_id in enumerate(topic["questionIds"]):
            if question_id in seen:
                words = f"The question {question_id!r} is in the topic {seen[question_id]!r} already. Take one out."
                yield finding(f"topics.{place}.questionIds.{at}", "duplicate_question", words)
            seen.setdefault(question_id, topic["name"])
        yield from _check_questions(place, topic)
        for number, lesson in enumerate(topic["lessons"]):
            path = f"topics.{place}.lessons.{number}"
            if lesson["id"] in lessons:
                yield finding(f"{path}.id", "duplicate_id", f"The id {lesson['id']!r} is used twice. Give it its own.")
            lessons.add(lesson["id"])
            for part in unsafe_parts(lesson["content"])[:1]:
                words = f"The lesson {lesson['title']!r} holds {part!r}, which could do harm in a reader's browser. "
                words += "Use plain Markdown, and put tags between backticks."
                yield finding(f"{path}.content", "unsafe_markup", words)


def _check_questions(place: int, topic: Topic) -> Iterator[Problem]:
    """The questions of a topic are those of its lessons, each in one of them."""
    known = set(topic["questionIds"])
    taught: dict[str, str] = {}
    for number, lesson in enumerate(topic["lessons"]):
        for at, question_id in enumerate(lesson["questionIds"]):
            path = f"topics.{place}.lessons.{number}.questionIds.{at}"
            if question_id not in known:
                words = f"There is no question {question_id!r} in this topic. Refer to one that exists, or add it."
                yield finding(path, "unknown_reference", words)
            elif question_id in taught:
                words = f"The question {question_id!r} is in the lesson {taught[question_id]!r} already. Take one out."
                yield finding(path, "duplicate_question", words)
            taught.setdefault(question_id, lesson["title"])
    for at, question_id in enumerate(topic["questionIds"]):
        if question_id not in taught:
            words = f"The question {question_id!r} is in no lesson. Teach it in one."
            yield finding(f"topics.{place}.questionIds.{at}", "uncovered_question", words)


def check_coverage(topics: Sequence[Topic], question_ids: Collection[str]) -> Iterator[Problem]:
    """``uncovered_question`` for every question of the exam without a topic, ``unknown_reference`` for one that is none
    of the exam's."""
    placed = {question_id for topic in topics for question_id in topic["questionIds"]}
    for question_id in question_ids:
        if question_id not in placed:
            words = f"The question {question_id!r} of the exam is in no topic. Put it in one."
            yield finding("topics", "uncovered_question", words)
    for place, topic in enumerate(topics):
        for at, question_id in enumerate(topic["questionIds"]):
            if question_id not in question_ids:
                words = f"The exam has no question {question_id!r}. Take it out."
                yield finding(f"topics.{place}.questionIds.{at}", "unknown_reference", words)
