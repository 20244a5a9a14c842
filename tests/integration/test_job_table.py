"""Postgres under the same random interleavings as the table in memory: after every one of them both say the same."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from schema.errors import Conflict
from schema.events import Event
from storage import steps
from storage.engine import leases
from storage.engine.leases import Lease
from tasks.admin import mark_stale
from tasks.commands import Asker, cancel_job, retry_job
from tasks.cron import reconcile
from tasks.deps import Deps
from tasks.ending import settle_error
from tasks.pipeline import PIPELINES
from tests.conftest import make_deps, with_jobs
from tests.fakes.job_table import (
    FAULTS,
    MAX_RETRIES,
    PATIENCE,
    STALE_AFTER,
    STEPS,
    TIMEOUT,
    Fault,
    Grant,
    JobTable,
    View,
)
from tests.integration.stage import change, put_job, rows, types
from tests.job_machine import JobMachine

COURSE = PIPELINES["course"]
PLACE = {"step": "skeleton", "stepIndex": 0, "totalSteps": 6, "message": "", "progress": 5}
TOPIC = {"topicName": "easy", "topicIndex": 1, "totalTopics": 2, "progress": 5, "itemsGenerated": 1, "duration": 0.1}


class RealTable:
    """The product's own writes, under the same methods."""

    def __init__(self, deps: Deps, asker: Asker) -> None:
        self.deps, self.asker = deps, asker
        self.ids: list[UUID] = []

    def _lease(self, grant: Grant) -> Lease:
        return Lease(self.ids[grant.job], self.asker.organization_id, grant.run, grant.token)

    def start(self) -> None:
        self.ids.append(put_job(self.deps, self.asker.organization_id, max_retries=MAX_RETRIES))

    def advance(self, seconds: float) -> None:
        """The clock can't be moved, so everything that was is moved into the past."""
        back = {"seconds": seconds}
        past = "make_interval(secs => :seconds)"
        change(
            self.deps,
            f"""UPDATE jobs SET due_at = due_at - {past}, updated_at = updated_at - {past},
              working_since = working_since - {past}""",
            **back,
        )
        change(
            self.deps,
            f"UPDATE job_leases SET heartbeat_at = heartbeat_at - {past}, progress_at = progress_at - {past}",
            **back,
        )

    def claim(self, job: int, run: int, step: str) -> bool:
        started = Event("step_started", {**PLACE, "step": step})
        index = STEPS.index(step)
        claimed = steps.claim(self.deps.db, self.ids[job], run, step, index, "test", [started], "Begun", PATIENCE)
        return claimed is not None

    def beat(self, grant: Grant, *, moves: bool) -> bool:
        idle = 0.0 if moves else 1e9
        return leases.beat(self.deps.db, [self._lease(grant)], [idle]) == {self.ids[grant.job]}

    def keep(self, grant: Grant, part: str) -> bool:
        event = Event("topic_completed", TOPIC)
        kept = (grant.step, part, {}, 0.1)
        return steps.tell(self.deps.db, self._lease(grant), [event], progress=5, message="", keep=kept)

    def finish(self, grant: Grant, *, go_on: bool) -> int | None:
        """The token that holds from now on."""
        following = COURSE.following(grant.step)
        goes_on = go_on and following is not None
        progress = 5 if following else 100
        events = [Event("step_completed", {**PLACE, "step": grant.step, "progress": progress, "duration": 0.1})]
        if following is None:
            events.append(Event("job_completed", {"courseId": "c", "totalDuration": 1.0, "mediaPending": 0}))
        elif goes_on:
            events.append(Event("step_started", {**PLACE, "step": following.name}))
        name = following.name if following else None
        index = COURSE.index(name or grant.step)
        ending = steps.Ending(grant.step, {}, 0.1, events, 5, "", name, index, goes_on, PATIENCE)
        with self.deps.db.statement() as tx:
            lease = steps.finish(tx, self._lease(grant), ending)
        return lease.token if lease else None

    def hand_back(self, grant: Grant) -> bool:
        return leases.hand_back(self.deps.db, self._lease(grant))

    def meet(self, grant: Grant, fault: Fault) -> bool:
        return settle_error(self.deps, self._lease(grant), grant.step, FAULTS[fault]()) is not None

    def cancel(self, job: int) -> bool:
        try:
            cancel_job(self.deps, self.asker, self.ids[job], "")
        except Conflict:
            return False
        return True

    def retry(self, job: int) -> bool:
        try:
            retry_job(self.deps, self.asker, self.ids[job])
        except Conflict:
            return False
        return True

    def mark_stale(self, job: int) -> bool:
        try:
            mark_stale(self.deps, self.asker, self.ids[job])
        except Conflict:
            return False
        return True

    def reconcile(self) -> None:
        reconcile(self.deps)

    def view(self, job: int) -> View:
        [row] = rows(
            self.deps,
            """SELECT j.*, EXTRACT(epoch FROM due_at - clock_timestamp())::float AS due_in,
              l.token IS NOT NULL AS leased
            FROM jobs j LEFT JOIN job_leases l ON l.job_id = j.id WHERE j.id = :id""",
            id=self.ids[job],
        )
        kept = rows(self.deps, "SELECT step, part, run FROM job_steps WHERE job_id = :id", id=self.ids[job])
        return View(
            status=row.status,
            run=row.run,
            token=row.lease_token,
            step=row.current_step,
            due_in=row.due_in,
            retry_count=row.retry_count,
            worked=row.worked_seconds,
            leased=row.leased,
            checkpoints=tuple(sorted((one.step, one.part, one.run) for one in kept)),
            events=tuple(types(self.deps, self.ids[job])),
        )


