"""A flow: numbered steps from left to right, in one row or in two."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from schema.fields import StrictSchema
from tasks.pictures.canvas import MARGIN, WIDTH, Canvas, below_title
from tasks.pictures.cards import Card, CardSchema, card
from tasks.pictures.lettering import LEADING, Block
from tasks.pictures.palette import LINE, WHITE, pair
from tasks.pictures.spec import TitledSchema, read


class FlowSchema(TitledSchema):
    steps = fields.List(fields.Nested(CardSchema), required=True, validate=validate.Length(2, 7))


_schema: StrictSchema = FlowSchema()
_ARROW = 64
_BADGE = 22
_BETWEEN_ROWS = 110


def flow(given: dict[str, Any]) -> Canvas:
    """``{title, steps: [{label, note?}]}``; 2 to 7 steps. Raises ``Permanent`` (``bad_diagram``)."""
    spec = read(_schema, given)
    steps = spec["steps"]
    columns = len(steps) if len(steps) <= 4 else (len(steps) + 1) // 2
    wide = min(340.0, (WIDTH - 2 * MARGIN - (columns - 1) * _ARROW) / columns)
    cards = [card(step, f"steps.{index}", wide) for index, step in enumerate(steps)]
    rows = [cards[:columns], cards[columns:]] if len(cards) > columns else [cards]
    high = max(face.height for face in cards) + _BADGE
    top = below_title(spec["title"]) + _BADGE + 12
    canvas = Canvas(spec["title"], top + len(rows) * high + (len(rows) - 1) * _BETWEEN_ROWS + 64)
    left = (WIDTH - columns * wide - (columns - 1) * _ARROW) / 2
    for number, row in enumerate(rows):
        middle = top + high / 2 + number * (high + _BETWEEN_ROWS)
        _row(canvas, row, left, middle, high, number * columns)
    if len(rows) == 2:
        _turn(canvas, (left + (columns - 0.5) * wide + (columns - 1) * _ARROW, top + high), left + wide / 2)
    return canvas


def _row(canvas: Canvas, cards: list[Card], left: float, middle: float, high: float, before: int) -> None:
    for index, face in enumerate(cards):
        x = left + index * (face.width + _ARROW) + face.width / 2
        colours = pair(before + index)
        face.draw(canvas, x, middle, colours, height=high)
        canvas.disc(x, middle - high / 2, _BADGE, colours.strong, edge=WHITE)
        number = Block((str(before + index + 1),), 22, True)
        canvas.text(number, x, middle - high / 2 - 22 * LEADING / 2, WHITE)
        if index + 1 < len(cards):
            edge = x + face.width / 2
            canvas.arrow([(edge + 10, middle), (edge + _ARROW - 10, middle)], LINE)


def _turn(canvas: Canvas, start: tuple[float, float], to_x: float) -> None:
    """The arrow from the end of the first row to the beginning of the second."""
    x, y = start
    half = y + (_BETWEEN_ROWS - _BADGE) / 2
    end = y + _BETWEEN_ROWS - _BADGE - 8
    canvas.arrow([(x, y + 10), (x, half), (to_x, half), (to_x, end)], LINE)
