"""The colours of the pictures: a quiet page, dark ink, and pairs of a soft fill with its strong companion.

Text stands in ink on every soft fill and in white on every strong colour; both reach the 4.5:1 which WCAG 2.2
(success criterion 1.4.3) asks of text, and a unit test holds them to it.
"""

from __future__ import annotations

from dataclasses import dataclass

PAGE = "#FFFFFF"
INK = "#1D2733"
MUTED = "#4A5665"
RULE = "#D5DBE3"
LINE = "#5C6B7C"
WHITE = "#FFFFFF"


@dataclass(frozen=True)
class Pair:
    """A soft fill for surfaces and a strong colour for edges, badges and bars."""

    soft: str
    strong: str


PAIRS = (
    Pair("#DFEBF9", "#235FA4"),
    Pair("#DDF1E4", "#22704A"),
    Pair("#FCEBCB", "#8F5500"),
    Pair("#FBE2DB", "#A63D22"),
    Pair("#E9E2F8", "#6043A6"),
    Pair("#D9F0F1", "#116A73"),
    Pair("#F9E0EC", "#9C2F66"),
    Pair("#E8ECF1", "#46566A"),
)


def pair(index: int) -> Pair:
    """The colours of the ``index``-th thing in a picture; they begin again after the last."""
    return PAIRS[index % len(PAIRS)]


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two ``#RRGGBB`` colours, 1 to 21, as WCAG 2.2 defines it."""
    brighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def _luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue
