"""What may stand in an address's query or in a header: a sentence for people, and the JSON Schema of its values."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

#: What Postgres takes for text: anything but NUL.
_TEXT = r"^[^\u0000]*$"
#: The id of an event, or a version: what a stream was left at.
_NUMBER = "^[0-9]{0,18}$"
_END = r"\Z"
CURSOR = "The nextCursor of the page before."


class Argument(str):
    """The sentence about a parameter; ``schema`` says what its values may be."""

    schema: Mapping[str, Any]

    def __new__(cls, sentence: str, **schema: Any) -> Argument:
        made = super().__new__(cls, sentence)
        made.schema = {"type": "string", **schema}
        return made


def text(sentence: str, **schema: Any) -> Argument:
    """A text to be compared with what is kept."""
    return Argument(sentence, pattern=_TEXT, **schema)


def one_of(sentence: str, choices: Iterable[str]) -> Argument:
    """One of a few words."""
    return Argument(sentence, enum=list(choices))


def whole(sentence: str, low: int, high: int) -> Argument:
    """A whole number from ``low`` to ``high``."""
    return Argument(sentence, type="integer", minimum=low, maximum=high)


def paged(what: str, most: int, usual: int, **cursor: Any) -> dict[str, Argument]:
    """The two parameters of a list. ``cursor`` says what a cursor looks like where it is not the usual one."""
    return {
        "limit": whole(f"{what} on a page, 1 to {most}; {usual} unless told.", 1, most),
        "cursor": Argument(CURSOR, **(cursor or {"format": "cursor"})),
    }


def last_seen(sentence: str) -> Argument:
    """The number a stream goes on after."""
    return Argument(sentence, pattern=_NUMBER)


def idempotency_key(sentence: str, longest: int) -> Argument:
    """A caller's name for a request. What surrounds a header's value doesn't belong to it."""
    return Argument(sentence, minLength=1, maxLength=longest, pattern="^[!-~](?:[ -~]*[!-~])?$")


def as_pattern(regex: re.Pattern[str]) -> str:
    """A regular expression as other languages read it: theirs search anywhere in a text, and know no ``\\Z``."""
    return f"^(?:{regex.pattern.removesuffix(_END)})$"


def without(characters: re.Pattern[str]) -> str:
    """A text in which none of these stands; they are a class, such as ``[a-z]``."""
    return f"^[^{characters.pattern.removeprefix('[')}*$"


def schema_of(sentence: str) -> dict[str, Any]:
    """What the values of the parameter may be that this sentence is about."""
    return dict(sentence.schema) if isinstance(sentence, Argument) else {"type": "string"}
