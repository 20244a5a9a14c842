"""When something that is told to the outside is tried again: webhooks and mails. Pure."""

from __future__ import annotations

#: Seconds before the second try, the third and so on: a day in all.
PAUSES = (10.0, 60.0, 300.0, 1800.0, 7200.0, 14_400.0, 28_800.0, 33_830.0)
#: How far a pause is from its figure at most, so that what failed together does not come back together.
SPREAD = 0.1
#: The longest wait that the other side may ask for, in seconds.
LONGEST_WISH = 21_600.0


def pause_after(attempts: int, luck: float, wished: float | None = None) -> float | None:
    """Seconds until the next try after ``attempts`` of them failed; none when it is given up.

    ``luck`` is a random number from 0 to 1. ``wished`` is how long the other side asks to be left alone: it may
    lengthen a pause, not shorten it."""
    if not 1 <= attempts <= len(PAUSES):
        return None
    pause = PAUSES[attempts - 1] * (1 + SPREAD * (2 * luck - 1))
    return max(pause, min(wished, LONGEST_WISH)) if wished is not None else pause
