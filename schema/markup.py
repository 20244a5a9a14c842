"""Markdown that readers' browsers will draw: what in it could do harm, and words as they are.

Whoever draws it sanitizes as well. This is for finding out early, while somebody can still write it otherwise.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from urllib.parse import urlsplit

from markdown_it import MarkdownIt
from markdown_it.token import Token

#: Where a link may lead. Without a scheme it stays on the site, or in the text.
_SCHEMES = frozenset({"", "http", "https", "mailto"})
#: What can be the beginning of some markup, wherever it stands; and at the beginning of a line only.
_MARKS = re.compile(r"[\\`*_\[\]<>&~|#]")
#: A block or a span of code; or a ``<`` with no backslash before it that takes its meaning away.
_CODE_OR_OPENING = re.compile(
    r"(^[ \t]{0,3}(`{3,}(?=[^`\n]*$)|~{3,}).*?(?:^[ \t]{0,3}\2|\Z)|`[^`\n]+`)|(?<!\\)((?:\\\\)*)<",
    re.DOTALL | re.MULTILINE,
)
#: So many columns of indentation still fit on a phone.
_WIDEST_INDENT = 24
_LINE_MARKS = re.compile(r"^(?:([-+=])|(\d{1,9})([.)]))(?=\s|$|[-+=])", re.MULTILINE)


def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark")
    # Or links to scripts would not show as links.
    parser.validateLink = lambda url: True  # type: ignore[method-assign]
    return parser


_PARSER = _parser()


def unsafe_parts(markdown: str) -> list[str]:
    """Raw HTML, links that lead to a script, and pictures from other hosts: each as it stands in the text, the first 80
    characters of it."""
    return [part.strip()[:80] for part in _unsafe(_PARSER.parse(markdown))]


def _unsafe(tokens: Iterable[Token]) -> Iterator[str]:
    for token in tokens:
        if token.type in ("html_block", "html_inline"):
            yield token.content
        elif token.type == "link_open" and _scheme(str(token.attrGet("href"))) not in _SCHEMES:
            yield str(token.attrGet("href"))
        elif token.type == "image" and _leads_away(str(token.attrGet("src"))):
            yield str(token.attrGet("src"))
        yield from _unsafe(token.children or ())


def _scheme(address: str) -> str:
    """What stands before the colon, as browsers read it: without spaces and control characters. ``?`` when it can't be
    read."""
    try:
        return urlsplit(re.sub(r"(?:%[01][0-9a-f]|%20|[\x00-\x20])+", "", address, flags=re.IGNORECASE)).scheme.lower()
    except ValueError:
        return "?"


def _leads_away(address: str) -> bool:
    return bool(_scheme(address)) or address.lstrip().startswith(("//", "\\"))


def as_written(text: str) -> str:
    """A text as Markdown that shows it as it is: its lines, how far each is indented (by spaces that don't break, as
    Markdown drops others), and no other markup than line breaks."""
    lines = [line.rstrip().expandtabs(4) for line in text.splitlines() if line.strip()]
    return "\\\n".join(_indent(line) + _escaped(line.lstrip()) for line in lines)


def _indent(line: str) -> str:
    return "\N{NO-BREAK SPACE}" * min(len(line) - len(line.lstrip()), _WIDEST_INDENT)


def on_one_line(text: str) -> str:
    """A text as Markdown that shows it as it is, on one line."""
    return _escaped(" ".join(text.split()))


def _escaped(line: str) -> str:
    marked = _MARKS.sub(lambda found: "\\" + found[0], line)
    return _LINE_MARKS.sub(lambda found: f"\\{found[1]}" if found[1] else f"{found[2]}\\{found[3]}", marked)


def without_html(markdown: str) -> str:
    """A text whose raw HTML shows as the signs it consists of. Code stays as it is."""
    if not any(part.startswith("<") for part in unsafe_parts(markdown)):
        return markdown
    return _CODE_OR_OPENING.sub(lambda found: found[1] or f"{found[3]}\\<", markdown)


def closed(markdown: str) -> str:
    """A text whose last block of code has an end, so that what is put after it is not swallowed. A block within a list
    or a quotation ends with it."""
    tokens = _PARSER.parse(markdown)
    open_fence = tokens[-1] if tokens and tokens[-1].type == "fence" else None
    if open_fence is None or open_fence.map is None:
        return markdown
    last = markdown.splitlines()[open_fence.map[1] - 1].strip()
    is_closed = len(last) >= len(open_fence.markup) and not last.strip(open_fence.markup[0])
    opened_there = open_fence.map[1] - open_fence.map[0] == 1
    return markdown if is_closed and not opened_there else f"{markdown.rstrip()}\n{open_fence.markup}"
