"""A small valid course, and its parts. Every function takes the fields that matter to a test; the rest is sound.

``check(course())`` finds nothing, not even a warning.
"""

from __future__ import annotations

from typing import Any

# What is asked, the right answer, three wrong ones. No two are alike; keys are not the longest options.
QUESTIONS = (
    ("Plants take in light with their [blank].", "leaves", ("flowers", "roots", "seeds")),
    ("The nearest star to us is called [blank].", "the sun", ("Polaris", "Sirius", "the moon")),
    ("Water turns to ice when it gets [blank].", "cold", ("warm", "salty", "dark")),
    ("A spider walks on [blank] legs.", "eight", ("six", "four", "two")),
    ("Bees carry [blank] from bloom to bloom.", "pollen", ("honeycomb", "sand", "soil")),
    ("We hear with our [blank].", "ears", ("eyes", "noses", "hands")),
)

CONTENT = (
    "[SECTION:What plants need]\n\nPlants need light, water and air. Leaves take in the light.\n\n"
    "[IMAGE: a leaf in the sun]\n\n[SECTION:What plants give]\n\nPlants give us food. They also clean the air."
)


def option_item(item_id: int = 0, **changes: Any) -> dict[str, Any]:
    """An item with four options; the key's place goes round with the id, the question too."""
    text, answer, distractors = QUESTIONS[item_id % len(QUESTIONS)]
    index = item_id % 4
    return {
        "id": item_id,
        "groupId": "group-1",
        "clusterId": f"cluster-{item_id}",
        "variant": "1",
        "mode": "options",
        "text": text,
        "options": [*distractors[:index], answer, *distractors[index:]],
        "correctIndex": index,
        "hint": "Think of what you see outdoors.",
        "explain": "You can see it for yourself.",
        "learningObjectiveId": "objective-1",
        "relatedStudyTextIds": ["text-1"],
    } | changes


def numeric_item(item_id: int = 0, a: int = 7, b: int = 5, **changes: Any) -> dict[str, Any]:
    """An item that asks for the sum of ``a`` and ``b``."""
    return {
        "id": item_id,
        "groupId": "group-1",
        "clusterId": f"cluster-{item_id}",
        "variant": "1",
        "mode": "numeric",
        "text": f"{a} + {b} = [blank]",
        "answer": a + b,
        "arithmetic": {"a": a, "b": b, "op": "+", "expected": a + b},
    } | changes


def study_text(order: int = 0, **changes: Any) -> dict[str, Any]:
    return {
        "id": f"text-{order + 1}",
        "title": "Plants around us",
        "order": order,
        "content": CONTENT,
        "learningObjectives": ["objective-1"],
    } | changes


def course(**changes: Any) -> dict[str, Any]:
    """Six items in two levels, one study text. When ``items`` are given without ``levels``, one level covers them."""
    items = changes.get("items", [option_item(item_id) for item_id in range(6)])
    levels = [
        {"id": "level-1", "title": "Level 1", "start": 0, "end": 2},
        {"id": "level-2", "title": "Level 2", "start": 3, "end": 5},
    ]
    if "items" in changes:
        levels = [{"id": "level-1", "title": "Level 1", "start": 0, "end": len(items) - 1}]
    return {
        "id": "nature-abc234",
        "title": "Nature around us",
        "description": "A first look at nature.",
        "subject": "Nature",
        "gradeBand": "3-5",
        "grade": "4",
        "language": "en",
        "visibility": "org",
        "tags": ["nature"],
        "contentVersion": "1",
        "objectives": [{"id": "objective-1", "text": "Say what plants need."}],
        "groups": [{"id": "group-1", "name": "First steps"}],
        "levels": levels,
        "items": items,
        "studyTexts": [study_text()],
        "topics": [],
        "provenance": {"source": "editor", "verified": False},
    } | changes
