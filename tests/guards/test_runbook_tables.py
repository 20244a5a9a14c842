"""The runbook has a row for every line of the log, and one for every kind of correction."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_args

from storage.engine import orphans
from storage.engine.corrections import KINDS
from tasks.reconcile import lost
from tests.sources import parsed

ROOT = Path(__file__).parents[2]
RUNBOOK = (ROOT / "docs" / "operations.md").read_text("utf-8")
LEVELS = {"info": "info", "warning": "warning", "error": "error", "exception": "error"}
#: Logged with a name that is handed in.
NAMED_ELSEWHERE = {"job_marked_stale", "job_made_dead_letter", "job_deleted"}


def rows_of(section: str, columns: int) -> Iterator[tuple[list[str], list[str]]]:
    """The rows of the table in a section: the words in backticks in the first column, and the next ones."""
    text = RUNBOOK.partition(f"\n{section}\n")[2].partition("\n#")[0]
    _, *lines = re.findall(r"^\| (`.*) \|$", text, re.MULTILINE)
    for line in lines:
        first, *others = (cell.strip() for cell in line.split(" | "))
        yield re.findall(r"`([^`]+)`", first), others[:columns]


def nodes(*folders: str) -> Iterator[ast.AST]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield from ast.walk(parsed(path))


def texts_in(node: ast.AST) -> set[str]:
    return {part.value for part in ast.walk(node) if isinstance(part, ast.Constant) and isinstance(part.value, str)}


def logged() -> set[tuple[str, str]]:
    """Every line the code logs, with its level."""
    found = set()
    for node in nodes("storage", "tasks", "web"):
        match node:
            case ast.Call(func=ast.Attribute(value=logger, attr=level), args=[ast.Constant(value=str(event)), *_]):
                if level in LEVELS and ast.unparse(logger) in {"log", "structlog.get_logger(__name__)"}:
                    found.add((event, LEVELS[level]))
    return found


def corrected() -> set[str]:
    """Every kind the code tells of: what it yields, logs or counts, and what it puts together."""
    found = set(lost._KINDS.values()) | {f"orphan_{kind}" for kind in get_args(orphans.Kind) if kind != "debug"}
    for node in nodes("tasks"):
        match node:
            case ast.Call(func=func, args=[_, ast.Constant(value=str(kind)), *_]):
                if ast.unparse(func) == "corrections.count":
                    found.add(kind)
            case ast.Call(args=[ast.Constant(value="job_corrected" | "file_corrected"), *_], keywords=keywords):
                found |= {text for one in keywords if one.arg == "kind" for text in texts_in(one.value)}
    for node in nodes("tasks/reconcile"):
        match node:
            case ast.Yield(value=ast.Constant(value=str(kind))):
                found.add(kind)
            case ast.Assign(targets=[ast.Name(id="kind")], value=value):
                found |= texts_in(value)
    return found


def test_every_line_of_the_log_has_its_row_and_its_level() -> None:
    table = {event: rest[0] for events, rest in rows_of("## Logs", 1) for event in events}
    assert dict(logged()).items() <= table.items()
    assert table.keys() == dict(logged()).keys() | NAMED_ELSEWHERE


def test_every_kind_of_correction_is_known_and_has_its_row() -> None:
    assert corrected() == set(KINDS)
    assert len(set(KINDS)) == len(KINDS)
    assert {kind for kinds, _ in rows_of("### The reconciler", 0) for kind in kinds} == set(KINDS)
