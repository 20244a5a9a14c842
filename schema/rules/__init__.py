"""The rules a course must keep: pure checks over the whole document, each finding a ``Problem`` (public contract 4).

First the shape is judged (code ``malformed``). Items and study texts of a sound shape are then judged one by one, also
when others are not; rules about the course as a whole need a course whose whole shape is sound.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from schema.problem import Problem
from schema.rules.arithmetic import check_arithmetic
from schema.rules.draft import Limits, read_draft
from schema.rules.habits import check_habits
from schema.rules.items import check_item
from schema.rules.language import check_language
from schema.rules.likeness import check_likeness
from schema.rules.references import check_references
from schema.rules.texts import check_texts
from schema.rules.topics import check_topics

__all__ = ["Limits", "check"]


def check(course: Mapping[str, Any], limits: Limits | None = None) -> list[Problem]:
    """Every problem of a course, errors and warnings, in a stable order. Raises nothing, whatever is given.

    The course is judged as it stands: call ``schema.normalize.normalize_course`` before.
    """
    draft, problems = read_draft(course)
    for place, item in draft.items:
        problems += check_item(place, item)
        problems += check_arithmetic(place, item)
    problems += check_texts(draft)
    problems += check_likeness(draft)
    problems += check_habits(draft)
    problems += check_language(draft, limits or Limits())
    if draft.whole is not None:
        problems += check_references(draft.whole)
        problems += check_topics(draft.whole["topics"])
    return problems
