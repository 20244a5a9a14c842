"""What must hold of the calls to the model: the scripted server's own record beside checkpoints and faults.

A call is traced to its job by the job's own language tag, which stands in every question, and to its group or text by
the name in the question. Calls for pictures carry no tag, since many courses ask for the same picture: the server's
record of them is only counted, and what is said of single pictures rests on the system's own rows.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import pairwise

from tasks.retry import OWN_OUTAGES
from tests.chaos.evidence import Evidence, Row
from tests.chaos.faults import Done
from tests.chaos.ledger import Asked, Ledger
from tests.chaos.model import Call
from tests.chaos.model_bill import POSTGRES, Sums, at_risk, takes_answers

#: Clocks of two processes agree, but what one wrote the other may read this much later, in seconds.
SLACK = 0.5
#: For so long after it was let go on, a stopped process may still do what it was about to do; and a worker may learn
#: only now that its connections to the database are dead.
WAKING = 2.0
#: Between its leave to make a call and the call as the server sees it: nobody looks at the row in between.
ON_ITS_WAY = 1.5
#: Errors after which what a call brought is lost though it was answered: nobody was there to keep it, or nothing to
#: keep it in.
_LOST = OWN_OUTAGES | {"worker_lost"}
_PICTURES_LOST = frozenset({"media killed", "media child killed", "store killed", "store stopped"}) | POSTGRES
#: How many pictures one media worker makes at a time (MEDIA_CONCURRENCY).
PICTURES_AT_ONCE = 2

#: A thing the model is asked for: the language tag of its job, the purpose, and what of the course it is about.
Thing = tuple[str, str, str]


class ModelCalls:
    """The calls of a run, by job and part."""

    def __init__(self, evidence: Evidence, ledger: Ledger, calls: list[Call], faults: list[Done]) -> None:
        self._evidence = evidence
        self._asked = {one.tag: one for one in ledger.all() if one.by_model}
        self._by_job = ledger.accepted()
        self._faults = faults
        self._pictures_lost = sum(done.kind in _PICTURES_LOST for done in faults)
        self._outages = [done for done in faults if done.kind in POSTGRES]
        self._model_stops = [done for done in faults if done.kind == "model stopped"]
        self._worker_stops = [done for done in faults if done.kind == "worker stopped"]
        self.calls = [call for call in calls if call.purpose != "picture"]
        self.pictures = [call for call in calls if call.purpose == "picture"]
        self._by_part: dict[Thing, list[Call]] = defaultdict(list)
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
                if kept is not None and call.at > kept + SLACK and not self._was_sent_before(kept, call):
                    late = call.at - kept
                    yield f"{self._job(tag)}: {purpose} {part} was asked for {late:.1f} s after its checkpoint"

    def none_after_a_cancel(self) -> Iterator[str]:
        """No call begins for a job whose cancel was answered, until somebody retries it."""
        for (tag, purpose, part), calls in self._by_part.items():
            asked = self._asked.get(tag)
            for call in calls:
                if self._is_past_cancel(asked, call.at) and not self._was_sent_before(_told(asked), call):
                    late = call.at - _told(asked)
                    yield f"{self._job(tag)}: {purpose} {part} was asked for {late:.1f} s after its cancel"
        for row in self._evidence.calls:
            if row.purpose == "picture":
                job = self._evidence.jobs.get(row.job_id)
                asked = self._by_job.get(job.parent or "") if job else None
                if self._is_past_cancel(asked, row.at.timestamp()):
                    late = row.at.timestamp() - _told(asked)
                    yield f"{row.job_id}: a picture was asked for {late:.1f} s after its course was cancelled"

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
        needed = sum(self._is_needed(thing) for thing in self._by_part)
        faulty = sum(bool(self._failed(call)) for call in self.calls)
        at_risk = sum(self._at_risk(thing, calls) for thing, calls in self._by_part.items())
        return Sums(len(self.calls), needed, faulty, at_risk)

    def picture_sums(self) -> Sums:
        """The bill of pictures. Needed is one for each picture job that was begun."""
        begun = sum(
            any(event.type == "step_started" for event in self._evidence.events[job.job_id])
            for job in self._evidence.jobs.values()
            if job.job_type == "media"
        )
        faulty = sum(bool(self._failed(call)) for call in self.pictures)
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
        steps = {"plan": "skeleton", "topics": "topics", "lessons": "lessons", "verify": "validate"}
        step = steps.get(purpose, "fill")
        is_whole = not part and step != "fill"
        name = "" if is_whole else self._evidence.parts.get((job_id, purpose, part), "none")
        at = self._evidence.checkpoints.get((job_id, step, name)) if purpose != "repair" else None
        return at.timestamp() if at else None

    def _is_needed(self, thing: Thing) -> bool:
        """Whether a course needs this: one plan, what its skeleton has places for, and one check of its keys; from an
        exam its topics, and of each topic a lesson and its answers. The scripted model answers truly, so nothing needs
        a repair."""
        tag, purpose, part = thing
        is_whole = purpose in ("plan", "topics", "verify") and not part
        return is_whole or (self._job(tag), purpose, part) in self._evidence.parts

    def _was_sent_before(self, moment: float, call: Call) -> bool:
        """Whether a call the server saw after a moment may have been sent, or had leave to be sent, before it: a
        worker woke up with it, or it lay at the door of a model that stood still. One that was stopped only after that
        moment excuses nothing."""
        stops = [*self._model_stops, *self._worker_stops_of(call.job or "")]
        return any(done.began - SLACK <= moment and _woke(done, call) for done in stops)

    def _worker_stops_of(self, tag: str) -> list[Done]:
        """Stops of a worker that had this job in its hands."""
        return [done for done in self._worker_stops if self._job(tag) in done.held]

    def _is_past_cancel(self, asked: Asked | None, at: float) -> bool:
        if asked is None or asked.cancel_told_at is None or at <= asked.cancel_told_at + ON_ITS_WAY:
            return False
        return asked.retried_at is None or at < asked.retried_at

    def _repeats(self) -> Iterator[tuple[Thing, Call, Call]]:
        for key, calls in self._by_part.items():
            yield from ((key, first, second) for first, second in pairwise(calls))

    def _failed(self, call: Call) -> str:
        """Why nobody can have got a good answer to a call; empty when somebody may have."""
        if call.fault is not None:
            return "it met a fault"
        if not call.answered:
            return "it got no answer"
        # The server can't tell that a client left while it stood still, and takes its answer for delivered.
        if any(stop.began <= call.ended and call.at <= stop.woken + WAKING for stop in self._model_stops):
            return "the model was stopped"
        return ""

    def _cause(self, tag: str, first: Call, second: Call) -> str:
        """Why something was asked for again; empty when nothing explains it."""
        if failed := self._failed(first):
            return failed
        if any(_woke(done, call) for done in self._worker_stops_of(tag) for call in (first, second)):
            return "a stopped worker woke with it"
        return self._began_anew(self._job(tag), first.at, second.at)

    def _began_anew(self, job_id: str, begin: float, end: float) -> str:
        """Why a job may have lost in between what a call brought; empty when it may not."""
        again = [code for at, code in self._retries(job_id) if begin <= at <= end]
        asked = self._by_job.get(job_id)
        if None in again and asked is not None and asked.retried_at is not None:
            return "a person cancelled and retried"
        if _LOST.intersection(again):
            return "its worker or a server was lost"
        if any(outage.began <= end and begin <= outage.ended + WAKING for outage in self._outages):
            return "the database was away"
        return ""

    def _retries(self, job_id: str) -> Iterator[tuple[float, str | None]]:
        """When a job was taken up again, and after which error; none after a person's retry."""
        for event in self._evidence.events.get(job_id, []):
            if event.type == "job_retrying":
                yield event.at.timestamp(), (event.body.get("error") or {}).get("code")

    def _at_risk(self, thing: Thing, calls: list[Call]) -> int:
        """How many answers for one thing may have been lost before they were kept. An attempt lasts until its answer is
        kept, or until there is another."""
        tag, purpose, part = thing
        asked = self._asked.get(tag)
        kept = self._kept_at(asked, purpose, part)
        ends = [*(call.at for call in calls[1:]), max(calls[-1].at, kept or 0.0)]
        attempts = [(call.at, end) for call, end in zip(calls, ends, strict=True) if not self._failed(call)]
        losses = [(done.began, done.ended + WAKING) for done in self._faults if takes_answers(done, self._job(tag))]
        if asked is not None and asked.cancelled_at is not None and asked.retried_at is not None:
            losses.append((asked.cancelled_at, asked.retried_at))
        # A worker may also end by itself, when its broker goes for instance.
        losses += [(at, at) for at, code in self._retries(self._job(tag)) if code == "worker_lost"]
        return at_risk(attempts, losses)


def _told(asked: Asked | None) -> float:
    return (asked.cancel_told_at if asked else None) or 0.0


def _woke(done: Done, call: Call) -> bool:
    """Whether the server saw a call right after a process was let go on."""
    return done.woken <= call.at <= done.woken + WAKING


Check = Callable[[ModelCalls], Iterator[str]]
CHECKS: dict[str, Check] = {
    "every call to the model belongs to a job": ModelCalls.strangers,
    "no call for what is kept already": ModelCalls.none_for_what_is_kept,
    "no call after a cancel": ModelCalls.none_after_a_cancel,
    "every repeated call has a cause": ModelCalls.repeats_have_a_cause,
    "every call was written down first": ModelCalls.each_has_its_row,
    "pictures are asked for once": ModelCalls.pictures_are_asked_for_once,
    "calls are within needed + faults + in flight": ModelCalls.within_the_bill,
}
