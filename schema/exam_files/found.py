"""What is found in a file with questions, before anybody judges the questions themselves."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from schema.errors import FieldError
from schema.exam import MOST_QUESTIONS

#: Reading ends after so many faults, and no more are told: nobody mends more at once.
MOST_FAULTS = 100
#: So many texts may stand between the questions.
MOST_TEXTS = 1000


@dataclass(frozen=True)
class LineFault(FieldError):
    """A fault at a line of a file, counted from 1."""

    line: int

    def as_json(self) -> dict[str, Any]:
        return {**super().as_json(), "line": self.line}


@dataclass(frozen=True)
class Note:
    """Something of a file that was left out or taken in another form than it was written."""

    line: int
    message: str

    def as_json(self) -> dict[str, Any]:
        return {"line": self.line, "message": self.message}


@dataclass(frozen=True)
class FoundQuestion:
    """A question as ``POST /api/exams`` takes it, the line it begins on, and for its fields the columns they came
    from, where there are columns."""

    body: dict[str, Any]
    line: int
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass
class FileContent:
    """What was found, in the order of the file. ``context`` are texts that belong to no single question."""

    questions: list[FoundQuestion] = field(default_factory=list)
    context: list[str] = field(default_factory=list)
    faults: list[LineFault] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def fault(self, line: int, message: str, code: str = "invalid_value") -> None:
        self.faults.append(LineFault("file", code, f"Line {line}: {message}", line))

    def note(self, line: int, message: str) -> None:
        self.notes.append(Note(line, message))

    def is_full(self, line: int) -> bool:
        """Whether there is no use in reading on at this line: there are too many questions or texts, or faults
        enough."""
        if len(self.questions) >= MOST_QUESTIONS:
            self.fault(line, f"An exam holds at most {MOST_QUESTIONS} questions, and here begins one more.")
            return True
        if len(self.context) >= MOST_TEXTS:
            self.fault(line, f"More than {MOST_TEXTS} texts have no answers in braces. Is this a GIFT file?")
            return True
        return len(self.faults) >= MOST_FAULTS
