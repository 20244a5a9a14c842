"""The texts of a GIFT file: escapes, and the marks that name a text's format."""

from __future__ import annotations

import html
import re

import nh3

# Characters with a meaning, when a backslash takes it from them, are hidden as code points that no text may contain.
_HIDDEN = {char: chr(0xFDD0 + place) for place, char in enumerate(":#={}~\\n")}
_SHOWN = str.maketrans({hidden: "\n" if char == "n" else char for char, hidden in _HIDDEN.items()})
_ESCAPE = re.compile(r"\\([:#={}~\\n])")
NONCHARACTERS = re.compile("[\ufdd0-\ufdef]")
_AMPERSAND = chr(0xFDEF)

#: HTML that is longer than this without its plain tags stays as it is: no text of an exam may be as long, so it is
#: refused anyway.
LONGEST_HTML = 100_000
#: The same where so many ``<`` are left: a parser takes long where thousands of tags are nested.
MOST_TAGS = 200
_FORMAT = re.compile(r"\s*\[(html|moodle|plain|markdown)\]")
_BREAKS = re.compile(r"<(?:br|/p|/div|/li|/tr|/h[1-6])\b[^<>]*>", re.IGNORECASE)
_RAISED = re.compile(r"<sup\b[^<>]*>", re.IGNORECASE)
_PLAIN_TAG = re.compile(
    r"""</?(?!script\b|style\b)[a-z][a-z0-9]*(?:\s(?:[^<>"']|"[^<>"]*"|'[^<>']*')*)?/?>""", re.IGNORECASE
)
_PICTURE = re.compile(r"<(?:img|video|audio|object|svg)\b", re.IGNORECASE)


def hidden(text: str) -> str:
    """``text`` with its escapes hidden, so that what is left of ``:#={}~`` has its meaning. ``\\n`` is a line break,
    and hidden too: the lines of the file stay countable."""
    return _ESCAPE.sub(lambda found: _HIDDEN[found[1]], text)


def shown(text: str) -> str:
    """``text`` with what was hidden in it."""
    return text.translate(_SHOWN)


def is_html(text: str) -> bool:
    """Whether a part with hidden escapes says that it is HTML."""
    found = _FORMAT.match(text)
    return bool(found and found[1] == "html")


def plain(text: str, is_usually_html: bool = False) -> str:
    """What a reader sees of a part with hidden escapes. A mark at its beginning names its format; of HTML nothing but
    the words is left, a raised ``2`` as ``^2``."""
    found = _FORMAT.match(text)
    words = shown(text[found.end() :] if found else text)
    as_html = found[1] == "html" if found else is_usually_html
    return (_words_of(words) if as_html else words).strip()


def _words_of(source: str) -> str:
    """The words of HTML, without scripts, comments and tags."""
    words = _PLAIN_TAG.sub("", _RAISED.sub("^", _BREAKS.sub("\n", source)))
    if len(words) > LONGEST_HTML or words.count("<") > MOST_TAGS:
        return source
    # The parser is slow with ampersands, and knows no reference that ``unescape`` doesn't.
    bare = html.unescape(nh3.clean(words.replace("&", _AMPERSAND), tags=set()))
    return html.unescape(bare.replace(_AMPERSAND, "&"))


def shows_more(text: str) -> bool:
    """Whether a question is HTML with something that is no text: a picture, a film."""
    return "[html]" in text and bool(_PICTURE.search(text))
