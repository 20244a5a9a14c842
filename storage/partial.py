"""What a job has finished so far, put together for reading: from its checkpoints, and once it is done its course."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from storage import documents
from storage.db import Database
from storage.steps import CHECKPOINT_FORMAT

#: Checkpoints by step and part; the part of a whole step is empty.
Kept = Mapping[tuple[str, str], Any]

#: The steps whose checkpoints hold something to read.
_READABLE = ("skeleton", "fill", "questions", "topics", "lessons", "validate")


def read(db: Database, organization_id: UUID, job_id: UUID) -> dict[str, Any] | None:
    """``{jobId, status, title, groups: [{id, name, items}], studyTexts, topics, finished, total}`` of a job of the
    organization, none when it has no such job. ``finished`` and ``total`` count groups, study texts and topics;
    ``total`` is none as long as nothing is planned."""
    with db.statement() as tx:
        row = tx.run(
            """SELECT j.status, j.course_id, COALESCE(p.payload, '{}') AS payload,
              (SELECT jsonb_agg(jsonb_build_array(s.step, s.part, s.result)) FROM job_steps s
               WHERE s.job_id = j.id AND s.step = ANY(:steps) AND s.format = :format) AS kept
            FROM jobs j LEFT JOIN job_payloads p ON p.job_id = j.id WHERE j.id = :job AND j.organization_id = :org""",
            {"job": job_id, "org": organization_id, "steps": list(_READABLE), "format": CHECKPOINT_FORMAT},
        ).one_or_none()
    if row is None:
        return None
    kept = {(step, part): result for step, part, result in row.kept or []}
    course = None
    if row.status == "done" and row.course_id is not None:
        saved = documents.current(db, organization_id, "course", row.course_id)
        course = saved.content if saved else None
    return {"jobId": str(job_id), "status": row.status, **put_together(kept, row.payload, course)}


def put_together(kept: Kept, payload: Mapping[str, Any], course: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The readable part of ``read``: of the saved course where there is one, else of the course that was judged, else
    of the finished parts of one that is being written."""
    if course is None and ("validate", "") in kept:
        course = kept["validate", ""]["course"]
    if course is not None:
        return _of_course(course)
    if ("topics", "") in kept:
        return _of_topics(kept)
    if ("skeleton", "") in kept:
        return _of_plan(kept)
    title = (
        payload.get("title") or payload.get("subject") or kept.get(("questions", ""), {}).get("exam", {}).get("title")
    )
    return _shown(title, [], [], [], 0, None)


def _of_course(course: Mapping[str, Any]) -> dict[str, Any]:
    groups = [_group(group, course["items"]) for group in course["groups"]]
    # An exam course has one group for what its exam has of items, which may be nothing.
    count = len(course["topics"]) or len(groups) + len(course["studyTexts"])
    return _shown(course["title"], groups, course["studyTexts"], course["topics"], count, count)


def _of_plan(kept: Kept) -> dict[str, Any]:
    plan, filled = kept["skeleton", ""], kept.get(("fill", ""))
    groups, texts, finished = [], [], 0
    for group in plan["groups"]:
        items = filled["items"] if filled else kept.get(("fill", f"group:{group['id']}"))
        groups.append(_group(group, items or []))
        finished += items is not None
    for slot in plan["textSlots"]:
        found = [text for text in filled["studyTexts"] if text["id"] == slot["id"]] if filled else []
        text = found[0] if found else kept.get(("fill", f"text:{slot['id']}"))
        if text is not None:
            texts.append(text)
            finished += 1
    return _shown(plan["title"], groups, texts, [], finished, len(plan["groups"]) + len(plan["textSlots"]))


def _of_topics(kept: Kept) -> dict[str, Any]:
    planned = kept["topics", ""]["topics"]
    parts = [kept.get(("lessons", f"topic:{topic['id']}")) for topic in planned]
    topics = [
        {**topic, "lessons": part["lessons"] if part else _lessons_so_far(kept, topic["id"])}
        for topic, part in zip(planned, parts, strict=True)
    ]
    title = kept.get(("questions", ""), {}).get("exam", {}).get("title")
    return _shown(title, [], [], topics, sum(part is not None for part in parts), len(topics))


def _lessons_so_far(kept: Kept, topic_id: str) -> list[Any]:
    """The lessons of a topic that isn't whole yet, in their order. Each has a part of its own until it is."""
    begins = f"lesson:{topic_id}-lesson-"
    found = {
        int(part.removeprefix(begins)): result["lessons"]
        for (step, part), result in kept.items()
        if step == "lessons" and part.startswith(begins)
    }
    return [lesson for number in sorted(found) for lesson in found[number]]


def _group(group: Mapping[str, Any], items: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    return {"id": group["id"], "name": group["name"], "items": [i for i in items if i["groupId"] == group["id"]]}


def _shown(
    title: str | None, groups: list[Any], texts: list[Any], topics: list[Any], finished: int, total: int | None
) -> dict[str, Any]:
    return {
        "title": title,
        "groups": groups,
        "studyTexts": texts,
        "topics": topics,
        "finished": finished,
        "total": total,
    }
