"""What the client was promised: every request it made, every 202 it saw, and what it did to its jobs afterwards."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any

#: Kinds of requests and how many of a hundred each is.
_SHARES = {"pack": 32, "arithmetic": 22, "pack with pictures": 10, "model": 22, "model with pictures": 4, "exam": 10}
_PACKS = (
    ("The water cycle", "3-5"),
    ("Photosynthesis", "6-8"),
    ("Kidneys", "8"),
    ("Solar system", "5"),
    ("Civics", "8"),
    ("Fractions", "5"),
    ("First aid", "9-12"),
)
_ARITHMETIC = (
    ("Addition and subtraction", "K-2", "2"),
    ("Multiplication", "3-5", "4"),
    ("Division", "3-5", "5"),
)


@dataclass
class Asked:
    """One request for a course. ``job_id`` is none until the system has accepted it. ``exam`` is what a course from an
    exam is made of; it is sent first, and from then on the payload names it. Times are Unix seconds.

    ``cancelled_at`` and ``retried_at`` are when that was first asked for, ``cancel_told_at`` when its 200 had come, and
    ``retry_told`` whether its 202 came. Of an answer that got lost nothing is known, and nothing is claimed."""

    number: int
    kind: str
    key: str
    payload: dict[str, Any]
    exam: dict[str, Any] | None = None
    job_id: str | None = None
    accepted_at: float = 0.0
    answers: list[int | str] = field(default_factory=list)
    cancelled_at: float | None = None
    cancel_told_at: float | None = None
    retried_at: float | None = None
    retry_told: bool = False

    @property
    def by_model(self) -> bool:
        return self.kind.startswith("model") or self.exam is not None

    @property
    def job_type(self) -> str:
        return "course" if self.exam is None else "exam_course"

    @property
    def tag(self) -> str | None:
        """The language that names its job in every question to the model."""
        return (self.exam or self.payload).get("language")

    @property
    def left_alone(self) -> bool:
        """Whether nobody cancelled it."""
        return self.cancelled_at is None


def request(seed: int, number: int) -> Asked:
    """The request of this number: the same for the same seed.

    A course written by a model has a language of its own (``en-j000042``): it stands in every question to the model,
    so that each call can be traced to its job."""
    draw = random.Random(f"request {seed} {number}")
    kind = draw.choices(list(_SHARES), list(_SHARES.values()))[0]
    if kind == "exam":
        # One lesson a topic: its questions name it.
        payload = {"courseId": f"chaos-{number}", "lessonsPerTopic": 1}
        return Asked(number, kind, f"chaos-{seed}-{number}", payload, _exam(seed, number, draw.choice([4, 7])))
    payload = {"courseId": f"chaos-{number}", "visibility": draw.choice(["org", "public"])}
    if kind.startswith("pack"):
        subject, band = draw.choice(_PACKS)
        payload |= {"subject": subject, "gradeBand": band, "mode": "options", "itemsPerGroup": draw.choice([6, 12])}
    elif kind == "arithmetic":
        subject, band, grade = draw.choice(_ARITHMETIC)
        payload |= {"subject": subject, "gradeBand": band, "grade": grade, "mode": "numeric"}
        payload["itemsPerGroup"] = draw.choice([4, 8, 12])
    else:
        mode = draw.choice(["options", "numeric"])
        payload |= {"subject": f"Small things {seed} {number}", "gradeBand": "5", "mode": mode, "itemsPerGroup": 3}
        payload["language"] = f"en-j{number:06d}"
    payload["generateStudyTextImages"] = kind.endswith("pictures")
    return Asked(number, kind, f"chaos-{seed}-{number}", payload)


def _exam(seed: int, number: int, count: int) -> dict[str, Any]:
    """An exam on two topics, like no other: topics that were found before need no call."""
    questions = [
        {
            "text": f"What lies in box {at} of shelf {number} in house {seed}?",
            "answer": f"stone {at * number}",
            "tags": ["Upper boxes" if at <= count / 2 else "Lower boxes"],
            **({"options": [f"stone {at * number + more}" for more in range(3)]} if at % 2 else {}),
        }
        for at in range(1, count + 1)
    ]
    return {"title": f"Shelf {number}", "gradeBand": "5", "language": f"en-j{number:06d}", "questions": questions}


class Ledger:
    """All requests of a run. ``faults`` are promises that were broken in plain sight, in words."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: dict[int, Asked] = {}
        self.faults: list[str] = []

    def add(self, asked: Asked) -> None:
        with self._lock:
            self._asked[asked.number] = asked

    def all(self) -> list[Asked]:
        with self._lock:
            return list(self._asked.values())

    def accepted(self) -> dict[str, Asked]:
        """The accepted requests by job id."""
        return {asked.job_id: asked for asked in self.all() if asked.job_id is not None}

    def accept(self, asked: Asked, job_id: str) -> None:
        """Write down that the system promised this job. The same key must always bring the same job."""
        with self._lock:
            if asked.job_id is None:
                asked.job_id, asked.accepted_at = job_id, time.time()
            elif asked.job_id != job_id:
                self.faults.append(f"the key {asked.key} brought job {asked.job_id} first and then {job_id}")

    def broken(self, words: str) -> None:
        with self._lock:
            self.faults.append(words)
