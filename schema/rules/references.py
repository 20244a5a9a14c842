"""How the parts of a course hang together: ids, references, and levels that cover every item."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from schema.course import Course
from schema.problem import Problem
from schema.rules.draft import finding


def check_references(course: Course) -> Iterator[Problem]:
    """``invalid_item_ids``, ``duplicate_id``, ``unknown_reference`` and ``level_range``."""
    for place, item in enumerate(course["items"]):
        if item["id"] != place:
            words = (
                f"Questions are numbered from 0 without gaps: here {place} is due, not {item['id']}. Number them anew."
            )
            yield finding(f"items.{place}.id", "invalid_item_ids", words)
            break
    sections: tuple[tuple[str, Sequence[Mapping[str, Any]]], ...] = (
        ("groups", course["groups"]),
        ("objectives", course["objectives"]),
        ("studyTexts", course["studyTexts"]),
        ("levels", course["levels"]),
        ("topics", course["topics"]),
    )
    for section, entries in sections:
        seen: set[str] = set()
        for place, entry in enumerate(entries):
            if entry["id"] in seen:
                words = f"The id {entry['id']!r} is used twice. Give each entry its own."
                yield finding(f"{section}.{place}.id", "duplicate_id", words)
            seen.add(entry["id"])
    yield from _check_pointers(course)
    yield from _check_levels(course)


def _check_pointers(course: Course) -> Iterator[Problem]:
    groups = {group["id"] for group in course["groups"]}
    objectives = {objective["id"] for objective in course["objectives"]}
    texts = {text["id"] for text in course["studyTexts"]}
    for place, item in enumerate(course["items"]):
        path = f"items.{place}"
        if item["groupId"] not in groups:
            yield _unknown(f"{path}.groupId", "group", item["groupId"])
        if "learningObjectiveId" in item and item["learningObjectiveId"] not in objectives:
            yield _unknown(f"{path}.learningObjectiveId", "learning objective", item["learningObjectiveId"])
        for number, text_id in enumerate(item.get("relatedStudyTextIds", [])):
            if text_id not in texts:
                yield _unknown(f"{path}.relatedStudyTextIds.{number}", "study text", text_id)
        if "optionMedia" in item and len(item["optionMedia"]) != len(item.get("options", [])):
            words = "There must be one medium, or none at its place, for each option. Add or remove some."
            yield finding(f"{path}.optionMedia", "unknown_reference", words)
    for place, text in enumerate(course["studyTexts"]):
        for number, objective_id in enumerate(text["learningObjectives"]):
            if objective_id not in objectives:
                path = f"studyTexts.{place}.learningObjectives.{number}"
                yield _unknown(path, "learning objective", objective_id)


def _unknown(path: str, kind: str, wanted: str) -> Problem:
    words = f"There is no {kind} with the id {wanted!r}. Refer to one that exists, or add it."
    return finding(path, "unknown_reference", words)


def _check_levels(course: Course) -> Iterator[Problem]:
    """Levels cover 0 to n-1 in their order, each item once. After a fault, counting goes on from what is there."""
    due = 0
    last = len(course["items"]) - 1
    for place, level in enumerate(course["levels"]):
        name, start, end = level["title"], level["start"], level["end"]
        fault = None
        if start > end:
            fault = f"The level {name!r} ends before it starts."
        elif start != due:
            fault = f"The level {name!r} must start at question {due}, not {start}."
        elif end > last:
            fault = f"The level {name!r} ends at question {end}, but the last question is {last}."
        if fault:
            yield finding(
                f"levels.{place}", "level_range", f"{fault} Let the levels cover every question once, in order."
            )
        due = max(start, end) + 1
    if due <= last:
        words = f"The questions {due} to {last} are in no level. Let the last level end at {last}."
        yield finding(f"levels.{len(course['levels']) - 1}", "level_range", words)
