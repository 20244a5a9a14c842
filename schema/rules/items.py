"""Rules for one item by itself: is it filled in, is it well-formed, does it give its answer away."""

from __future__ import annotations

import re
from collections.abc import Iterator

from schema.course import Item
from schema.problem import Problem
from schema.rules.draft import finding, key_text
from schema.rules.placeholder import is_placeholder, is_unfilled_option
from schema.wording import BLANK, blank_count, fold_option, phrase_pattern

_ABOVE = re.compile(
    r"(all|none|any|both|neither) of (the|these) (above|options|answers)|(all|none) of these"
    r"|(both|neither) \(?[a-d]\)? (and|nor|or) \(?[a-d]\)?",
    re.IGNORECASE,
)
# "A and C", "(a) oder (b)", "Both a and b", in any language.
_LETTERS = re.compile(r"([^\W\d_]+ )?\(?[a-h]\)?(,? (& |[^\W\d_]{1,4} )?\(?[a-h]\)?)+", re.IGNORECASE)
# Words of grammar stand in any sentence, so finding the key there gives nothing away.
_GRAMMAR_WORDS = re.compile(
    r"the|and|but|for|nor|yet|are|was|were|has|had|have|does|did|not|you|she|they|his|her|him|its|our|your|their|them"
    r"|this|that|these|those|with|from|into|onto|who|whom|whose|which|what|when|where|why|how|can|may|will|than|then",
    re.IGNORECASE,
)


def check_item(place: int, item: Item) -> Iterator[Problem]:
    """Everything that can be said about an item without looking at others. ``place`` is its position in the list."""
    path = f"items.{place}"
    yield from _check_stem(path, item)
    if item["mode"] == "options":
        yield from _check_options(path, item)
        yield from _check_revealed(path, item)
    else:
        yield from _check_numeric(path, item)
    for key, words in (("hint", item.get("hint")), ("explain", item.get("explain"))):
        if words and is_placeholder(words):
            yield finding(f"{path}.{key}", "unfilled_text", f"The {key} is only a placeholder. Write it or remove it.")


def speaks_of_others(option: str) -> bool:
    """Whether an option makes sense only where it stands: "all of the above", "A and C"."""
    return bool(_ABOVE.fullmatch(option.strip(" .")) or _LETTERS.fullmatch(option.strip(" .")))


def _check_stem(path: str, item: Item) -> Iterator[Problem]:
    words = item["text"].replace(BLANK, " ").strip()
    if is_placeholder(words) or (not words and not item.get("stimulus")):
        yield finding(f"{path}.text", "unfilled_text", "The question has no text yet. Write what is asked.")
        return
    count = blank_count(item["text"])
    if count != 1:
        found = "no [blank]" if count == 0 else f"{count} blanks"
        yield finding(
            f"{path}.text",
            "invalid_blank_count",
            f"The question has {found}. Mark exactly one place for the answer with [blank].",
        )


def _check_options(path: str, item: Item) -> Iterator[Problem]:
    options = item.get("options", [])
    if not 3 <= len(options) <= 4:
        words = f"The question has {len(options)} options. Give three or four."
        yield finding(f"{path}.options", "invalid_options_count", words)
    if "correctIndex" not in item:
        words = "Nothing says which option is right. Mark the right one."
        yield finding(f"{path}.correctIndex", "invalid_correct_index", words)
    elif not 0 <= item["correctIndex"] < len(options):
        words = f"No option stands at index {item['correctIndex']}, which is said to be right. Mark the right one."
        yield finding(f"{path}.correctIndex", "invalid_correct_index", words)
    for place, option in enumerate(options):
        if is_unfilled_option(option, options):
            yield finding(f"{path}.options.{place}", "unfilled_text", "This option has no text yet. Write it.")
        elif _ABOVE.fullmatch(option.strip(" .")):
            words = f"The option {option!r} rewards guessing. Replace it by an answer of its own."
            yield finding(f"{path}.options.{place}", "all_of_the_above", words)
    yield from _check_duplicates(path, options)


def _check_duplicates(path: str, options: list[str]) -> Iterator[Problem]:
    seen: dict[str, str] = {}
    for option in options:
        folded = fold_option(option)
        if folded and folded in seen:
            words = f"The options {seen[folded]!r} and {option!r} are the same. Make every option different."
            yield finding(f"{path}.options", "duplicate_options", words)
            return
        seen[folded] = option


def _check_revealed(path: str, item: Item) -> Iterator[Problem]:
    """The key as a whole word or phrase in the stem. Where every option stands there, nothing is given away."""
    key = (key_text(item) or "").strip()
    if len(key) < 3 or _GRAMMAR_WORDS.fullmatch(key):
        return
    stem = item["text"].replace(BLANK, "\n")
    if phrase_pattern(key).search(stem) and not all(
        phrase_pattern(option.strip()).search(stem) for option in item["options"]
    ):
        words = f"The right answer {key!r} already stands in the question. Reword the question."
        yield finding(f"{path}.text", "answer_revealed", words)


def _check_numeric(path: str, item: Item) -> Iterator[Problem]:
    if "answer" not in item:
        yield finding(f"{path}.answer", "missing_answer", "The question has no answer. Give the number that is right.")
    if "options" in item or "correctIndex" in item:
        part = "options" if "options" in item else "correctIndex"
        words = "A question answered with a number has no options. Remove them, or make it a question with options."
        yield finding(f"{path}.{part}", "unexpected_options", words)
