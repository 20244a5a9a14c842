"""A band, that is a range of sums of one operation, and drawing sums from it."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from tasks.strategies.arithmetic.sums import Op, Sum

LARGEST_CLUSTER = 3
_SMALL_ENOUGH_TO_LIST = 12_000
#: Added to the random order (0 to 1) of a sum that is besides the point of its band, so that it is drawn late.
_LATER = 0.6


@dataclass(frozen=True)
class Band:
    """``left`` is the first number of + and ×, and the *result* of − and ÷, so that every pair gives a proper sum;
    ``right`` is the second number. The largest number of a sum lies between ``lowest`` and ``top``. ``carry``: only
    with, or only without, carrying. ``tables``: ``right`` holds times tables, met in both orders of a product."""

    op: Op
    name: str
    goal: str
    left: Sequence[int]
    right: Sequence[int]
    lowest: int = 0
    top: int = 10**9
    carry: bool | None = None
    tables: bool = False

    @property
    def largest(self) -> int:
        """The largest number that can stand in a sum of this band: none goes further than those of the outermost
        numbers do."""
        outermost = (min(self.right), max(self.right))
        edges = [self.made(left, right).largest for left in (self.left[0], self.left[-1]) for right in outermost]
        return min(self.top, max(edges))

    def made(self, left: int, right: int) -> Sum:
        """The sum of a pair from ``left`` and ``right``."""
        if self.op == "-":
            return Sum(left + right, "-", right)
        return Sum(left * right, "/", right) if self.op == "/" else Sum(left, self.op, right)

    def admits(self, one: Sum) -> bool:
        if not self.lowest <= one.largest <= self.top or one.gives_itself_away:
            return False
        return self.carry is None or one.carries == self.carry

    @property
    def below_zero(self) -> bool:
        return self.left[0] < 0

    def kind(self, one: Sum) -> object:
        """What a sum practises: below zero its signs, else carrying or not, and numbers of so many digits."""
        if self.below_zero:
            return one.a < 0, one.b < 0
        return one.carries, one.trivial, len(str(one.a)), len(str(one.b))

    def besides_the_point(self, one: Sum) -> bool:
        """Whether a sum practises little here: it needs no working, or has no number below zero where others have."""
        return one.trivial or (self.below_zero and not one.below_zero)

    @property
    def offers_any(self) -> bool:
        """Whether there is any sum in this band."""
        return next(_candidates(self, 2000, random.Random(0)), None) is not None


def any_sum(one: Sum) -> bool:
    """Admits every sum."""
    return True


def drawn(
    band: Band, wanted: int, taken: set[Sum], draw: random.Random, only: Callable[[Sum], bool] = any_sum
) -> list[list[Sum]]:
    """At most ``wanted`` sums that ``only`` admits and that are not in ``taken``, as clusters of up to three of the
    same kind, easy ones first. Kinds take turns, and a + b never stands in one cluster with b + a."""
    kinds: dict[Sum, object] = {}
    for kind, one in _candidates(band, 400 + 40 * wanted, draw):
        if one not in taken and only(one):
            kinds.setdefault(one, kind)
    waiting: dict[object, list[Sum]] = {}
    order = {one: draw.random() + _LATER * band.besides_the_point(one) for one in kinds}
    for one in sorted(kinds, key=order.__getitem__):
        waiting.setdefault(kinds[one], []).append(one)
    clusters: list[list[Sum]] = []
    missing = wanted
    while missing and waiting:
        for kind in list(waiting)[:missing]:
            cluster, waiting[kind] = _cluster(waiting[kind], min(LARGEST_CLUSTER, missing))
            if not waiting[kind]:
                del waiting[kind]
            clusters.append(cluster)
            missing -= len(cluster)
            if not missing:
                break
    return sorted(clusters, key=lambda cluster: sum(one.largest for one in cluster) / len(cluster))


def _cluster(sums: list[Sum], size: int) -> tuple[list[Sum], list[Sum]]:
    """The next cluster from the front, and what is left."""
    cluster: list[Sum] = []
    passed: list[Sum] = []
    for at, one in enumerate(sums):
        if len(cluster) == size:
            return cluster, passed + sums[at:]
        (passed if one.mirrored in cluster else cluster).append(one)
    return cluster, passed


def _candidates(band: Band, tries: int, draw: random.Random) -> Iterator[tuple[object, Sum]]:
    """Sums of a band with their kind: every one of a small band, ``tries`` random ones of a large band."""
    if len(band.left) * len(band.right) <= _SMALL_ENOUGH_TO_LIST:
        pairs = [(left, right) for left in band.left for right in band.right]
    else:
        pairs = [(draw.choice(band.left), draw.choice(band.right)) for _ in range(tries)]
    for left, right in pairs:
        one = band.made(left, right)
        for each in (one, one.mirrored) if band.tables and band.op == "*" else (one,):
            if band.admits(each):
                yield right if band.tables else band.kind(each), each
