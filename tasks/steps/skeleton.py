"""First step: which strategy, and every place of the course with its identity fixed."""

from __future__ import annotations

import zlib
from typing import cast

from schema.job import CourseRequest
from schema.skeleton import Skeleton
from tasks.choices import asking, choices_of, text_model
from tasks.publish import keep_debug
from tasks.strategies import arithmetic, choose, packs
from tasks.work import Outcome, Work


def run(work: Work) -> Outcome:
    """Plan the course. The checkpoint is a ``Skeleton``."""
    request = cast(CourseRequest, work.payload)
    choice = choose(request, work.deps.settings.model.configured)
    # The same course id gives the same course, whoever builds it and however often.
    seed = zlib.crc32(work.course_id.encode())
    if request["notes"].strip():
        wishes = {"jobId": str(work.job_id), "courseId": work.course_id, "notes": request["notes"]}
        keep_debug(work.deps, work.organization_id, work.job_id, "special_requests.json", wishes)
    plan: Skeleton
    if choice.pack is not None:
        plan = packs.skeleton(choice.pack, request, seed)
    elif choice.name == "arithmetic":
        plan = arithmetic.skeleton(request, seed)
    else:
        from tasks.strategies.llm import ModelStrategy  # noqa: PLC0415 - half a second, only where a model is asked

        chosen = choices_of(work)
        strategy = ModelStrategy(text_model(work, chosen, "items"))
        plan = work.ask(strategy.plan(request, seed, asking(chosen, work.deps.text.complete)))
    message = f"Planned {len(plan['slots'])} items in {len(plan['groups'])} groups, {len(plan['textSlots'])} texts"
    return Outcome(dict(plan), message=message)
