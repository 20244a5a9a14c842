"""What an exam is: a title, and questions with the answers that count as right."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, TypedDict

from schema.wording import fold_option

MOST_QUESTIONS = 1000
MOST_OPTIONS = 10
MOST_ANSWERS = 50
MOST_TAGS = 20


class Question(TypedDict):
    """One question. ``options`` is null where there is nothing to choose from. ``answers`` are all that count as
    right, options among them word for word; empty where the exam names none. ``id`` (``q1`` ...) stays with the
    question while the exam is edited, and is never given to another one."""

    id: str
    text: str
    options: list[str] | None
    answers: list[str]
    explanation: str
    tags: list[str]


class Exam(TypedDict):
    """An exam at one of its revisions. ``subject`` and ``gradeBand`` may be empty; ``context`` is what the questions
    are about, in the author's words, and may be empty too. Times are ISO-8601 in UTC."""

    id: str
    title: str
    subject: str
    gradeBand: str
    language: str
    context: str
    revision: int
    questionsHash: str
    questionCount: int
    questions: list[Question]
    createdBy: str | None
    createdAt: str
    updatedAt: str


_RANGE = re.compile(r"(-?[0-9.]{1,80}) to (-?[0-9.]{1,80})")


def range_text(low: Decimal, high: Decimal) -> str:
    """An answer that stands for every number of a range: ``3.141 to 3.142``."""
    return f"{low.normalize():f} to {high.normalize():f}"


def answer_range(answer: str) -> tuple[float, float] | None:
    """The lowest and the highest number that count as right by an answer such as ``3.141 to 3.142``; none when it is
    no range."""
    found = _RANGE.fullmatch(answer)
    try:
        return (float(found[1]), float(found[2])) if found else None
    except ValueError:
        return None


def folded(text: str) -> str:
    """A text without case, runs of spaces and punctuation that carries no meaning: what is equal then says the same."""
    return fold_option(unicodedata.normalize("NFC", " ".join(text.split())))


def question_key(question: Mapping[str, Any]) -> str:
    """What makes a question the one it is: its folded text and options, whatever their order. The same in two exams
    for the same question; no two questions of one exam have the same."""
    return _hash([folded(question["text"]), sorted(map(folded, question["options"] or []))])


def questions_hash(questions: Sequence[Question]) -> str:
    """A SHA-256 (hexadecimal) over what is asked and answered. Order, ids, tags and explanations don't matter, nor do
    case, spaces and punctuation."""
    return _hash(sorted([question_key(one), *sorted(map(folded, one["answers"]))] for one in questions))


def _hash(value: object) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()
