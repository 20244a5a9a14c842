"""What the steps of an exam course leave for those after them, read back with its types."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from schema.course import Lesson
from schema.exam import Exam, Question
from schema.organization_settings import OrganizationSettings, from_chosen
from tasks.choices import asking, text_model
from tasks.strategies.exam_lessons import Planned, Written, planned
from tasks.strategies.exam_sorting import Named
from tasks.strategies.llm_asking import Complete
from tasks.work import Work


def settings_of(work: Work) -> OrganizationSettings:
    """The settings as they were when the job began."""
    return from_chosen(work.checkpoint("settings")["chosen"])


def model_of(work: Work, purpose: str) -> str:
    """The model that is asked for this purpose."""
    return text_model(work, settings_of(work), purpose)


def complete_of(work: Work) -> Complete:
    """Puts questions to the models that were chosen for their purposes when the job began."""
    return asking(settings_of(work), work.deps.text.complete)


def reading_out(work: Work, topic_id: str) -> Complete:
    """The same; who follows the job sees what is written for this topic, word by word."""
    return asking(settings_of(work), work.reading_out(part_of(topic_id)))


def exam_of(work: Work) -> Exam:
    """The exam as it was when the job began."""
    return cast(Exam, work.checkpoint("questions")["exam"])


def labels_of(work: Work) -> dict[str, str]:
    """The words over the parts of a lesson."""
    return cast(dict[str, str], work.checkpoint("topics")["labels"])


def part_of(topic_id: str) -> str:
    """The name of a topic's part in the checkpoints of ``lessons``."""
    return f"topic:{topic_id}"


def lesson_part(lesson_id: str) -> str:
    """The name of a lesson's part in the checkpoints of ``lessons``, until its whole topic takes its place."""
    return f"lesson:{lesson_id}"


def answered_part(lesson_id: str) -> str:
    """The name of a lesson's part in the checkpoints of ``validate``: what came of answering its questions from it."""
    return f"answered:{lesson_id}"


def plans_of(work: Work) -> dict[str, list[Planned]]:
    """For each topic, by its id, the lessons to be written."""
    questions: Mapping[str, Question] = {question["id"]: question for question in exam_of(work)["questions"]}
    return {
        topic["id"]: planned(
            topic["id"], Named(topic["name"], tuple(topic["questionIds"])), questions, work.payload["lessonsPerTopic"]
        )
        for topic in work.checkpoint("topics")["topics"]
    }


def plan_behind(work: Work, topic: Mapping[str, Any], lesson: Lesson) -> Planned:
    """What a lesson of a topic was to be, by the lesson itself: how lessons are planned may have changed since."""
    questions = {question["id"]: question for question in exam_of(work)["questions"]}
    named = Named(topic["name"], tuple(topic["questionIds"]))
    return Planned(lesson["id"], named, tuple(questions[one] for one in lesson["questionIds"]))


def kept_lessons(written: list[Written]) -> dict[str, Any]:
    """The checkpoint of a topic's lessons, or of some of them."""
    taught = {one.lesson["id"]: one.taught for one in written}
    return {"lessons": [one.lesson for one in written], "taught": taught}


def lessons_of(kept: Mapping[str, Any]) -> list[Written]:
    """The lessons in such a checkpoint."""
    return [Written(cast(Lesson, lesson), kept["taught"][lesson["id"]]) for lesson in kept["lessons"]]
