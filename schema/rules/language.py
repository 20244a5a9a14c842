"""The words of a course: terms it must not use, words too hard for its readers, sentences too hard for their grade."""

from __future__ import annotations

import re
from collections.abc import Iterator

import textstat

from schema.markers import MARKER, OPENING
from schema.problem import Problem
from schema.rules.draft import Draft, Limits, finding, key_text
from schema.wording import BLANK

#: Readability of less text than this says little (words).
ENOUGH_WORDS = 100
#: From this many syllables on a word is hard.
HARD_SYLLABLES = 4
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def check_language(draft: Draft, limits: Limits) -> Iterator[Problem]:
    """``banned_term``; for English courses also ``vocabulary`` and ``reading_level``."""
    yield from _check_banned(draft, limits.banned)
    if draft.language.lower().startswith("en"):
        if limits.allowed_hard_words is not None:
            yield from _check_vocabulary(draft, limits.allowed_hard_words)
        yield from _check_reading_level(draft, limits.max_reading_level)


def _all_texts(draft: Draft) -> Iterator[tuple[str, str]]:
    """Everything a learner reads, with its path."""
    yield from draft.names
    for place, item in draft.items:
        path = f"items.{place}"
        yield f"{path}.text", item["text"].replace(BLANK, " ")
        yield from ((f"{path}.options.{number}", option) for number, option in enumerate(item.get("options", [])))
        yield f"{path}.hint", item.get("hint", "")
        yield f"{path}.explain", item.get("explain", "")
        yield from ((f"{path}.wrongExplanations", words) for words in item.get("wrongExplanations", {}).values())
    for place, text in draft.texts:
        yield f"studyTexts.{place}.title", text["title"]
        yield f"studyTexts.{place}.content", OPENING.sub(" ", text["content"])
    for place, topic in enumerate(draft.whole["topics"] if draft.whole else []):
        for number, lesson in enumerate(topic["lessons"]):
            yield f"topics.{place}.lessons.{number}.title", lesson["title"]
            yield f"topics.{place}.lessons.{number}.content", lesson["content"]


def _check_banned(draft: Draft, banned: tuple[str, ...]) -> Iterator[Problem]:
    terms = sorted({" ".join(term.split()) for term in banned if term.strip()}, key=len, reverse=True)
    if not terms:
        return
    choices = "|".join(re.escape(term).replace(r"\ ", r"\s+") for term in terms)
    pattern = re.compile(rf"(?<!\w)(?:{choices})(?:e?s)?(?!\w)", re.IGNORECASE)
    for path, text in _all_texts(draft):
        for term in dict.fromkeys(found.group().casefold() for found in pattern.finditer(text)):
            yield finding(path, "banned_term", f"The term {term!r} must not be used in this course. Say it otherwise.")


def _check_vocabulary(draft: Draft, allowed: frozenset[str]) -> Iterator[Problem]:
    """Each hard word once, where it first stands."""
    known = {word.casefold() for phrase in allowed for word in _WORD.findall(phrase)}
    places: dict[str, list[str]] = {}
    for path, text in _all_texts(draft):
        for word in {re.sub(r"['’]s?$", "", found.casefold()) for found in _WORD.findall(text)}:
            places.setdefault(word, []).append(path)
    for word, paths in places.items():
        if _forms(word).isdisjoint(known) and textstat.syllable_count(word) >= HARD_SYLLABLES:
            more = f" (and in {len(paths) - 1} more places)" if len(paths) > 1 else ""
            words = f"The word {word!r}{more} is too hard for the readers of this course. Use a simpler one."
            yield finding(paths[0], "vocabulary", words)


def _forms(word: str) -> set[str]:
    """A word with its simple singular and plural forms."""
    forms = {word, word + "s", word + "es"}
    if word.endswith("ies"):
        forms.add(word[:-3] + "y")
    if word.endswith("y"):
        forms.add(word[:-1] + "ies")
    if word.endswith("es"):
        forms.add(word[:-2])
    if word.endswith("s"):
        forms.add(word[:-1])
    return forms


def _check_reading_level(draft: Draft, highest: float | None) -> Iterator[Problem]:
    grade = draft.school_year
    stems = [item["text"].replace(BLANK, key_text(item) or "") for _, item in draft.items]
    # Sums are not sentences: only stems of at least three words count.
    sentences = [stem.rstrip(" .") + "." for stem in stems if len(_WORD.findall(stem)) >= 3]
    measured = [("items", "Together the questions read", " ".join(sentences))]
    measured += [
        (f"studyTexts.{place}.content", f"The study text {text['title']!r} reads", plain_sentences(text["content"]))
        for place, text in draft.texts
    ]
    lessons = {
        f"topics.{place}.lessons.{number}.content": lesson
        for place, topic in enumerate(draft.whole["topics"] if draft.whole else [])
        for number, lesson in enumerate(topic["lessons"])
    }
    measured += [
        (path, f"The lesson {lesson['title']!r} reads", plain_sentences(lesson["content"]))
        for path, lesson in lessons.items()
    ]
    for path, subject, prose in measured:
        if len(_WORD.findall(prose)) < ENOUGH_WORDS:
            continue
        level = float(textstat.flesch_kincaid_grade(prose))
        bound = highest if highest is not None else None if grade is None else grade + 2
        target = f"at most grade {highest:g}" if highest is not None else f"grade {grade}"
        words = f"{subject} like grade {level:.1f}; {target} is meant. Use shorter sentences and simpler words."
        if bound is not None and level > bound and path not in lessons:  # their questions are the exam's own words
            yield finding(path, "reading_level", words)
        elif grade is not None and level > grade:
            words = f"{subject} like grade {level:.1f}, the course is for grade {grade}. Use shorter sentences."
            yield Problem(path, "reading_level", words, "warning")


def plain_sentences(content: str) -> str:
    """The sentences of a Markdown text: no code, tables, headings, markers and link addresses; each entry of a list
    is a sentence of its own."""
    text = re.sub(r"^[ \t]*(```|~~~).*?(?:^[ \t]*\1|\Z)", "", content, flags=re.DOTALL | re.MULTILINE)
    text = MARKER.sub("\n\n", text)
    text = re.sub(r"!?\[([^\]\n]{0,300})\]\([^)\n]{0,2000}\)", r"\1", text)
    lines: list[str] = []
    for line in text.split("\n"):
        entry = re.match(r"\s*(?:[-*+]|\d+[.)])\s+(.*)", line)
        if re.match(r"\s*(#|\||-{3,}|={3,})", line):
            continue
        words = re.sub(r"[*`_>]+", "", entry[1] if entry else line).strip()
        if entry and words and words[-1] not in ".!?":
            words += "."
        lines.append(words)
    return " ".join(line for line in lines if line)
