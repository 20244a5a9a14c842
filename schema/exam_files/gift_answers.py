"""The answers of a GIFT question: what kind it is, what counts as right, and what is said about it.

A question keeps only what an exam has a place for. What is lost on the way (part marks, a question without an answer)
is noted with its line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from typing import Any

from schema.exam import MOST_ANSWERS, MOST_OPTIONS, range_text
from schema.exam_files.found import FileContent, FoundQuestion
from schema.exam_files.gift_text import plain

_WEIGHT = re.compile(r"\s*%(-?[0-9]{1,3}(?:\.[0-9]*)?)%")
_TRUE, _FALSE = {"T", "TRUE", "True", "true"}, {"F", "FALSE", "False", "false"}


@dataclass(frozen=True)
class Block:
    """A question: ``stem`` is read, ``answers`` is what stands between its braces, with hidden escapes, beginning on
    ``line``; the question begins on ``first``. Parts of it that don't say so are HTML if the question is."""

    stem: str
    answers: str
    is_html: bool
    tags: list[str]
    line: int
    first: int

    def plain(self, text: str) -> str:
        """What a reader sees of a part."""
        return plain(text, self.is_html)


@dataclass(frozen=True)
class _Choice:
    """One answer: as it is written, with hidden escapes, and as it is read; how much of the marks it gets (percent),
    and what is said to it."""

    written: str
    text: str
    weight: float
    feedback: str
    line: int


class _Fault(Exception):
    """An answer that can't be taken, at a line."""

    def __init__(self, line: int, message: str) -> None:
        super().__init__(message)
        self.line = line
        self.message = message


def take_answers(block: Block, content: FileContent) -> None:
    """Add what a block asks to ``content``: one question, or one for each pair to match."""
    given, mark, general = block.answers.rpartition("####")
    if not mark:
        given, general = block.answers, ""
    read = _reader(given.strip())
    try:
        for body in read(block, given, content):
            said = [block.plain(general), body.pop("said", "")]
            body["explanation"] = "\n".join(filter(None, said))
            body["tags"] = block.tags
            content.questions.append(FoundQuestion(body, block.first))
    except _Fault as fault:
        content.fault(fault.line, fault.message)


_Read = Callable[[Block, str, FileContent], Iterator[dict[str, Any]]]


def _reader(given: str) -> _Read:
    """How to read these answers. The order of the questions is Moodle's."""
    if not given:
        return _essay
    if given.startswith("#"):
        return _numeric
    if "~" in given:
        return _multiple_choice
    if "=" in given and "->" in given:
        return _matching
    if given.partition("#")[0].strip() in _TRUE | _FALSE:
        return _true_or_false
    return _short_answer


def _essay(block: Block, given: str, content: FileContent) -> Iterator[dict[str, Any]]:
    content.note(block.first, "Has no answer.")
    yield {"text": block.stem}


def _true_or_false(block: Block, given: str, content: FileContent) -> Iterator[dict[str, Any]]:
    answer, *feedback = given.split("#", 2)
    right = "True" if answer.strip() in _TRUE else "False"
    # First comes what is said to the wrong answer, then what is said to the right one.
    said = "\n".join(filter(None, (block.plain(one) for one in reversed(feedback))))
    yield {"text": block.stem, "options": ["True", "False"], "answer": right, "said": said}


def _multiple_choice(block: Block, given: str, content: FileContent) -> Iterator[dict[str, Any]]:
    choices = _choices(block, given, "~=", usual={"=": 100.0, "~": 0.0})
    single = any(choice.weight >= 100 for choice in choices)
    right = [choice for choice in choices if choice.weight >= (100 if single else 0.01)]
    if not right:
        raise _Fault(block.line, "None of the answers is right. Mark the right one with = instead of ~.")
    if single and any(0 < choice.weight < 100 for choice in choices):
        content.note(block.line, "An answer that is right in part counts as wrong.")
    if not single and len(right) > 1:
        content.note(block.line, f"{len(right)} answers are right together; here each of them counts as right.")
    yield {
        "text": block.stem,
        "options": [choice.text for choice in choices],
        "answer": [choice.text for choice in right],
        "said": _said(right, choices),
    }


def _short_answer(block: Block, given: str, content: FileContent) -> Iterator[dict[str, Any]]:
    choices = _choices(block, given, "=", usual={"=": 100.0, "": 100.0})
    right = _fully_right(block, choices, content)
    answers = []
    for choice in right:
        text = choice.text.strip("*").strip()
        if "*" in text or not text:
            raise _Fault(choice.line, "An answer with a wildcard (*) inside it can't be taken. Write the answers out.")
        if "*" in choice.text:
            content.note(choice.line, f"The wildcard (*) of the answer {text[:80]!r} is left out.")
        answers.append(text)
    yield {"text": block.stem, "answer": answers, "said": _said(right, [])}


