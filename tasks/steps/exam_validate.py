"""Fifth step of an exam course: put it together, judge it, and have every question answered from its lesson, blind. A
lesson from which another answer follows than the exam's is written anew."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schema.course import Course, Topic
from schema.errors import CoursewrightError, Permanent, ValidationFailed
from schema.problem import Problem, errors_of
from schema.rules.draft import finding
from tasks.exam_checkpoints import (
    answered_part,
    complete_of,
    exam_of,
    labels_of,
    lessons_of,
    model_of,
    part_of,
    plan_behind,
    settings_of,
)
from tasks.publish import keep_debug
from tasks.strategies.exam_answers import doubts
from tasks.strategies.exam_document import course_of, problems_of
from tasks.strategies.exam_lessons import Planned, Written, write
from tasks.work import Outcome, Work, clock

#: How often a lesson is written anew, before the job fails.
REPAIRS = 2

_LESSON = re.compile(r"topics\.(\d+)\.lessons\.(\d+)(?:\.|\Z)")
#: Where a lesson stands: the place of its topic, and its own in that.
_Place = tuple[int, int]


@dataclass
class _Checked:
    """The lessons by their place, and of those that were answered blind what was found, for the very text it is."""

    plans: dict[_Place, Planned]
    lessons: dict[_Place, Written]
    found: dict[_Place, tuple[Written, list[Problem]]]


def run(work: Work) -> Outcome:
    """Judge the course. Each lesson's part holds ``{"taught": hash, "doubts": {question id: [code, words]}}``; the
    checkpoint is ``{"course": Course, "problems": [...]}``, free of errors.

    Raises ``ValidationFailed`` with every problem when errors remain."""
    checked = _begun(work)
    course, problems = _mended(work, checked)
    listed = [problem.as_json() for problem in problems]
    if listed:
        keep_debug(work.deps, work.organization_id, work.job_id, "validation_issues.json", {"problems": listed})
    faults = errors_of(problems)
    if faults:
        places = [place_of(fault) for fault in faults]
        ids = sorted({part_of(course["topics"][place[0]]["id"]) for place in places if place})
        details = {"problems": listed, "failingParts": ids, "failingPlan": not all(places)}
        raise ValidationFailed(_sentence_on(faults), details=details)
    remarks = f", {_counted(len(listed), 'remark')}" if listed else ""
    message = f"Checked {_counted(len(checked.lessons), 'lesson')}{remarks}"
    return Outcome({"course": course, "problems": listed}, message=message)


def place_of(fault: Problem) -> _Place | None:
    """The lesson a fault lies in; none when it lies elsewhere."""
    found = _LESSON.match(fault.path)
    return (int(found[1]), int(found[2])) if found else None


def _begun(work: Work) -> _Checked:
    plans, lessons = {}, {}
    for at, topic in enumerate(work.checkpoint("topics")["topics"]):
        for number, written in enumerate(lessons_of(work.checkpoints["lessons", part_of(topic["id"])])):
            plans[at, number], lessons[at, number] = plan_behind(work, topic, written.lesson), written
    checked = _Checked(plans, lessons, {})
    for place, lesson in lessons.items():
        kept = work.part(answered_part(plans[place].id))
        if kept is not None and kept["taught"] == _digest(lesson):
            checked.found[place] = (lesson, _problems(place, kept["doubts"]))
    return checked


def _mended(work: Work, checked: _Checked) -> tuple[Course, list[Problem]]:
    """The course with its problems, after at most ``REPAIRS`` repairs. Only failing lessons are written anew."""
    verify = settings_of(work).verify_keys
    history: list[dict[str, Any]] = []
    for repair in range(REPAIRS + 1):
        course, problems = _judged(work, checked)
        if verify:
            faulty = {place_of(fault) for fault in errors_of(problems)}
            _verify(work, checked, [place for place in checked.lessons if place not in faulty], repair)
            problems += [problem for place in checked.lessons for problem in _found(checked, place)]
        faults = errors_of(problems)
        by_lesson = _by_lesson(faults)
        if not by_lesson or repair == REPAIRS:
            break
        history.append({"repair": repair + 1, "problems": [fault.as_json() for fault in faults]})
        _repair(work, checked, by_lesson, repair)
    if history:
        keep_debug(work.deps, work.organization_id, work.job_id, "repair.json", {"repairs": history})
    asked = any(question["answers"] for question in exam_of(work)["questions"])
    course["provenance"]["verified"] = verify and asked and not faults
    return course, problems + _remarks(work, verify)


def _judged(work: Work, checked: _Checked) -> tuple[Course, list[Problem]]:
    exam = exam_of(work)
    topics: list[Topic] = [
        {
            "id": topic["id"],
            "name": topic["name"],
            "questionIds": topic["questionIds"],
            "lessons": [written.lesson for place, written in checked.lessons.items() if place[0] == at],
        }
        for at, topic in enumerate(work.checkpoint("topics")["topics"])
    ]
    model = model_of(work, "lessons")
    course = course_of(exam, work.course_id, topics, model)
    return course, problems_of(course, exam)


def _remarks(work: Work, verify: bool) -> list[Problem]:
    """What people should know about answers that nobody checked."""
    questions = exam_of(work)["questions"]
    if not verify:
        return [Problem("topics", "answers_not_verified", "The settings say that answers are not verified.", "info")]
    without = [question["id"] for question in questions if not question["answers"]]
    if not without:
        return []
    words = f"To {_counted(len(without), 'question')} the exam names no answer, so none was verified: "
    return [Problem("topics", "answers_not_verified", words + ", ".join(without[:20]), "info")]


# --- asking -----------------------------------------------------------------------------------------------------


def _verify(work: Work, checked: _Checked, places: Sequence[_Place], repair: int) -> None:
    """Have the questions of lessons answered that weren't yet as they stand. What came of it is kept, so that an outage
    in the middle costs nothing that was paid for."""
    exam, complete = exam_of(work), complete_of(work)
    due = [place for place in places if place not in checked.found or checked.found[place][0] != checked.lessons[place]]
    calls: dict[_Place, Coroutine[Any, Any, Any]] = {
        place: doubts(checked.lessons[place].taught, checked.plans[place].questions, exam["language"], complete)
        for place in due
    }
    began = clock()
    for done, (place, found) in enumerate(_each(work, calls), start=1):
        checked.found[place] = (checked.lessons[place], _problems(place, found))
        message = f"Answering the questions from the lessons ({done}/{len(due)})"
        part = answered_part(checked.plans[place].id)
        if work.part(part) is None:
            kept = {"taught": _digest(checked.lessons[place]), "doubts": found}
            work.keep(part, kept, clock() - began, _fraction(repair, done / len(due)), message)
        else:  # of a text that was written anew
            work.tell(_fraction(repair, done / len(due)), message)


def _digest(lesson: Written) -> str:
    return hashlib.sha256(lesson.taught.encode()).hexdigest()


def _problems(place: _Place, found: Mapping[str, Sequence[str]]) -> list[Problem]:
    return [finding(f"{_path(place)}.content", code, words) for code, words in found.values()]


def _repair(work: Work, checked: _Checked, faults: Mapping[_Place, list[Problem]], repair: int) -> None:
    """Write lessons anew, each with what was found wrong with it."""
    work.tell(_fraction(repair, 1), f"Mending {_counted(len(faults), 'lesson')}")
    exam, labels, complete = exam_of(work), labels_of(work), complete_of(work)
    calls: dict[_Place, Coroutine[Any, Any, Any]] = {
        place: write(checked.plans[place], exam, labels, complete, checked.lessons[place], found)
        for place, found in faults.items()
    }
    for place, written in _each(work, calls):
        checked.lessons[place] = written


def _fraction(repair: int, share: float) -> float:
    """How far this step is: most courses are through after the first look at all lessons."""
    return 0.7 * share if repair == 0 else 0.7 + 0.3 * (repair - 1 + share) / REPAIRS


def _each(work: Work, calls: Mapping[_Place, Coroutine[Any, Any, Any]]) -> Iterator[tuple[_Place, Any]]:
    """Results as they come. Raises the first error once all are there, one that trying again can't mend at once."""
    failure: CoursewrightError | None = None
    for place, result in work.ask_each(calls):
        if isinstance(result, Permanent):
            raise result
        if isinstance(result, CoursewrightError):
            failure = failure or result
        else:
            yield place, result
    if failure is not None:
        raise failure


# --- problems ---------------------------------------------------------------------------------------------------


def _path(place: _Place) -> str:
    return f"topics.{place[0]}.lessons.{place[1]}"


def _found(checked: _Checked, place: _Place) -> list[Problem]:
    """What was found when the lesson was answered as it stands now."""
    lesson, problems = checked.found.get(place, (None, []))
    return problems if lesson == checked.lessons[place] else []


def _by_lesson(faults: Sequence[Problem]) -> dict[_Place, list[Problem]]:
    found: dict[_Place, list[Problem]] = {}
    for fault in faults:
        if place := place_of(fault):
            found.setdefault(place, []).append(fault)
    return found


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _sentence_on(faults: Sequence[Problem]) -> str:
    """What a person reads when a course fails on these errors."""
    left = "1 problem is left" if len(faults) == 1 else f"{len(faults)} problems are left"
    first = "" if len(faults) == 1 else " the first:"
    return f"{left} after checking and mending{';' if first else ':'}{first} {faults[0].message}"
