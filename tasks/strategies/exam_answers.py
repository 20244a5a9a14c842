"""Checking lessons by having their questions answered from them, blind: the call sees the lesson and the questions, and
neither the answers nor what stands below the lesson.

An answer that isn't an accepted one word for word, and is no number, is compared by another call that is asked only
whether both mean the same.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from typing import Any

from schema.exam import Question, answer_range, folded
from tasks.clients.loop import side_by_side
from tasks.strategies.exam_schemas import ANSWERS_FROM_LESSON, SAME_MEANING
from tasks.strategies.llm_asking import Complete, ask, by_number, one_line, portions

QUESTIONS_PER_CALL = 15
#: Of a long list of accepted answers so many are shown to whoever compares.
ANSWERS_SHOWN = 20
LONGEST_SHOWN = 160

_NUMBER = re.compile(r"[-+−]?\d{1,30}(?:\.\d{1,30})?")
_LETTER = re.compile(r"\(?([A-Za-z])(?:[).:]\s*(?P<text>.*))?\Z", re.DOTALL)


async def doubts(
    taught: str, questions: Sequence[Question], language: str, complete: Complete
) -> dict[str, tuple[str, str]]:
    """For each question that the lesson doesn't answer as the exam does, by its id: ``answer_not_taught`` or
    ``answer_contradicted``, and a sentence. Questions to which the exam names no answer are not asked."""
    asking = [question for question in questions if question["answers"]]
    answers: dict[str, dict[str, Any]] = {}
    for _ in range(2):  # what was left unanswered is asked once more
        left = [question for question in asking if question["id"] not in answers]
        for part in await side_by_side(
            _answered(taught, part, language, complete) for part in portions(left, QUESTIONS_PER_CALL)
        ):
            answers |= part
    given = {
        question["id"]: one_line(answers[question["id"]]["answer"], 500)
        for question in asking
        if question["id"] in answers and answers[question["id"]]["found"]
    }
    given = {question_id: answer for question_id, answer in given.items() if answer}
    verdicts = {one["id"]: agrees(one, given[one["id"]]) for one in asking if one["id"] in given}
    open_ones = [(one, given[one["id"]]) for one in asking if one["id"] in given and verdicts[one["id"]] is None]
    for compared in await side_by_side(
        _compared(pairs, language, complete) for pairs in portions(open_ones, QUESTIONS_PER_CALL)
    ):
        verdicts |= compared
    return {one["id"]: _doubt(one, given.get(one["id"])) for one in asking if not verdicts.get(one["id"])}


def _doubt(question: Question, given: str | None) -> tuple[str, str]:
    asked, right = one_line(question["text"], LONGEST_SHOWN), one_line("; ".join(question["answers"]), LONGEST_SHOWN)
    if given is None:
        words = f"The question {asked!r} can't be answered from the lesson. Teach its answer: {right}."
        return "answer_not_taught", words
    said = one_line(given, LONGEST_SHOWN)
    words = f"From the lesson the question {asked!r} was answered with {said!r}; the exam's answer is: {right}."
    return "answer_contradicted", f"{words} Teach that one, so that no other follows from the lesson."


# --- asking -----------------------------------------------------------------------------------------------------


async def _answered(
    taught: str, questions: Sequence[Question], language: str, complete: Complete
) -> dict[str, dict[str, Any]]:
    entries: list[dict[str, Any]] = []
    for number, question in enumerate(questions, start=1):
        entry: dict[str, Any] = {"number": number, "question": question["text"]}
        if question["options"]:
            entry["options"] = dict(zip(_letters(), blind_order(question), strict=False))
        entries.append(entry)
    facts = {"language": language, "lesson": taught, "questions": entries}
    answer = await complete(ask("verify", "exam_answers", "exam_answers", ANSWERS_FROM_LESSON, facts))
    found = by_number(answer["answers"])
    return {one["id"]: found[number] for number, one in enumerate(questions, start=1) if number in found}


async def _compared(pairs: Sequence[tuple[Question, str]], language: str, complete: Complete) -> dict[str, bool | None]:
    """For each pair of a question and an answer whether that means what is accepted. Without a verdict it does not."""
    entries = [
        {
            "number": number,
            "question": question["text"],
            "accepted": question["answers"][:ANSWERS_SHOWN],
            "given": given,
        }
        for number, (question, given) in enumerate(pairs, start=1)
    ]
    facts = {"language": language, "questions": entries}
    answer = await complete(ask("verify", "exam_same", "exam_same", SAME_MEANING, facts))
    found = by_number(answer["verdicts"])
    return {
        question["id"]: number in found and found[number]["same"] for number, (question, _) in enumerate(pairs, start=1)
    }


def _letters() -> str:
    return "ABCDEFGHIJ"


def blind_order(question: Question) -> list[str]:
    """The options in an order drawn from the question alone, none where it stands in the exam: a rotation by at least
    one place."""
    options = question["options"] or []
    if len(options) < 2:
        return list(options)
    drawn = int.from_bytes(hashlib.sha256(f"exam\n{question['text']}".encode()).digest()[:4], "big")
    turn = 1 + drawn % (len(options) - 1)
    return options[turn:] + options[:turn]


# --- comparing --------------------------------------------------------------------------------------------------


def agrees(question: Question, given: str) -> bool | None:
    """Whether an answer is one the exam accepts; none when only its meaning can tell."""
    if question["options"]:
        chosen = _chosen(question, given)
        return None if chosen is None else chosen in question["answers"]
    if folded(given) in {folded(answer) for answer in question["answers"]}:
        return True
    number = _as_number(given)
    if number is None:
        return None
    return _number_counts(question["answers"], number)


def _chosen(question: Question, given: str) -> str | None:
    """The option an answer names: by its text, by letter and text, or by its letter alone. None when it names none."""
    order = blind_order(question)
    if named := _by_text(order, given):
        return named
    found = _LETTER.match(given)
    if found is None:
        return None
    if found["text"]:
        return _by_text(order, found["text"])
    place = _letters().find(found[1].upper())
    return order[place] if 0 <= place < len(order) else None


def _by_text(options: Sequence[str], text: str) -> str | None:
    """The option that reads so, else the only one that does but for case and punctuation; none when there is none."""
    if text in options:
        return text
    same = [option for option in options if folded(option) == folded(text)]
    return same[0] if len(same) == 1 else None


def _as_number(text: str) -> float | None:
    """A bare number; none for anything with words, units or separators, whose meaning depends on the language."""
    return float(text.strip().replace("−", "-")) if _NUMBER.fullmatch(text.strip()) else None


def _number_counts(answers: Sequence[str], given: float) -> bool | None:
    """Whether a number is an accepted one, or lies in an accepted range; none when some answer is no number."""
    numbers = [_as_number(answer) for answer in answers]
    ranges = [answer_range(answer) for answer in answers]
    if any(number is not None and math.isclose(number, given, rel_tol=1e-9, abs_tol=1e-9) for number in numbers):
        return True
    if any(one is not None and one[0] <= given <= one[1] for one in ranges):
        return True
    readable = all(number is not None or one is not None for number, one in zip(numbers, ranges, strict=True))
    return False if readable else None
