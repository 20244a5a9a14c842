"""Telling words from placeholders: text that only holds a place until someone writes."""

from __future__ import annotations

import re

_PLACEHOLDER = re.compile(
    r"""
      \W*                                             # nothing, or only dots, dashes, question marks
    | \W*(?:todo|tbd|tba|fixme|xxx+|placeholder)\b\W* # a note to oneself ...
    | (?:todo|tbd|fixme)\s*[:–—-].*                   # ... with or without words
    | lorem\ ipsum\b.*
    | \[\s*[a-z][a-z ,'’-]{2,}\]\W*                # [text], [insert question here]
    | <\s*(?:your|insert|text|question|answer|option|content)\b[^<>]*>
    | \{\{.*\}\}
    | (?:insert|add|write|put)\ (?:your\ |the\ )?(?:text|question|answer|content|explanation|hint)(?:\ here)?\W*
    """,
    re.IGNORECASE | re.VERBOSE | re.DOTALL,
)
_NUMBERED = re.compile(r"(?:option|answer|choice|distractor)\s*(?:[a-d]|[1-4])\W*", re.IGNORECASE)


def is_placeholder(text: str) -> bool:
    """Whether nothing stands there but a placeholder. An empty text is none: whether it may be empty is up to the
    field."""
    stripped = text.strip()
    return bool(stripped) and bool(_PLACEHOLDER.fullmatch(stripped))


def is_unfilled_option(option: str, options: list[str]) -> bool:
    """Whether an option is empty or a placeholder. Marks of punctuation and signs are proper options when another
    option of the item is one too, "todo" is a Spanish word, and "Option A" is judged with its neighbours."""
    stripped = option.strip()
    if not stripped:
        return True
    if not any(char.isalnum() for char in stripped):
        signs = {other.strip() for other in options if other.strip() and not any(char.isalnum() for char in other)}
        return len(signs) < 2 and set(stripped) <= set(".…_-–—")
    if len(options) > 1 and all(_NUMBERED.fullmatch(other.strip()) for other in options):
        return True
    return bool(_PLACEHOLDER.fullmatch(stripped)) and stripped not in {"todo", "Todo"}
