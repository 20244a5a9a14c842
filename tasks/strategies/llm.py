"""A course written by a model: planned first, then filled group by group, mended, and its keys checked blind."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from schema.course import Item, StudyText
from schema.errors import Transient
from schema.job import CourseRequest
from schema.markers import MEANT_AS_MARKER, image_marker, section_marker
from schema.problem import Problem
from schema.skeleton import Skeleton, TextSlot, levels_over
from tasks.prompts import fenced_notes, prompt
from tasks.strategies.llm_asking import Complete, about, ask, taken, without_headings
from tasks.strategies.llm_items import group_items, mended_items
from tasks.strategies.llm_plan import objectives_of, slots_of, text_slots_of, whole_plan
from tasks.strategies.llm_schemas import ILLUSTRATED_TEXT, STUDY_TEXT
from tasks.strategies.llm_verify import verified_keys

#: Pictures per study text; each one is a call to an image model.
MOST_PICTURES = 2
LONGEST_CONTENT = 50_000
_PROMPTS = ("plan", "items", "items_numeric", "study_text", "repair", "verify")
_PICTURES_RULE = (
    '- "picture" of a section says in one sentence what a picture for it shows: only things that can be drawn, no '
    "words or numbers in the picture. Give one for the section or two that gain most from it, and an empty text "
    "for the others."
)


def prompt_version() -> str:
    """All prompts in use with their versions, as kept in a course's provenance."""
    return " ".join(prompt(name).label for name in _PROMPTS)


@dataclass(frozen=True)
class ModelStrategy:
    """``model`` is the name kept in the provenance; questions go out through the ``complete`` each call is given.

    Every method may raise what ``TextClient.complete`` raises.
    """

    model: str

    async def plan(self, request: CourseRequest, seed: int, complete: Complete) -> Skeleton:
        """Every place of the course, each with its own subtopic. Raises ``Transient`` (``plan_incomplete``)."""
        plan = await whole_plan(request, complete)
        slots = slots_of(plan, request)
        return {
            "strategy": "llm",
            "title": request.get("title") or plan.title,
            "description": plan.description,
            "objectives": objectives_of(plan),
            "groups": [{"id": f"group-{at}", "name": name} for at, (name, _) in enumerate(plan.groups, start=1)],
            "levels": levels_over(len(slots), request["levelsCount"]),
            "slots": slots,
            "textSlots": text_slots_of(plan, request),
            "provenance": {
                "source": "llm",
                "model": self.model,
                "promptVersion": prompt_version(),
                "seed": seed,
                "verified": False,
            },
            "infos": [],
        }

    async def fill_group(
        self, request: CourseRequest, plan: Skeleton, group_id: str, course_id: str, complete: Complete
    ) -> list[Item]:
        """The items of one group; what the model left out is an item without text."""
        return await group_items(request, plan, group_id, course_id, complete)

    async def fill_text(self, request: CourseRequest, plan: Skeleton, slot: TextSlot, complete: Complete) -> StudyText:
        """One study text with ``[SECTION:]`` markers, and ``[IMAGE:]`` markers when pictures are asked for.

        Raises ``Transient`` (``model_answer_unreadable``) when nothing was written.
        """
        pictures = request.get("generateStudyTextImages", False)
        goals = {goal["id"]: goal["text"] for goal in plan["objectives"]}
        mine = set(slot["learningObjectives"])
        practised = [
            one["subtopic"] for one in plan["slots"] if "subtopic" in one and one.get("learningObjectiveId") in mine
        ]
        facts = about(request) | {
            "course": plan["title"],
            "title": slot["title"],
            "brief": slot.get("brief", ""),
            "objectives": [goals[goal] for goal in slot["learningObjectives"] if goal in goals],
            "practised": practised,
        }
        question = ask(
            "study_text",
            "study_text",
            "illustrated_text" if pictures else "study_text",
            ILLUSTRATED_TEXT if pictures else STUDY_TEXT,
            facts,
            notes=fenced_notes(request.get("notes", "")),
            pictures=_PICTURES_RULE if pictures else "",
        )
        content = written_content((await complete(question))["sections"])
        if not content or len(content) > LONGEST_CONTENT:
            words = f"The model wrote nothing that can be kept for the study text {slot['title']!r}."
            raise Transient(words, code="model_answer_unreadable")
        return {
            "id": slot["id"],
            "title": slot["title"],
            "order": slot["order"],
            "content": content,
            "learningObjectives": list(slot["learningObjectives"]),
        }

    async def repair(
        self,
        request: CourseRequest,
        plan: Skeleton,
        faulty: Sequence[tuple[Item, Sequence[Problem]]],
        course_id: str,
        complete: Complete,
    ) -> list[Item]:
        """Each faulty item written anew with its problems named; identity fields are the originals'."""
        return await mended_items(request, plan, faulty, course_id, complete)

    async def verify(self, items: Sequence[Item], language: str, complete: Complete) -> dict[int, bool]:
        """For each item that can be asked, by id, whether a blind answer agrees with its key."""
        return await verified_keys(items, language, complete)


def written_content(sections: Sequence[dict[str, str]]) -> str:
    """Sections as one text with markers. Markers the model wrote itself are taken out: where sections begin and how
    many pictures there are is decided here."""
    parts: list[str] = []
    pictures = 0
    for section in sections:
        title = taken(re.sub(r"[\[\]\n]", " ", section["title"]), 120)
        body = taken(without_headings(MEANT_AS_MARKER.sub("", section["body"])))
        if not title or not body:
            continue
        parts += [section_marker(title), body]
        picture = taken(re.sub(r"[\[\]\n]", " ", section.get("picture", "")), 500)
        if picture and pictures < MOST_PICTURES:
            parts.append(image_marker(picture))
            pictures += 1
    return "\n\n".join(parts)
