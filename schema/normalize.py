"""Putting a draft into its proper form before it is judged. Nothing is invented: what can't be read one way only
stays as it is, and ``schema.rules`` names it.

Normalizing is idempotent and leaves a valid course exactly as it is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from schema.answer_key import ANSWER_KEYS, INDEX_KEYS, placed_options, settle_key
from schema.wording import BLANK, mark_blanks, phrase_pattern, tidy

__all__ = ["normalize_course", "normalize_item", "placed_options"]

# A stem may have 2000 characters. What is far longer is refused anyway, so no time is spent on tidying it.
_LONGEST_STEM = 4000
_NUMBER = re.compile(r"[-+−]?[0-9]{1,30}(\.[0-9]{1,30})?")
# Models asked for every key send null for those that don't apply.
_NEVER_NULL = (
    *("options", "distractors", "hint", "explain", "wrongExplanations", "relatedStudyTextIds", "learningObjectiveId"),
    *("optionMedia", "arithmetic", *INDEX_KEYS, *ANSWER_KEYS),
)


def normalize_item(raw: Mapping[str, Any], course_id: str) -> dict[str, Any]:
    """One item in its proper form (public contract 4, "Normalizing"). ``raw`` is not changed; keys and values this
    function has no rule for are passed on as they are."""
    item = {key: value for key, value in raw.items() if value is not None or key not in _NEVER_NULL}
    for key in ("text", "hint", "explain"):
        _apply(item, key, tidy)
    if isinstance(item.get("wrongExplanations"), Mapping):
        item["wrongExplanations"] = {_tidied(key): _tidied(why) for key, why in item["wrongExplanations"].items()}
    if item.get("mode") == "options":
        settle_key(item, course_id)
    elif item.get("mode") == "numeric":
        _normalize_answer(item)
    _apply(item, "text", lambda text: _one_blank(text, item))
    return item


def normalize_course(course: Mapping[str, Any]) -> dict[str, Any]:
    """The whole course in its proper form: every item, and every text a person reads. Ids are never touched."""
    done = dict(course)
    for key in ("title", "description", "subject", "gradeBand", "grade"):
        _apply(done, key, tidy)
    _each(done, "tags", _tidied)
    _each(done, "objectives", lambda entry: _with_tidy(entry, "text"))
    _each(done, "groups", lambda entry: _with_tidy(entry, "name"))
    _each(done, "levels", lambda entry: _with_tidy(entry, "title"))
    _each(done, "studyTexts", lambda entry: _with_tidy(entry, "title", "content"))
    _each(done, "topics", _tidy_topic)
    course_id = str(course.get("id", ""))
    _each(done, "items", lambda entry: normalize_item(entry, course_id) if isinstance(entry, Mapping) else entry)
    return done


def _apply(entry: dict[str, Any], key: str, change: Callable[[str], str]) -> None:
    if isinstance(entry.get(key), str):
        entry[key] = change(entry[key])


def _each(entry: dict[str, Any], key: str, change: Callable[[Any], Any]) -> None:
    if isinstance(entry.get(key), list):
        entry[key] = [change(inner) for inner in entry[key]]


def _tidied(value: Any) -> Any:
    return tidy(value) if isinstance(value, str) else value


def _with_tidy(entry: Any, *keys: str) -> Any:
    if not isinstance(entry, Mapping):
        return entry
    return {key: _tidied(value) if key in keys else value for key, value in entry.items()}


def _tidy_topic(topic: Any) -> Any:
    topic = _with_tidy(topic, "name")
    if isinstance(topic, dict):
        _each(topic, "lessons", lambda lesson: _with_tidy(lesson, "title", "content"))
    return topic


def _normalize_answer(item: dict[str, Any]) -> None:
    """Numeric mode: the answer becomes a number; an empty list of options says nothing and goes."""
    if item.get("options") == []:
        del item["options"]
    others = [key for key in ("correct_answer", "correctAnswer") if key in item]
    if "answer" not in item and len(others) == 1:
        item["answer"] = item.pop(others[0])
    answer = item.get("answer")
    if isinstance(answer, str) and (found := _NUMBER.fullmatch(answer.strip())):
        plain = found.group().replace("−", "-")
        item["answer"] = float(plain) if found[1] else int(plain)


def _one_blank(text: str, item: Mapping[str, Any]) -> str:
    """The stem with its blank written ``[blank]``, and only one of them, as far as that can be had."""
    if len(text) > _LONGEST_STEM:
        return text
    before = None
    while before != text:  # taking a blank out can bring two underscores together, which are a blank again
        before, text = text, mark_blanks(text)
        text = tidy(_without_further_blanks(text) if BLANK in text else _blank_from_key(text, item))
    return text


def _without_further_blanks(text: str) -> str:
    before, _, after = text.partition(BLANK)
    return before + BLANK + re.sub(r"[ \t]*" + re.escape(BLANK), "", after)


def _blank_from_key(text: str, item: Mapping[str, Any]) -> str:
    if item.get("mode") == "numeric":
        asked = re.sub(r"(?<![=<>!])=[ \t]*\?+", f"= {BLANK}", text, count=1)
        return asked if asked != text else re.sub(r"(?<![=<>!])=\Z", f"= {BLANK}", text)
    options, index = item.get("options"), item.get("correctIndex")
    if item.get("mode") != "options" or not isinstance(options, list) or not isinstance(index, int):
        return text
    if isinstance(index, bool) or not 0 <= index < len(options) or not isinstance(options[index], str):
        return text
    key = options[index].strip()
    return phrase_pattern(key).sub(BLANK, text, count=1) if key else text
