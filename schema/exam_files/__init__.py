"""Files with questions: what is found in them, checked as if it had been sent as JSON."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from schema.errors import Invalid
from schema.exam_files.csv_table import read_csv
from schema.exam_files.found import MOST_FAULTS, FileContent, FoundQuestion, LineFault, Note
from schema.exam_files.gift import read_gift
from schema.exam_files.gift_text import NONCHARACTERS
from schema.exam_request import Draft, QuestionSchema, doubled
from schema.fields import load

FileFormat = Literal["csv", "gift"]
_READERS: dict[FileFormat, Callable[[str], FileContent]] = {"csv": read_csv, "gift": read_gift}
_QUESTION = QuestionSchema()
FORMATS: tuple[FileFormat, ...] = tuple(_READERS)


@dataclass(frozen=True)
class CheckedFile:
    """The questions of a file that are right, in its order, and what is wrong with the others. ``notes`` tell what was
    left out or changed. ``bodies`` are the questions as one would send them."""

    bodies: list[dict[str, object]] = field(default_factory=list)
    drafts: list[Draft] = field(default_factory=list)
    context: str = ""
    faults: list[LineFault] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)


def read_exam_file(raw: bytes, kind: FileFormat) -> CheckedFile:
    """The questions in a file of UTF-8. Nothing is raised: what can't be taken is among the faults."""
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        words = "The file is not in UTF-8. Save it as UTF-8 (in Excel as the type CSV UTF-8) and send it again."
        return CheckedFile(faults=[_unreadable(line, words)])
    if strange := NONCHARACTERS.search(text):
        line = text.count("\n", 0, strange.start()) + 1
        return CheckedFile(faults=[_unreadable(line, f"U+{ord(strange[0]):04X} is no character.")])
    content = _READERS[kind](text)
    drafts = [_draft(number, found, content.faults) for number, found in enumerate(content.questions)]
    lines = [found.line for found in content.questions]
    for fault in doubled(drafts):
        place = int(fault.path.split(".")[1])
        content.faults.append(LineFault(fault.path, fault.code, f"Line {lines[place]}: {fault.message}", lines[place]))
        drafts[place] = None
    bodies = [found.body for found, draft in zip(content.questions, drafts, strict=True) if draft is not None]
    return CheckedFile(
        bodies=bodies,
        drafts=[draft for draft in drafts if draft is not None],
        context="\n\n".join(filter(None, content.context)),
        faults=sorted(content.faults, key=lambda fault: fault.line)[:MOST_FAULTS],
        notes=sorted(content.notes, key=lambda note: note.line),
    )


def _unreadable(line: int, message: str) -> LineFault:
    return LineFault("file", "malformed_file", f"Line {line}: {message}", line)


def _draft(number: int, found: FoundQuestion, faults: list[LineFault]) -> Draft | None:
    """A question as it is kept; none when it has faults, which are added to ``faults`` with line and column."""
    try:
        draft: Draft = load(_QUESTION, found.body, f"questions.{number}")  # type: ignore[assignment]
    except Invalid as error:
        for fault in error.errors:
            name = fault.path.split(".")[2] if fault.path.count(".") > 1 else ""
            column = f", column {found.columns[name]!r}" if name in found.columns else ""
            message = f"Line {found.line}{column}: {fault.message}"
            faults.append(LineFault(fault.path, fault.code, message, found.line))
        return None
    return draft
