"""Habits that let a learner guess: warnings over the course's items."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator

from schema.course import Item
from schema.problem import Problem
from schema.rules.draft import Draft, finding

#: How large a share of the keys one position may hold, by the number of options.
_FAIR_SHARE = {3: 0.55, 4: 0.45}
_NEGATIVE = re.compile(
    r"\b(?:NOT|EXCEPT)\b|(?i:\bwhich\b[^.?!]{0,60}?\b(?:is|are|was|were|do|does|did|can|has|have) not\b)"
    r"|(?i:\bwhich\b[^.?!]{0,60}?\b(?:is|are|was|were|do|does|did|has|have)n['’]t\b)"
    r"|(?i:\ball\b[^.?!]{0,60}?\bexcept\b)"
)


def check_habits(draft: Draft) -> Iterator[Problem]:
    """``longest_option_is_key``, ``key_position_bias`` and ``negative_stem``."""
    judged = [item for _, item in draft.items if _has_key(item)]
    longest = sum(_key_is_longest(item) for item in judged)
    if len(judged) >= 8 and longest > len(judged) / 2:
        words = (
            f"In {longest} of {len(judged)} questions the right option is the longest, so it can be guessed. "
            "Make some wrong options as long as the right one."
        )
        yield finding("items", "longest_option_is_key", words)
    for count, share in _FAIR_SHARE.items():
        places = Counter(item["correctIndex"] for item in judged if len(item["options"]) == count)
        total = places.total()
        if total >= 12 and max(places.values()) > share * total:
            place, times = places.most_common(1)[0]
            words = f"Option {place + 1} is right in {times} of {total} questions. Spread the right options evenly."
            yield finding("items", "key_position_bias", words)
    if draft.language.lower().startswith("en"):
        for place, item in draft.items:
            if _NEGATIVE.search(item["text"]):
                words = "The question asks for what is not so, which is easily misread. Ask for what is so."
                yield finding(f"items.{place}.text", "negative_stem", words)


def _has_key(item: Item) -> bool:
    return item["mode"] == "options" and 0 <= item.get("correctIndex", -1) < len(item.get("options", []))


def _key_is_longest(item: Item) -> bool:
    lengths = [len(option) for option in item["options"]]
    key = lengths.pop(item["correctIndex"])
    return bool(lengths) and key > max(lengths)
