"""A number line: ticks at every step, and marks above it with labels that never run into each other."""

from __future__ import annotations

import math
from typing import Any

from marshmallow import fields, validate

from schema.fields import Number, StrictSchema, Text
from tasks.pictures.canvas import MARGIN, WIDTH, Canvas, below_title
from tasks.pictures.charts import number_text
from tasks.pictures.labels import is_fraction, label
from tasks.pictures.lettering import Block
from tasks.pictures.palette import INK, LINE, WHITE, pair
from tasks.pictures.spec import TitledSchema, bad, read


class MarkSchema(StrictSchema):
    at = Number(required=True)
    label = Text(required=True, validate=validate.Length(1, 40))


class NumberLineSchema(TitledSchema):
    start = Number(required=True, data_key="from", validate=validate.Range(-1e9, 1e9))
    to = Number(required=True, validate=validate.Range(-1e9, 1e9))
    step = Number(required=True, validate=validate.Range(min=0, min_inclusive=False))
    marks = fields.List(fields.Nested(MarkSchema), required=True, validate=validate.Length(0, 16))


_schema: StrictSchema = NumberLineSchema()
_LEFT, _RIGHT = MARGIN + 36, WIDTH - MARGIN - 36
_MOST_STEPS = 60
_APART = 16

#: Where the middle of a label wants to be, and how wide it is.
Stretch = tuple[float, float]


def number_line(given: dict[str, Any]) -> Canvas:
    """``{title, from, to, step, marks: [{at, label}]}``. Where the marks speak in fractions, ticks between whole
    numbers carry no decimals. Raises ``Permanent`` (``bad_diagram``)."""
    spec = read(_schema, given)
    low, high = spec["start"], spec["to"]
    ticks = _ticks(low, high, spec["step"])

    marks = []
    for index, mark in enumerate(spec["marks"]):
        if not low <= mark["at"] <= high:
            raise bad(f"marks.{index}.at", f"{number_text(mark['at'])} is not on the line.")
        x = _LEFT + (_RIGHT - _LEFT) * (mark["at"] - low) / (high - low)
        marks.append((x, label(mark["label"], f"marks.{index}.label", 25, 150)))
    places = _spread([(x, name.width + _APART) for x, name in marks])
    strain = max((abs(place - x) for (x, _), place in zip(marks, places, strict=True)), default=0)
    stem = 34 + min(60, strain / 2)
    y = below_title(spec["title"]) + max((name.height for _, name in marks), default=0) + stem + 12
    canvas = Canvas(spec["title"], y + 104)
    canvas.line([(_LEFT - 40, y), (_RIGHT + 40, y)], LINE, thick=4)
    canvas.head((_RIGHT + 50, y), 0, LINE)
    canvas.head((_LEFT - 50, y), math.pi, LINE)
    _draw_ticks(canvas, ticks, y, any(is_fraction(mark["label"]) for mark in spec["marks"]))
    for index, ((x, name), place) in enumerate(zip(marks, places, strict=True)):
        canvas.line([(x, y), (x, y - 20), (place, y - stem)], pair(index).strong, thick=2.5)
        canvas.disc(x, y, 11, pair(index).strong, edge=WHITE)
        name.draw(canvas, place, y - stem - name.height - 4, INK)
    return canvas


def _ticks(low: float, high: float, step: float) -> list[float]:
    if high <= low:
        raise bad("to", "The line must end above its beginning.")
    count = round((high - low) / step)
    if not 1 <= count <= _MOST_STEPS:
        raise bad("step", f"That makes {count} steps; 1 to {_MOST_STEPS} can be drawn.")
    # A step such as 0.3333 stands for a third: a hundredth of a step may be missing at the end.
    if abs(low + count * step - high) > step / 100:
        raise bad("step", "The steps don't end where the line does.")
    return [low + (high - low) * index / count for index in range(count + 1)]


def _draw_ticks(canvas: Canvas, values: list[float], y: float, whole_only: bool) -> None:
    """Ticks, and under them as many numbers as fit: every one, or every second, third ..., always evenly spread."""
    gap = (_RIGHT - _LEFT) / (len(values) - 1)
    # Numbers of four digits on a line are mostly years, so they stay together.
    grouped = max(-values[0], values[-1]) >= 10_000
    named = [
        (_LEFT + index * gap, Block((number_text(value, grouped=grouped),), 22))
        for index, value in enumerate(values)
        if not whole_only or abs(value - round(value)) < 1e-6
    ]
    widest = max((name.width for _, name in named), default=0) + 18
    every = math.ceil(widest / (named[1][0] - named[0][0])) if len(named) > 1 else 1
    shown = dict(named[::every])
    for x in (_LEFT + index * gap for index in range(len(values))):
        reach = 15 if x in shown else 10
        canvas.line([(x, y - reach), (x, y + reach)], LINE, thick=3)
        if x in shown:
            canvas.text(shown[x], x, y + 26, INK)


def _spread(wanted: list[Stretch]) -> list[float]:
    """The middles of labels, each ``(wanted middle, width)``, moved apart as little as possible and kept in order.

    Neighbours that would touch form a row whose own middle is the mean of what its members wanted; a row that
    touches the next joins it (pool adjacent violators). Raises ``Permanent`` when they don't fit side by side.
    """
    if sum(width for _, width in wanted) > WIDTH - MARGIN:
        raise bad("marks", "The labels don't fit side by side; shorten them.")
    rows: list[list[int]] = []
    for index in sorted(range(len(wanted)), key=lambda number: wanted[number][0]):
        rows.append([index])
        while len(rows) > 1 and _row_start(rows[-2], wanted) + _long(rows[-2], wanted) > _row_start(rows[-1], wanted):
            last = rows.pop()
            rows[-1] += last
    middles = [0.0] * len(wanted)
    for row in rows:
        start = _row_start(row, wanted)
        for index in row:
            middles[index] = start + wanted[index][1] / 2
            start += wanted[index][1]
    return middles


def _long(row: list[int], wanted: list[Stretch]) -> float:
    return sum(wanted[index][1] for index in row)


def _row_start(row: list[int], wanted: list[Stretch]) -> float:
    """Where a row of labels begins so that its members are nearest to where they belong, on the sheet."""
    before, starts = 0.0, []
    for index in row:
        starts.append(wanted[index][0] - wanted[index][1] / 2 - before)
        before += wanted[index][1]
    least, most = MARGIN / 2, WIDTH - MARGIN / 2 - before
    return min(max(sum(starts) / len(starts), least), most)
