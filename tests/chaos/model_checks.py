"""What must hold of the calls to the model: the scripted server's own record beside checkpoints and faults.

A call is traced to its job by the job's own language tag, which stands in every question, and to its group or text by
the name in the question. Calls for pictures carry no tag, since many courses ask for the same picture: the server's
record of them is only counted, and what is said of single pictures rests on the system's own rows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from tests.chaos.evidence import Evidence, Row
from tests.chaos.faults import Done
from tests.chaos.ledger import Asked, Ledger
from tests.chaos.model import Call

#: Clocks of two processes agree, but what one wrote the other may read this much later, in seconds.
SLACK = 0.5
#: For so long after it was let go on, a stopped process may still do what it was about to do.
WAKING = 2.0
_POSTGRES = frozenset({"postgres killed", "postgres restarted"})
#: Kinds of faults that can take what a call brought before it is kept: of a text, of a picture.
_TEXTS_LOST = frozenset({"worker killed", "worker stopped"}) | _POSTGRES
_PICTURES_LOST = frozenset({"media killed", "media child killed", "store killed", "store stopped"}) | _POSTGRES
#: How many pictures one media worker makes at a time (MEDIA_CONCURRENCY).
PICTURES_AT_ONCE = 2


@dataclass(frozen=True)
class Sums:
    """The bill: calls made, calls needed, calls that met an injected fault, and calls whose answer was not kept yet
    when something was killed or stopped."""

    calls: int = 0
    needed: int = 0
    faulty: int = 0
    at_risk: int = 0

    @property
    def allowed(self) -> int:
        return self.needed + self.faulty + self.at_risk


class ModelCalls:
    """The calls of a run, by job and part."""

    def __init__(self, evidence: Evidence, ledger: Ledger, calls: list[Call], faults: list[Done]) -> None:
        self._evidence = evidence
        self._asked = {one.payload.get("language"): one for one in ledger.all() if one.by_model}
        self._losses = [done for done in faults if done.kind in _TEXTS_LOST]
        self._pictures_lost = sum(done.kind in _PICTURES_LOST for done in faults)
        self._outages = [done for done in faults if done.kind in _POSTGRES]
        self._woken = [done for done in faults if done.kind in ("worker stopped", "model stopped")]
        self.calls = [call for call in calls if call.purpose != "picture"]
        self.pictures = [call for call in calls if call.purpose == "picture"]
        self._by_part: dict[tuple[str, str, str], list[Call]] = defaultdict(list)
        for call in self.calls:
            self._by_part[call.job or "", call.purpose, call.part].append(call)

    # --- checks -------------------------------------------------------------------------------------------------

    def strangers(self) -> Iterator[str]:
        """Calls that no request explains."""
        for (tag, purpose, part), calls in self._by_part.items():
            if tag not in self._asked:
                yield f"{len(calls)} calls ({purpose} {part}) for {tag}, which nobody asked for"

    def none_for_what_is_kept(self) -> Iterator[str]:
        """No call for something whose checkpoint had committed."""
        for (tag, purpose, part), calls in self._by_part.items():
            kept = self._kept_at(self._asked.get(tag), purpose, part)
            for call in calls:
                if kept is not None and call.at > kept + SLACK and not self._was_under_way(call):
                    late = call.at - kept
                    yield f"{self._job(tag)}: {purpose} {part} was asked for {late:.1f} s after its checkpoint"

    def repeats_have_a_cause(self) -> Iterator[str]:
        """A second call for the same thing has a cause."""
        for (tag, purpose, part), first, second in self._repeats():
            if not self._cause(tag, first, second):
                later = second.at - first.at
                yield f"{self._job(tag)}: {purpose} {part} was asked for again after {later:.1f} s"

    def each_has_its_row(self) -> Iterator[str]:
        """The system wrote down every call before it went out. There may be rows of calls that never came."""
        written = Counter(row.job_id for row in self._evidence.calls)
        pictures = sum(row.purpose == "picture" for row in self._evidence.calls)
        for tag, count in Counter(call.job or "" for call in self.calls).items():
            if count > written[self._job(tag)]:
                yield f"{self._job(tag)}: {count} calls, {written[self._job(tag)]} of them written down"
        if len(self.pictures) > pictures:
            yield f"{len(self.pictures)} calls for pictures, {pictures} of them written down"

    def pictures_are_asked_for_once(self) -> Iterator[str]:
        """No picture is asked for when it is there, and not twice without a cause."""
        rows: dict[str, list[Row]] = defaultdict(list)
        for row in self._evidence.calls:
            if row.purpose == "picture":
                rows[row.job_id].append(row)
        for job_id, mine in rows.items():
            made = self._evidence.checkpoints.get((job_id, "picture", ""))
            if made is not None and mine[-1].at > made:
                yield f"{job_id}: a picture was asked for after it was made"
            for first, second in pairwise(mine):
                begin, end = first.at.timestamp(), second.at.timestamp()
                if first.outcome == "ok" and not self._began_anew(job_id, begin, end):
                    yield f"{job_id}: a picture was asked for again after {end - begin:.1f} s"

    def causes(self) -> Counter[str]:
        """Why things were asked for a second time."""
        return Counter(self._cause(key[0], first, second) or "no cause" for key, first, second in self._repeats())

    def sums(self) -> Sums:
        """The bill of all calls but those for pictures."""
        at_risk = sum(self._at_risk(loss) for loss in self._losses)
        at_risk += sum(asked.cancelled_at is not None for asked in self._asked.values())
        faulty = sum(call.fault is not None or not call.answered for call in self.calls)
        return Sums(len(self.calls), len(self._by_part), faulty, at_risk)

    def picture_sums(self) -> Sums:
        """The bill of pictures. Needed is one for each picture job that was begun."""
        begun = sum(
            any(event.type == "step_started" for event in self._evidence.events[job.job_id])
            for job in self._evidence.jobs.values()
            if job.job_type == "media"
        )
        faulty = sum(call.fault is not None or not call.answered for call in self.pictures)
        return Sums(len(self.pictures), begun, faulty, PICTURES_AT_ONCE * self._pictures_lost)

    def within_the_bill(self) -> Iterator[str]:
        """Total calls are at most needed + faults injected + calls in flight when something died."""
        for name, sums in (("text", self.sums()), ("picture", self.picture_sums())):
            if sums.calls > sums.allowed:
                yield f"{sums.calls} {name} calls; {sums.needed} needed + {sums.faulty} faulty + {sums.at_risk} at risk"

    # --- parts --------------------------------------------------------------------------------------------------

    def _job(self, tag: str) -> str:
        asked = self._asked.get(tag)
        return str(asked.job_id) if asked else tag

    def _kept_at(self, asked: Asked | None, purpose: str, part: str) -> float | None:
        """When what a call was for was kept; none when it never was, or can be asked for again (repairs)."""
        if asked is None or asked.job_id is None:
            return None
        job_id = asked.job_id
        places = {"plan": ("skeleton", ""), "verify": ("validate", "")}
        step, name = places.get(purpose, ("fill", self._evidence.parts.get((job_id, part), "none")))
        at = self._evidence.checkpoints.get((job_id, step, name)) if purpose != "repair" else None
        return at.timestamp() if at else None

    def _was_under_way(self, call: Call) -> bool:
        """Whether a call was begun before, by or to a process that had been stopped and has just woken up."""
        return any(done.began <= call.at <= done.ended + WAKING for done in self._woken)

    def _repeats(self) -> Iterator[tuple[tuple[str, str, str], Call, Call]]:
        for key, calls in self._by_part.items():
            yield from ((key, first, second) for first, second in pairwise(calls))

    def _cause(self, tag: str, first: Call, second: Call) -> str:
        """Why something was asked for again; empty when nothing explains it."""
        asked = self._asked.get(tag)
        if first.fault is not None:
            return "it met a fault"
        if not first.answered:
            return "it got no answer"
        if asked is not None and asked.cancelled_at is not None:
            return "a person cancelled"
        return self._began_anew(self._job(tag), first.at, second.at)

    def _began_anew(self, job_id: str, begin: float, end: float) -> str:
        """Why a job may have lost in between what a call brought; empty when it may not."""
        told = self._evidence.events.get(job_id, [])
        if any(begin <= event.at.timestamp() <= end for event in told if event.type == "job_retrying"):
            return "the job was tried again"
        if any(outage.began <= end and begin <= outage.ended + WAKING for outage in self._outages):
            return "the database was away"
        return ""

    def _at_risk(self, loss: Done) -> int:
        """Calls that had begun and whose result was not kept yet when a fault was at work, one for each part."""
        count = 0
        for (tag, purpose, part), calls in self._by_part.items():
            kept = self._kept_at(self._asked.get(tag), purpose, part)
            begun = any(call.at <= loss.ended + WAKING for call in calls)
            count += begun and (kept is None or kept >= loss.began)
        return count
