"""Telling a sum as a word problem: which scene, which people and things, and no two problems told alike."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator

from rapidfuzz import fuzz, process

from tasks.strategies.arithmetic.scene import Scene
from tasks.strategies.arithmetic.scenes_addition import ADDITION
from tasks.strategies.arithmetic.scenes_division import DIVISION
from tasks.strategies.arithmetic.scenes_multiplication import MULTIPLICATION
from tasks.strategies.arithmetic.scenes_number_line import NUMBER_LINE
from tasks.strategies.arithmetic.scenes_subtraction import SUBTRACTION
from tasks.strategies.arithmetic.sums import Sum, figure

#: How much more often than the least used scene another may be told.
_MORE_OFTEN = 2
#: From this similarity on (0 to 100), two word problems count as told alike.
ALIKE = 85.0
_TELLINGS_TRIED = 16
#: Three times a third must count as one.
_ROUNDING = 1e-9
# fmt: off
_GIRLS = (
    "Amara", "Priya", "Mei", "Sofia", "Aisha", "Leila", "Zanele", "Ingrid", "Hana", "Lucia", "Nadia",
    "Fatima", "Yuki", "Ana", "Elif", "Rosa", "Tala", "Emma", "Linh", "Noor",
)
_BOYS = (
    "Kenji", "Mateo", "Omar", "Arjun", "Kofi", "Lars", "Yusuf", "Diego", "Minh", "Ivan", "Tomas", "Samir",
    "Noah", "Chidi", "Ravi", "Jun", "Malik", "Luca", "Tane", "Pavel",
)
#: Made up, so that nothing false is said about a real town.
_PLACES = (
    "Oakfield", "Stonebridge", "Lakeside", "Riverdale", "Westbrook", "Greenford", "Eastmoor", "Milltown",
    "Hillcrest", "Sandport",
)
# fmt: on
_PEOPLE = (*((name, True) for name in _GIRLS), *((name, False) for name in _BOYS))
SCENES: tuple[Scene, ...] = (*ADDITION, *SUBTRACTION, *MULTIPLICATION, *DIVISION, *NUMBER_LINE)
_BY_KEY = {f"{scene.op}{scene.id}": scene for scene in SCENES}


def scene_of(key: str) -> Scene:
    """The scene a plan names, by its operation and id."""
    return _BY_KEY[key]


def tellable(one: Sum) -> bool:
    """Whether some scene fits the numbers of a sum."""
    return any(scene.fits(one) for scene in SCENES)


def told(scene: Scene, one: Sum, telling: int) -> str:
    """A sum as a word problem. ``telling`` decides on wording, people and things."""
    draw = random.Random(f"{scene.op}{scene.id}:{telling}")
    (name, girl), (other, _) = draw.sample(_PEOPLE, 2)
    place, place2 = draw.sample(_PLACES, 2)
    words = {
        "place": place,
        "place2": place2,
        "name": name,
        "other": other,
        "he": "she" if girl else "he",
        "He": "She" if girl else "He",
        "him": "her" if girl else "him",
        "his": "her" if girl else "his",
        "His": "Her" if girl else "His",
        "it": draw.choice(scene.its),
        "a": figure(one.a),
        "b": figure(one.b),
    }
    return draw.choice(scene.texts).format_map(words)


class Storyteller:
    """Chooses scenes for the word problems of one course: little used ones first, told unlike any before. ``share``
    is the part of all items that should be word problems, 0 to 1."""

    def __init__(self, draw: random.Random, share: float) -> None:
        self._draw = draw
        self._share = share
        self._items = 0
        self._stories = 0
        self._used: Counter[str] = Counter()
        self._texts: list[str] = []

    def next_story(self, one: Sum) -> str | None:
        """The story for the next item of the course; none when it is not its turn, or no scene fits: then the turn is
        left to the next item."""
        self._items += 1
        if int(self._items * self._share + _ROUNDING) <= self._stories:
            return None
        story = self._story(one)
        self._stories += story is not None
        return story

    def _story(self, one: Sum) -> str | None:
        """``scene telling`` for a sum, as kept in a plan; none when no scene fits its numbers."""
        fitting = [(self._used[key], self._draw.random(), key) for key, scene in _BY_KEY.items() if scene.fits(one)]
        least = min((used for used, _, _ in fitting), default=0)
        keys = [key for used, _, key in sorted(fitting) if used <= least + _MORE_OFTEN]
        told_least_alike = min(self._tellings(one, keys), default=None)
        if told_least_alike is None:
            return None
        _, key, telling, text = told_least_alike
        self._used[key] += 1
        self._texts.append(text)
        return f"{key} {telling}"

    def _tellings(self, one: Sum, keys: list[str]) -> Iterator[tuple[float, str, int, str]]:
        """Tellings with their likeness to those before, up to the first that is unlike all of them."""
        for key in keys:
            for _ in range(_TELLINGS_TRIED):
                telling = self._draw.randrange(1_000_000)
                text = told(scene_of(key), one, telling).casefold()
                likeness = self._likeness(text)
                yield likeness, key, telling, text
                if likeness < ALIKE:
                    return

    def _likeness(self, text: str) -> float:
        closest = process.extractOne(text, self._texts, scorer=fuzz.ratio, processor=None)
        return closest[1] if closest else 0.0
