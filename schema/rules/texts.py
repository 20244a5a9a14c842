"""Study texts, lessons and names: is something written there, and are its sections marked."""

from __future__ import annotations

from collections.abc import Iterator

from schema.markers import IMAGE, SECTION
from schema.problem import Problem
from schema.rules.draft import Draft, finding
from schema.rules.placeholder import is_placeholder


def check_texts(draft: Draft) -> Iterator[Problem]:
    """``unfilled_content``, ``missing_section_markers``, and ``unfilled_text`` for titles and names."""
    for path, words in draft.names:
        if is_placeholder(words):
            yield finding(path, "unfilled_text", "Only a placeholder stands here. Write the proper words.")
    for place, text in draft.texts:
        yield from _check_study_text(f"studyTexts.{place}", text["title"], text["content"])
    for place, topic in enumerate(draft.whole["topics"] if draft.whole else []):
        for number, lesson in enumerate(topic["lessons"]):
            if is_placeholder(lesson["title"]):
                words = "The title is only a placeholder. Write a proper one."
                yield finding(f"topics.{place}.lessons.{number}.title", "unfilled_text", words)
            if _is_unfilled(lesson["content"]):
                words = f"The lesson {lesson['title']!r} has no content yet. Write it."
                yield finding(f"topics.{place}.lessons.{number}.content", "unfilled_content", words)


def _check_study_text(path: str, title: str, content: str) -> Iterator[Problem]:
    if is_placeholder(title):
        yield finding(f"{path}.title", "unfilled_text", "The title is only a placeholder. Write a proper one.")
    parts = SECTION.split(content)  # words before, title, words, title, words ...
    if all(_is_unfilled(IMAGE.sub("", part)) for part in parts[::2]):
        yield finding(f"{path}.content", "unfilled_content", f"The study text {title!r} has no content yet. Write it.")
        return
    for section, words in zip(parts[1::2], parts[2::2], strict=True):
        if _is_unfilled(words):
            message = f"The section {section.strip()!r} of {title!r} has no content yet. Write it or remove it."
            yield finding(f"{path}.content", "unfilled_content", message)
    if len(parts) == 1:
        words = f"The study text {title!r} has no sections. Begin each part with a marker such as [SECTION:Title]."
        yield finding(f"{path}.content", "missing_section_markers", words)


def _is_unfilled(words: str) -> bool:
    return not words.strip() or is_placeholder(words)
