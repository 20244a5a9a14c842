"""Our worker with two more kinds of job, one for each queue: one step that does nothing for ``BENCH_SECONDS``.

Started as ``celery --app bench.pause worker``. It must be imported before ``tasks.app``, which makes a Celery task of
every step it finds."""

from __future__ import annotations

import os
import time

from tasks.pipeline import COURSE_QUEUE, MEDIA_QUEUE, PIPELINES, Pipeline, Step
from tasks.steps import STEPS
from tasks.work import Outcome, Work

KINDS = {COURSE_QUEUE: "pause", MEDIA_QUEUE: "media_pause"}


def run(work: Work) -> Outcome:
    """The step that takes its time."""
    time.sleep(float(os.environ["BENCH_SECONDS"]))
    return Outcome({})


for queue, name in KINDS.items():
    PIPELINES[name] = Pipeline(name, queue, (Step(name, 100, "Pausing", "Paused"),))
    STEPS[name] = {name: __name__}

from tasks.app import app  # noqa: E402

__all__ = ["app"]
