"""What a look at one thing found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "fault"]


@dataclass(frozen=True)
class Finding:
    """One thing looked at. ``mend`` says what to do; empty when nothing is to be done."""

    name: str
    state: State
    message: str
    mend: str = ""

    def line(self) -> str:
        """As a person reads it."""
        return f"{self.state:<8} {self.name:<20} {self.message}{' Mend: ' + self.mend if self.mend else ''}"

    def as_json(self) -> dict[str, str]:
        return {"name": self.name, "state": self.state, "message": self.message, "mend": self.mend}


def ok(name: str, message: str) -> Finding:
    return Finding(name, "ok", message)


def warning(name: str, message: str, mend: str) -> Finding:
    return Finding(name, "warning", message, mend)


def fault(name: str, message: str, mend: str) -> Finding:
    return Finding(name, "fault", message, mend)
