"""Items that ask the same thing twice."""

from __future__ import annotations

import re
from collections.abc import Iterator

from rapidfuzz import fuzz, process

from schema.course import Item
from schema.problem import Problem
from schema.rules.draft import Draft, finding, key_text
from schema.wording import BLANK

#: From this similarity on (0 to 100), two sentences ask the same. Source: published de-duplication of item banks.
SIMILAR = 85.0
_FIGURES = re.compile(r"\d+|[+×÷*/=<>^%−]|(?<=\d)\s?-\s?(?=\d)")


def check_likeness(draft: Draft) -> Iterator[Problem]:
    """At most one ``duplicate_item`` for an item, on the later of the two."""
    first_by_text: dict[str, Item] = {}
    first_by_sum: dict[tuple[int, str, int], Item] = {}
    prose: list[tuple[int, Item]] = []
    for place, item in draft.items:
        same = first_by_text.setdefault(_fold(item["text"]) + _picture(item), item)
        if same is item and "arithmetic" in item:
            asked = item["arithmetic"]
            same = first_by_sum.setdefault((asked["a"], asked["op"], asked["b"]), item)
        if same is not item:
            words = f"This question is the same as question {same['id']}. Ask something else."
            yield finding(f"items.{place}.text", "duplicate_item", words)
        elif "arithmetic" not in item:
            prose.append((place, item))
    yield from _check_prose(prose)


def _check_prose(prose: list[tuple[int, Item]]) -> Iterator[Problem]:
    """Items of different clusters whose sentences, with the key filled in, are nearly the same."""
    sentences = [_fold(item["text"].replace(BLANK, key_text(item) or BLANK)) for _, item in prose]
    numbers = [_FIGURES.findall(sentence) for sentence in sentences]
    for later, (place, item) in enumerate(prose):
        alike = process.extract_iter(
            sentences[later], sentences[:later], scorer=fuzz.ratio, processor=None, score_cutoff=SIMILAR
        )
        for _, _, earlier in alike:
            other = prose[earlier][1]
            # The same story with other figures is another exercise, and so is the same words on another picture.
            if numbers[earlier] != numbers[later] or _picture(other) != _picture(item):
                continue
            if other["clusterId"] != item["clusterId"]:
                words = f"This question is nearly the same as question {other['id']}. Ask something else."
                yield finding(f"items.{place}.text", "duplicate_item", words)
                break


def _fold(text: str) -> str:
    return " ".join(text.casefold().split())


def _picture(item: Item) -> str:
    stimulus = item.get("stimulus")
    return "\n" + stimulus["url"] if stimulus else ""
