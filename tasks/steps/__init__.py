"""The steps, by name. Each is a function from ``Work`` to ``Outcome``; steps do not import each other."""

from __future__ import annotations

from collections.abc import Callable

from tasks.steps import attach, catalog, fill, media, persist, picture, skeleton, validate
from tasks.work import Outcome, Work

STEPS: dict[str, Callable[[Work], Outcome]] = {
    "skeleton": skeleton.run,
    "fill": fill.run,
    "validate": validate.run,
    "persist": persist.run,
    "catalog": catalog.run,
    "media": media.run,
    "picture": picture.run,
    "attach": attach.run,
}


def perform(name: str, work: Work) -> Outcome:
    """Do the step's own work."""
    return STEPS[name](work)
