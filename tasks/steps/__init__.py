"""The steps of each kind of job. Each module has ``run``, from ``Work`` to ``Outcome``; steps do not import each
other."""

from __future__ import annotations

from importlib import import_module

from tasks.work import Outcome, Work

#: Where each step's ``run`` is, by kind of job. Imported when first done: the clock and the web never do one, and start
#: faster.
STEPS: dict[str, dict[str, str]] = {
    "course": {name: f"tasks.steps.{name}" for name in ("skeleton", "fill", "validate", "persist", "catalog", "media")},
    "exam_course": {
        "settings": "tasks.steps.exam_settings",
        "questions": "tasks.steps.exam_questions",
        "topics": "tasks.steps.exam_topics",
        "lessons": "tasks.steps.exam_lessons",
        "validate": "tasks.steps.exam_validate",
        "persist": "tasks.steps.persist",
        "catalog": "tasks.steps.catalog",
    },
    "media": {name: f"tasks.steps.{name}" for name in ("picture", "attach")},
}


def perform(work: Work) -> Outcome:
    """Do the step's own work."""
    outcome: Outcome = import_module(STEPS[work.pipeline.job_type][work.step]).run(work)
    return outcome
