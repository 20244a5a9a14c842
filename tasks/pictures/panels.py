"""A labelled panel: terms on the left, what they mean on the right."""

from __future__ import annotations

from typing import Any

from marshmallow import fields, validate

from schema.fields import StrictSchema, Text
from tasks.pictures.canvas import MARGIN, WIDTH, Box, Canvas, below_title
from tasks.pictures.labels import label
from tasks.pictures.lettering import block
from tasks.pictures.palette import INK, WHITE, pair
from tasks.pictures.spec import TitledSchema, read


class RowSchema(StrictSchema):
    label = Text(required=True, validate=validate.Length(1, 80))
    text = Text(required=True, validate=validate.Length(1, 400))


class LabelledSchema(TitledSchema):
    rows = fields.List(fields.Nested(RowSchema), required=True, validate=validate.Length(2, 8))


_schema: StrictSchema = LabelledSchema()
_PAD = 20
_GAP = 14


def labelled(given: dict[str, Any]) -> Canvas:
    """``{title, rows: [{label, text}]}``; 2 to 8 rows. Raises ``Permanent`` (``bad_diagram``)."""
    spec = read(_schema, given)
    terms = [label(row["label"], f"rows.{index}.label", 25, 240) for index, row in enumerate(spec["rows"])]
    term_wide = max(170.0, *(term.width for term in terms)) + 2 * _PAD
    text_left = MARGIN + term_wide + 28
    texts = [
        block(row["text"], f"rows.{index}.text", 23, WIDTH - MARGIN - 28 - text_left)
        for index, row in enumerate(spec["rows"])
    ]
    heights = [max(term.height, text.height) + 2 * _PAD for term, text in zip(terms, texts, strict=True)]
    top = below_title(spec["title"])
    canvas = Canvas(spec["title"], top + sum(heights) + _GAP * (len(heights) - 1) + 56)
    for index, (term, text, high) in enumerate(zip(terms, texts, heights, strict=True)):
        colours = pair(index)
        canvas.box(Box(MARGIN, top, WIDTH - MARGIN, top + high), colours.soft)
        canvas.box(Box(MARGIN, top, MARGIN + term_wide, top + high), colours.strong)
        term.draw(canvas, MARGIN + term_wide / 2, top + (high - term.height) / 2, WHITE)
        canvas.text(text, text_left, top + (high - text.height) / 2, INK, align="left")
        top += high + _GAP
    return canvas
