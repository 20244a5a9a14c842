"""The situations word problems are told in. A scene fits any numbers within its bounds; both numbers and the result
are at least 2, so every noun stands in the plural.

In the texts: ``{name}`` and ``{other}`` are two people, ``{he} {He} {him} {his} {His}`` speak of the first, ``{it}`` is
one of the words of ``its``, ``{place}`` and ``{place2}`` are made-up towns, ``{a}`` and ``{b}`` are the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

from tasks.strategies.arithmetic.sums import Op, Sum

Bounds = tuple[int, int]


@dataclass(frozen=True)
class Scene:
    """``why`` says which operation the situation asks for. ``below_zero``: told only with numbers below zero."""

    id: str
    op: Op
    a: Bounds
    b: Bounds
    result: Bounds
    why: str
    texts: tuple[str, ...]
    its: tuple[str, ...] = ("",)
    below_zero: bool = False

    def fits(self, one: Sum) -> bool:
        bounded = ((one.a, self.a), (one.b, self.b), (one.result, self.result))
        return (
            one.op == self.op
            and one.below_zero == self.below_zero
            and all(low <= number <= high for number, (low, high) in bounded)
        )


KEPT = ("shells", "stickers", "marbles", "buttons", "postcards", "stamps", "beads", "pebbles", "feathers", "coins")
FRUIT = ("apples", "plums", "lemons", "figs", "cherries", "oranges", "peaches", "pears", "limes", "mangoes")
SNACKS = ("dumplings", "samosas", "sandwiches", "cookies", "spring rolls", "pancakes", "pies", "tarts")
BAKED = ("rolls", "muffins", "bagels", "pretzels", "buns", "flatbreads", "scones")
MADE = ("bricks", "tiles", "bottles", "pencils", "light bulbs", "cups", "toy cars", "spoons", "candles", "plates")
SUPPLIES = ("pencils", "crayons", "markers", "erasers", "paper clips", "notebooks", "paint brushes")
SIGHTS = ("zoo", "museum", "water park", "castle", "science fair", "circus", "planetarium")
CROPS = ("apples", "melons", "potatoes", "onions", "oranges", "carrots", "tomatoes", "lemons")
WISHES = ("bike", "camera", "guitar", "tent", "drum", "telescope", "scooter", "skateboard")
ANY: Bounds = (2, 1_000_000_000)
BELOW: Bounds = (-1_000_000, -2)
