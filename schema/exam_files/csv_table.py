"""Questions from a table: CSV with a header row, separated by commas, semicolons or tabs."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from schema.answer_key import identify
from schema.exam import MOST_ANSWERS, MOST_OPTIONS
from schema.exam_files.found import FileContent, FoundQuestion
from schema.exam_request import LONGEST_CHOICE

_DELIMITERS = (",", ";", "\t")
_MOST_COLUMNS = 200
#: Excel's first line for Excel: ``sep=;``.
_SEPARATOR_LINE = re.compile(r"sep=.?", re.IGNORECASE)
#: Headings, folded, and what their column holds.
_MEANINGS = {
    "question": ("question", "questions", "text", "question text", "prompt", "stem"),
    "options": ("options", "choices", "answer options"),
    "answer": (
        "answer",
        "answers",
        "correct",
        "correct answer",
        "correct answers",
        "correct option",
        "key",
        "solution",
    ),
    "explanation": ("explanation", "feedback", "rationale"),
    "tags": ("tags", "tag", "category", "topic"),
}
_MEANING_OF = {name: meaning for meaning, names in _MEANINGS.items() for name in names}
_ONE_OPTION = re.compile(r"(?:option|choice|answer)? ?(?:([a-j])|(10|[1-9]))")
_ONE_OPTION_OF_NONE = re.compile(r"(?:option|choice)? ?(?:([a-j])|(10|[1-9]))")
_FIELD_OF = {"question": "text", "options": "options", "answer": "answer", "explanation": "explanation", "tags": "tags"}


@dataclass(frozen=True)
class _Columns:
    """Where a table has what: a column by its meaning, the columns with one option each, and all headings."""

    places: dict[str, int]
    options: list[int]
    numbered: bool
    headings: list[str]

    @property
    def known(self) -> int:
        return len(self.places) + len(self.options)


def read_csv(text: str) -> FileContent:
    """The questions of a table. Faults name line and column."""
    content = FileContent()
    delimiter = _delimiter(text)
    rows = _rows(text, delimiter, content)
    header = next(rows, None)
    if header is None:
        if not content.faults:
            content.fault(1, "There is nothing in the file.")
        return content
    line, headings = header
    if len(headings) > _MOST_COLUMNS:
        content.fault(line, f"There are {len(headings)} columns. A table has at most {_MOST_COLUMNS}.")
        return content
    columns = _columns(headings)
    if "question" not in columns.places:
        content.fault(line, "No column is called question. The first line names the columns: question, answer, ...")
        return content
    _check_headings(columns, line, content)
    for line, cells in rows:
        if content.is_full(line):
            break
        if len(cells) > len(headings):
            more = f"There are {len(cells)} cells, and the first line names {len(headings)} columns. "
            content.fault(line, more + "Put a cell that contains the separator in double quotes.")
        else:
            _take(columns, [*cells, *[""] * (len(headings) - len(cells))], line, content)
    return content


def _delimiter(text: str) -> str:
    """The separator with which the first line names most columns we know."""

    def known(delimiter: str) -> int:
        header = next(_rows(text, delimiter, FileContent()), None)
        return _columns(header[1]).known if header else 0

    return max(_DELIMITERS, key=known)


def _rows(text: str, delimiter: str, content: FileContent) -> Iterator[tuple[int, list[str]]]:
    """Each row up to its last cell with something in it, if there is one, and the line it begins on. A fault ends the
    reading."""
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True, skipinitialspace=True)
    while True:
        line = reader.line_num + 1
        try:
            cells = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            content.fault(line, f"This can't be read as CSV: {error}.", "malformed_file")
            return
        cells = [cell.strip() for cell in cells]
        while cells and not cells[-1]:  # spreadsheets fill up rows
            cells.pop()
        if cells and not (line == 1 and len(cells) == 1 and _SEPARATOR_LINE.fullmatch(cells[0])):
            yield line, cells


def _columns(headings: Sequence[str]) -> _Columns:
    folded = [" ".join(re.sub(r"[_\-./]+", " ", heading).casefold().split()) for heading in headings]
    folded = [re.sub(r"(?<=option|choice|answer)(?=[a-j0-9])", " ", name) for name in folded]
    # "Answer 1" is an option where another column says which is right.
    one_option = _ONE_OPTION if any(_MEANING_OF.get(name) == "answer" for name in folded) else _ONE_OPTION_OF_NONE
    places: dict[str, int] = {}
    options: dict[int, int] = {}
    for place, name in enumerate(folded):
        meaning = _MEANING_OF.get(name)
        if meaning is not None:
            places.setdefault(meaning, place)
        elif one := one_option.fullmatch(name):
            options.setdefault(ord(one[1]) - ord("a") if one[1] else int(one[2]) - 1, place)
    numbered = any(folded[place][-1:].isdigit() for place in options.values())
    return _Columns(places, [options[key] for key in sorted(options)], numbered, list(headings))


def _check_headings(columns: _Columns, line: int, content: FileContent) -> None:
    """Tell which columns are not taken."""
    taken = {*columns.places.values(), *columns.options}
    left = [heading[:80] for place, heading in enumerate(columns.headings) if place not in taken]
    if left:
        named = ", ".join(repr(heading) if heading else "a column without a name" for heading in left)
        content.note(line, f"Left out: {named}. No such column is known.")


def _take(columns: _Columns, cells: Sequence[str], line: int, content: FileContent) -> None:
    """The question of a row, which has a cell for every column."""
    given = {meaning: cells[place] for meaning, place in columns.places.items()}
    body: dict[str, Any] = {"text": given["question"], "explanation": given.get("explanation", "")}
    body["tags"] = [tag for tag in re.split(r"[|;,\n]", given.get("tags", "")) if tag.strip()]
    options = [cells[place] for place in columns.options]
    while options and not options[-1]:
        options.pop()
    if "" in options:
        heading = columns.headings[columns.options[options.index("")]]
        content.fault(line, f"Column {heading!r} is empty, and an option after it is not.")
        return
    options = options or _parts(given.get("options", ""))
    if options:
        body["options"] = options
    if answer := given.get("answer"):
        body["answer"] = _answers(answer, options, columns.numbered)
    content.questions.append(FoundQuestion(body, line, _names(columns)))


def _names(columns: _Columns) -> dict[str, str]:
    """The headings by the field of a question their column fills."""
    names = {_FIELD_OF[meaning]: columns.headings[place] for meaning, place in columns.places.items()}
    if columns.options:
        names["options"] = columns.headings[columns.options[0]]
    return names


def _parts(cell: str) -> list[str]:
    """The entries of a cell with several, separated by ``|``, else by lines, else by ``;``."""
    separator = next((mark for mark in "|\n;" if mark in cell), "|")
    return [part.strip() for part in cell.split(separator) if part.strip()]


def _answers(cell: str, options: Sequence[str], numbered: bool) -> list[str]:
    """All answers that count as right. Among options several may be written as ``A;C`` or ``A, C``, and where the
    columns of the options are numbered, an option by its number."""
    if not options:
        return [part.strip() for part in cell.split("|") if part.strip()]
    if len(options) > MOST_OPTIONS:
        return [cell]  # is refused for its options, and comparing with all of them would take long
    for separator in ("\0", "|", ";", ","):
        parts = [part.strip() for part in cell.split(separator) if part.strip()]
        if len(parts) > MOST_ANSWERS or any(len(part) > LONGEST_CHOICE for part in parts):
            continue
        named = [_named(part, options, numbered) for part in parts]
        if all(identify(part, list(options)) is not None for part in named):
            return named
    return [cell]


def _named(answer: str, options: Sequence[str], numbered: bool) -> str:
    if numbered and answer not in options and re.fullmatch(r"10|[1-9]", answer) and int(answer) <= len(options):
        return options[int(answer) - 1]
    return answer
