"""What an error means for a job: again at a time, or give up. Pure; the same error always gets the same answer."""

from __future__ import annotations

from dataclasses import dataclass

from schema.errors import CoursewrightError, Permanent, Transient, Unavailable

BASE_SECONDS = 1.0
LONGEST_SECONDS = 60.0
#: Our own dependencies being away is no fault of the job: it waits for them, and uses up no retry.
OWN_OUTAGES = frozenset({"store_away", "store_busy", "database_away", "redis_away"})
OUTAGE_SECONDS = 5.0
#: Waits at the shared brake or for the allowance of a minute: somebody else's call, not this job's, ran into something.
BRAKED = "model_braked"
#: All that wait for one moment come back within this time after it, in seconds, not in the same millisecond.
BRAKED_SPREAD_SECONDS = 2.0
#: No answer from outside keeps a job waiting longer than a day.
LONGEST_ASKED_SECONDS = 86_400.0


@dataclass(frozen=True)
class Again:
    """Try again in ``seconds``. ``counted``: this uses up one of the job's retries."""

    seconds: float
    counted: bool = True


@dataclass(frozen=True)
class GiveUp:
    """No more tries. ``dead_letter``: trying again could have helped, but all retries are used up."""

    dead_letter: bool


def decide(error: CoursewrightError, retries_used: int, retries_allowed: int, luck: float) -> Again | GiveUp:
    """Transient errors wait as long as the other side asked, a day at most, or else a random part (``luck``, 0 to 1:
    full jitter, so that many jobs that failed together don't return together) of a time that doubles with each
    retry. While our own database or store is away a job waits 5 to 10 s at a time, for as long as that takes. At a
    brake it waits until that is off."""
    if not isinstance(error, Transient | Unavailable):
        return GiveUp(dead_letter=False)
    if error.code in OWN_OUTAGES:
        return Again(OUTAGE_SECONDS * (1 + luck), counted=False)
    asked = error.retry_after if isinstance(error, Transient) else None
    if asked is not None:
        asked = min(max(0.0, asked), LONGEST_ASKED_SECONDS)
    if error.code == BRAKED:
        return Again((asked or 0.0) + luck * BRAKED_SPREAD_SECONDS, counted=False)
    if retries_used >= retries_allowed:
        return GiveUp(dead_letter=True)
    if asked is not None:
        return Again(asked)
    return Again(luck * min(LONGEST_SECONDS, BASE_SECONDS * 2 ** (retries_used + 1)))


def deadline_exceeded(limit_seconds: float) -> Permanent:
    """The error of a job that has worked for longer than ``JOB_TIMEOUT_SECONDS`` in all."""
    words = f"The job worked for longer than the {limit_seconds:g} s a job may take. What it has finished is kept."
    return Permanent(words, code="deadline_exceeded", details={"limitSeconds": limit_seconds})
