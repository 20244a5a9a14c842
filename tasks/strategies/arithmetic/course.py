"""Computing a course of plain arithmetic: no model, every key worked out, the same seed always gives the same course.

``skeleton`` draws every sum, so that no two places of a course ask the same; ``fill_group`` and ``fill_text`` only put
into words what the plan holds.
"""

from __future__ import annotations

import random
from collections.abc import Sequence

from schema.course import Item, Objective, StudyText, Variant
from schema.grades import school_year
from schema.job import CourseRequest
from schema.problem import Problem
from schema.skeleton import Skeleton, Slot, TextSlot, levels_over
from tasks.strategies.arithmetic.bands import Band, any_sum, drawn
from tasks.strategies.arithmetic.items import item_at
from tasks.strategies.arithmetic.ladders import FIRST_YEAR_BELOW_ZERO, HIGHEST_YEAR, NOUNS, USUAL_YEAR, bands_for
from tasks.strategies.arithmetic.subjects import Scope, scope_of
from tasks.strategies.arithmetic.sums import Op, Sum, sum_of
from tasks.strategies.arithmetic.texts import PARTS, example, lesson, text_id, title_of
from tasks.strategies.arithmetic.words import Storyteller, tellable

#: From this school year on, a third of the items are word problems.
FIRST_YEAR_WITH_STORIES = 2
_STORY_SHARE = 1 / 3
_VARIANTS: tuple[Variant, ...] = ("1", "2", "3")


def operations_for(subject: str) -> list[Op]:
    """The operations a subject asks for; none when it is not plain arithmetic."""
    scope = scope_of(subject)
    return list(scope.operations) if scope else []


def serves(request: CourseRequest) -> bool:
    """Whether everything the subject asks for can be computed, for this school year and language."""
    scope = scope_of(request["subject"])
    if scope is None or request["language"].split("-")[0].lower() != "en":
        return False
    year = _year(scope, request)
    if scope.stories and year < FIRST_YEAR_WITH_STORIES:
        return False
    if scope.signed and (year < FIRST_YEAR_BELOW_ZERO or scope.top or scope.tables or scope.digits):
        return False
    return {band.op for band in bands_for(scope, year)} == set(scope.operations)


def skeleton(request: CourseRequest, seed: int) -> Skeleton:
    """Every place of the course with its sum, and of a word problem its story. Only for requests it ``serves``."""
    scope = _scope(request)
    year = _year(scope, request)
    bands = bands_for(scope, year)
    share = 0.0 if year < FIRST_YEAR_WITH_STORIES else 1.0 if scope.stories else _STORY_SHARE
    slots, infos = _slots(request, bands, share, seed)
    texts, missing = _text_slots(request, scope, bands, seed)
    names = " and ".join(", ".join(NOUNS[op].lower() for op in scope.operations).rsplit(", ", 1))
    return {
        "strategy": "arithmetic",
        "title": request.get("title") or f"{names.capitalize()}: {_audience(year)}",
        "description": f"Practice in {names} for {_audience(year)}, with every answer worked out step by step.",
        "objectives": [_objective(at, band) for at, band in enumerate(bands)],
        "groups": [{"id": _group_id(at, band), "name": band.name} for at, band in enumerate(bands)],
        "levels": levels_over(len(slots), request["levelsCount"]),
        "slots": slots,
        "textSlots": texts,
        "provenance": {"source": "arithmetic", "seed": seed, "verified": True},
        "infos": [info.as_json() for info in (*infos, *missing)],
    }


def fill_group(plan: Skeleton, request: CourseRequest, group_id: str, course_id: str) -> list[Item]:
    """The items of one group, put into words from the sums their places hold."""
    related: dict[str, list[str]] = {}
    for text in plan["textSlots"]:
        for goal in text["learningObjectives"]:
            related.setdefault(goal, []).append(text["id"])
    seed = plan["provenance"]["seed"]
    items: list[Item] = []
    for slot in plan["slots"]:
        if slot["groupId"] == group_id:
            item = item_at(slot, course_id, random.Random(f"{seed}:{slot['ref']}"))
            if texts := related.get(slot["learningObjectiveId"]):
                item["relatedStudyTextIds"] = texts
            items.append(item)
    return items