def _numeric(block: Block, given: str, content: FileContent) -> Iterator[dict[str, Any]]:
    skipped = given.index("#") + 1
    numbers = given[skipped:].partition("~")[0]  # behind a ~ is what is said to any wrong answer
    moved = replace(block, line=block.line + given.count("\n", 0, skipped))
    choices = _choices(moved, numbers, "=", usual={"=": 100.0, "": 100.0})
    right = _fully_right(block, choices, content)
    answers = [text for choice in right for text in _number(choice)]
    yield {"text": block.stem, "answer": answers, "said": _said(right, [])}


def _number(choice: _Choice) -> list[str]:
    """What counts as right: a number, and the range around it; or a range, and the number in its middle."""
    low, dots, high = choice.text.partition("..")
    value, colon, tolerance = choice.text.partition(":")
    if dots:
        ends = sorted((_decimal(low, choice), _decimal(high, choice)))
        return [range_text(*ends), f"{_tidy((ends[0] + ends[1]) / 2)}"]
    middle = _decimal(value, choice)
    around = abs(_decimal(tolerance, choice)) if colon else Decimal(0)
    plain_number = value.strip() if len(value.strip()) <= 40 else f"{_tidy(middle)}"
    return [plain_number, range_text(middle - around, middle + around)] if around else [plain_number]


def _decimal(text: str, choice: _Choice) -> Decimal:
    try:
        number = Decimal(text.strip())
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite() or number.adjusted() > 30 or number.as_tuple().exponent < -30:  # type: ignore[operator]
        words = f"{text.strip()[:40]!r} is no number. Write 3, 3.14:0.01 (a tolerance) or 3..4 (a range)."
        raise _Fault(choice.line, words)
    return number


def _tidy(number: Decimal) -> str:
    return f"{number.normalize():f}"


def _matching(block: Block, given: str, content: FileContent) -> Iterator[dict[str, Any]]:
    pairs = []
    for choice in _choices(block, given, "=", usual={"=": 100.0}):
        left, arrow, right = choice.written.partition("->")
        if not arrow or not block.plain(right):
            raise _Fault(choice.line, "In a question that matches pairs every line reads =left -> right.")
        pairs.append((block.plain(left), block.plain(right)))
    options = list(dict.fromkeys(right for _, right in pairs))
    asked = [(left, right) for left, right in pairs if left]
    if not asked:
        raise _Fault(block.line, "There is nothing to match.")
    content.note(block.first, f"Each of the {len(asked)} pairs to match becomes a question of its own.")
    for left, right in asked:
        body: dict[str, Any] = {"text": f"{block.stem.rstrip(' .:')}: {left}" if block.stem else left, "answer": right}
        if 2 <= len(options) <= MOST_OPTIONS:
            body["options"] = options
        yield body


def _choices(block: Block, given: str, marks: str, usual: dict[str, float]) -> list[_Choice]:
    """The answers, each behind its mark. ``usual`` is what an answer is worth behind which mark when it doesn't say;
    an answer without a mark is refused where none is named for it."""
    found = []
    places = [place for place, char in enumerate(given) if char in marks]
    if len(places) > MOST_ANSWERS:
        raise _Fault(block.line, f"There are more than {MOST_ANSWERS} answers.")
    beginnings = places if places and not given[: places[0]].strip() else [-1, *places]
    for place, end in zip(beginnings, [*beginnings[1:], len(given)], strict=True):
        mark = given[place] if place >= 0 else ""
        part = given[place + 1 : end]
        line = block.line + given.count("\n", 0, max(place, 0))
        if mark not in usual:
            raise _Fault(line, "The answers begin with a text that is neither marked as right (=) nor as wrong (~).")
        weight = usual[mark]
        if named := _WEIGHT.match(part):
            weight, part = float(named[1]), part[named.end() :]
        written, _, feedback = part.partition("#")
        text = block.plain(written)
        if not text:
            raise _Fault(line, "An answer is empty.")
        found.append(_Choice(written, text, weight, block.plain(feedback), line))
    return found


def _fully_right(block: Block, choices: list[_Choice], content: FileContent) -> list[_Choice]:
    """The answers with full marks. One for anything else (``*``) is there for what is said to it, and dropped."""
    partly = [choice for choice in choices if 0 < choice.weight < 100]
    right = [choice for choice in choices if choice.weight >= 100 and choice.text != "*"]
    if not right:
        raise _Fault(block.line, "None of the answers gets full marks.")
    if partly:
        content.note(block.line, "An answer that is right in part counts as wrong.")
    return right


def _said(right: list[_Choice], choices: list[_Choice]) -> str:
    """What is said to the right answers, then to each wrong one, with its name."""
    lines = [choice.feedback for choice in right]
    lines += [f"{one.text}: {one.feedback}" for one in choices if one not in right and one.feedback]
    return "\n".join(dict.fromkeys(filter(None, lines)))
