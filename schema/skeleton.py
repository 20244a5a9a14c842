"""The skeleton of a course: every place that will be filled, with its identity fixed before any content exists.

Filling and repairing never change an identity field (``id, groupId, clusterId, variant, mode``), so two groups can
be filled side by side, and a repaired item lands exactly where the broken one stood.
"""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from schema.course import Group, Level, Mode, Objective, Provenance, Variant
from schema.problem import ProblemJson

StrategyName = Literal["pack", "arithmetic", "llm"]


class Slot(TypedDict):
    """A place for one item. ``ref`` names the pack's template; ``subtopic`` tells a model what to ask about."""

    id: int
    groupId: str
    clusterId: str
    variant: Variant
    mode: Mode
    ref: NotRequired[str]
    subtopic: NotRequired[str]
    learningObjectiveId: NotRequired[str]


class TextSlot(TypedDict):
    """A place for one study text. ``ref`` names the pack's section; ``brief`` tells a model what to write."""

    id: str
    title: str
    order: int
    learningObjectives: list[str]
    ref: NotRequired[str]
    brief: NotRequired[str]


class Skeleton(TypedDict):
    strategy: StrategyName
    title: str
    description: str
    objectives: list[Objective]
    groups: list[Group]
    levels: list[Level]
    slots: list[Slot]
    textSlots: list[TextSlot]
    provenance: Provenance
    infos: list[ProblemJson]


def levels_over(item_count: int, levels_count: int) -> list[Level]:
    """Split ``item_count`` items into at most ``levels_count`` even stretches; earlier ones may be one longer."""
    count = max(1, min(levels_count, item_count))
    size, longer = divmod(item_count, count)
    levels: list[Level] = []
    start = 0
    for index in range(count):
        length = size + (1 if index < longer else 0)
        levels.append(
            {"id": f"level-{index + 1}", "title": f"Level {index + 1}", "start": start, "end": start + length - 1}
        )
        start += length
    return levels
