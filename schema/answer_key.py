"""The answer key of an item in options mode: options as texts, the right one as an index.

A text model may name the right option by a letter, by its text, or by giving it apart from the distractors. What
names exactly one option is understood; anything else is left for ``schema.rules`` to name.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Sequence
from typing import Any

from schema.wording import fold_option, tidy

INDEX_KEYS = ("correctIndex", "correct_index")
ANSWER_KEYS = ("correct_answer", "correctAnswer", "answer")
_LETTER = re.compile(r"\(?([A-Za-z])[).:]?")
_LETTER_AND_TEXT = re.compile(r"\(?([A-Za-z])[).:]\s+(\S.*)", re.DOTALL)


def placed_options(course_id: str, item_id: int, answer: str, distractors: Sequence[str]) -> tuple[list[str], int]:
    """The options of an item in an order that depends on course and item id alone, and the place of the answer.

    The order comes from SHA-256, so it is the same in every process and Python version, and over many items the
    answer stands in each place about equally often.
    """
    given = [answer, *distractors]
    order = sorted(
        range(len(given)), key=lambda place: hashlib.sha256(f"{course_id}\n{item_id}\n{place}".encode()).digest()
    )
    return [given[place] for place in order], order.index(0)


def settle_key(item: dict[str, Any], course_id: str) -> None:
    """Options become texts, the answer key becomes ``correctIndex``."""
    for key in ("options", "distractors"):
        if isinstance(item.get(key), list):
            item[key] = [option_text(option) for option in item[key]]
    if "options" not in item and isinstance(item.get("distractors"), list):
        _place(item, course_id)
    options = item.get("options")
    if not isinstance(options, list) or not all(isinstance(option, str) for option in options):
        return
    _settle_index(item, options)
    for key in ANSWER_KEYS:
        index = identify(item.get(key), options)
        if index is None:
            continue
        if "correctIndex" not in item:
            item["correctIndex"] = index
            del item[key]
        elif item["correctIndex"] == index and (key != "answer" or isinstance(item[key], str)):
            # It says the same again. A number under "answer" is a proper field of the item and stays.
            del item[key]


def option_text(option: Any) -> Any:
    """An option that is a number becomes its JSON text. What is neither text nor a finite number stays."""
    if isinstance(option, bool) or not isinstance(option, int | float):
        return tidy(option) if isinstance(option, str) else option
    if isinstance(option, int):
        # Python refuses to print integers of thousands of digits; no option has 200 characters of them.
        return str(option) if option.bit_length() < 650 else option
    return repr(option) if math.isfinite(option) else option


def _place(item: dict[str, Any], course_id: str) -> None:
    """An answer with distractors becomes shuffled options and the index of the answer."""
    keys = [key for key in ANSWER_KEYS if key in item]
    number = item.get("id")
    if len(keys) != 1 or isinstance(number, bool) or not isinstance(number, int) or "correctIndex" in item:
        return
    given = [option_text(item[keys[0]]), *item["distractors"]]
    if all(isinstance(option, str) for option in given):
        item["options"], item["correctIndex"] = placed_options(course_id, number, given[0], given[1:])
        del item[keys[0]], item["distractors"]


def _settle_index(item: dict[str, Any], options: list[str]) -> None:
    """``correctIndex`` from an index under either spelling, or from a letter or an option's text given as one."""
    for key in INDEX_KEYS:
        given = item.get(key)
        index: int | None = None
        if isinstance(given, float) and given.is_integer():
            index = int(given)
        elif isinstance(given, int) and not isinstance(given, bool):
            index = given
        elif isinstance(given, str):
            index = identify(given, options, digits_are_places=True)
        if index is not None and (key == "correctIndex" or item.get("correctIndex", index) == index):
            del item[key]
            item["correctIndex"] = index


def identify(given: Any, options: list[str], *, digits_are_places: bool = False) -> int | None:
    """The one option that ``given`` names by its text or its letter; none when it names no option, or two."""
    text = option_text(given)
    if not isinstance(text, str) or not text:
        return None
    same = [place for place, option in enumerate(options) if option == text]
    folded = fold_option(text)
    named = set(same or [place for place, option in enumerate(options) if fold_option(option) == folded])
    if letter := _LETTER.fullmatch(text):
        if same and text.islower():  # "a" where an option is "a", as in an item on articles, is that option
            return same[0] if len(same) == 1 else None
        named.add(ord(letter[1].upper()) - ord("A"))
    elif both := _LETTER_AND_TEXT.fullmatch(text):
        place = ord(both[1].upper()) - ord("A")
        if place < len(options) and fold_option(options[place]) == fold_option(both[2]):
            named.add(place)
    if digits_are_places and re.fullmatch(r"[0-9]{1,2}", text):
        named.add(int(text))
    named = {place for place in named if place < len(options)}
    return named.pop() if len(named) == 1 else None
