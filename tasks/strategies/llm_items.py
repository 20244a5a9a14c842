"""Writing and mending exercises with a model.

The model gives a question, its correct answer and wrong answers with reasons; code places the answer. Asked for an
index into its own options, a small model got 8 of 20 keys right; asked this way, 14, and 20 with the fact at hand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from schema.course import Item
from schema.job import CourseRequest
from schema.normalize import placed_options
from schema.problem import Problem
from schema.skeleton import Skeleton, Slot
from tasks.clients.loop import side_by_side
from tasks.prompts import fenced_notes
from tasks.strategies.llm_asking import Complete, about, ask, by_number, portions, taken
from tasks.strategies.llm_schemas import NUMERIC_ITEMS, OPTION_ITEMS

#: Limits of the course document (``schema.course.ItemSchema``).
LONGEST_TEXT, LONGEST_OPTION, LONGEST_HINT, LONGEST_EXPLANATION = 2000, 200, 200, 1000
DISTRACTORS = 3
#: Beyond it, numbers are no longer exact in JSON.
LARGEST_ANSWER = 2**53

_MODE_RULES = {
    "options": (
        '- "correct_answer" fills the gap; it is short and the only answer that fits. "distractors" are exactly three '
        'different wrong answers of the same kind, length and form, each with a "reason" why it is wrong.'
    ),
    "numeric": '- "answer" is a plain number without a unit that can be worked out from the question.',
}


async def group_items(
    request: CourseRequest, plan: Skeleton, group_id: str, course_id: str, complete: Complete
) -> list[Item]:
    """The items of one group, in the order of their places. A subtopic the model left out is an item without text,
    which validation names and repair asks for."""
    slots = [slot for slot in plan["slots"] if slot["groupId"] == group_id]
    answers = await side_by_side(_written(request, plan, part, complete) for part in portions(slots))
    by_id = {slot_id: answer for part in answers for slot_id, answer in part.items()}
    return [_filled(_empty(slot, plan), by_id.get(slot["id"]), course_id) for slot in slots]


async def mended_items(
    request: CourseRequest,
    plan: Skeleton,
    faulty: Sequence[tuple[Item, Sequence[Problem]]],
    course_id: str,
    complete: Complete,
) -> list[Item]:
    """Each faulty item written anew, in the given order. Identity and references stay; an item the model left out,
    or wrote in a way that can't be kept, stays as it was, so that its problems are found again."""
    answers = await side_by_side(_mended(request, plan, part, complete) for part in portions(faulty))
    by_id = {item_id: answer for part in answers for item_id, answer in part.items()}
    mended = []
    for item, _ in faulty:
        anew = _filled(_bare(item), by_id.get(item["id"]), course_id)
        mended.append(anew if anew["text"] else item)
    return mended


async def _written(
    request: CourseRequest, plan: Skeleton, slots: Sequence[Slot], complete: Complete
) -> dict[int, dict[str, Any]]:
    """The model's exercises for these places, by the place's id. The call counts them from 1, because models do."""
    objectives = {objective["id"]: objective["text"] for objective in plan["objectives"]}
    subtopics = []
    for number, slot in enumerate(slots, start=1):
        entry: dict[str, Any] = {"number": number, "subtopic": slot.get("subtopic", "")}
        if objective := objectives.get(slot.get("learningObjectiveId", "")):
            entry["objective"] = objective
        subtopics.append(entry)
    facts = about(request) | {"course": plan["title"], "group": _group_name(plan, slots[0]), "subtopics": subtopics}
    numeric = request["mode"] == "numeric"
    question = ask(
        "items",
        "items_numeric" if numeric else "items",
        "numeric_items" if numeric else "option_items",
        NUMERIC_ITEMS if numeric else OPTION_ITEMS,
        facts,
        notes=fenced_notes(request.get("notes", "")),
    )
    answers = by_number((await complete(question))["items"])
    return {slot["id"]: answers[number] for number, slot in enumerate(slots, start=1) if number in answers}


