"""Fourth step of an exam course: the lessons of every topic, all side by side. Each is kept as soon as it is written,
and when it was the last of its topic, the topic takes their place."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from schema.errors import CoursewrightError, Permanent
from schema.events import Event
from storage.steps import Topic
from tasks.exam_checkpoints import (
    exam_of,
    kept_lessons,
    labels_of,
    lesson_part,
    lessons_of,
    part_of,
    plans_of,
    reading_out,
)
from tasks.strategies.exam_lessons import Planned, Written, write
from tasks.work import Outcome, Work, clock


@dataclass
class _Part:
    """A topic: its id, what people read, its lessons in order, and those that are written, by their place. ``index``
    counts from 1."""

    id: str
    name: str
    index: int
    plans: list[Planned]
    written: dict[int, Written] = field(default_factory=dict)
    kept: bool = False

    @property
    def done(self) -> int:
        return len(self.plans) if self.kept else len(self.written)


@dataclass
class _Progress:
    """All topics, and since when (seconds) they are worked on."""

    parts: list[_Part]
    began: float

    @property
    def fraction(self) -> float:
        return sum(part.done for part in self.parts) / sum(len(part.plans) for part in self.parts)

    def body(self, part: _Part, work: Work) -> dict[str, Any]:
        progress = work.pipeline.at(work.step, self.fraction)
        place = {"topicName": part.name, "topicIndex": part.index, "totalTopics": len(self.parts)}
        return {**place, "progress": progress}

    def at_work(self) -> tuple[str, Topic]:
        """What is being written now: the first topic that isn't finished, or the last one when all are."""
        part = next((one for one in self.parts if not one.kept), self.parts[-1])
        words = f"Generating: {part.name} ({part.index}/{len(self.parts)})"
        return words, Topic(part.name, part.index, len(self.parts))


def run(work: Work) -> Outcome:
    """Write the lessons. Each topic's part holds ``{"lessons": [Lesson], "taught": {lesson id: Markdown}}``, and so
    does that of a single lesson while others of its topic are missing; the checkpoint is ``{"lessons": n}``.

    Raises ``Transient`` (``model_answer_unreadable``) and whatever the model's client raises."""
    topics = work.checkpoint("topics")["topics"]
    plans = plans_of(work)
    parts = [
        _Part(topic["id"], topic["name"], index, plans[topic["id"]], kept=work.part(part_of(topic["id"])) is not None)
        for index, topic in enumerate(topics, start=1)
    ]
    told = _Progress(parts, clock())
    missing = [part for part in parts if not part.kept]
    for part in missing:
        part.written = _written_before(work, part)
    if missing:
        message, topic = told.at_work()
        # All begin at once, as many calls as the worker may have. They are told from the last to the first, so that who
        # shows the latest shows the first.
        started = [Event("topic_started", told.body(part, work)) for part in reversed(missing)]
        work.tell(told.fraction, message, started, topic)
    failure: CoursewrightError | None = None
    for (part, place), result in _asked(work, {part.index: part for part in missing}):
        if isinstance(result, Permanent):
            raise result
        if isinstance(result, CoursewrightError):
            failure = failure or result
            continue
        part.written[place] = result
        _keep(work, told, part, place)
    if failure is not None:
        # What is written is kept; the next run asks only for the other lessons.
        raise failure
    count = sum(len(part.plans) for part in parts)
    return Outcome({"lessons": count}, message=f"Wrote {count} lesson{'' if count == 1 else 's'}")


def _written_before(work: Work, part: _Part) -> dict[int, Written]:
    """The lessons of a topic that an earlier run has kept, where they are for the same questions still: another release
    may have planned them otherwise. Never all of them, because the last one brings the topic."""
    found = {}
    for place, plan in enumerate(part.plans):
        kept = work.part(lesson_part(plan.id))
        if kept is not None:
            [written] = lessons_of(kept)
            if written.lesson["questionIds"] == [question["id"] for question in plan.questions]:
                found[place] = written
    return found


def _asked(work: Work, parts: Mapping[int, _Part]) -> Iterator[tuple[tuple[_Part, int], Any]]:
    exam, labels = exam_of(work), labels_of(work)
    calls = {}
    for part in parts.values():
        complete = reading_out(work, part.id)
        for place, plan in enumerate(part.plans):
            if place not in part.written:
                calls[part.index, place] = write(plan, exam, labels, complete)
    for (index, place), result in work.ask_each(calls):
        yield (parts[index], place), result


def _keep(work: Work, told: _Progress, part: _Part, place: int) -> None:
    """Keep the lesson that was just written; the whole topic in their place when it was the last."""
    seconds = clock() - told.began
    if len(part.written) < len(part.plans):
        message, topic = told.at_work()
        event = Event("topic_progress", {**told.body(part, work), "lessonsGenerated": len(part.written)})
        name = lesson_part(part.plans[place].id)
        if work.part(name) is None:
            work.keep(name, kept_lessons([part.written[place]]), seconds, told.fraction, message, event, topic)
        else:  # one that another release planned otherwise
            work.tell(told.fraction, message, [event], topic)
        return
    part.kept = True
    body = {**told.body(part, work), "lessonsGenerated": len(part.plans), "duration": round(seconds, 3)}
    message, topic = told.at_work()
    written = kept_lessons([part.written[place] for place in range(len(part.plans))])
    event = Event("topic_completed", body)
    single = [lesson_part(plan.id) for plan in part.plans]
    work.keep(part_of(part.id), written, seconds, told.fraction, message, event, topic, in_place_of=single)
