"""What holds of an exam's topics whatever a model says: how many they are, that each question stands in one of them,
and how they are kept for another exam with the same questions.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from schema.exam import Question, folded, question_key
from schema.rules.placeholder import is_placeholder
from tasks.prompts import prompt
from tasks.strategies.llm_asking import one_line

#: How much of an exam goes into one question to the model, in tokens. Models take more, but lose the overview.
CONTEXT_TOKENS = 24_000
#: About so many characters are a token.
CHARACTERS = 4
#: Questions that a part shares with the one before it.
SHARED = 5
LONGEST_NAME = 120
#: What stands over the parts of a lesson where the model named nothing.
LABELS = {"example": "Example", "terms": "Key terms", "questions": "Questions", "answer": "Answer"}

_PROMPTS = ("exam_topics", "exam_left_out", "exam_merge")


@dataclass(frozen=True)
class Named:
    """A topic: its name, and its questions by id in the order they are taught."""

    name: str
    questions: tuple[str, ...]


@dataclass(frozen=True)
class Detected:
    """Topics in which each question stands once. ``labels`` are the words over the parts of a lesson, in the exam's
    language (keys of ``LABELS``)."""

    topics: tuple[Named, ...]
    labels: dict[str, str]


def bounds(questions: int) -> tuple[int, int]:
    """The fewest and the most topics for so many questions: 3 to 12 for a hundred, one for one, and for many hundreds
    so many that a topic has about 25 to 100 of them."""
    fewest = 1 if questions < 8 else 2 if questions < 20 else max(3, questions // 100)
    return fewest, max(1, min(questions // 2, 12), questions // 25)


# --- parts ------------------------------------------------------------------------------------------------------


def entry(number: int, question: Question) -> dict[str, Any]:
    """A question as the model sees it here: what it is about shows in its answers."""
    shown: dict[str, Any] = {"number": number, "question": question["text"]}
    if question["answers"] or question["options"]:
        shown["answers"] = question["answers"][:3] or question["options"]
    if question["tags"]:
        shown["tags"] = question["tags"]
    return shown


def tokens(question: Question) -> int:
    """About how many tokens a question takes."""
    return len(json.dumps(entry(1000, question), ensure_ascii=False)) // CHARACTERS + 1


def overlapping(questions: Sequence[Question], context_tokens: int) -> list[list[Question]]:
    """Parts of at most so many tokens, each of which begins with the last questions of the one before it. A question
    that is larger than that is a part by itself."""
    parts: list[list[Question]] = []
    start = 0
    while True:
        part, used = [questions[start]], tokens(questions[start])
        for question in questions[start + 1 :]:
            used += tokens(question)
            if used > context_tokens:
                break
            part.append(question)
        parts.append(part)
        end = start + len(part)
        if end >= len(questions):
            return parts
        start = end - min(SHARED, len(part) // 3)


# --- what holds whatever the model says -------------------------------------------------------------------------


def once(topics: Iterable[tuple[str, Iterable[str | None]]]) -> tuple[Named, ...]:
    """Topics with proper names in which no question stands twice: the first counts. Two of the same name are one, one
    without questions is none."""
    seen: set[str] = set()
    names: dict[str, str] = {}
    kept: dict[str, list[str]] = {}
    for given, questions in topics:
        name = one_line(given, LONGEST_NAME)
        if not name or is_placeholder(name):
            continue
        key = folded(name)
        for question in questions:
            if question is not None and question not in seen:
                seen.add(question)
                kept.setdefault(key, []).append(question)
                names.setdefault(key, name)
    return tuple(Named(names[key], tuple(questions)) for key, questions in kept.items())


def left_out(topics: Sequence[Named], questions: Sequence[Question]) -> list[Question]:
    """The questions that stand in no topic."""
    placed = {question for topic in topics for question in topic.questions}
    return [question for question in questions if question["id"] not in placed]


# --- kept for other exams ---------------------------------------------------------------------------------------


def made_by(model: str, language: str, questions: Sequence[Question]) -> str:
    """Whatever besides the questions themselves decides what is found in them: the model, the prompts, the language,
    and the tags the author gave them."""
    labels = " ".join(prompt(name).label for name in _PROMPTS)
    tags = sorted([question_key(one), *sorted(one["tags"])] for one in questions if one["tags"])
    tagged = f" tags:{hashlib.sha256(json.dumps(tags).encode()).hexdigest()[:16]}" if tags else ""
    return f"{model} {labels} {language}{tagged}"


def for_keeping(found: Detected, questions: Sequence[Question]) -> dict[str, Any]:
    """What was found, by the questions' own words, so that it holds for another exam with the same questions."""
    keys = {question["id"]: question_key(question) for question in questions}
    topics = [{"name": one.name, "questions": [keys[question] for question in one.questions]} for one in found.topics]
    return {"topics": topics, "labels": found.labels}


def from_kept(kept: dict[str, Any], questions: Sequence[Question]) -> Detected | None:
    """What was kept, for these questions; none when it doesn't fit them."""
    ids = {question_key(question): question["id"] for question in questions}
    topics = once((one["name"], [ids.get(key) for key in one["questions"]]) for one in kept["topics"])
    return None if left_out(topics, questions) else Detected(topics, LABELS | kept["labels"])