class BothTables(JobTable):
    """Does everything in memory and in Postgres, and compares every answer."""

    def __init__(self, real: RealTable) -> None:
        super().__init__()
        self.real = real
        self.began = time.monotonic()

    def advance(self, seconds: float) -> None:
        super().advance(seconds)
        self.real.advance(seconds)

    def start(self) -> int:
        self.real.start()
        return super().start()

    def claim(self, job: int, run: int, step: str) -> Grant | None:
        granted = super().claim(job, run, step)
        assert self.real.claim(job, run, step) == (granted is not None)
        return granted

    def beat(self, grant: Grant, *, moves: bool) -> bool:
        beaten = super().beat(grant, moves=moves)
        assert self.real.beat(grant, moves=moves) == beaten
        return beaten

    def keep(self, grant: Grant, part: str) -> bool:
        kept = super().keep(grant, part)
        assert self.real.keep(grant, part) == kept
        return kept

    def finish(self, grant: Grant, *, go_on: bool) -> Grant | None:
        followed = super().finish(grant, go_on=go_on)
        assert self.real.finish(grant, go_on=go_on) == (followed.token if followed else None)
        return followed

    def hand_back(self, grant: Grant) -> bool:
        given = super().hand_back(grant)
        assert self.real.hand_back(grant) == given
        return given

    def meet(self, grant: Grant, fault: Fault) -> bool:
        met = super().meet(grant, fault)
        assert self.real.meet(grant, fault) == met
        return met

    def cancel(self, job: int) -> bool:
        cancelled = super().cancel(job)
        assert self.real.cancel(job) == cancelled
        return cancelled

    def retry(self, job: int) -> bool:
        retried = super().retry(job)
        assert self.real.retry(job) == retried
        return retried

    def mark_stale(self, job: int) -> bool:
        marked = super().mark_stale(job)
        assert self.real.mark_stale(job) == marked
        return marked

    def reconcile(self) -> None:
        super().reconcile()
        self.real.reconcile()

    def view(self, job: int) -> View:
        expected, found = super().view(job), self.real.view(job)
        for name in ("status", "run", "token", "step", "retry_count", "leased", "checkpoints", "events"):
            assert getattr(found, name) == getattr(expected, name), name
        assert (found.due_in is None) == (expected.due_in is None)
        # The real clock goes on while a machine runs.
        slack = 1 + time.monotonic() - self.began
        if found.due_in is not None and expected.due_in is not None:
            assert abs(found.due_in - expected.due_in) < slack
        assert abs(found.worked - expected.worked) < slack
        return expected


@pytest.fixture
def hasty(deps: Deps) -> Iterator[Deps]:
    """Deps under which jobs may work as long as the table in memory allows."""
    changed = with_jobs(deps.settings, stale_after_seconds=STALE_AFTER, timeout_seconds=TIMEOUT)
    made = make_deps(changed, deps.send)  # type: ignore[arg-type]
    made.luck = lambda: 0.0
    yield made
    made.close()


def test_postgres_does_what_the_table_in_memory_does(hasty: Deps, asker: Asker) -> None:
    class Machine(JobMachine):
        def make_table(self) -> Any:
            change(hasty, "DELETE FROM jobs")
            return BothTables(RealTable(hasty, asker))

    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=12, stateful_step_count=30, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
