"""Lessons that teach what the questions of an exam ask: one question to the model for each.

Which questions a lesson is for is decided here, so each has its lesson whatever the model writes. The model writes the
teaching; the questions, their options and answers are put below it word for word from the exam.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schema.course import Lesson
from schema.errors import Transient
from schema.exam import Exam, Question, folded
from schema.markup import as_written, closed, on_one_line, without_html
from schema.problem import Problem
from schema.rules.placeholder import is_placeholder
from tasks.strategies.exam_schemas import LESSON
from tasks.strategies.exam_sorting import LABELS, Named
from tasks.strategies.llm_asking import Complete, ask, by_number, one_line, taken, without_headings

#: With fewer questions than this for each, a topic gets fewer lessons; beyond the other, more than were asked for.
FEWEST_QUESTIONS, MOST_QUESTIONS = 2, 40
#: The most characters that the questions of a lesson may take with all that belongs to them, and the most answers that
#: are shown of one.
MOST_ASKED, MOST_ANSWERS = 30_000, 20
#: Of the other questions of a topic so many are named, so that a lesson leaves them to their own.
OTHERS_NAMED = 40
LONGEST_TITLE, LONGEST_OBJECTIVE, LONGEST_CONTENT = 200, 500, 50_000
MOST_OBJECTIVES, MOST_TERMS = 6, 12

_ANEW = (
    'Your last lesson stands under "lastLesson", and what was found wrong with it under "problems". Write the whole '
    "lesson anew so that none of the problems is left."
)


@dataclass(frozen=True)
class Planned:
    """A lesson to be written: its id, its topic, and the questions it is for."""

    id: str
    topic: Named
    questions: tuple[Question, ...]


@dataclass(frozen=True)
class Written:
    """A lesson. ``taught`` is what its content says before the questions: all a learner knows when asked."""

    lesson: Lesson
    taught: str


def planned(topic_id: str, topic: Named, questions: Mapping[str, Question], lessons: int) -> list[Planned]:
    """The lessons of a topic: even stretches of its questions in their order, as many as are wanted, as there are
    questions for, and as it takes to keep each to its size."""
    mine = [questions[one] for one in topic.questions]
    count = max(1, min(lessons, len(mine) // FEWEST_QUESTIONS))
    while count < len(mine) and any(_too_much(part) for part in _stretches(mine, count)):
        count += 1
    return [
        Planned(f"{topic_id}-lesson-{number}", topic, tuple(part))
        for number, part in enumerate(_stretches(mine, count), start=1)
    ]


def _stretches(questions: Sequence[Question], count: int) -> list[Sequence[Question]]:
    total = len(questions)
    return [questions[total * at // count : total * (at + 1) // count] for at in range(count)]


def _too_much(questions: Sequence[Question]) -> bool:
    return len(questions) > MOST_QUESTIONS or len(asked(questions, [], LABELS)) > MOST_ASKED


async def write(
    plan: Planned,
    exam: Exam,
    labels: Mapping[str, str],
    complete: Complete,
    last: Written | None = None,
    faults: Sequence[Problem] = (),
) -> Written:
    """A lesson, or (``last``, ``faults``) one written anew because of what was found wrong with it.

    Raises ``Transient`` (``model_answer_unreadable``) when nothing was written that can be kept."""
    facts = _facts(plan, exam)
    if last is not None:
        facts |= {"lastLesson": last.taught, "problems": [f"{fault.code}: {fault.message}" for fault in faults]}
    question = ask(
        "lessons" if last is None else "repair",
        "exam_lesson",
        "exam_lesson" if last is None else "exam_lesson_anew",
        LESSON,
        facts,
        anew="" if last is None else _ANEW,
    )
    answer = await complete(question)
    taught = teaching(answer, labels)
    content = f"{taught}\n\n{asked(plan.questions, answer['explanations'], labels)}"
    title = one_line(answer["title"], LONGEST_TITLE)
    if not title or not taught or len(content) > LONGEST_CONTENT:
        words = f"The model wrote no lesson that can be kept for the topic {plan.topic.name!r}."
        raise Transient(words, code="model_answer_unreadable")
    objectives = [one_line(one, LONGEST_OBJECTIVE) for one in answer["objectives"]]
    lesson: Lesson = {
        "id": plan.id,
        "title": title,
        "content": content,
        "objectives": [one for one in objectives if one and not is_placeholder(one)][:MOST_OBJECTIVES],
        "questionIds": [question["id"] for question in plan.questions],
    }
    return Written(lesson, taught)


def _facts(plan: Planned, exam: Exam) -> dict[str, Any]:
    mine = {question["id"] for question in plan.questions}
    texts = {question["id"]: question["text"] for question in exam["questions"]}
    others = [texts[one] for one in plan.topic.questions if one not in mine]
    facts: dict[str, Any] = {"language": exam["language"], "exam": exam["title"], "topic": plan.topic.name}
    facts |= {key: exam[key] for key in ("subject", "gradeBand", "context") if exam[key]}
    facts["questions"] = [_entry(number, one) for number, one in enumerate(plan.questions, start=1)]
    if others:
        facts["taughtInOtherLessons"] = others[:OTHERS_NAMED]
    return facts


def _entry(number: int, question: Question) -> dict[str, Any]:
    entry: dict[str, Any] = {"number": number, "question": question["text"]}
    for key, value in (
        ("options", question["options"]),
        ("answers", question["answers"]),
        ("explanation", question["explanation"]),
    ):
        if value:
            entry[key] = value
    return entry


# --- putting it together ----------------------------------------------------------------------------------------


def teaching(answer: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    """What a learner reads before the questions, as Markdown; empty when the model explained nothing."""
    parts = []
    for section in answer["sections"]:
        title, body = one_line(section["title"], LONGEST_TITLE), _body(section["body"])
        if body:
            parts += [_heading(title), body] if title else [body]
    if not parts:
        return ""
    if example := _body(answer["example"]):
        parts += [_heading(labels["example"]), example]
    terms = [(one_line(one["term"], 200), one_line(one["meaning"], 1000)) for one in answer["terms"]]
    listed = [f"- **{on_one_line(term)}**: {on_one_line(meaning)}" for term, meaning in terms if term and meaning]
    if listed:
        parts += [_heading(labels["terms"]), "\n".join(listed[:MOST_TERMS])]
    return "\n\n".join(parts)


def asked(questions: Sequence[Question], explanations: Sequence[dict[str, Any]], labels: Mapping[str, str]) -> str:
    """The questions of a lesson with options, answers and explanations, as Markdown. The exam's own explanation goes
    before the model's."""
    written = by_number(explanations)
    parts = [_heading(labels["questions"])]
    for number, question in enumerate(questions, start=1):
        parts.append(f"**{number}.** {as_written(question['text'])}")
        if question["options"]:
            parts.append("\n".join(f"- {on_one_line(option)}" for option in question["options"]))
        if question["answers"]:
            answers = "; ".join(on_one_line(one) for one in _distinct(question)[:MOST_ANSWERS])
            parts.append(f"**{on_one_line(labels['answer'])}:** {answers}")
        explanation = question["explanation"] or taken(written.get(number, {}).get("explanation"), 1000)
        if explanation.strip():
            parts.append(as_written(explanation))
    return "\n\n".join(parts)


def _distinct(question: Question) -> list[str]:
    """The answers; of free ones that differ only in case or punctuation the first."""
    spellings: dict[str, str] = {}
    for answer in question["answers"]:
        spellings.setdefault(answer if question["options"] else folded(answer), answer)
    return list(spellings.values())


def _heading(words: str) -> str:
    return f"## {on_one_line(words)}"


def _body(given: Any) -> str:
    return closed(without_html(without_headings(taken(given))))
