"""A bar chart with lying bars: long labels stand beside them, and each value at its bar's end."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from marshmallow import fields, validate

from schema.fields import Number, StrictSchema, Text
from tasks.pictures.canvas import MARGIN, WIDTH, Box, Canvas, below_title, box_around
from tasks.pictures.labels import label
from tasks.pictures.lettering import Block, block, width_of
from tasks.pictures.palette import INK, LINE, MUTED, PAGE, RULE, pair
from tasks.pictures.spec import TitledSchema, bad, read


class BarSchema(StrictSchema):
    label = Text(required=True, validate=validate.Length(1, 60))
    value = Number(required=True, validate=validate.Range(-1e12, 1e12))


class BarChartSchema(TitledSchema):
    unit = Text(required=True, validate=validate.Length(1, 60))
    bars = fields.List(fields.Nested(BarSchema), required=True, validate=validate.Length(2, 14))


_schema: StrictSchema = BarChartSchema()
_ROW = 58
_THICK = 36
_VALUE_SIZE = 22


def number_text(value: float, *, grouped: bool = True) -> str:
    """``1234.50`` as ``1,234.5``: at most two decimals (four below 0.1), no trailing zeros. Ungrouped, for years,
    it is ``1234.5``."""
    digits = 4 if 0 < abs(value) < 0.1 else 2
    text = f"{value + 0.0:{',' if grouped else ''}.{digits}f}"
    return text.rstrip("0").rstrip(".")


def ticks_over(low: float, high: float) -> list[float]:
    """Four to eight round numbers that cover ``low`` to ``high``; both ends lie at or beyond them."""
    rough = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1, 2, 2.5, 5, 10) if size * power >= rough)
    first, last = math.floor(low / step), math.ceil(high / step)
    return [round(index * step, 10) for index in range(first, last + 1)]


@dataclass(frozen=True)
class _Scale:
    """Where values lie between ``left`` and ``right``; the first and last tick are the two ends."""

    left: float
    right: float
    ticks: list[float]

    def at(self, value: float) -> float:
        return self.left + (self.right - self.left) * (value - self.ticks[0]) / (self.ticks[-1] - self.ticks[0])


def bar_chart(given: dict[str, Any]) -> Canvas:
    """``{title, unit, bars: [{label, value}]}``; 2 to 14 bars. Raises ``Permanent`` (``bad_diagram``)."""
    spec = read(_schema, given)
    values = [bar["value"] for bar in spec["bars"]]
    if max(map(abs, values)) < 0.001:
        raise bad("bars", "Every value is too small to be told from 0; choose a smaller unit.")
    names = [label(bar["label"], f"bars.{index}.label", 22, 260) for index, bar in enumerate(spec["bars"])]
    top = below_title(spec["title"])
    row = max(_ROW, *(name.height + 12 for name in names))
    bottom = top + row * len(names)
    caption = block(spec["unit"], "unit", 21, WIDTH - 2 * MARGIN)
    canvas = Canvas(spec["title"], bottom + 44 + caption.height + 40)
    names_end = MARGIN + max(name.width for name in names)
    space = max(width_of(number_text(value), _VALUE_SIZE) for value in values) + 24
    left = names_end + 20 + (space if min(values) < 0 else 0)
    scale = _Scale(left, WIDTH - MARGIN - space, ticks_over(min(0, *values), max(0, *values)))
    _grid(canvas, scale, top, bottom)
    canvas.text(caption, (scale.left + scale.right) / 2, bottom + 44, MUTED)
    for index, (name, value) in enumerate(zip(names, values, strict=True)):
        middle = top + row * (index + 0.5)
        name.draw(canvas, names_end - name.width / 2, middle - name.height / 2)
        _bar(canvas, scale, value, middle, pair(index).strong)
    return canvas


def _grid(canvas: Canvas, scale: _Scale, top: float, bottom: float) -> None:
    for tick in scale.ticks:
        x = scale.at(tick)
        canvas.line([(x, top), (x, bottom)], LINE if tick == 0 else RULE, thick=2)
        canvas.text(Block((number_text(tick),), 18), x, bottom + 8, MUTED)


def _bar(canvas: Canvas, scale: _Scale, value: float, middle: float, colour: str) -> None:
    """One bar, and its value beyond its end. A value too small to see still gets a sliver; 0 gets none."""
    start, end = sorted((scale.at(0), scale.at(value)))
    if value:
        start, end = (start, max(end, start + 3)) if value > 0 else (min(start, end - 3), end)
        bar = Box(start, middle - _THICK / 2, end, middle + _THICK / 2)
        canvas.box(bar, colour, radius=min(6, (bar.right - bar.left) / 2))
    shown = Block((number_text(value),), _VALUE_SIZE)
    x = end + 12 + shown.width / 2 if value >= 0 else start - 12 - shown.width / 2
    canvas.box(box_around(x, middle, shown.width + 6, 30), PAGE, radius=4)
    canvas.text(shown, x, middle - shown.height / 2, INK)
