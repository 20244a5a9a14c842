"""What people can read of an answer that is still being written: the words in its JSON, as they grow.

A courtesy, and nothing else depends on it: what can't be read yet is simply not said.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from jiter import from_json

Say = Callable[[str], None]

#: Fields of answers that people read, in plans for courses, items, study texts and lessons. Not among them are wrong
#: options, keys and hints: without their question they tell nobody anything.
READ = frozenset({"title", "question", "body", "content", "text", "explanation", "example", "term", "meaning"})
#: What is inside of these is not read, whatever it is called.
_UNREAD = frozenset({"distractors", "options"})
#: How much time passes between two readings of one answer, in seconds.
SAY_EVERY = 0.25
#: Between two fields.
_GAP = "\n\n"


@dataclass
class Reader:
    """Reads one answer aloud: ``say`` gets every word of its fields once, in the order of the answer, at most four
    times a second. ``say`` must return at once."""

    say: Say
    now: Callable[[], float] = time.monotonic
    _pieces: list[str] = field(default_factory=list)
    #: Of each field, by its place in the answer, how much of it was said.
    _said: dict[tuple[str | int, ...], int] = field(default_factory=dict)
    _next: float = 0.0

    def hear(self, piece: str) -> None:
        """The answer goes on with ``piece``."""
        self._pieces.append(piece)
        if self.now() >= self._next:
            self._next = self.now() + SAY_EVERY
            self._read()

    def end(self) -> None:
        """The answer is whole, or nothing more of it will come."""
        self._read()

    def _read(self) -> None:
        words = self._new_words("".join(self._pieces))
        if words:
            self.say(words)

    def _new_words(self, answer: str) -> str:
        new = ""
        for place, text in _readable(_so_far(answer)):
            said = self._said.get(place)
            if said is None:
                new += _GAP if self._said else ""
            new += text[said or 0 :]
            self._said[place] = max(said or 0, len(text))
        return new


def _so_far(answer: str) -> Any:
    """The JSON value an unfinished answer has so far; none when it has none, or isn't JSON."""
    begins = answer.find("{")
    if begins < 0:
        return None
    try:
        return from_json(answer[begins:].encode("utf-8", "ignore"), partial_mode="trailing-strings")
    except ValueError:
        return None


def _readable(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], str]]:
    """Every text in a JSON value that people read, with its place, in their order."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, part in parts:
        if isinstance(part, str) and name in READ and part.strip():
            yield (*place, name), part
        elif name not in _UNREAD:
            yield from _readable(part, (*place, name))


@dataclass
class _Lane:
    texts: list[str] = field(default_factory=list)
    open: bool = True


class Lanes:
    """Several answers at once, read aloud one after the other, so that their words don't mix: what a later one brings
    meanwhile is said when those before it are through. For one thread."""

    def __init__(self, say: Say) -> None:
        self._say = say
        self._lanes: list[_Lane] = []

    @contextmanager
    def lane(self) -> Iterator[Say]:
        """Somewhere to say the words of one more answer, for as long as it comes."""
        mine = _Lane()
        self._lanes.append(mine)

        def say(text: str) -> None:
            mine.texts.append(text)
            self._speak()

        try:
            yield say
        finally:
            mine.open = False
            mine.texts.append(_GAP)
            self._speak()

    def _speak(self) -> None:
        while self._lanes:
            first = self._lanes[0]
            if first.texts:
                self._say("".join(first.texts))
                first.texts.clear()
            if first.open:
                return
            self._lanes.pop(0)
