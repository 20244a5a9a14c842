"""Third step: put the course together, normalize it, judge it, mend what a model can mend, verify its keys."""

from __future__ import annotations

import re
from typing import Any, cast

from schema.course import Course, Item
from schema.errors import ValidationFailed
from schema.job import CourseRequest
from schema.normalize import normalize_course
from schema.problem import Problem, errors_of
from schema.rules import Limits, check
from schema.skeleton import Skeleton
from tasks.choices import asking, choices_of, text_model
from tasks.packs import pack_named
from tasks.publish import keep_debug
from tasks.work import Outcome, Work

#: How often a model is asked again for what failed, before the job fails.
REPAIRS = 2


def run(work: Work) -> Outcome:
    """Judge the course. The checkpoint is ``{"course": Course, "problems": [...]}``, free of errors.

    Raises ``ValidationFailed`` with every problem when errors remain."""
    plan = cast(Skeleton, work.checkpoint("skeleton"))
    course = cast(Course, normalize_course(assemble(work, plan)))
    limits = limits_of(plan)
    problems = check(course, limits)
    if plan["strategy"] == "llm":
        course, problems = _mended(work, plan, course, problems, limits)
    problems += [Problem(**info) for info in plan["infos"]]
    listed = [problem.as_json() for problem in problems]
    if listed:
        keep_debug(work.deps, work.organization_id, work.job_id, "validation_issues.json", {"problems": listed})
    faults = errors_of(problems)
    if faults:
        raise ValidationFailed(
            sentence_on(faults),
            details={
                "problems": listed,
                "failingParts": failing_parts(course, faults),
                "failingPlan": not all(_of_content(fault) for fault in faults),
            },
        )
    remarks = f", {_counted(len(listed), 'remark')}" if listed else ""
    message = f"Checked {_counted(len(course['items']), 'item')}{remarks}"
    return Outcome({"course": course, "problems": listed}, message=message)


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def sentence_on(faults: list[Problem]) -> str:
    """What a person reads when a course fails on these errors."""
    if len(faults) == 1:
        return f"1 problem is left after checking and mending: {faults[0].message}"
    return f"{len(faults)} problems are left after checking and mending; the first: {faults[0].message}"


def assemble(work: Work, plan: Skeleton) -> Course:
    """The draft of the course from its skeleton and what filled it."""
    request = cast(CourseRequest, work.payload)
    filled = work.checkpoint("fill")
    return {
        "id": work.course_id,
        "title": plan["title"],
        "description": plan["description"],
        "subject": request["subject"],
        "gradeBand": request["gradeBand"],
        "grade": request.get("grade"),
        "language": request["language"],
        "visibility": request["visibility"],
        "tags": request["tags"],
        "contentVersion": "v0",
        "objectives": plan["objectives"],
        "groups": plan["groups"],
        "levels": plan["levels"],
        "items": filled["items"],
        "studyTexts": filled["studyTexts"],
        "topics": [],
        "provenance": plan["provenance"],
    }


def limits_of(plan: Skeleton) -> Limits:
    """What the pack adds to the rules every course must keep."""
    pack_id = plan["provenance"].get("packId")
    if not pack_id:
        return Limits()
    pack = pack_named(pack_id)
    return Limits(
        max_reading_level=pack["maxReadingLevel"],
        banned=tuple(pack["vocabulary"]["banned"]),
        allowed_hard_words=frozenset(pack["vocabulary"]["allowed"]),
    )


