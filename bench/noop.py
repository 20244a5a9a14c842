"""Our worker with one more kind of job: six steps that do nothing, so that only the engine is measured.

Started as ``celery --app bench.noop worker``. It must be imported before ``tasks.app``, which makes a Celery task of
every step it finds."""

from __future__ import annotations

from tasks.pipeline import COURSE_QUEUE, PIPELINES, Pipeline, Step
from tasks.steps import STEPS
from tasks.work import Outcome, Work

NAMES = tuple(f"noop{number}" for number in range(1, 7))
PIPELINE = Pipeline(
    "noop", COURSE_QUEUE, tuple(Step(name, 100 / len(NAMES), "Doing nothing", "Did nothing") for name in NAMES)
)


def run(work: Work) -> Outcome:
    """The step that does nothing."""
    return Outcome({"did": work.step})


PIPELINES["noop"] = PIPELINE
STEPS["noop"] = dict.fromkeys(NAMES, __name__)

from tasks.app import app  # noqa: E402

__all__ = ["app"]
