"""The steps, by name. Each module has ``run``, from ``Work`` to ``Outcome``; steps do not import each other."""

from __future__ import annotations

from importlib import import_module

from tasks.work import Outcome, Work

#: Where each step's ``run`` is. Imported when first done: the clock and the web never do one, and start faster.
STEPS: dict[str, str] = {
    name: f"tasks.steps.{name}"
    for name in ("skeleton", "fill", "validate", "persist", "catalog", "media", "picture", "attach")
}


def perform(name: str, work: Work) -> Outcome:
    """Do the step's own work."""
    outcome: Outcome = import_module(STEPS[name]).run(work)
    return outcome
