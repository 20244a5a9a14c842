"""Texts of a course as safe HTML. Pure.

What a course says was written by a model or by a person, and is trusted by nobody: Markdown is read without its HTML,
and what comes out of that passes a list of what may stand in a page. Pictures are shown only where they are our own.
"""

from __future__ import annotations

import re
from typing import Any

import nh3
from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from schema.markers import IMAGE, SECTION

_MARKDOWN = MarkdownIt("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])
#: Where a course's own pictures are; a page asks no other host for anything.
_OWN_PICTURE = re.compile(r"/content/media/[0-9a-f]{64}\.[a-z0-9]{2,5}\Z")
_TAGS = {
    *("p", "br", "hr", "em", "strong", "s", "code", "pre", "blockquote", "ul", "ol", "li", "a", "img"),
    *("h2", "h3", "h4", "h5", "h6", "table", "thead", "tbody", "tr", "th", "td", "figure", "figcaption"),
}
_ATTRIBUTES = {"a": {"href", "title"}, "img": {"src", "alt", "title"}, "ol": {"start"}, "figure": {"class"}}
#: The page's own headings end at h2 (a text's title) or h3 (a lesson's), so a text's begin below.
_HEADING = re.compile(r"<(/?)h([1-6])>")
_LONE_PICTURE = re.compile(r'<p>(<img src="[^"]*" alt="([^"]*)"[^>]*>)</p>')
_PENDING = "pending"


def rendered(markdown: str, below: int = 3) -> Markup:
    """Markdown as safe HTML. Its highest headings become ``h{below}``. ``[SECTION:Title]`` begins a section of such a
    heading, ``[IMAGE: what it shows]`` is the place of a picture that isn't there yet."""
    prepared = SECTION.sub(lambda found: f"\n\n# {_one_line(found[1])}\n\n", markdown)
    prepared = IMAGE.sub(lambda found: f"\n\n![{_label(found[1])}]({_PENDING})\n\n", prepared)
    html = _MARKDOWN.render(prepared)
    shift = below - min((int(level) for _, level in _HEADING.findall(html)), default=1)
    html = _HEADING.sub(lambda found: f"<{found[1]}h{min(6, int(found[2]) + shift)}>", html)
    # As figures only after the cleaning, because what isn't ours is gone by then.
    return Markup(_LONE_PICTURE.sub(_figure, _clean(html)))  # noqa: S704 - cleaned one line above


def _clean(html: str) -> str:
    return nh3.clean(
        html,
        tags=_TAGS,
        attributes=_ATTRIBUTES,
        url_schemes={"http", "https", "mailto"},
        link_rel="noopener noreferrer nofollow",
        attribute_filter=_only_own_pictures,
    )


def _only_own_pictures(element: str, attribute: str, value: str) -> str | None:
    if element == "img" and attribute == "src" and not (is_own_picture(value) or value == _PENDING):
        return None
    return value


def _figure(found: re.Match[str]) -> str:
    """A picture on its own, with what it shows as its caption; a frame with those words where it isn't there yet."""
    picture, shows = found[1], found[2]
    caption = f"<figcaption>{shows}</figcaption>" if shows else ""
    if f'src="{_PENDING}"' in picture:
        return f'<figure class="pending"><span aria-hidden="true"></span>{caption}</figure>'
    return f"<figure>{picture}{caption}</figure>"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _label(text: str) -> str:
    """Words as the text of a Markdown picture, where brackets and backslashes mean something."""
    return re.sub(r"([\\\[\]`*_])", r"\\\1", _one_line(text))


def question(text: str) -> Markup:
    """An item's text with its blank drawn as one."""
    before, _, after = text.partition("[blank]")
    gap = Markup('<span class="blank"><span class="unseen">blank</span></span>') if "[blank]" in text else ""
    return escape(before) + gap + escape(after)


def answer_of(item: dict[str, Any]) -> str:
    """The right answer of an item, in words."""
    if item["mode"] == "options":
        options, index = item.get("options", []), item.get("correctIndex", -1)
        return str(options[index]) if 0 <= index < len(options) else ""
    answer = item.get("answer", "")
    return str(int(answer)) if isinstance(answer, float) and answer.is_integer() else str(answer)


def is_own_picture(url: str) -> bool:
    """Whether a picture is one of ours. A page shows no other."""
    return _OWN_PICTURE.match(url) is not None
