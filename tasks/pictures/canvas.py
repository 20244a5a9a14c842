"""A sheet to draw on: measured in points of the finished picture, kept larger until it is handed out."""

from __future__ import annotations

import io
import math
from dataclasses import dataclass

from PIL import Image, ImageDraw

from tasks.pictures.lettering import LEADING, SCALE, Block, block, font
from tasks.pictures.palette import INK, PAGE, PAIRS

WIDTH = 1280
MARGIN = 64
TITLE_SIZE = 38

Point = tuple[float, float]


@dataclass(frozen=True)
class Drawing:
    """A finished picture: PNG bytes, and its size in pixels."""

    png: bytes
    width: int
    height: int


@dataclass(frozen=True)
class Box:
    """A rectangle by its edges."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def middle(self) -> Point:
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def grown(self, by: float) -> Box:
        return Box(self.left - by, self.top - by, self.right + by, self.bottom + by)

    def holds(self, point: Point) -> bool:
        return self.left <= point[0] <= self.right and self.top <= point[1] <= self.bottom

    def meets(self, other: Box) -> bool:
        return (
            self.left < other.right and other.left < self.right and self.top < other.bottom and other.top < self.bottom
        )


def box_around(x: float, y: float, width: float, height: float) -> Box:
    """The box of this size whose middle is at ``x, y``."""
    return Box(x - width / 2, y - height / 2, x + width / 2, y + height / 2)


def title_block(title: str) -> Block:
    return block(title, "title", TITLE_SIZE, WIDTH - 2 * MARGIN, bold=True)


def below_title(title: str) -> float:
    """Where content begins: below the title and the bar under it."""
    return 44 + title_block(title).height + 44


class Canvas:
    """A white sheet ``WIDTH`` wide and ``height`` high, its title already written."""

    def __init__(self, title: str, height: float) -> None:
        self.height = math.ceil(height)
        self._image = Image.new("RGB", (WIDTH * SCALE, self.height * SCALE), PAGE)
        self._pen = ImageDraw.Draw(self._image)
        heading = title_block(title)
        self.text(heading, MARGIN, 44, INK, align="left")
        under = 44 + heading.height + 10
        self.box(Box(MARGIN, under, MARGIN + 72, under + 6), PAIRS[0].strong, radius=3)

    def box(self, box: Box, fill: str, *, edge: str | None = None, radius: float = 14, thick: float = 2.5) -> None:
        corners = [value * SCALE for value in (box.left, box.top, box.right, box.bottom)]
        width = round(thick * SCALE) if edge else 0
        self._pen.rounded_rectangle(corners, radius * SCALE, fill=fill, outline=edge, width=width)

    def disc(self, x: float, y: float, radius: float, fill: str, *, edge: str | None = None) -> None:
        corners = [value * SCALE for value in (x - radius, y - radius, x + radius, y + radius)]
        self._pen.ellipse(corners, fill=fill, outline=edge, width=round(3 * SCALE) if edge else 0)

    def line(self, points: list[Point], colour: str, *, thick: float = 3) -> None:
        scaled = [(x * SCALE, y * SCALE) for x, y in points]
        self._pen.line(scaled, fill=colour, width=round(thick * SCALE), joint="curve")

    def arrow(self, points: list[Point], colour: str, *, thick: float = 4) -> None:
        """A line along ``points`` that ends in a head exactly at the last one."""
        length = thick * 4
        tip = points[-1]
        shaft = [point for point in points[:-1] if math.dist(point, tip) > length] or points[:1]
        angle = math.atan2(tip[1] - shaft[-1][1], tip[0] - shaft[-1][0])
        foot = (tip[0] - length * math.cos(angle), tip[1] - length * math.sin(angle))
        self.line([*shaft, foot], colour, thick=thick)
        self.head(tip, angle, colour, length=length)

    def head(self, tip: Point, angle: float, colour: str, *, length: float = 16) -> None:
        """The head of an arrow that points along ``angle`` (radians, 0 is to the right)."""
        foot = (tip[0] - length * math.cos(angle), tip[1] - length * math.sin(angle))
        side = (math.sin(angle) * length * 0.6, -math.cos(angle) * length * 0.6)
        head = [tip, (foot[0] + side[0], foot[1] + side[1]), (foot[0] - side[0], foot[1] - side[1])]
        self._pen.polygon([(x * SCALE, y * SCALE) for x, y in head], fill=colour)

    def text(self, words: Block, x: float, top: float, colour: str = INK, *, align: str = "center") -> None:
        """Write a block with its first line at ``top``; ``x`` is its left edge, middle or right edge."""
        anchor = {"left": "ls", "center": "ms", "right": "rs"}[align]
        stroke = words.size * SCALE / 56 if words.bold else 0
        for number, line in enumerate(words.lines):
            # The baseline which lets capitals stand in the middle of their line.
            baseline = top + words.size * (number * LEADING + 1.0)
            self._pen.text(
                (x * SCALE, baseline * SCALE),
                line,
                fill=colour,
                font=font(words.size),
                anchor=anchor,
                stroke_width=stroke,
                stroke_fill=colour,
            )

    def drawing(self) -> Drawing:
        """The finished picture. The same strokes give the same bytes."""
        small = self._image.reduce(SCALE)
        kept = io.BytesIO()
        small.save(kept, "PNG", optimize=True)
        return Drawing(kept.getvalue(), WIDTH, self.height)
