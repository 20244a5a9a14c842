"""Text in pictures: which signs can be drawn, how wide they are, and where lines break.

All lengths are in points of the finished picture. The font is the one inside Pillow, so nothing else has to be
installed; it knows little beyond ASCII, therefore typographic signs are spelled in plain ones, and a sign that
can't be spelled is refused rather than drawn as an empty box.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from functools import cache

from PIL import ImageFont

from schema.errors import SettingsError
from tasks.pictures.spec import bad

#: Everything is drawn this many times larger and scaled down, which makes edges smooth.
SCALE = 3
LEADING = 1.3

_SPELLED = str.maketrans(
    {
        **{"×": "x", "−": "-", "–": "-", "—": "-", "‑": "-", "÷": ":", "→": "->", "←": "<-", "•": "·"},
        **{"≤": "<=", "≥": ">=", "≈": "~", "⁄": "/", "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "Ø": "O", "ł": "l"},
        **{"½": "1/2", "⅓": "1/3", "⅔": "2/3", "¼": "1/4", "¾": "3/4", "\u00a0": " ", "\u202f": " "},
    }
)


@cache
def font(size: float) -> ImageFont.FreeTypeFont:
    """The font for text of ``size`` points, already scaled. Raises ``SettingsError`` when Pillow has no FreeType."""
    loaded = ImageFont.load_default(round(size * SCALE))
    if not isinstance(loaded, ImageFont.FreeTypeFont):
        raise SettingsError("Pillow is installed without FreeType, which drawing text needs.")
    return loaded


@cache
def _empty_box() -> bytes:
    return bytes(font(20).getmask("\uffff"))


@cache
def _drawable(sign: str) -> bool:
    return sign.isspace() or bytes(font(20).getmask(sign)) != _empty_box()


def spelled(text: str, field: str) -> str:
    """``text`` in signs the font has: ``CO₂`` becomes ``CO2``. Raises ``Permanent`` naming the field otherwise."""
    letters = unicodedata.normalize("NFKD", text.translate(_SPELLED))
    plain = " ".join("".join(sign for sign in letters if not unicodedata.combining(sign)).split())
    for sign in plain:
        if not _drawable(sign):
            raise bad(field, f"The sign {sign!r} can't be drawn.")
    if not plain:
        raise bad(field, "There is nothing to draw.")
    return plain


def width_of(text: str, size: float) -> float:
    """How wide one line is."""
    return font(size).getlength(text) / SCALE


@dataclass(frozen=True)
class Block:
    """Lines of text, broken to a width. Bold is drawn with a thin stroke, since the font has one weight."""

    lines: tuple[str, ...]
    size: float
    bold: bool = False

    @property
    def height(self) -> float:
        return len(self.lines) * self.size * LEADING

    @property
    def width(self) -> float:
        return max((width_of(line, self.size) for line in self.lines), default=0)


def block(text: str, field: str, size: float, width: float, *, bold: bool = False) -> Block:
    """``text`` broken into lines of at most ``width``. A word wider than that is broken too, never cut off."""
    lines = [""]
    for word in spelled(text, field).split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if width_of(longer, size) <= width:
            lines[-1] = longer
        else:
            lines += _pieces(word, size, width)
    return Block(tuple(line for line in lines if line), size, bold)


def _pieces(word: str, size: float, width: float) -> list[str]:
    pieces = [""]
    for sign in word:
        if pieces[-1] and width_of(pieces[-1] + sign, size) > width:
            pieces.append("")
        pieces[-1] += sign
    return pieces
