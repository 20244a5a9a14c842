"""Telling a sum as a word problem: which scene, which people and things, and no two problems told alike."""

from __future__ import annotations

import random
from collections import Counter

from rapidfuzz import fuzz, process

from tasks.strategies.arithmetic_scenes import SCENES, Scene
from tasks.strategies.arithmetic_sums import Sum, figure

#: How much more often than the least used scene another may be told.
_MORE_OFTEN = 2
#: From this similarity on (0 to 100), two word problems count as told alike.
ALIKE = 85.0
_TELLINGS_TRIED = 8
_GIRLS = "Amara Priya Mei Sofia Aisha Leila Zanele Ingrid Hana Lucia Nadia Fatima Yuki Ana Elif Rosa Tala Emma Linh Noor"
_BOYS = "Kenji Mateo Omar Arjun Kofi Lars Yusuf Diego Minh Ivan Tomas Samir Noah Chidi Ravi Jun Malik Luca Tane Pavel"
_PEOPLE = tuple((name, True) for name in _GIRLS.split()) + tuple((name, False) for name in _BOYS.split())
#: Made up, so that nothing false is said about a real town.
_PLACES = tuple("Oakfield Stonebridge Lakeside Riverdale Westbrook Greenford Eastmoor Milltown Hillcrest Sandport".split())
_BY_ID = {f"{scene.op}{scene.id}": scene for scene in SCENES}


def scene_of(key: str) -> Scene:
    """The scene a plan names, by its operation and id."""
    return _BY_ID[key]


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
    """Chooses scenes for the word problems of one course: little used ones first, told unlike any before."""

    def __init__(self, draw: random.Random) -> None:
        self._draw = draw
        self._used: Counter[str] = Counter()
        self._texts: list[str] = []

    def story(self, one: Sum) -> str | None:
        """``scene telling`` for a sum, as kept in a plan; none when no scene fits its numbers."""
        fitting = [(self._used[key], self._draw.random(), key) for key, scene in _BY_ID.items() if scene.fits(one)]
        best: tuple[float, str, str, str] | None = None
        least = min((used for used, _, _ in fitting), default=0)
        for used, _, key in sorted(fitting):
            if used > least + _MORE_OFTEN:
                break
            for _ in range(_TELLINGS_TRIED):
                telling = self._draw.randrange(1_000_000)
                text = told(scene_of(key), one, telling).casefold()
                likeness = self._likeness(text)
                if best is None or likeness < best[0]:
                    best = likeness, key, f"{key} {telling}", text
                if likeness < ALIKE:
                    break
            if best is not None and best[0] < ALIKE:
                break
        if best is None:
            return None
        self._used[best[1]] += 1
        self._texts.append(best[3])
        return best[2]

    def _likeness(self, text: str) -> float:
        closest = process.extractOne(text, self._texts, scorer=fuzz.ratio, processor=None)
        return closest[1] if closest else 0.0
