"""Exams for tests, and a model that answers about them like the scripted server."""

from __future__ import annotations

import asyncio
import copy
from collections.abc import Callable, Sequence
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from schema.exam import Exam, Question, questions_hash
from tasks.clients.text import Ask
from tasks.strategies.exam_lessons import Planned, Written, write
from tasks.strategies.exam_sorting import LABELS, Named
from tests.fakes.model_answers import answer

ANIMALS = ("otter", "heron", "badger", "newt", "marten", "lynx", "toad", "raven", "vole", "pike", "wren", "stoat")


def question(number: int, **changes: Any) -> Question:
    made: Question = {
        "id": f"q{number}",
        "text": f"Who lives at number {number} of the long lane?",
        "options": None,
        "answers": [f"the {ANIMALS[number % 12]} {number}"],
        "explanation": "",
        "tags": [],
    }
    return {**made, **changes}  # type: ignore[typeddict-item]


def questions(count: int, **changes: Any) -> list[Question]:
    return [question(number, **changes) for number in range(1, count + 1)]


def exam(asked: Sequence[Question], **changes: Any) -> Exam:
    made: Exam = {
        "id": "00000000-0000-4000-8000-0000000000e1",
        "title": "Who lives where",
        "subject": "Neighbours",
        "gradeBand": "6-8",
        "language": "en",
        "context": "",
        "revision": 1,
        "questionsHash": questions_hash(asked),
        "questionCount": len(asked),
        "questions": list(asked),
        "createdBy": None,
        "createdAt": "2026-11-21T10:00:00.000Z",
        "updatedAt": "2026-11-21T10:00:00.000Z",
    }
    return {**made, **changes}  # type: ignore[typeddict-item]


class Model:
    """Remembers what it was asked, and changes answers where a test says so."""

    def __init__(self, change: Callable[[Ask, Any], Any] | None = None) -> None:
        self.asks: list[Ask] = []
        self._change = change

    async def __call__(self, ask: Ask) -> Any:
        self.asks.append(ask)
        value = answer(ask.schema_name, ask.schema, ask.user)
        value = self._change(ask, copy.deepcopy(value)) if self._change else value
        Draft202012Validator(ask.schema).validate(value)
        return value

    def named(self, schema_name: str) -> list[Ask]:
        return [ask for ask in self.asks if ask.schema_name == schema_name]


def plan_for(*given: Question) -> Planned:
    return Planned("topic-1-lesson-1", Named("The lane", tuple(one["id"] for one in given)), given)


def written(*given: Question, model: Model | None = None, **changes: Any) -> Written:
    return asyncio.run(write(plan_for(*given), exam(given, **changes), LABELS, model or Model()))
