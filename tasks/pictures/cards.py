"""A card: a bold label with an optional note under it, on a soft fill."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from marshmallow import validate

from schema.fields import StrictSchema, Text
from tasks.pictures.canvas import Canvas, box_around
from tasks.pictures.lettering import Block, block
from tasks.pictures.palette import INK, Pair

_PAD = 18
_GAP = 4


class CardSchema(StrictSchema):
    """A node of a cycle or a step of a flow."""

    label = Text(required=True, validate=validate.Length(1, 80))
    note = Text(validate=validate.Length(1, 160))


@dataclass(frozen=True)
class Card:
    """Text measured for a card ``width`` wide; ``height`` fits the text."""

    label: Block
    note: Block | None
    width: float

    @property
    def height(self) -> float:
        return self.label.height + (self.note.height + _GAP if self.note else 0) + 2 * _PAD

    def draw(self, canvas: Canvas, x: float, y: float, colours: Pair, *, height: float | None = None) -> None:
        """Draw it around ``x, y``, as high as its text needs or as ``height`` says."""
        outer = box_around(x, y, self.width, height or self.height)
        canvas.box(outer, colours.soft, edge=colours.strong)
        top = y - self.height / 2 + _PAD
        canvas.text(self.label, x, top, INK)
        if self.note:
            canvas.text(self.note, x, top + self.label.height + _GAP, INK)


def card(given: dict[str, Any], field: str, width: float) -> Card:
    """A card for ``{label, note?}``. Raises ``Permanent`` naming a text that can't be drawn."""
    inner = width - 2 * _PAD
    note = block(given["note"], f"{field}.note", 21, inner) if "note" in given else None
    return Card(block(given["label"], f"{field}.label", 26, inner, bold=True), note, width)
