"""A made-up world in which all is well, for the checks to be tried on."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.chaos.evidence import Evidence, Job, Saved, Told
from tests.chaos.faults import Done
from tests.chaos.ledger import Asked, Ledger

AT = datetime(2026, 1, 1, tzinfo=UTC)
ORG = "00000000-0000-4000-8000-000000000001"
STEPS = ("skeleton", "fill", "validate", "persist", "catalog", "media")


def moment(seconds: float) -> float:
    """So many seconds after the beginning, in Unix time."""
    return (AT + timedelta(seconds=seconds)).timestamp()


def disturbed(kind: str, begin: float, end: float, *held: str) -> Done:
    """A fault from then to then."""
    return Done(kind, moment(begin), moment(end), woken=moment(end), held=list(held))


class World:
    """One course by a model with one picture, all done."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.asked = Asked(1, "model with pictures", "key", {"courseId": "c", "language": "en-j000001"})
        self.ledger.add(self.asked)
        self.ledger.accept(self.asked, "parent")
        self.evidence = Evidence(ORG)
        course = Job("parent", "course", "done", 1, 9, "c", None, 0, 1, 0, None, "org")
        picture = Job("picture", "media", "done", 1, 4, "c", "parent", 0, 0, 0, None, "org")
        self.evidence.jobs = {"parent": course, "picture": picture}
        self._tell("parent", "job_created", *STEPS, "job_completed", "media_completed", "media_settled")
        self._tell("picture", "job_created", "picture", "attach", "job_completed")
        self.evidence.revisions = [Saved("c", 1, "parent", "persist"), Saved("c", 2, "picture", "attach")]
        self.evidence.current = {"c": (2, {"contentVersion": "v2"})}
        self.evidence.catalogs = {ORG: (2, 2), self.evidence.public: (0, 0)}
        self.evidence.changes[ORG] = [(1, "c"), (2, "c")]
        self.evidence.listed = {"c": 2}
        self.evidence.parts = {("parent", "items", "First steps"): "group:group-1"}
        self.evidence.checkpoints |= {("parent", "fill", "group:group-1"): AT + timedelta(seconds=5)}
        self.evidence.assets = {"picture.png"}
        self.evidence.pictures = {"picture.png"}
        self.store(2)

    def _tell(self, job_id: str, *kinds: str) -> None:
        for kind in kinds:
            is_step = kind in (*STEPS, "picture", "attach")
            told = Told(
                len(self.evidence.events[job_id]) + 1,
                "step_completed" if is_step else kind,
                {"step": kind} if is_step else {},
                AT,
            )
            self.evidence.events[job_id].append(told)
            if is_step:
                self.evidence.checkpoints[job_id, kind, ""] = AT + timedelta(seconds=9)
        job = self.evidence.jobs[job_id]
        self.evidence.jobs[job_id] = replace(job, last_seq=len(self.evidence.events[job_id]))

    def tell(self, job_id: str, kind: str, **body: Any) -> None:
        """One event more."""
        self._tell(job_id, kind)
        self.evidence.events[job_id][-1].body.update(body)

    def change(self, job_id: str, **changes: Any) -> None:
        self.evidence.jobs[job_id] = replace(self.evidence.jobs[job_id], **changes)

    def store(self, revision: int) -> None:
        """What the store shows of the course and of its catalog."""
        entry = {"id": "c", "contentVersion": f"v{revision}"}
        self.evidence.files = {
            f"{ORG}/c/course.json": json.dumps({"contentVersion": f"v{revision}"}).encode(),
            f"{ORG}/catalog.json": json.dumps({"version": revision, "courses": [entry]}).encode(),
        }
