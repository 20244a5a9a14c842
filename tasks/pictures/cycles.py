"""A cycle: cards around a ring, joined by curved arrows that may carry labels."""

from __future__ import annotations

import itertools
import math
from typing import Any

from marshmallow import fields, validate

from schema.fields import StrictSchema, Text
from tasks.pictures.canvas import WIDTH, Box, Canvas, Point, below_title, box_around
from tasks.pictures.cards import Card, CardSchema, card
from tasks.pictures.lettering import Block, block
from tasks.pictures.palette import LINE, MUTED, pair
from tasks.pictures.spec import TitledSchema, bad, read


class CycleSchema(TitledSchema):
    nodes = fields.List(fields.Nested(CardSchema), required=True, validate=validate.Length(3, 8))
    arrows = fields.List(Text(validate=validate.Length(max=60)))


_schema: StrictSchema = CycleSchema()
#: Half the width of the ring, and the half heights that are tried until nothing touches.
_ACROSS = 450
_DOWN = range(190, 551, 30)
#: How far from its arrow a label may stand: inside the ring (above 0) or outside, nearest first.
_AWAY = [side * away for away in range(20, 110, 5) for side in (1, -1)]


def cycle(given: dict[str, Any]) -> Canvas:
    """``{title, nodes: [{label, note?}], arrows?: [label of the arrow after each node]}``; 3 to 8 nodes.

    An empty arrow label leaves its arrow bare. Raises ``Permanent`` (``bad_diagram``).
    """
    spec = read(_schema, given)
    nodes, arrows = spec["nodes"], spec.get("arrows", [])
    if len(arrows) > len(nodes):
        raise bad("arrows", f"There are {len(arrows)} labels for {len(nodes)} arrows.")
    wide = 270 if len(nodes) <= 6 else 236
    cards = [card(node, f"nodes.{index}", wide) for index, node in enumerate(nodes)]
    words = {
        index: block(text, f"arrows.{index}", 20, 170, bold=True) for index, text in enumerate(arrows) if text.strip()
    }
    for down in _DOWN:
        ring = _Ring(cards, words, down)
        if ring.fits():
            return ring.drawn(spec["title"])
    raise bad("nodes", "The cards don't fit around a ring; shorten their labels and notes.")


class _Ring:
    """One way to lay the cards out: on an ellipse ``down`` high (half), around the point 0, 0."""

    def __init__(self, cards: list[Card], words: dict[int, Block], down: float) -> None:
        self._down = down
        self._cards = cards
        self._words = words
        self._turns = [math.tau * index / len(cards) for index in range(len(cards))]
        places = zip(self._turns, cards, strict=True)
        self._boxes = [box_around(*self._at(turn), face.width, face.height) for turn, face in places]
        self._arcs = [self._arc(index) for index in range(len(cards))]
        self._notes: dict[int, Box] = {}
        for index, text in words.items():
            place = self._place(index, text)
            if place is not None:
                self._notes[index] = place

    def _at(self, turn: float) -> Point:
        """A point of the ring; 0 is the top, and it goes on clockwise."""
        return _ACROSS * math.sin(turn), -self._down * math.cos(turn)

    def _arc(self, index: int) -> list[Point]:
        """The free stretch of the ring between this card and the next."""
        first, last = self._boxes[index].grown(10), self._boxes[(index + 1) % len(self._boxes)].grown(10)
        step = math.tau / len(self._cards)
        points = [self._at(self._turns[index] + step * part / 120) for part in range(121)]
        return [point for point in points if not first.holds(point) and not last.holds(point)]

    def _place(self, index: int, text: Block) -> Box | None:
        """Where an arrow's label stands free: as near as it can, inside the ring rather than outside."""
        if not self._arcs[index]:
            return None
        x, y = self._arcs[index][len(self._arcs[index]) // 2]
        length = math.hypot(x / _ACROSS, y / self._down) or 1
        toward = (-x / _ACROSS / length, -y / self._down / length)
        taken = [*self._boxes, *self._notes.values()]
        for away in _AWAY:
            spot = box_around(x + toward[0] * away, y + toward[1] * away, text.width + 12, text.height + 4)
            clear = not any(spot.meets(other.grown(6)) for other in taken)
            if clear and not any(spot.grown(8).holds(point) for arc in self._arcs for point in arc):
                return spot
        return None

    def fits(self) -> bool:
        """Whether nothing touches, every arrow can be seen and everything stays on the sheet."""
        pairs = itertools.combinations([*self._boxes, *self._notes.values()], 2)
        apart = not any(one.grown(4).meets(other) for one, other in pairs)
        seen = all(len(arc) > 1 and math.dist(arc[0], arc[-1]) > 44 for arc in self._arcs)
        limit = WIDTH / 2 - 24
        inside = all(-limit < box.left and box.right < limit for box in [*self._boxes, *self._notes.values()])
        return apart and seen and inside and len(self._notes) == len(self._words)

    def drawn(self, title: str) -> Canvas:
        everything = [*self._boxes, *self._notes.values()]
        curve = [y for arc in self._arcs for _, y in arc]
        top = min(*curve, *(box.top for box in everything))
        bottom = max(*curve, *(box.bottom for box in everything))
        start = below_title(title)
        canvas = Canvas(title, start + bottom - top + 48)
        middle = (WIDTH / 2, start - top)

        def moved(point: Point) -> Point:
            return point[0] + middle[0], point[1] + middle[1]

        for index, arc in enumerate(self._arcs):
            # Every other point: longer strokes are smoother, since each end is rounded to a pixel.
            canvas.arrow([moved(point) for point in [*arc[:-1:2], arc[-1]]], LINE)
            if index in self._notes:
                spot = self._notes[index]
                x, y = moved(spot.middle)
                text = self._words[index]
                canvas.text(text, x, y - text.height / 2, MUTED)
        for index, (face, box) in enumerate(zip(self._cards, self._boxes, strict=True)):
            face.draw(canvas, *moved(box.middle), pair(index))
        return canvas
