"""What an error means for a job: again at a time, or give up. Pure; the same error always gets the same answer."""

from __future__ import annotations

from dataclasses import dataclass

from schema.errors import CoursewrightError, Transient, Unavailable

BASE_SECONDS = 1.0
LONGEST_SECONDS = 60.0
#: No answer from outside keeps a job waiting longer than a day.
LONGEST_ASKED_SECONDS = 86_400.0


@dataclass(frozen=True)
class Again:
    """Try again in ``seconds``."""

    seconds: float


@dataclass(frozen=True)
class GiveUp:
    """No more tries. ``dead_letter``: trying again could have helped, but all retries are used up."""

    dead_letter: bool


def decide(error: CoursewrightError, retries_used: int, retries_allowed: int, luck: float) -> Again | GiveUp:
    """Transient errors wait as long as the other side asked, a day at most, or else a random part (``luck``, 0 to 1:
    full jitter, so that many jobs that failed together don't return together) of a time that doubles with each
    retry."""
    if not isinstance(error, Transient | Unavailable):
        return GiveUp(dead_letter=False)
    if retries_used >= retries_allowed:
        return GiveUp(dead_letter=True)
    asked = error.retry_after if isinstance(error, Transient) else None
    if asked is not None:
        return Again(min(max(0.0, asked), LONGEST_ASKED_SECONDS))
    return Again(luck * min(LONGEST_SECONDS, BASE_SECONDS * 2 ** (retries_used + 1)))