def _mended(
    work: Work, plan: Skeleton, course: Course, problems: list[Problem], limits: Limits
) -> tuple[Course, list[Problem]]:
    """Verify keys where the organization wants that, and repair, at most ``REPAIRS`` times. Only failing items and
    texts are asked for again."""
    from tasks.strategies.llm import ModelStrategy  # noqa: PLC0415 - half a second, only where a model is asked

    chosen = choices_of(work)
    strategy = ModelStrategy(text_model(work, chosen, "items"))
    request = cast(CourseRequest, work.payload)
    complete = asking(chosen, work.deps.text.complete)
    verified: dict[int, Item] = {}
    history: list[dict[str, Any]] = []
    for repair in range(REPAIRS + 1):
        if chosen.verify_keys:
            work.tell(0.2 + 0.6 * repair / (REPAIRS + 1), "Checking the answer keys")
            problems = problems + _unverified(work, strategy, course, verified, problems, complete)
        faults = errors_of(problems)
        if not faults or repair == REPAIRS:
            break
        history.append({"repair": repair + 1, "problems": [fault.as_json() for fault in faults]})
        items, texts = by_place(course, faults)
        if not items and not texts:
            break  # nothing a model could be asked for again: the plan itself is at fault
        mending = f"Mending {_counted(len(items), 'item')} and {_counted(len(texts), 'text')}"
        work.tell(0.4 + 0.6 * repair / (REPAIRS + 1), mending)
        if items:
            asked = [(course["items"][index], found) for index, found in items.items()]
            mended = work.ask(strategy.repair(request, plan, asked, work.course_id, complete))
            for index, item in zip(items, mended, strict=True):
                course["items"][index] = item
        for index, found in texts.items():
            slot = dict(plan["textSlots"][index])
            slot["brief"] = " ".join([str(slot.get("brief", "")), *(problem.message for problem in found)])
            course["studyTexts"][index] = work.ask(strategy.fill_text(request, plan, slot, complete))  # type: ignore[arg-type]
        course = cast(Course, normalize_course(course))
        problems = check(course, limits)
    if history:
        keep_debug(work.deps, work.organization_id, work.job_id, "repair.json", {"repairs": history})
    course["provenance"]["verified"] = chosen.verify_keys and not errors_of(problems)
    return course, problems


def _unverified(
    work: Work, strategy: Any, course: Course, verified: dict[int, Item], problems: list[Problem], complete: Any
) -> list[Problem]:
    """Have each sound item answered blind that wasn't yet as it stands; a disagreement is a problem."""
    faulty = set(by_place(course, errors_of(problems))[0])
    asked = [
        item for index, item in enumerate(course["items"]) if index not in faulty and verified.get(item["id"]) != item
    ]
    if asked:
        answers = work.ask(strategy.verify(asked, course["language"], complete))
        for item in asked:
            if answers.get(item["id"]):
                verified[item["id"]] = item
    return [
        Problem(
            f"items.{index}.text",
            "key_not_verified",
            "Answered without seeing the key, this item was answered otherwise. Make its key the only right answer.",
        )
        for index, item in enumerate(course["items"])
        if index not in faulty and verified.get(item["id"]) != item
    ]


def by_place(course: Course, faults: list[Problem]) -> tuple[dict[int, list[Problem]], dict[int, list[Problem]]]:
    """Faults by item and by study text. A fault of no single item (the items' reading level) counts for all."""
    items: dict[int, list[Problem]] = {}
    texts: dict[int, list[Problem]] = {}
    for fault in faults:
        if found := re.match(r"items\.(\d+)", fault.path):
            items.setdefault(int(found[1]), []).append(fault)
        elif found := re.match(r"studyTexts\.(\d+)", fault.path):
            texts.setdefault(int(found[1]), []).append(fault)
        elif fault.path == "items":
            for index in range(len(course["items"])):
                items.setdefault(index, []).append(fault)
    return dict(sorted(items.items())), dict(sorted(texts.items()))


def _of_content(fault: Problem) -> bool:
    """Whether a fault lies in items or texts, and not in what the plan fixed (title, groups, objectives, levels)."""
    return fault.path.split(".")[0] in {"items", "studyTexts"}


def failing_parts(course: Course, faults: list[Problem]) -> list[str]:
    """The parts of ``fill`` the faults came from."""
    items, texts = by_place(course, faults)
    groups = {f"group:{course['items'][index]['groupId']}" for index in items}
    return sorted(groups | {f"text:{course['studyTexts'][index]['id']}" for index in texts})
