"""Which steps a kind of job has, in which order, and how much of the way each one is. Written once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from schema.settings import Settings

#: Longer than anything a step does without moving, a model call aside: a store that hangs is given up after 33 s.
LONGEST_STILL_SECONDS = 60.0


@dataclass(frozen=True)
class Step:
    """``share`` is its part of the way in percent, a guess as long as no past jobs tell better; ``doing`` and ``done``
    are what people read. ``asks``: it may call a model, so that a whole call may pass before it moves again."""

    name: str
    share: float
    doing: str
    done: str
    asks: bool = False

    def patience(self, settings: Settings) -> float:
        """For how many seconds it may not move before it counts as stuck."""
        still = max(settings.jobs.stale_after_seconds, LONGEST_STILL_SECONDS)
        return still + (settings.model.timeout_seconds if self.asks else 0)


@dataclass(frozen=True)
class Pipeline:
    """``plans`` and ``fills`` are the steps whose checkpoints a course comes from that fails its validation: a fault of
    the whole comes from the former and all after them, one of a part from that part of the latter."""

    job_type: str
    queue: str
    steps: tuple[Step, ...]
    plans: tuple[str, ...] = ()
    fills: str = ""

    def index(self, name: str) -> int:
        """The place of a step, from 0. Raises ``KeyError`` for a step this kind of job doesn't have."""
        for index, step in enumerate(self.steps):
            if step.name == name:
                return index
        raise KeyError(name)

    @property
    def shares(self) -> tuple[float, ...]:
        """How much of the way each step is, in percent."""
        return tuple(step.share for step in self.steps)

    def weighed(self, shares: Sequence[float] | None) -> Pipeline:
        """The same steps with the shares a job was given when it was made. A job that has none, or one for each of
        other steps (another release made it), goes by the built-in ones."""
        if shares is None or len(shares) != len(self.steps):
            return self
        weighed = (replace(step, share=share) for step, share in zip(self.steps, shares, strict=True))
        return replace(self, steps=tuple(weighed))

    def at(self, name: str, fraction: float) -> float:
        """Progress of the whole job, 0 to 100, when ``fraction`` (0 to 1) of this step is done."""
        index = self.index(name)
        before = sum(step.share for step in self.steps[:index])
        return round(before + self.steps[index].share * min(max(fraction, 0.0), 1.0), 2)

    def following(self, name: str) -> Step | None:
        """The step after this one; none when it is the last."""
        index = self.index(name) + 1
        return self.steps[index] if index < len(self.steps) else None

    def first_without(self, finished: set[str]) -> Step:
        """Where a job goes on: its first step without a checkpoint (the last one when all have theirs)."""
        return next((step for step in self.steps if step.name not in finished), self.steps[-1])


def first_with(step: str, job_type: str | None) -> tuple[Pipeline, Step]:
    """A step of a kind of job; of the first kind that has it when the kind is not told. Raises ``KeyError``."""
    for pipeline in PIPELINES.values():
        for known in pipeline.steps:
            if known.name == step and job_type in (None, pipeline.job_type):
                return pipeline, known
    raise KeyError(step)


def task_name(job_type: str, step: str) -> str:
    """What a message for a step is called. Courses and pictures came first and are called by their steps alone. For
    every other kind it is part of the name: a worker of an older release, which knows another step by the same word,
    then leaves the message alone, and it is sent again."""
    return f"coursewright.{step}" if job_type in ("course", "media") else f"coursewright.{job_type}.{step}"


def carrying(job_type: str, step: str) -> Pipeline | None:
    """The pipeline of a kind of job that stands at this step. None: only newer code, which works beside this while a
    release is rolled out, knows the kind or the step."""
    pipeline = PIPELINES.get(job_type)
    return pipeline if pipeline and any(known.name == step for known in pipeline.steps) else None


#: The queue of courses, of pictures, and of the clock's own work (which must never wait behind a model call).
COURSE_QUEUE, MEDIA_QUEUE, CONTROL_QUEUE = "course", "media", "control"

PIPELINES: dict[str, Pipeline] = {
    pipeline.job_type: pipeline
    for pipeline in (
        Pipeline(
            "course",
            COURSE_QUEUE,
            (
                Step("skeleton", 10, "Planning the course", "The course is planned", asks=True),
                Step("fill", 60, "Writing items and texts", "Items and texts are written", asks=True),
                Step("validate", 15, "Checking every item", "Every item is checked", asks=True),
                Step("persist", 5, "Saving the course", "The course is saved"),
                Step("catalog", 5, "Listing the course in the catalog", "The course is in the catalog"),
                Step("media", 5, "Ordering pictures", "The course is ready"),
            ),
            plans=("skeleton",),
            fills="fill",
        ),
        Pipeline(
            "exam_course",
            COURSE_QUEUE,
            (
                Step("settings", 2, "Reading the settings", "The settings are read"),
                Step("questions", 3, "Reading the exam's questions", "The questions are read"),
                Step("topics", 15, "Finding topics in the questions", "Every question has its topic", asks=True),
                Step("lessons", 50, "Writing lessons", "The lessons are written", asks=True),
                Step("validate", 20, "Answering the questions from the lessons", "Every lesson is checked", asks=True),
                Step("persist", 5, "Saving the course", "The course is saved"),
                Step("catalog", 5, "Listing the course in the catalog", "The course is ready"),
            ),
            plans=("questions", "topics"),
            fills="lessons",
        ),
        Pipeline(
            "media",
            MEDIA_QUEUE,
            (
                Step("picture", 80, "Making the picture", "The picture is made", asks=True),
                Step("attach", 20, "Putting the picture into the course", "The picture is in the course"),
            ),
        ),
    )
}
