"""How words of a course are compared and tidied: blanks, whole words, options, spaces. Pure, and used on hostile text,
so every pattern here takes time in proportion to the text."""

from __future__ import annotations

import re

BLANK = "[blank]"

# ``__name__`` is an identifier or bold print, never a place to fill; it is matched first so that it is left alone.
_NAME = r"(?P<name>(?<!\w)__[A-Za-z](?:[A-Za-z0-9]|_(?!_))*__(?!\w))"
_BLANKS = re.compile(
    _NAME + r"|\[[ \t]*(?:blank|(?:\\?_)+)[ \t]*\]|(?:\\?_){2,}|(?<!\S)\\?_(?:[ \t]\\?_)+(?!\w)", re.IGNORECASE
)
_LONE = re.compile(r"(?<!\S)\\?_(?=[\s.,;:?!]|\Z)")
_FENCE = re.compile(r"[ \t]{0,3}(`{3,}|~{3,})")


def mark_blanks(text: str) -> str:
    """Every way to write a blank becomes ``[blank]``. A single ``_`` counts only where nothing else marks the place."""
    marked = _BLANKS.sub(lambda found: found.group() if found["name"] else BLANK, text)
    return marked if BLANK in marked else _LONE.sub(BLANK, marked)


def blank_count(text: str) -> int:
    """How many blanks a reader sees, however they are written."""
    return mark_blanks(text).count(BLANK)


def tidy(text: str) -> str:
    """Strips the text and reduces runs of spaces inside a line to one. Line breaks, indentation, the two spaces that
    break a line in Markdown, and code stay as they are."""
    lines: list[str] = []
    fence = ""
    for line in text.replace("\r\n", "\n").replace("\r", "\n").strip().split("\n"):
        found = _FENCE.match(line)
        if fence:
            if found and found[1].startswith(fence):
                fence = ""
        elif found:
            fence = found[1]
        elif "`" not in line:
            line = _tidy_line(line)
        lines.append(line)
    return "\n".join(lines).strip()


def _tidy_line(line: str) -> str:
    words = line.strip(" \t\f\v")
    indent = line[: len(line) - len(line.lstrip(" \t"))] if words else ""
    hard_break = "  " if words and line.endswith("  ") else ""
    return indent + re.sub(r"[ \t\f\v]+", " ", words) + hard_break


def phrase_pattern(phrase: str) -> re.Pattern[str]:
    """Finds ``phrase`` as whole words, in any case. ``5`` is not found in ``5.2`` or ``1,500``."""
    before = r"(?<!\w)" + (r"(?<!\d[.,])" if phrase[:1].isdigit() else "")
    after = r"(?!\w)" + (r"(?![.,]\d)" if phrase[-1:].isdigit() else "")
    return re.compile(before + re.escape(phrase) + after, re.IGNORECASE)


def fold_option(text: str) -> str:
    """An option without case and punctuation. Signs that carry meaning stay: ``-5`` is not ``5``, ``it's`` not ``its``,
    ``3.5`` not ``35``, ``C++`` not ``C``. When nothing but punctuation stands there, it is kept."""
    folded = text.casefold().strip()
    bare = re.sub(r'[.,:;](?!\d)|(?<!\d)!|[?"“”„«»…¿¡]', "", folded)
    bare = " ".join(bare.split())
    if len(bare) > 2 and (bare[0], bare[-1]) in {("(", ")"), ("'", "'"), ("‘", "’")}:
        bare = bare[1:-1]
    return bare or folded
