"""Planning a course with a model: distinct subtopics first, one exercise each afterwards.

Twelve exercises asked one after another, each with a list of what was asked already, gave two distinct ones with a
small model; twelve subtopics planned first gave twelve.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from schema.course import Objective
from schema.errors import Transient
from schema.job import CourseRequest
from schema.skeleton import Slot, TextSlot
from schema.wording import fold_option
from tasks.prompts import fenced_notes
from tasks.strategies.llm_asking import Complete, about, ask, one_line, taken
from tasks.strategies.llm_schemas import PLAN

FEWEST_GROUPS, MOST_GROUPS = 2, 5
MOST_OBJECTIVES = 12

_ANEW = (
    'Your last plan was incomplete. Its groups and distinct subtopics stand under "lastPlan", what is missing under '
    '"problems". Answer with the whole plan again: keep what was good and add what is missing.'
)


@dataclass(frozen=True)
class Subtopic:
    name: str
    objective: int  # counted from 1; what points nowhere is dropped when places are made


@dataclass(frozen=True)
class PlannedText:
    title: str
    brief: str
    objectives: tuple[int, ...]


@dataclass(frozen=True)
class Plan:
    """A model's plan, cleaned: no empty names, no name twice in the whole course."""

    title: str
    description: str
    objectives: tuple[str, ...]
    groups: tuple[tuple[str, tuple[Subtopic, ...]], ...]
    texts: tuple[PlannedText, ...]


def _distinct(name: str, seen: set[str]) -> bool:
    folded = fold_option(name)
    if not name or folded in seen:
        return False
    seen.add(folded)
    return True


def read_plan(answer: dict[str, Any]) -> Plan:
    """The plan in a model's answer. Limits are those of the course document."""
    seen_groups: set[str] = set()
    seen: set[str] = set()
    groups: dict[str, tuple[Subtopic, ...]] = {}
    for group in answer["groups"]:
        name = one_line(group["name"], 120)
        if len(groups) < MOST_GROUPS and _distinct(name, seen_groups):
            named = [Subtopic(one_line(one["name"], 300), int(one["objective"])) for one in group["subtopics"]]
            groups[name] = tuple(one for one in named if _distinct(one.name, seen))
    seen_texts: set[str] = set()
    texts = [
        PlannedText(
            one_line(one["title"], 200), taken(one["brief"], 1000), tuple(int(number) for number in one["objectives"])
        )
        for one in answer["studyTexts"]
    ]
    objectives = [one_line(text, 500) for text in answer["objectives"]][:MOST_OBJECTIVES]
    return Plan(
        title=one_line(answer["title"], 120),
        description=taken(answer["description"], 2000),
        # An empty objective keeps its place, since subtopics point at places; it counts as a gap.
        objectives=tuple(objectives),
        groups=tuple(groups.items()),
        texts=tuple(text for text in texts if _distinct(text.title, seen_texts)),
    )


def gaps(plan: Plan, request: CourseRequest) -> list[str]:
    """What is missing in a plan, in words for the model and for the author."""
    found = []
    if not plan.title:
        found.append("The title is empty.")
    if not plan.objectives or not all(plan.objectives):
        found.append("There are no objectives, or empty ones.")
    if len(plan.groups) < FEWEST_GROUPS:
        found.append(f"There are {len(plan.groups)} distinct groups, {FEWEST_GROUPS} to {MOST_GROUPS} are wanted.")
    wanted = request["itemsPerGroup"]
    for name, subtopics in plan.groups:
        if len(subtopics) < wanted:
            found.append(f"The group {name!r} has {len(subtopics)} distinct subtopics, {wanted} are wanted.")
    if len(plan.texts) < request["studyTextsCount"]:
        found.append(f"There are {len(plan.texts)} distinct study texts, {request['studyTextsCount']} are wanted.")
    return found


def merged(first: Plan, second: Plan) -> Plan:
    """The second plan, each group filled up with the subtopics the first had for a group of that name. Those lose
    their objective, whose number may mean another one now."""
    earlier = {fold_option(name): subtopics for name, subtopics in first.groups}
    seen = {fold_option(one.name) for _, subtopics in second.groups for one in subtopics}
    groups = []
    for name, subtopics in second.groups:
        more = tuple(
            replace(one, objective=0) for one in earlier.get(fold_option(name), ()) if _distinct(one.name, seen)
        )
        groups.append((name, subtopics + more))
    return Plan(second.title, second.description, second.objectives, tuple(groups), second.texts)


async def whole_plan(request: CourseRequest, complete: Complete) -> Plan:
    """A plan without gaps. One with gaps is asked for once more with what is missing.

    Raises ``Transient`` (``plan_incomplete``) when there still are gaps: another run may do better.
    """
    plan = read_plan(await complete(_question(request)))
    if missing := gaps(plan, request):
        plan = merged(plan, read_plan(await complete(_question(request, plan, missing))))
        if missing := gaps(plan, request):
            words = f"The model's plan is incomplete. {' '.join(missing)} Ask for fewer items, or widen the subject."
            raise Transient(words, code="plan_incomplete", details={"missing": missing})
    return plan


def _question(request: CourseRequest, last: Plan | None = None, missing: Sequence[str] = ()) -> Any:
    """For a plan; after one with gaps, what it had and lacked are facts too: a model wrote its names."""
    facts = about(request)
    if "title" in request:
        facts["title"] = request["title"]
    facts |= {"itemsPerGroup": request["itemsPerGroup"], "studyTextsCount": request["studyTextsCount"]}
    if last is not None:
        had = [{"group": name, "subtopics": [one.name for one in subtopics]} for name, subtopics in last.groups]
        facts |= {"lastPlan": had, "problems": list(missing)}
    return ask(
        "plan",
        "plan",
        "course_plan",
        PLAN,
        facts,
        itemsPerGroup=str(request["itemsPerGroup"]),
        studyTextsCount=str(request["studyTextsCount"]),
        notes=fenced_notes(request.get("notes", "")),
        complaint=_ANEW if last is not None else "",
    )


def objectives_of(plan: Plan) -> list[Objective]:
    return [{"id": f"objective-{at}", "text": text} for at, text in enumerate(plan.objectives, start=1)]


def slots_of(plan: Plan, request: CourseRequest) -> list[Slot]:
    """A place for each subtopic, as many per group as were asked for; what a plan has beyond that is left out."""
    slots: list[Slot] = []
    for group_at, (_, subtopics) in enumerate(plan.groups, start=1):
        for at, subtopic in enumerate(subtopics[: request["itemsPerGroup"]], start=1):
            slot: Slot = {
                "id": len(slots),
                "groupId": f"group-{group_at}",
                "clusterId": f"group-{group_at}-{at}",
                "variant": "1",
                "mode": request["mode"],
                "subtopic": subtopic.name,
            }
            if 1 <= subtopic.objective <= len(plan.objectives):
                slot["learningObjectiveId"] = f"objective-{subtopic.objective}"
            slots.append(slot)
    return slots


def text_slots_of(plan: Plan, request: CourseRequest) -> list[TextSlot]:
    return [
        {
            "id": f"text-{order + 1}",
            "title": text.title,
            "order": order,
            "learningObjectives": [
                f"objective-{one}" for one in sorted(set(text.objectives)) if 1 <= one <= len(plan.objectives)
            ],
            "brief": text.brief,
        }
        for order, text in enumerate(plan.texts[: request["studyTextsCount"]])
    ]
