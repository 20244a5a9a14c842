"""Short labels, in which a fraction is set the way it is written by hand."""

from __future__ import annotations

import re
from dataclasses import dataclass

from tasks.pictures.canvas import Canvas
from tasks.pictures.lettering import Block, block, width_of
from tasks.pictures.palette import INK

_FRACTION = re.compile(r"(?:(\d+) )?(\d+)/(\d+)\Z")


def is_fraction(label: str) -> bool:
    """Whether a label is a fraction or mixed number alone, such as ``3/4`` or ``1 1/2``."""
    return _FRACTION.match(label) is not None


@dataclass(frozen=True)
class Label:
    """A short label. A fraction is set the way it is written by hand: one number above the other."""

    whole: Block
    parts: tuple[str, str, str] | None

    @property
    def width(self) -> float:
        if self.parts is None:
            return self.whole.width
        return self._whole_width() + self._stack_width()

    @property
    def height(self) -> float:
        return self.whole.height if self.parts is None else self.whole.size * 2.35

    def _whole_width(self) -> float:
        whole = self.parts[0] if self.parts else ""
        return width_of(whole, self.whole.size * 1.2) + 8 if whole else 0

    def _stack_width(self) -> float:
        return max(width_of(part, self.whole.size) for part in self.parts[1:]) + 8 if self.parts else 0

    def draw(self, canvas: Canvas, x: float, top: float, colour: str = INK) -> None:
        """Write it with its middle at ``x``."""
        size = self.whole.size
        if self.parts is None:
            canvas.text(self.whole, x, top, colour)
            return
        left = x - self.width / 2
        whole, over, under = self.parts
        if whole:
            canvas.text(Block((whole,), size * 1.2, True), left, top + size * 0.4, colour, align="left")
        centre = left + self._whole_width() + self._stack_width() / 2
        half = self._stack_width() / 2
        canvas.text(Block((over,), size, True), centre, top - size * 0.15, colour)
        canvas.line([(centre - half, top + size * 1.17), (centre + half, top + size * 1.17)], colour, thick=2)
        canvas.text(Block((under,), size, True), centre, top + size * 1.1, colour)


def label(text: str, field: str, size: float, width: float) -> Label:
    """A label of at most ``width``: a stacked fraction where the text is one, else bold lines."""
    found = _FRACTION.match(text.strip())
    parts = (found.group(1) or "", found.group(2), found.group(3)) if found else None
    return Label(block(text, field, size, width, bold=True), parts)
