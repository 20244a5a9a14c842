"""A problem: one finding of validation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypedDict

Severity = Literal["error", "warning", "info"]


class ProblemJson(TypedDict):
    path: str
    code: str
    message: str
    severity: Severity


@dataclass(frozen=True)
class Problem:
    """``path`` is dotted with list positions, e.g. ``items.4.text`` or ``studyTexts.0.content``."""

    path: str
    code: str
    message: str
    severity: Severity = "error"

    def as_json(self) -> ProblemJson:
        return {"path": self.path, "code": self.code, "message": self.message, "severity": self.severity}


def errors_of(problems: list[Problem]) -> list[Problem]:
    """Only those that keep a course from being published."""
    return [problem for problem in problems if problem.severity == "error"]