def fill_text(plan: Skeleton, request: CourseRequest, slot: TextSlot) -> StudyText:
    """One study text, with the example its place holds."""
    part, *parts = slot["ref"].split()
    return {
        "id": slot["id"],
        "title": slot["title"],
        "order": slot["order"],
        "content": lesson(part, sum_of(*parts)),
        "learningObjectives": slot["learningObjectives"],
    }


def _scope(request: CourseRequest) -> Scope:
    scope = scope_of(request["subject"])
    if scope is None:
        raise ValueError(f"{request['subject']!r} is not plain arithmetic.")
    return scope


def _year(scope: Scope, request: CourseRequest) -> int:
    """The school year of a request: from its grade, else from its subject, else the usual one."""
    year = school_year(request.get("grade"), request["gradeBand"], kindergarten=True)
    if year is None:
        year = scope.year
    return USUAL_YEAR if year is None else year


def _audience(year: int) -> str:
    if year > HIGHEST_YEAR:
        return "older learners"
    return "kindergarten" if year == 0 else f"grade {year}"


def _group_id(at: int, band: Band) -> str:
    return f"{NOUNS[band.op].lower()}-{at + 1}"


def _objective(at: int, band: Band) -> Objective:
    return {"id": f"goal-{_group_id(at, band)}", "text": band.goal}


def _slots(
    request: CourseRequest, bands: Sequence[Band], story_share: float, seed: int
) -> tuple[list[Slot], list[Problem]]:
    """The places of all items, and an info for each group that could not be filled."""
    wanted = request["itemsPerGroup"]
    slots: list[Slot] = []
    infos: list[Problem] = []
    taken: set[Sum] = set()
    storyteller = Storyteller(random.Random(f"{seed}:stories"), story_share)
    for at, band in enumerate(bands):
        draw = random.Random(f"{seed}:{_group_id(at, band)}")
        clusters = drawn(band, wanted, taken, draw, tellable if story_share == 1 else any_sum)
        taken.update(one for cluster in clusters for one in cluster)
        for number, cluster in enumerate(clusters, start=1):
            for variant, one in zip(_VARIANTS, cluster, strict=False):
                story = storyteller.next_story(one)
                slots.append(
                    {
                        "id": len(slots),
                        "groupId": _group_id(at, band),
                        "clusterId": f"{_group_id(at, band)}-{number}",
                        "variant": variant,
                        "mode": request["mode"],
                        "ref": one.ref if story is None else f"{one.ref} {story}",
                        "learningObjectiveId": _objective(at, band)["id"],
                    }
                )
        given = sum(map(len, clusters))
        if given < wanted:
            words = f"There are {given} different items for {band.name!r}, {wanted} were asked for."
            infos.append(Problem(f"groups.{_group_id(at, band)}", "fewer_items", words, "info"))
    return slots, infos


def _text_slots(
    request: CourseRequest, scope: Scope, bands: Sequence[Band], seed: int
) -> tuple[list[TextSlot], list[Problem]]:
    """The places of the study texts: first what every operation means, then how it is worked out, then how to check."""
    wanted = request["studyTextsCount"]
    offered = [(op, part) for part in PARTS for op in scope.operations]
    slots: list[TextSlot] = [
        {
            "id": text_id(op, part),
            "title": title_of(op, part),
            "order": order,
            "learningObjectives": [_objective(at, band)["id"] for at, band in enumerate(bands) if band.op == op],
            "ref": f"{part} {example(op, part, bands, random.Random(f'{seed}:{op}:{part}')).ref}",
        }
        for order, (op, part) in enumerate(offered[:wanted])
    ]
    if len(slots) == wanted:
        return slots, []
    words = f"There are {len(slots)} study texts on this subject, {wanted} were asked for."
    return slots, [Problem("studyTexts", "fewer_study_texts", words, "info")]
