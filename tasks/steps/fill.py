"""Second step: content for every place. A model fills groups and texts side by side, each kept as soon as it is done;
packs and arithmetic take milliseconds and need no checkpoint on the way."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from dataclasses import dataclass
from typing import Any, cast

from schema.course import Item, StudyText
from schema.errors import CoursewrightError, Permanent
from schema.events import Event
from schema.job import CourseRequest
from schema.skeleton import Skeleton
from storage.steps import Topic
from tasks.choices import asking, choices_of, text_model
from tasks.packs import pack_named
from tasks.strategies import arithmetic, packs
from tasks.work import Outcome, Work, clock


@dataclass(frozen=True)
class _Part:
    """One group or one study text. ``index`` counts from 1 over all parts, ``name`` is what people read."""

    id: str
    name: str
    index: int
    is_group: bool


def _parts(plan: Skeleton) -> list[_Part]:
    named = [(f"group:{group['id']}", group["name"], True) for group in plan["groups"]]
    named += [(f"text:{slot['id']}", slot["title"], False) for slot in plan["textSlots"]]
    return [_Part(id_, name, index, group) for index, (id_, name, group) in enumerate(named, start=1)]


def run(work: Work) -> Outcome:
    """Fill every part. The checkpoint is ``{"items": [...], "studyTexts": [...]}``, in the skeleton's order."""
    plan = cast(Skeleton, work.checkpoint("skeleton"))
    parts = _parts(plan)
    events: list[Event] = []
    if plan["strategy"] == "llm":
        filled = _by_model(work, plan, parts)
    else:
        filled, events = _by_rule(work, plan, parts)
    items = [item for part in parts if part.is_group for item in filled[part.id]]
    texts = [filled[part.id] for part in parts if not part.is_group]
    items.sort(key=lambda item: item["id"])
    message = f"Wrote {len(items)} items and {len(texts)} texts"
    return Outcome({"items": items, "studyTexts": texts}, events=events, message=message)


def _by_rule(work: Work, plan: Skeleton, parts: list[_Part]) -> tuple[dict[str, Any], list[Event]]:
    request = cast(CourseRequest, work.payload)
    pack_id = plan["provenance"].get("packId")
    pack = pack_named(pack_id) if pack_id else None
    texts = {f"text:{slot['id']}": slot for slot in plan["textSlots"]}
    filled: dict[str, Any] = {}
    events: list[Event] = []
    for part in parts:
        began = clock()
        key = part.id.split(":", 1)[1]
        content: list[Item] | StudyText
        if part.is_group:
            content = (
                packs.fill_group(pack, plan, key, work.course_id)
                if pack
                else arithmetic.fill_group(plan, request, key, work.course_id)
            )
        else:
            slot = texts[part.id]
            content = packs.fill_text(pack, slot) if pack else arithmetic.fill_text(plan, request, slot)
        filled[part.id] = content
        topic = {"topicName": part.name, "topicIndex": part.index, "totalTopics": len(parts)}
        started = work.pipeline.at(work.step, (part.index - 1) / len(parts))
        events.append(Event("topic_started", {**topic, "progress": started}))
        progress = work.pipeline.at(work.step, part.index / len(parts))
        events.append(_completed(part, len(parts), content, progress, clock() - began))
    return filled, events


def _by_model(work: Work, plan: Skeleton, parts: list[_Part]) -> dict[str, Any]:
    kept = {part.id: work.part(part.id) for part in parts}
    missing = [part for part in parts if kept[part.id] is None]
    done = len(parts) - len(missing)
    began = clock()
    for part in missing:
        topic = Topic(part.name, part.index, len(parts))
        body = {"topicName": part.name, "topicIndex": part.index, "totalTopics": len(parts)}
        at = work.pipeline.at(work.step, done / len(parts))
        event = Event("topic_started", {**body, "progress": at})
        work.tell(done / len(parts), f"Writing: {part.name} ({part.index}/{len(parts)})", [event], topic)
    failure: CoursewrightError | None = None
    for part, result in _asked(work, plan, missing):
        if isinstance(result, CoursewrightError):
            if isinstance(result, Permanent):
                raise result
            failure = failure or result
            continue
        done += 1
        fraction = done / len(parts)
        event = _completed(part, len(parts), result, work.pipeline.at(work.step, fraction), clock() - began)
        message = f"Finished: {part.name} ({done}/{len(parts)})"
        topic = Topic(part.name, part.index, len(parts))
        work.keep(part.id, result, clock() - began, fraction, message, event, topic)
        kept[part.id] = result
    if failure is not None:
        # What the other parts brought is kept; the next run asks only for those still missing.
        raise failure
    return kept


def _asked(work: Work, plan: Skeleton, parts: list[_Part]) -> Iterator[tuple[_Part, Any]]:
    from tasks.strategies.llm import ModelStrategy  # noqa: PLC0415 - half a second, only where a model is asked

    request = cast(CourseRequest, work.payload)
    chosen = choices_of(work)
    strategy = ModelStrategy(text_model(work, chosen, "items"))
    slots = {slot["id"]: slot for slot in plan["textSlots"]}
    calls: dict[_Part, Coroutine[Any, Any, Any]] = {}
    for part in parts:
        key, complete = part.id.split(":", 1)[1], asking(chosen, work.reading_out(part.id))
        if part.is_group:
            calls[part] = strategy.fill_group(request, plan, key, work.course_id, complete)
        else:
            calls[part] = strategy.fill_text(request, plan, slots[key], complete)
    return work.ask_each(calls)


def _completed(part: _Part, total: int, content: Any, progress: float, seconds: float) -> Event:
    body: dict[str, Any] = {
        "topicName": part.name,
        "topicIndex": part.index,
        "totalTopics": total,
        "progress": progress,
        "itemsGenerated": len(content) if part.is_group else 0,
        "lessonsGenerated": 0 if part.is_group else 1,
        "duration": round(seconds, 3),
    }
    return Event("topic_completed", body)
