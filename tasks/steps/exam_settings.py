"""First step of an exam course: the organization's settings, which hold for the whole job."""

from __future__ import annotations

from storage import organization_settings
from tasks.work import Outcome, Work


def run(work: Work) -> Outcome:
    """Keep what the organization chose. The checkpoint is ``{"chosen": {...}, "revision": n}``."""
    kept = organization_settings.kept(work.deps.db, work.organization_id)
    return Outcome({"chosen": kept.chosen, "revision": kept.revision})
