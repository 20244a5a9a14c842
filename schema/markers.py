"""The markers in study texts: ``[SECTION:Title]`` begins a section, ``[IMAGE: what it shows]`` is a picture's place.

They are read from hostile text, too, so every pattern takes time in proportion to the text.
"""

from __future__ import annotations

import re

#: A section's marker; its group is the title, so that ``split`` gives words, title, words, title, words ...
SECTION = re.compile(r"\[SECTION:[ \t]*([^\]\n]{0,200})\]")
#: A picture's marker; its group is what the picture shows.
IMAGE = re.compile(r"\[IMAGE:([^\]]{0,1000})\]")
#: Either of them.
MARKER = re.compile(f"{SECTION.pattern}|{IMAGE.pattern}")
#: What comes before the words of a marker.
OPENING = re.compile(r"\[(?:SECTION|IMAGE):")
#: Whatever somebody who doesn't know the rules may have meant as a marker.
MEANT_AS_MARKER = re.compile(r"\[(?:SECTION|IMAGE)\b[^\]\n]*\]", re.IGNORECASE)


def section_marker(title: str) -> str:
    return f"[SECTION:{title}]"


def image_marker(shows: str) -> str:
    return f"[IMAGE: {shows}]"


def image_markers(content: str) -> list[str]:
    """What each picture's marker of a text shows, in order."""
    return [shows.strip() for shows in IMAGE.findall(content) if shows]


def place_of(shows: str) -> re.Pattern[str]:
    """Finds the marker of the picture that shows this."""
    return re.compile(r"\[IMAGE:\s*" + re.escape(shows) + r"\s*\]")
