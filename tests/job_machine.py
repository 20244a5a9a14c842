"""Random interleavings of everything that can happen to jobs, and what must hold after each of them.

Messages arrive in any order, late and doubled; workers die, sleep through their lease and wake up; people cancel and
retry; the clock jumps. The machine drives any table with the methods of ``tests.fakes.job_table.JobTable``.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any, cast

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from schema.job import ACTIVE
from tests.fakes.job_table import FAULTS, MAX_RETRIES, PATIENCE, STEPS, Fault, Grant, JobTable, View

#: Sums of these, and of silences as far as they count, are never just below a limit, at which a clock that goes on by
#: itself would decide otherwise. The last one is longer than a job may work.
JUMPS = (0.0, 7.0, 35.0, 63.0, 707.0)
ENDINGS = {"job_completed": "done", "job_cancelled": "cancelled"}
ANY = st.integers(0, 10**6)


class JobMachine(RuleBasedStateMachine):
    """``table`` is what the machine sees; subclasses may hand in one that does everything twice."""

    def __init__(self) -> None:
        super().__init__()
        self.table: JobTable = self.make_table()
        self.messages: list[tuple[int, int, str]] = []
        #: Every lease ever granted: those of the living, of sleepers, and of the dead, who may still write.
        self.grants: list[Grant] = []
        #: How often each job was heard of by whoever had it in hand.
        self.signs: Counter[int] = Counter()

    def make_table(self) -> Any:
        return JobTable()

    def _grant(self, at: int) -> Grant:
        """Mostly a recent one; now and then any that ever was."""
        recent = self.grants[-3:] if at % 4 else self.grants
        return recent[at % len(recent)]

    def _job(self, at: int) -> int:
        return at % len(self.table.jobs)

    # --- what happens -----------------------------------------------------------------------------------------

    @precondition(lambda self: len(self.table.jobs) < 3)
    @rule()
    def start(self) -> None:
        self.table.start()

    @precondition(lambda self: self.table.jobs)
    @rule(at=ANY)
    def send(self, at: int) -> None:
        """A dispatcher puts a message for a job on its way, whether or not there is one already."""
        view = self.table.view(self._job(at))
        self.messages.append((self._job(at), view.run, view.step))

    @precondition(lambda self: self.messages)
    @rule(at=ANY, kept=st.booleans())
    def deliver(self, at: int, kept: bool) -> None:
        """A message arrives; ``kept``: it will arrive once more."""
        place = at % len(self.messages)
        self._claim(*(self.messages[place] if kept else self.messages.pop(place)))

    @precondition(lambda self: self.table.jobs)
    @rule(at=ANY)
    def deliver_at_once(self, at: int) -> None:
        """A message is sent and arrives: without this most of a random life would pass between messages."""
        view = self.table.view(self._job(at))
        self._claim(self._job(at), view.run, view.step)

    def _claim(self, job: int, run: int, step: str) -> None:
        granted = self.table.claim(job, run, step)
        if granted is not None:
            self.grants.append(granted)
            self.signs[granted.job] += 1

    @precondition(lambda self: self.grants)
    @rule(at=ANY, go_on=st.booleans())
    def finish(self, at: int, go_on: bool) -> None:
        grant = self._grant(at)
        followed = self.table.finish(grant, go_on=go_on)
        if followed is None:
            return
        if go_on and followed.step != grant.step:
            self.grants.append(followed)
            self.signs[grant.job] += 1
        elif followed.step != grant.step:
            self.messages.append((grant.job, grant.run, followed.step))

    @precondition(lambda self: self.grants)
    @rule(at=ANY, part=st.sampled_from(["easy", "hard"]))
    def keep(self, at: int, part: str) -> None:
        grant = self._grant(at)
        kept = {(step, name) for step, name, _ in self.table.view(grant.job).checkpoints}
        # Who holds the job knows what is kept. Who was taken for dead does not, and keeps late what his twin has kept.
        if not self.table.holds(grant) or (grant.step, part) not in kept:
            self.table.keep(grant, part)

    @precondition(lambda self: self.grants)
    @rule(at=ANY, moves=st.booleans())
    def beat(self, at: int, moves: bool) -> None:
        grant = self._grant(at)
        self.signs[grant.job] += self.table.beat(grant, moves=moves)

    @precondition(lambda self: self.grants)
    @rule(at=ANY)
    def hand_back(self, at: int) -> None:
        self.table.hand_back(self._grant(at))

    @precondition(lambda self: self.grants)
    @rule(at=ANY, fault=st.sampled_from(sorted(FAULTS)))
    def meet(self, at: int, fault: str) -> None:
        self.table.meet(self._grant(at), cast(Fault, fault))

    @precondition(lambda self: self.table.jobs)
    @rule(at=ANY)
    def cancel(self, at: int) -> None:
        self.table.cancel(self._job(at))

    @precondition(lambda self: self.table.jobs)
    @rule(at=ANY)
    def retry(self, at: int) -> None:
        self.table.retry(self._job(at))

    @precondition(lambda self: self.table.jobs)
    @rule(at=ANY)
    def mark_stale(self, at: int) -> None:
        self.table.mark_stale(self._job(at))

    @rule()
    def reconcile(self) -> None:
        self.table.reconcile()

    @rule(seconds=st.sampled_from(JUMPS))
    def advance(self, seconds: float) -> None:
        self.table.advance(seconds)

    # --- what must hold ---------------------------------------------------------------------------------------

    def views(self) -> list[View]:
        return [self.table.view(job) for job in range(len(self.table.jobs))]

    @invariant()
    def somebody_owns_every_job_that_is_not_final(self) -> None:
        """A stale one is the reconciler's."""
        for view in self.views():
            if view.status == "pending":
                assert view.due_in is not None and not view.leased
            elif view.status == "processing":
                assert (view.due_in is not None) != view.leased
            else:
                assert view.due_in is None and not view.leased

    @invariant()
    def at_most_one_may_write(self) -> None:
        for job, view in enumerate(self.views()):
            writers = {grant for grant in self.grants if grant.job == job and self.table.holds(grant)}
            assert len(writers) <= 1
            assert not writers or (view.status == "processing" and view.leased)

    @invariant()
    def no_step_ends_twice(self) -> None:
        for view in self.views():
            whole = [step for step, part, _ in view.checkpoints if not part]
            assert view.events.count("step_completed") == len(whole)
            assert whole == sorted(STEPS[: len(whole)]), "steps end in their order"
            assert view.events.count("topic_completed") == len(view.checkpoints) - len(whole)

    @invariant()
    def the_last_event_agrees_with_the_status(self) -> None:
        for view in self.views():
            last = view.events[-1]
            assert (last == "job_failed") == (view.status in ("failed", "dead_letter"))
            assert ENDINGS.get(last) == (view.status if view.status in ("done", "cancelled") else None)
            assert view.events.count("job_completed") == (view.status == "done")
            for before, after in pairwise(view.events):
                ended = before in ("job_failed", "job_cancelled")
                assert not ended or after == "job_retrying", "only a retry brings a job back"

    @invariant()
    def retries_stay_within_their_limit(self) -> None:
        for view in self.views():
            assert view.retry_count <= MAX_RETRIES
            assert view.status != "dead_letter" or view.retry_count == MAX_RETRIES

    @invariant()
    def a_long_silence_is_no_work(self) -> None:
        for job, view in enumerate(self.views()):
            assert view.worked <= self.signs[job] * PATIENCE

    def teardown(self) -> None:
        """When the faults stop, every job comes to its end by messages and the reconciler alone."""
        for _ in range(200):
            waiting = [job for job, view in enumerate(self.views()) if view.status in ACTIVE]
            if not waiting:
                return
            self.table.advance(63.0)
            self.table.reconcile()
            for job in waiting:
                view = self.table.view(job)
                granted = self.table.claim(job, view.run, view.step)
                if granted is not None:
                    assert self.table.finish(granted, go_on=False) is not None
        raise AssertionError(f"stuck: {[view for view in self.views() if view.status in ACTIVE]}")
