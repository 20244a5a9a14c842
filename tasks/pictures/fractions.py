"""Fraction bars: wholes of one length, cut into parts, some of them shaded."""

from __future__ import annotations

import math
from typing import Any

from marshmallow import fields, validate

from schema.fields import StrictSchema, Text, Whole
from tasks.pictures.canvas import MARGIN, WIDTH, Box, Canvas, below_title
from tasks.pictures.labels import label
from tasks.pictures.palette import PAGE, pair
from tasks.pictures.spec import TitledSchema, bad, read


class FractionBarSchema(StrictSchema):
    parts = Whole(required=True, validate=validate.Range(1, 24))
    shaded = Whole(required=True, validate=validate.Range(0, 96))
    label = Text(required=True, validate=validate.Length(1, 60))


class FractionBarsSchema(TitledSchema):
    bars = fields.List(fields.Nested(FractionBarSchema), required=True, validate=validate.Length(1, 8))


_schema: StrictSchema = FractionBarsSchema()
_HIGH = 66
_GAP = 26
_MOST_WHOLES = 4
_BETWEEN_WHOLES = 22


def fraction_bars(given: dict[str, Any]) -> Canvas:
    """``{title, bars: [{parts, shaded, label}]}``; 1 to 8 bars. More shaded than parts fills up to four wholes side
    by side, as an improper fraction does. Raises ``Permanent`` (``bad_diagram``)."""
    spec = read(_schema, given)
    bars = spec["bars"]
    wholes = [max(1, math.ceil(bar["shaded"] / bar["parts"])) for bar in bars]
    for index, count in enumerate(wholes):
        if count > _MOST_WHOLES:
            raise bad(f"bars.{index}.shaded", f"That fills {count} wholes; at most {_MOST_WHOLES} are drawn.")
    names = [label(bar["label"], f"bars.{index}.label", 25, 250) for index, bar in enumerate(bars)]
    left = MARGIN + max(90.0, *(name.width for name in names)) + 28
    long = (WIDTH - MARGIN - left - (max(wholes) - 1) * _BETWEEN_WHOLES) / max(wholes)
    row = max(_HIGH, *(name.height for name in names)) + _GAP
    top = below_title(spec["title"])
    canvas = Canvas(spec["title"], top + row * len(bars) - _GAP + 60)
    for index, (bar, name, count) in enumerate(zip(bars, names, wholes, strict=True)):
        middle = top + (row - _GAP) / 2 + index * row
        name.draw(canvas, left - 28 - name.width / 2, middle - name.height / 2)
        for whole in range(count):
            start = left + whole * (long + _BETWEEN_WHOLES)
            _whole(canvas, Box(start, middle - _HIGH / 2, start + long, middle + _HIGH / 2), bar, whole, index)
    return canvas


def _whole(canvas: Canvas, box: Box, bar: dict[str, Any], whole: int, index: int) -> None:
    """One whole of a bar, cut into its parts; the ``whole``-th one shades what those before it did not."""
    colours = pair(index)
    wide = (box.right - box.left) / bar["parts"]
    shaded = min(bar["parts"], bar["shaded"] - whole * bar["parts"])
    canvas.box(box, PAGE, radius=0)
    if shaded > 0:
        canvas.box(Box(box.left, box.top, box.left + shaded * wide, box.bottom), colours.strong, radius=0)
    for part in range(1, bar["parts"]):
        x = box.left + part * wide
        canvas.line([(x, box.top), (x, box.bottom)], PAGE if part < shaded else colours.strong, thick=2.5)
    corners = [(box.left, box.top), (box.right, box.top), (box.right, box.bottom), (box.left, box.bottom)]
    canvas.line([*corners, corners[0], corners[1]], colours.strong, thick=3)
