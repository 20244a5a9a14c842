"""How long a job stands still when its worker is killed, and what of that time is another fault's."""

from __future__ import annotations

import statistics
from collections.abc import Iterator
from dataclasses import dataclass

from tests.chaos.evidence import Evidence, Told
from tests.chaos.faults import Done

#: Faults without which a job would come back sooner. Nobody's silence counts while Postgres is away, and it begins anew
#: when that is back; the tick that finds the job and the message that carries it go through beat, the clock's worker
#: and Valkey; a worker must be there, and have a thread that doesn't wait for the store. The model's thinking is none
#: of these: it is asked only after the step has begun, and what waits for it leaves threads enough.
_DISTURBING = frozenset(
    [
        *("postgres killed", "postgres restarted", "valkey killed", "valkey emptied", "valkey flushed"),
        *("beat killed", "control killed", "worker killed", "worker stopped", "store stopped"),
    ]
)
#: Beyond STALE_AFTER_SECONDS: the reconciler looks every five seconds.
LOOKS_EVERY = 5.0
#: Fewer jobs than this say nothing about the median.
ENOUGH = 10


@dataclass(frozen=True)
class Recovery:
    """The way back of one job, in seconds from the kill of its worker: when that was noticed and told, and when a step
    of it began again. ``disturbed`` names the first other fault in between."""

    job_id: str
    told: float
    begun: float
    disturbed: str = ""


def recoveries(faults: list[Done], evidence: Evidence) -> list[Recovery]:
    """The way back of each job that a killed worker held. One that was not lost, because it was cancelled for instance,
    has none."""
    found = []
    for kill in faults:
        for job_id in kill.held if kill.kind == "worker killed" else ():
            if (back := _way_back(evidence.events[job_id], kill.began)) is not None:
                told, begun = back
                others = [done for done in faults if done is not kill and done.kind in _DISTURBING]
                between = [done.kind for done in others if done.began <= begun and kill.began <= done.ended]
                found.append(Recovery(job_id, told - kill.began, begun - kill.began, between[0] if between else ""))
    return found


def _way_back(events: list[Told], killed: float) -> tuple[float, float] | None:
    lost: float | None = None
    for event in events:
        at = event.at.timestamp()
        if lost is None and at > killed and (event.body.get("error") or {}).get("code") == "worker_lost":
            lost = at
        elif lost is not None and event.type == "step_started":
            return lost, at
    return None


def described(ways: list[Recovery]) -> str:
    """Median and longest, and how the median is made up."""
    if not ways:
        return "no job"
    median, longest = statistics.median(way.begun for way in ways), max(way.begun for way in ways)
    noticed = statistics.median(way.told for way in ways)
    return f"median {median:.1f} s ({noticed:.1f} s until it was noticed), longest {longest:.1f} s, of {len(ways)} jobs"


def undisturbed(ways: list[Recovery]) -> list[Recovery]:
    return [way for way in ways if not way.disturbed]


def come_back_in_time(ways: list[Recovery], stale_after: float) -> Iterator[str]:
    """The median of what no other fault disturbed, if that is enough to go by."""
    alone = undisturbed(ways)
    limit = stale_after + LOOKS_EVERY
    if len(alone) >= ENOUGH and statistics.median(way.begun for way in alone) > limit:
        yield f"{described(alone)}; the median may be {limit:g} s"
