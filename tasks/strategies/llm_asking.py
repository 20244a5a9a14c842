"""What all questions to a model have in common: how they are put, how texts are taken."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, TypeVar

from schema.job import CourseRequest
from schema.wording import tidy
from tasks.clients.text import Ask
from tasks.prompts import facts_block, prompt
from tasks.strategies.llm_schemas import JsonSchema

#: Puts one question and returns its answer, already of the asked shape: ``TextClient.complete``, or a fake.
Complete = Callable[[Ask], Awaitable[Any]]

#: More exercises than this are asked for in several calls side by side: longer answers get worse and break off.
ITEMS_PER_CALL = 6

T = TypeVar("T")
#: A block of code, or the signs before a heading: in code they begin a comment.
_CODE_OR_HEADING = re.compile(
    r"(^[ \t]*(`{3,}(?=[^`\n]*$)|~{3,}).*?(?:^[ \t]*\2|\Z))|^[ \t]{0,3}#{1,6}[ \t]+", re.DOTALL | re.MULTILINE
)
#: What can't be stored, and what turns the direction of words that come after it.
_UNKEEPABLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")


def ask(
    purpose: str, prompt_name: str, schema_name: str, schema: JsonSchema, facts: dict[str, Any], **words: str
) -> Ask:
    """A question from a prompt: ``facts`` become its JSON block, ``words`` fill its other places."""
    chosen = prompt(prompt_name)
    user = re.sub(r"\n{3,}", "\n\n", chosen.filled(facts=facts_block(facts), **words)).strip()
    return Ask(purpose, chosen.name, chosen.label, chosen.system, user, schema_name, schema)


def about(request: CourseRequest) -> dict[str, Any]:
    """What every question says about the course it is for. The notes are not in it: they go between markers."""
    facts: dict[str, Any] = {"subject": request["subject"], "gradeBand": request["gradeBand"]}
    if "grade" in request:
        facts["grade"] = request["grade"]
    return {**facts, "language": request["language"], "mode": request["mode"]}


def portions(things: Sequence[T], size: int = ITEMS_PER_CALL) -> list[Sequence[T]]:
    """Even portions of at most ``size``: 13 become 5, 4 and 4, not 6, 6 and 1."""
    count = -(-len(things) // size)
    return [things[len(things) * at // count : len(things) * (at + 1) // count] for at in range(count)]


def taken(value: Any, limit: int | None = None) -> str:
    """A text from a model without what can't be stored, tidied; with a limit, cut at a word and marked with ``…``."""
    text = tidy(_UNKEEPABLE.sub("", value)) if isinstance(value, str) else ""
    if limit is None or len(text) <= limit:
        return text
    whole_words = text[: limit - 1].rpartition(" ")[0] or text[: limit - 1]
    return whole_words.rstrip(" ,;:") + "…"


def one_line(value: Any, limit: int) -> str:
    """Like ``taken``, for names and titles: without line breaks."""
    return taken(" ".join(value.split()) if isinstance(value, str) else value, limit)


def without_headings(text: str) -> str:
    """A text whose headings are lines like any other: where parts begin is decided here."""
    return _CODE_OR_HEADING.sub(lambda found: found[1] or "", text)


def by_number(entries: Iterable[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """Answers by the number they carry; of two with the same number the first counts."""
    found: dict[int, dict[str, Any]] = {}
    for entry in entries:
        found.setdefault(entry["number"], entry)
    return found
