"""What of a course can be judged, and the words every rule uses to report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from schema.course import Course, CourseSchema, Item, ItemSchema, StudyText, StudyTextSchema
from schema.errors import FieldError, Invalid
from schema.fields import StrictSchema, load, snake
from schema.grades import school_year
from schema.problem import Problem, Severity

#: Every code of a course's problems, with its severity. ``reading_level`` is a warning when little over the grade.
SEVERITIES: dict[str, Severity] = {
    "malformed": "error",
    "unfilled_text": "error",
    "invalid_blank_count": "error",
    "invalid_options_count": "error",
    "invalid_correct_index": "error",
    "duplicate_options": "error",
    "missing_answer": "error",
    "unexpected_options": "error",
    "math_incorrect": "error",
    "unfilled_content": "error",
    "banned_term": "error",
    "vocabulary": "error",
    "reading_level": "error",
    "duplicate_item": "error",
    "answer_revealed": "error",
    "key_not_verified": "error",  # found by asking a model again, so reported by the step that asks
    "level_range": "error",
    "unknown_reference": "error",
    "invalid_item_ids": "error",
    "duplicate_id": "error",
    "uncovered_question": "error",
    "duplicate_question": "error",
    "unsafe_markup": "error",
    "answer_not_taught": "error",  # both found by having the questions of a lesson answered from it
    "answer_contradicted": "error",
    "missing_section_markers": "warning",
    "longest_option_is_key": "warning",
    "all_of_the_above": "warning",
    "key_position_bias": "warning",
    "negative_stem": "warning",
}


@dataclass(frozen=True)
class Limits:
    """What a course is measured by beyond the general rules. ``max_reading_level`` is a school grade;
    ``allowed_hard_words`` are the words of four or more syllables a course may use (none: not judged)."""

    max_reading_level: float | None = None
    banned: tuple[str, ...] = ()
    allowed_hard_words: frozenset[str] | None = None


@dataclass(frozen=True)
class Draft:
    """The sound parts of a course with their places in its lists. ``whole`` is set when every part is sound;
    ``names`` are the texts of the course that stand outside items and study texts, by path."""

    items: list[tuple[int, Item]]
    texts: list[tuple[int, StudyText]]
    names: list[tuple[str, str]]
    language: str
    school_year: int | None
    whole: Course | None


def finding(path: str, code: str, message: str) -> Problem:
    """A problem with the severity of its code."""
    return Problem(path, code, message, SEVERITIES[code])


def key_text(item: Item) -> str | None:
    """The right answer as a reader sees it; none when the item doesn't say it properly."""
    if item["mode"] == "numeric":
        return str(item["answer"]) if "answer" in item else None
    index, options = item.get("correctIndex", -1), item.get("options", [])
    return options[index] if 0 <= index < len(options) else None


def read_draft(given: Any) -> tuple[Draft, list[Problem]]:
    """The parts of a course that can be judged, and a ``malformed`` problem for every fault of shape."""
    try:
        whole = cast(Course, load(CourseSchema(), given))
    except Invalid as invalid:
        given = given if isinstance(given, Mapping) else {}
        faulty = {".".join(error.path.split(".")[:2]) for error in invalid.errors}
        draft = Draft(
            items=cast(list[tuple[int, Item]], list(_sound(given, "items", ItemSchema(), faulty))),
            texts=cast(list[tuple[int, StudyText]], list(_sound(given, "studyTexts", StudyTextSchema(), faulty))),
            names=[],
            language=_text(given, "language"),
            school_year=school_year(_text(given, "grade"), _text(given, "gradeBand")),
            whole=None,
        )
        return draft, [_shape_fault(error) for error in invalid.errors]
    return _draft_of(whole), []


def _draft_of(course: Course) -> Draft:
    names = [("title", course["title"]), ("description", course["description"])]
    names += [(f"objectives.{place}.text", entry["text"]) for place, entry in enumerate(course["objectives"])]
    names += [(f"groups.{place}.name", entry["name"]) for place, entry in enumerate(course["groups"])]
    names += [(f"levels.{place}.title", entry["title"]) for place, entry in enumerate(course["levels"])]
    names += [(f"topics.{place}.name", entry["name"]) for place, entry in enumerate(course["topics"])]
    return Draft(
        items=list(enumerate(course["items"])),
        texts=list(enumerate(course["studyTexts"])),
        names=names,
        language=course["language"],
        school_year=school_year(course["grade"], course["gradeBand"]),
        whole=course,
    )


def _sound(
    given: Mapping[str, Any], section: str, schema: StrictSchema, faulty: set[str]
) -> Iterator[tuple[int, dict[str, Any]]]:
    entries = given.get(section, given.get(snake(section)))
    if isinstance(entries, list):
        for place, entry in enumerate(entries):
            if section not in faulty and f"{section}.{place}" not in faulty:
                yield place, load(schema, entry)


def _text(given: Mapping[str, Any], key: str) -> str:
    value = given.get(key, given.get(snake(key)))
    return value if isinstance(value, str) else ""


_ADVICE = {
    "required": "This part is missing. Add it.",
    "unknown_field": "A course has no part of this name. Remove it.",
    "wrong_type": "This is not the kind of value that belongs here",
}


def _shape_fault(error: FieldError) -> Problem:
    advice = _ADVICE.get(error.code, "This value can't be used here")
    if not advice.endswith("."):
        advice = f"{advice}: {error.message} Change it."
    return finding("course" if error.path == "body" else error.path, "malformed", advice)
