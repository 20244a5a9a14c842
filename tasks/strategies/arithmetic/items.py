"""The item of one place of an arithmetic course."""

from __future__ import annotations

import random

from schema.course import Item
from schema.normalize import placed_options
from schema.skeleton import Slot
from tasks.strategies.arithmetic.slips import wrong_answers
from tasks.strategies.arithmetic.sums import sum_of
from tasks.strategies.arithmetic.words import scene_of, told
from tasks.strategies.arithmetic.working import hint, working


def item_at(slot: Slot, course_id: str, draw: random.Random) -> Item:
    """The item of one place. A ``ref`` is a sum, followed by scene and telling when it is a word problem."""
    a, op, b, *story = slot["ref"].split()
    one = sum_of(a, op, b)
    scene = scene_of(story[0]) if story else None
    item: Item = {
        "id": slot["id"],
        "groupId": slot["groupId"],
        "clusterId": slot["clusterId"],
        "variant": slot["variant"],
        "mode": slot["mode"],
        "text": told(scene, one, int(story[1])) if scene else f"{one.written} = [blank]",
        "hint": f"In signs, the story asks for {one.written}." if scene else hint(one),
        "explain": f"{scene.why} {working(one)}" if scene else working(one),
        "learningObjectiveId": slot["learningObjectiveId"],
        "arithmetic": {"a": one.a, "b": one.b, "op": one.op, "expected": one.result},
    }
    if slot["mode"] == "numeric":
        item["answer"] = one.result
        return item
    reasons = {str(value): reason for value, reason in wrong_answers(one, draw)}
    item["options"], item["correctIndex"] = placed_options(course_id, slot["id"], str(one.result), list(reasons))
    item["wrongExplanations"] = reasons
    return item
