"""Compiling a course from a pack: no model, and the same seed always gives the same course."""

from __future__ import annotations

import random

from schema.course import Item, StudyText
from schema.grades import school_year
from schema.job import CourseRequest
from schema.normalize import placed_options
from schema.pack import Pack, PackTemplate, fold, wrong_answers
from schema.problem import Problem
from schema.skeleton import Skeleton, Slot, TextSlot, levels_over


def serves(pack: Pack, request: CourseRequest) -> bool:
    """Whether a pack is for this subject, grade, language and mode (packs offer options, not numeric answers)."""
    if request["mode"] != "options" or request["language"].split("-")[0].lower() != pack["language"]:
        return False
    if fold(request["subject"]) not in {fold(name) for name in (pack["topic"], *pack["aliases"])}:
        return False
    year = school_year(request.get("grade"), request["gradeBand"])
    return year is None or pack["grades"]["lowest"] <= year <= pack["grades"]["highest"]


def find_pack(packs: tuple[Pack, ...], request: CourseRequest) -> Pack | None:
    """The pack for a request. Where several fit, the one with the narrowest range of grades."""
    fitting = [pack for pack in packs if serves(pack, request)]
    return min(
        fitting, key=lambda pack: (pack["grades"]["highest"] - pack["grades"]["lowest"], pack["id"]), default=None
    )


def _chosen(pack: Pack, group_id: str, wanted: int, draw: random.Random) -> list[list[PackTemplate]]:
    """At most ``wanted`` templates of a group as clusters: those of one fact together, at most
    ``variantsPerFact`` each. Facts take turns, so a small choice still touches many facts."""
    by_fact: dict[str, list[PackTemplate]] = {}
    for template in pack["templates"]:
        if template["group"] == group_id:
            by_fact.setdefault(template["fact"], []).append(template)
    size = pack["blueprint"]["variantsPerFact"]
    clusters = []
    for templates in by_fact.values():
        draw.shuffle(templates)
        clusters += [templates[at : at + size] for at in range(0, len(templates), size)]
    draw.shuffle(clusters)
    taken: list[list[PackTemplate]] = [[] for _ in clusters]
    left = wanted
    for turn in range(size):
        for index, cluster in enumerate(clusters):
            if left and turn < len(cluster):
                taken[index].append(cluster[turn])
                left -= 1
    return [cluster for cluster in taken if cluster]


def skeleton(pack: Pack, request: CourseRequest, seed: int) -> Skeleton:
    """Every place of the course, each item's place bound to one template and each text's to one section."""
    slots: list[Slot] = []
    infos: list[Problem] = []
    for group in pack["groups"]:
        draw = random.Random(f"{seed}:{group['id']}")
        before = len(slots)
        for number, cluster in enumerate(_chosen(pack, group["id"], request["itemsPerGroup"], draw), start=1):
            for variant, template in enumerate(cluster, start=1):
                slots.append(
                    {
                        "id": len(slots),
                        "groupId": group["id"],
                        "clusterId": f"{group['id']}-{number}",
                        "variant": ("1", "2", "3")[variant - 1],
                        "mode": "options",
                        "ref": template["id"],
                        "learningObjectiveId": template["goal"],
                    }
                )
        given = len(slots) - before
        if given < request["itemsPerGroup"]:
            words = f"The pack has {given} items for {group['name']!r}, {request['itemsPerGroup']} were asked for."
            infos.append(Problem(f"groups.{group['id']}", "fewer_items", words, "info"))
    sections = pack["sections"][: request["studyTextsCount"]]
    if len(sections) < request["studyTextsCount"]:
        words = f"The pack has {len(sections)} study texts, {request['studyTextsCount']} were asked for."
        infos.append(Problem("studyTexts", "fewer_study_texts", words, "info"))
    texts: list[TextSlot] = [
        {
            "id": section["id"],
            "title": section["title"],
            "order": order,
            "learningObjectives": list(section["goals"]),
            "ref": section["id"],
        }
        for order, section in enumerate(sections)
    ]
    used = {fact_source for fact in pack["facts"] for fact_source in fact["sources"]}
    return {
        "strategy": "pack",
        "title": request.get("title") or pack["title"],
        "description": pack["description"],
        "objectives": [{"id": goal["id"], "text": goal["text"]} for goal in pack["goals"]],
        "groups": [{"id": group["id"], "name": group["name"]} for group in pack["groups"]],
        "levels": levels_over(len(slots), request["levelsCount"]),
        "slots": slots,
        "textSlots": texts,
        "provenance": {
            "source": "pack",
            "packId": pack["id"],
            "packVersion": pack["version"],
            "seed": seed,
            "verified": True,
            "sources": [
                {"title": source["title"], "publisher": source["publisher"], "url": source["url"]}
                for source in pack["sources"]
                if source["id"] in used
            ],
        },
        "infos": [info.as_json() for info in infos],
    }


def fill_group(pack: Pack, plan: Skeleton, group_id: str, course_id: str) -> list[Item]:
    """The items of one group, from the templates their places are bound to."""
    templates = {template["id"]: template for template in pack["templates"]}
    facts = {fact["id"]: fact["text"] for fact in pack["facts"]}
    by_goal: dict[str, list[str]] = {}
    for text in plan["textSlots"]:
        for goal in text["learningObjectives"]:
            by_goal.setdefault(goal, []).append(text["id"])
    items: list[Item] = []
    for slot in plan["slots"]:
        if slot["groupId"] != group_id:
            continue
        template = templates[slot["ref"]]
        draw = random.Random(f"{plan['provenance']['seed']}:{template['id']}")
        wrong = draw.sample(wrong_answers(pack, template), k=len(wrong_answers(pack, template)))
        options, key = placed_options(
            course_id, slot["id"], template["answer"], wrong[: pack["blueprint"]["optionsPerItem"] - 1]
        )
        item: Item = {
            "id": slot["id"],
            "groupId": slot["groupId"],
            "clusterId": slot["clusterId"],
            "variant": slot["variant"],
            "mode": "options",
            "text": template["text"],
            "options": options,
            "correctIndex": key,
            "explain": template.get("explain", facts[template["fact"]]),
            "learningObjectiveId": template["goal"],
        }
        if "hint" in template:
            item["hint"] = template["hint"]
        if related := by_goal.get(template["goal"]):
            item["relatedStudyTextIds"] = related
        reasons = {option: template["wrong"][option] for option in options if option in template.get("wrong", {})}
        if reasons:
            item["wrongExplanations"] = reasons
        items.append(item)
    return items


def fill_text(pack: Pack, slot: TextSlot) -> StudyText:
    """One study text, from the section its place is bound to."""
    section = next(section for section in pack["sections"] if section["id"] == slot["ref"])
    return {
        "id": slot["id"],
        "title": slot["title"],
        "order": slot["order"],
        "content": section["content"],
        "learningObjectives": slot["learningObjectives"],
    }