async def _mended(
    request: CourseRequest, plan: Skeleton, faulty: Sequence[tuple[Item, Sequence[Problem]]], complete: Complete
) -> dict[int, dict[str, Any]]:
    subtopics = {slot["id"]: slot.get("subtopic", "") for slot in plan["slots"]}
    exercises = [
        {
            "number": number,
            "subtopic": subtopics.get(item["id"], ""),
            "question": item["text"],
            **_told_answer(item),
            "problems": [f"{problem.code}: {problem.message}" for problem in problems],
        }
        for number, (item, problems) in enumerate(faulty, start=1)
    ]
    mode = request["mode"]
    question = ask(
        "repair",
        "repair",
        "numeric_repair" if mode == "numeric" else "option_repair",
        NUMERIC_ITEMS if mode == "numeric" else OPTION_ITEMS,
        about(request) | {"course": plan["title"], "exercises": exercises},
        rules=_MODE_RULES[mode],
        notes=fenced_notes(request.get("notes", "")),
    )
    answers = by_number((await complete(question))["items"])
    return {item["id"]: answers[number] for number, (item, _) in enumerate(faulty, start=1) if number in answers}


def _group_name(plan: Skeleton, slot: Slot) -> str:
    return next((group["name"] for group in plan["groups"] if group["id"] == slot["groupId"]), "")


def _told_answer(item: Item) -> dict[str, Any]:
    """What a faulty item holds as its answer, in the words the model is asked to use."""
    if item["mode"] == "numeric":
        return {"answer": item.get("answer")}
    options, key = item.get("options", []), item.get("correctIndex", -1)
    if not 0 <= key < len(options):
        return {"options": options}
    return {"correct_answer": options[key], "distractors": options[:key] + options[key + 1 :]}


def _empty(slot: Slot, plan: Skeleton) -> Item:
    item: Item = {
        "id": slot["id"],
        "groupId": slot["groupId"],
        "clusterId": slot["clusterId"],
        "variant": slot["variant"],
        "mode": slot["mode"],
        "text": "",
    }
    if objective := slot.get("learningObjectiveId"):
        item["learningObjectiveId"] = objective
        if related := [text["id"] for text in plan["textSlots"] if objective in text["learningObjectives"]]:
            item["relatedStudyTextIds"] = related
    return item


def _bare(item: Item) -> Item:
    """An item without its content: identity, references and a picture that belongs to the whole exercise stay."""
    bare: Item = {
        "id": item["id"],
        "groupId": item["groupId"],
        "clusterId": item["clusterId"],
        "variant": item["variant"],
        "mode": item["mode"],
        "text": "",
    }
    if "learningObjectiveId" in item:
        bare["learningObjectiveId"] = item["learningObjectiveId"]
    if "relatedStudyTextIds" in item:
        bare["relatedStudyTextIds"] = item["relatedStudyTextIds"]
    if "stimulus" in item:
        bare["stimulus"] = item["stimulus"]
    return bare


def _filled(item: Item, answer: dict[str, Any] | None, course_id: str) -> Item:
    """The item with a model's answer in it. What the document can't hold leaves the item without text."""
    question = taken(answer["question"]) if answer else ""
    if answer is None or not question or len(question) > LONGEST_TEXT:
        return item
    if item["mode"] == "numeric":
        if not abs(answer["answer"]) <= LARGEST_ANSWER:  # nor is it infinite or not a number
            return item
        item["answer"] = answer["answer"]
    elif not _place(item, answer, course_id):
        return item
    item["text"] = question
    if hint := taken(answer["hint"], LONGEST_HINT):
        item["hint"] = hint
    if explanation := taken(answer["explanation"], LONGEST_EXPLANATION):
        item["explain"] = explanation
    return item


def _place(item: Item, answer: dict[str, Any], course_id: str) -> bool:
    """Put options, key and reasons into the item; says whether they could be kept. How many there are and whether
    they differ is judged by the rules, not here."""
    correct = taken(answer["correct_answer"])
    wrong = [(taken(one["text"]), taken(one["reason"], LONGEST_EXPLANATION)) for one in answer["distractors"]]
    wrong = [(text, reason) for text, reason in wrong if text][:DISTRACTORS]
    if not correct or any(len(text) > LONGEST_OPTION for text in (correct, *(text for text, _ in wrong))):
        return False
    item["options"], item["correctIndex"] = placed_options(course_id, item["id"], correct, [text for text, _ in wrong])
    if reasons := {text: reason for text, reason in wrong if reason}:
        item["wrongExplanations"] = reasons
    return True
