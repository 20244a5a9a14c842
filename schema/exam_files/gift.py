"""Questions in GIFT, Moodle's format for question banks.

The format is described at https://docs.moodle.org/en/GIFT_format, and where that is silent, files are taken as Moodle
takes them. Blank lines separate questions. The answers of a question stand between its first ``{`` and its first ``}``;
how they are read is in ``gift_answers``. Every pattern takes time in proportion to the text.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

from schema.exam_files.found import FileContent
from schema.exam_files.gift_answers import Block, take_answers
from schema.exam_files.gift_text import hidden, is_html, plain, shows_more

_CATEGORY = re.compile(r"\s*\$CATEGORY:(.*)")
_TAG = re.compile(r"\[tag:((?:\\.|[^\\\[\]]){1,200})\]")
_NOT_TOP = re.compile(r"\s*(?:\$[^/$]*\$|top)\s*\Z", re.IGNORECASE)
_BRACE = re.compile(r"[{}]")
_CLOSING = re.compile(r"[\s.,;:!?\"'”’)\]]*\Z")


@dataclass
class _Lines:
    """The lines of one question, numbered, and the tags in the comments among them."""

    first: int
    lines: list[str] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)


def read_gift(text: str) -> FileContent:
    """The questions of a GIFT file. Texts without answers go into the context; faults name the line."""
    content = FileContent()
    category: list[str] = []
    for block in _blocks(text):
        if content.is_full(block.first):
            break
        whole = "\n".join(block.lines)
        if found := _CATEGORY.match(whole):
            category = _tags_of(found[1])
            whole = "\n" * whole.count("\n", 0, found.end()) + whole[found.end() :]
        if whole.strip():
            _take(whole, block, [*category, *block.tags], content)
    if not content.questions and not content.faults:
        content.fault(1, "There is no question in the file. A question has its answers in braces: Who?{=Ada}")
    return content


def _blocks(text: str) -> Iterator[_Lines]:
    """What blank lines separate. A comment is an empty line that separates nothing; its tags are kept."""
    open_block: _Lines | None = None
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), start=1):
        if not line.strip():
            if open_block is not None:
                yield open_block
            open_block = None
            continue
        if open_block is None:
            open_block = _Lines(number)
        if line.lstrip().startswith("//"):
            open_block.tags += [tag.replace("\\]", "]").strip()[:50] for tag in _TAG.findall(line)]
            line = ""
        open_block.lines.append(line)
    if open_block is not None:
        yield open_block


def _tags_of(category: str) -> list[str]:
    """The innermost name of a category path such as ``$course$/top/Plants/Leaves``. In it ``//`` stands for a slash."""
    names = [name.replace("\0", "/").strip() for name in category.replace("//", "\0").split("/")]
    names = [name for name in names if name and not _NOT_TOP.match(name)]
    return [plain(hidden(names[-1]))[:50]] if names else []


def _take(whole: str, lines: _Lines, tags: list[str], content: FileContent) -> None:
    """The question that these lines are, or the fault that they have."""
    text = hidden(whole)
    start = _after_title(text)
    opening, closing = text.find("{", start), text.find("}", start)
    if opening < 0 and closing < 0:
        content.note(lines.first, "Has no answers in braces, so it is taken as a text that belongs to the context.")
        content.context.append(plain(text[start:]))
        return
    stem = _stem(text[start:opening], text[closing + 1 :])
    if fault := _fault(text, opening, closing, stem):
        place, message = fault
        content.fault(lines.first + text.count("\n", 0, place), message)
        return
    if shows_more(text):
        content.note(lines.first, "Pictures and films are left out.")
    tags = list(dict.fromkeys(filter(None, tags)))
    answers, line = text[opening + 1 : closing], lines.first + text.count("\n", 0, opening)
    take_answers(Block(stem, answers, is_html(text[start:]), tags, line, lines.first), content)


def _after_title(text: str) -> int:
    """Where a question begins, behind ``::its title::`` if it has one."""
    start = len(text) - len(text.lstrip())
    end = text.find("::", start + 2) if text.startswith("::", start) else -1
    return end + 2 if end >= 0 else start


def _fault(text: str, opening: int, closing: int, stem: str) -> tuple[int, str] | None:
    """What is wrong with the braces of a question (the first of each kind), and where; none when they are right."""
    ends = "in this question, which ends at the blank line. A brace that is meant as such is written \\{ or \\}."
    if closing < 0:
        return opening, f"A {{ has no }} {ends}"
    if opening < 0 or closing < opening:
        return closing, f"A }} has no {{ before it {ends}"
    if second := _BRACE.search(text, closing + 1):
        words = (
            "A question has its answers in one pair of braces. Separate questions by a blank line; write \\{ or \\}."
        )
        return second.start(), words
    if not stem and "->" not in text[opening:closing]:
        return opening, "There is no question before the answers."
    return None


def _stem(before: str, after: str) -> str:
    """The question around its answers. Where they stand in the middle of a sentence, a line of underscores does."""
    closed = plain(before)
    if not after.strip() or (_CLOSING.match(after) and closed[-1:] in {".", "?", "!", ":"}):
        return closed
    return plain(f"{before}_____{after}")
