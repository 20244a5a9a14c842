"""What the scripted model answers: JSON of the asked shape, from the JSON block in the question."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

from tests.fakes import exam_answers
from tests.fakes.knowledge import FACTS, Known, answer_to, hashed, known, subtopics

_BLOCK = re.compile(r"```json\n(.*?)\n```", re.DOTALL)

#: What a question is for, by the name of its schema.
PURPOSES = {
    "course_plan": "plan",
    "option_items": "items",
    "numeric_items": "items",
    "option_repair": "repair",
    "numeric_repair": "repair",
    "study_text": "study_text",
    "illustrated_text": "study_text",
    "option_answers": "verify",
    "numeric_answers": "verify",
    **exam_answers.PURPOSES,
}


def facts_in(question: str) -> dict[str, Any]:
    """The first JSON block of a question; empty when it has none."""
    found = _BLOCK.search(question)
    facts = json.loads(found[1]) if found else {}
    return facts if isinstance(facts, dict) else {}


def answer(schema_name: str, schema: dict[str, Any], question: str) -> Any:
    """A right answer of the asked shape; for a schema that isn't ours, any value that fits it."""
    give = _ANSWERS.get(schema_name)
    return give(facts_in(question)) if give else sample(schema)


def _plan(facts: dict[str, Any]) -> dict[str, Any]:
    subject, mode, wanted = facts["subject"], facts["mode"], facts["itemsPerGroup"]
    names = subtopics(subject, mode, 2 * wanted)
    return {
        "title": f"{subject} step by step"[:100],
        "description": f"A short course about {subject}, with texts to read and questions to practise.",
        "objectives": [
            "Name simple facts and use them.",
            "Read a short text and find what matters in it.",
            "Answer questions without help.",
        ],
        "groups": [
            {
                "name": name,
                "subtopics": [
                    {"name": one, "objective": 1 + at % 3} for at, one in enumerate(names[turn * wanted :][:wanted])
                ],
            }
            for turn, name in enumerate(("First steps", "Going further"))
        ],
        "studyTexts": [
            {
                "title": f"Reading {at}: {FACTS[(hashed(subject) + 7 * at) % len(FACTS)].subtopic}",
                "brief": "What to know before the questions of this part.",
                "objectives": [1 + at % 3],
            }
            for at in range(1, facts["studyTextsCount"] + 1)
        ],
    }


def _item(number: int, one: Known, mode: str) -> dict[str, Any]:
    item: dict[str, Any] = {"number": number, "question": one.question}
    if mode == "numeric":
        item["answer"] = one.number
    else:
        item["correct_answer"] = one.answer
        item["distractors"] = [
            {"text": wrong, "reason": f"With {wrong} the sentence would be false. {one.sentence}"}
            for wrong in one.wrong
        ]
    sign = "digits" if one.number is not None else "letters"
    item["hint"] = f"Read it twice. The answer has {len(one.answer)} {sign}."
    item["explanation"] = f"This is how the full sentence reads: {one.sentence}"
    return item


def _items(facts: dict[str, Any]) -> dict[str, Any]:
    asked = facts.get("subtopics") or facts.get("exercises") or []
    mode = facts["mode"]
    return {"items": [_item(one["number"], known(one["subtopic"], mode), mode) for one in asked]}


def _study_text(facts: dict[str, Any]) -> dict[str, Any]:
    start = hashed(facts["title"])
    sentences = [FACTS[(start + at) % len(FACTS)].sentence for at in range(16)]
    sections = [
        {
            "title": title,
            "body": f"{lead} {' '.join(sentences[turn * 8 : turn * 8 + 4])}\n\n"
            f"{' '.join(sentences[turn * 8 + 4 : turn * 8 + 8])}",
            "picture": picture,
        }
        for turn, (title, lead, picture) in enumerate(
            (
                ("What there is to know", "Read this part slowly.", "A child at a desk with an open book"),
                ("Look again", "Now cover the text and say it in your own words.", ""),
            )
        )
    ]
    return {"sections": sections}


def _illustrated_or_not(pictures: bool) -> Callable[[dict[str, Any]], dict[str, Any]]:
    def give(facts: dict[str, Any]) -> dict[str, Any]:
        written = _study_text(facts)
        for section in written["sections"]:
            if not pictures:
                del section["picture"]
        return written

    return give


def _answers(facts: dict[str, Any]) -> dict[str, Any]:
    """Answers found from the questions alone: this side has no memory of what it wrote."""
    answers = []
    for one in facts["questions"]:
        options = one.get("options")
        right = answer_to(one["question"])
        if options is None:
            value: Any = float(right) if right is not None else 0.0
        else:
            value = right if right in options.values() else options["A"]
        sure = right is not None and (options is None or right in options.values())
        answers.append({"number": one["number"], "answer": value, "confidence": 0.97 if sure else 0.2})
    return {"answers": answers}


_ANSWERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "course_plan": _plan,
    "option_items": _items,
    "numeric_items": _items,
    "option_repair": _items,
    "numeric_repair": _items,
    "study_text": _illustrated_or_not(pictures=False),
    "illustrated_text": _illustrated_or_not(pictures=True),
    "option_answers": _answers,
    "numeric_answers": _answers,
    **exam_answers.ANSWERS,
}


def sample(schema: dict[str, Any]) -> Any:
    """The simplest value that fits a schema."""
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = kind[0]
    if kind == "object":
        return {key: sample(inner) for key, inner in schema.get("properties", {}).items()}
    if kind == "array":
        return [sample(schema.get("items", {"type": "string"})) for _ in range(max(1, schema.get("minItems", 1)))]
    return {"integer": 1, "number": 1.5, "boolean": True, "null": None}.get(str(kind), "some words")


def with_wrong_key(value: Any, count: int) -> Any:
    """The first ``count`` items with a wrong answer as their key."""
    for item in value.get("items", [])[:count]:
        if "correct_answer" in item:
            first = item["distractors"][0]
            item["correct_answer"], first["text"] = first["text"], item["correct_answer"]
        else:
            item["answer"] += 1
    return exam_answers.with_wrong_answers(value, count)


def with_duplicates(value: Any) -> Any:
    """Every item like the first, but for its number."""
    items = value.get("items", [])
    if not items:
        return exam_answers.with_doubled_questions(value)
    return {**value, "items": [{**items[0], "number": item["number"]} for item in items]}


def with_items_missing(value: Any, count: int) -> Any:
    """Without the last ``count`` items."""
    if "items" not in value:
        return exam_answers.with_questions_missing(value, count)
    return {**value, "items": value["items"][: len(value["items"]) - count]}
