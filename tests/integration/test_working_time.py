"""How long a job may work, how long a step may stand still, and what becomes of a lease nobody knows about."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from schema.clock import utc_now
from schema.errors import Transient, Unavailable
from schema.events import Event
from storage import steps
from storage.db import Database, Transaction
from storage.engine import leases, queue
from storage.engine.leases import Lease
from tasks import once, watch
from tasks.commands import Asker, retry_job
from tasks.cron import reconcile
from tasks.deps import Deps
from tasks.ending import settle_error
from tasks.step import deliver
from tasks.watch import Watcher
from tests.conftest import eventually, make_deps, with_jobs
from tests.integration.stage import change, claim, held, job, lose_worker, one, put_job, rows, told, types
from tests.integration.test_steps import ending, finish

NOTHING: dict[str, int] = {}


@pytest.fixture
def job_id(deps: Deps, asker: Asker) -> UUID:
    return put_job(deps, asker.organization_id)


def stand_still(deps: Deps, job_id: UUID, seconds: float) -> None:
    """Its step last moved ``seconds`` ago; its process is alive."""
    past = "clock_timestamp() - make_interval(secs => :seconds)"
    assert change(deps, f"UPDATE job_leases SET progress_at = {past} WHERE job_id = :id", id=job_id, seconds=seconds)


def work_for(deps: Deps, job_id: UUID, seconds: float) -> None:
    """It is being worked on for ``seconds`` already."""
    past = "clock_timestamp() - make_interval(secs => :seconds)"
    assert change(deps, f"UPDATE jobs SET working_since = {past} WHERE id = :id", id=job_id, seconds=seconds)


def worked(deps: Deps, job_id: UUID) -> float:
    return float(one(deps, "SELECT worked_seconds FROM jobs WHERE id = :id", id=job_id))


class TestStandingStill:
    def test_a_step_that_does_not_move_loses_its_lease_although_its_process_beats(
        self, deps: Deps, job_id: UUID
    ) -> None:
        lease = held(deps, job_id).lease
        stand_still(deps, job_id, 61)
        leases.beat(deps.db, [lease], [61])
        assert reconcile(deps) == NOTHING | {"stale": 1, "requeued": 1}
        row = job(deps, job_id)
        assert (row.status, row.run, row.retry_count) == ("pending", 2, 1)
        assert finish(deps, lease) is None, "what it writes late is refused"

    def test_a_step_with_more_patience_is_left_alone_for_so_long(self, deps: Deps, job_id: UUID) -> None:
        assert claim(deps, job_id, patience=180) is not None
        stand_still(deps, job_id, 179)
        assert reconcile(deps) == NOTHING
        stand_still(deps, job_id, 181)
        assert reconcile(deps)["stale"] == 1

    def test_a_beat_says_when_the_step_last_moved_and_never_moves_that_back(self, deps: Deps, job_id: UUID) -> None:
        lease = held(deps, job_id).lease
        still = "SELECT EXTRACT(epoch FROM clock_timestamp() - progress_at) FROM job_leases"
        stand_still(deps, job_id, 50)
        leases.beat(deps.db, [lease], [20])
        assert 19 < one(deps, still) < 25
        leases.beat(deps.db, [lease], [40])
        assert 19 < one(deps, still) < 25

    def test_telling_progress_is_moving(self, deps: Deps, job_id: UUID) -> None:
        lease = held(deps, job_id).lease
        stand_still(deps, job_id, 100)
        place = {"step": "skeleton", "stepIndex": 0, "totalSteps": 6, "message": "", "progress": 5}
        assert steps.tell(deps.db, lease, [Event("step_progress", place)], progress=5, message="On it")
        assert reconcile(deps) == NOTHING

    def test_the_patience_of_the_next_step_counts_within_a_turn(self, deps: Deps, job_id: UUID) -> None:
        first = claim(deps, job_id, patience=10)
        assert first is not None
        assert finish(deps, first.lease, replace(ending(go_on=True), patience_seconds=500)) is not None
        assert one(deps, "SELECT patience_seconds FROM job_leases") == 500

    def test_silence_counts_from_the_databases_return_at_the_earliest(self, deps: Deps, job_id: UUID) -> None:
        held(deps, job_id)
        lose_worker(deps, job_id, 120)
        stand_still(deps, job_id, 120)
        assert reconcile(deps, utc_now() - timedelta(seconds=50)) == NOTHING
        assert reconcile(deps, utc_now() - timedelta(seconds=70))["stale"] == 1

    def test_when_the_database_came_back_is_known(self, deps: Deps) -> None:
        assert utc_now() - timedelta(hours=2) < queue.awake_since(deps.db) < utc_now()


class TestWorkingTime:
    def test_it_is_the_time_in_hand_and_not_the_time_waited(self, deps: Deps, job_id: UUID) -> None:
        first = held(deps, job_id).lease
        work_for(deps, job_id, 100)
        assert leases.hand_back(deps.db, first)
        assert 100 <= worked(deps, job_id) < 110
        assert job(deps, job_id).working_since is None
        change(deps, "UPDATE jobs SET updated_at = clock_timestamp() - interval '1 hour'")
        again = held(deps, job_id)
        assert 100 <= again.worked_seconds < 110
        work_for(deps, job_id, 50)
        assert finish(deps, again.lease) is not None
        assert 150 <= worked(deps, job_id) < 160

    def test_going_on_within_a_turn_counts_once(self, deps: Deps, job_id: UUID) -> None:
        lease = held(deps, job_id).lease
        work_for(deps, job_id, 100)
        going_on = finish(deps, lease, ending(go_on=True))
        assert going_on is not None
        assert settle_error(deps, going_on, "fill", Transient("It is away.")) == "pending"
        assert 100 <= worked(deps, job_id) < 110

    def test_a_lost_worker_worked_until_it_was_last_heard_of(self, deps: Deps, job_id: UUID) -> None:
        held(deps, job_id)
        work_for(deps, job_id, 300)
        lose_worker(deps, job_id, 200)
        assert reconcile(deps)["requeued"] == 1
        assert 100 <= worked(deps, job_id) < 110

    @pytest.mark.usefixtures("empty_store")
    def test_a_job_that_has_used_up_its_time_fails_and_a_retry_begins_anew(
        self, deps: Deps, asker: Asker, job_id: UUID
    ) -> None:
        change(deps, "UPDATE jobs SET worked_seconds = 1801")
        assert deliver(deps, job_id, 1, "skeleton").failed == "deadline_exceeded"
        row = job(deps, job_id)
        assert (row.status, row.error["code"], row.error["step"]) == ("failed", "deadline_exceeded", "skeleton")
        failed = told(deps, job_id)[-1]
        assert (failed["type"], failed["canResume"], failed["deadLetter"]) == ("job_failed", True, False)
        assert rows(deps, "SELECT 1 FROM job_steps") == []
        retry_job(deps, asker, job_id)
        assert worked(deps, job_id) == 0
        once.run_due(deps)
        assert job(deps, job_id).status == "done"

    def test_a_step_at_work_is_stopped_when_the_time_is_over(self, deps: Deps, job_id: UUID) -> None:
        watcher = Watcher(deps.db, heartbeat_seconds=10)
        lease = watcher.hold(held(deps, job_id).lease, seconds_left=watch.LOOK_EVERY)
        assert lease.stop.wait(5) and lease.overdue
        watcher.release(lease)

    def test_one_that_hangs_where_nobody_looks_is_ended_by_the_reconciler(self, deps: Deps, job_id: UUID) -> None:
        lease = held(deps, job_id).lease
        work_for(deps, job_id, 1859)
        assert reconcile(deps) == NOTHING, "its worker has a while to notice by itself"
        work_for(deps, job_id, 1861)
        assert reconcile(deps) == NOTHING | {"overdue": 1}
        row = job(deps, job_id)
        assert (row.status, row.error["code"], row.run) == ("failed", "deadline_exceeded", 1)
        assert types(deps, job_id)[-1] == "job_failed"
        assert finish(deps, lease) is None
        assert reconcile(deps) == NOTHING

    def test_a_worker_that_was_lost_for_longer_than_a_job_may_work_costs_a_retry_and_not_the_job(
        self, deps: Deps, job_id: UUID
    ) -> None:
        held(deps, job_id)
        work_for(deps, job_id, 7200)
        lose_worker(deps, job_id, 7195)
        assert reconcile(deps) == NOTHING | {"stale": 1, "requeued": 1}
        assert (job(deps, job_id).status, job(deps, job_id).retry_count) == ("pending", 1)
        assert worked(deps, job_id) < 60

    def test_an_outage_of_the_database_is_no_working_time(self, deps: Deps, job_id: UUID) -> None:
        lease = held(deps, job_id).lease
        work_for(deps, job_id, 2410)
        lose_worker(deps, job_id, 2400)
        stand_still(deps, job_id, 2400)
        assert reconcile(deps, utc_now()) == NOTHING, "it is back just now"
        assert leases.hand_back(deps.db, lease)
        assert (job(deps, job_id).status, job(deps, job_id).retry_count) == ("pending", 0)
        assert 60 <= worked(deps, job_id) < 600, "a silence counts for as long as the step may stand still"

    @pytest.mark.parametrize("carries_on", ["beats", "goes on"])
    def test_a_machine_that_slept_carries_on_where_it_was(self, deps: Deps, job_id: UUID, carries_on: str) -> None:
        lease = held(deps, job_id).lease
        work_for(deps, job_id, 7210)
        lose_worker(deps, job_id, 7200)
        if carries_on == "beats":
            assert leases.beat(deps.db, [lease], [0]) == {job_id}
        else:
            assert (lease := finish(deps, lease, ending(go_on=True)) or lease).token == 2
        assert reconcile(deps) == NOTHING
        assert leases.hand_back(deps.db, lease)
        assert 60 <= worked(deps, job_id) < 600

    def test_a_beat_in_time_leaves_the_jobs_row_alone(self, deps: Deps, job_id: UUID) -> None:
        lease = held(deps, job_id).lease
        since = job(deps, job_id).working_since
        assert leases.beat(deps.db, [lease], [0]) == {job_id}
        assert job(deps, job_id).working_since == since

    def test_nor_is_an_outage_for_the_step_that_lived_through_it(self, deps: Deps, job_id: UUID) -> None:
        watcher = Watcher(Gone(deps.db), heartbeat_seconds=10)
        watcher.close()  # it looks when this test does
        step = watcher.hold(held(deps, job_id).lease, seconds_left=600)
        step.beaten_at -= 3600
        step.deadline -= 3600
        with pytest.raises(Unavailable):
            watcher._look_once(beats=True)
        assert not step.stop.is_set()
        watcher._db = deps.db
        watcher._look_once(beats=True)
        assert not step.stop.is_set()
        step.deadline -= 600
        watcher._look_once(beats=True)
        assert step.overdue
        watcher.release(step)

    def test_how_long_is_a_setting(self, deps: Deps, job_id: UUID) -> None:
        hasty = make_deps(with_jobs(deps.settings, timeout_seconds=5), deps.send)  # type: ignore[arg-type]
        held(deps, job_id)
        work_for(deps, job_id, 66)
        assert reconcile(deps) == NOTHING
        assert reconcile(hasty)["overdue"] == 1
        hasty.close()


class Gone(Database):
    """A database that is away."""

    def __init__(self, db: Database) -> None:
        super().__init__(db.engine)

    @contextmanager
    def statement(self) -> Iterator[Transaction]:
        raise Unavailable("The database can't be reached just now.", code="database_away")
        yield


class Silent(Database):
    """A database that takes every question and answers none, until it is let ``go``."""

    def __init__(self, db: Database) -> None:
        super().__init__(db.engine)
        self.go = threading.Event()

    @contextmanager
    def statement(self) -> Iterator[Transaction]:
        self.go.wait(60)
        with super().statement() as tx:
            yield tx


class LostAnswers(Database):
    """A database whose connection breaks right after its ``at``-th write was committed, once."""

    def __init__(self, db: Database, at: int) -> None:
        super().__init__(db.engine)
        self.left = at

    def _count(self) -> None:
        self.left -= 1
        if self.left == 0:
            raise Unavailable("The database connection was lost. Try again.", code="database_away")

    @contextmanager
    def statement(self) -> Iterator[Transaction]:
        with super().statement() as tx:
            yield tx
        self._count()

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with super().transaction() as tx:
            yield tx
        self._count()


class TestForgottenLeases:
    """The answer to a write is lost: the rows say this process holds a job, and the process knows nothing of it."""

    @pytest.fixture(autouse=True)
    def _looks_often(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(watch, "LOOK_EVERY", 0.03)

    @pytest.mark.usefixtures("empty_store")
    @pytest.mark.parametrize("at", range(1, 9))
    def test_it_is_given_back_at_no_cost_whichever_answer_was_lost(
        self, settings: Any, outbox: Any, asker: Asker, at: int
    ) -> None:
        deps = make_deps(with_jobs(settings, heartbeat_seconds=0.1), outbox)
        job_id = put_job(deps, asker.organization_id)
        sound, deps.db = deps.db, LostAnswers(deps.db, at)
        delivery = deliver(deps, job_id, 1, "skeleton")
        deps.db = sound
        assert delivery.failed is None

        def finished() -> bool:
            change(deps, "UPDATE jobs SET due_at = clock_timestamp() WHERE due_at > clock_timestamp()")
            once.run_due(deps)
            return bool(job(deps, job_id).status == "done")

        eventually(finished, within=20, what="the job")
        row = job(deps, job_id)
        assert (row.run, row.retry_count) in {(1, 0), (2, 0)}, "nobody counts the loss of an answer"
        assert types(deps, job_id).count("job_completed") == 1
        assert one(deps, "SELECT count(*) FROM document_revisions") == 1
        deps.close()

    def test_what_is_known_or_young_or_anothers_is_left_alone(self, deps: Deps, asker: Asker) -> None:
        known, young, anothers = (put_job(deps, asker.organization_id) for _ in range(3))
        for job_id, holder in ((known, "me"), (young, "me"), (anothers, "you")):
            assert claim(deps, job_id, holder=holder) is not None
        for job_id in (known, anothers):
            lose_worker(deps, job_id, 30)
        assert leases.forgotten(deps.db, "me", [known], older_than_seconds=20) == []
        [lease] = leases.forgotten(deps.db, "me", [], older_than_seconds=20)
        assert lease == Lease(known, asker.organization_id, 1, 1)

    def test_no_two_processes_have_one_name(self, settings: Any, outbox: Any) -> None:
        first, second = make_deps(settings, outbox), make_deps(settings, outbox)
        assert first.holder != second.holder
        first.close()
        second.close()


class TestStepsThatDoNotEnd:
    def test_they_are_counted_once_they_were_told_to(self, deps: Deps, job_id: UUID) -> None:
        watcher = Watcher(deps.db, heartbeat_seconds=10)
        hanging = watcher.hold(held(deps, job_id).lease)
        assert watcher.not_ending(0) == 0
        hanging.end()
        eventually(lambda: watcher.not_ending(0.01) == 1, within=5)
        assert watcher.not_ending(60) == 0
        twin = watcher.hold(hanging.lease)
        assert not twin.stop.is_set()
        assert watcher.not_ending(0.01) == 1, "also when its job came back to this process"
        watcher.release(hanging)
        assert watcher.not_ending(0) == 0
        watcher.release(twin)

    @pytest.fixture
    def ended(self, monkeypatch: pytest.MonkeyPatch) -> threading.Event:
        monkeypatch.setattr(watch, "LOOK_EVERY", 0.03)
        return threading.Event()

    def test_a_shutdown_waits_for_them_only_so_long(
        self, deps: Deps, job_id: UUID, ended: threading.Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(watch, "LONGEST_SHUTDOWN", 0.2)
        watcher = Watcher(deps.db, heartbeat_seconds=0.1)
        watcher.may_end_process(ended.set, hanging=1)
        hanging = watcher.hold(held(deps, job_id).lease)
        assert not ended.wait(0.5)
        watcher.shut_down()
        assert ended.wait(5)
        watcher.release(hanging)

    def test_a_process_in_which_too_many_hang_gives_the_others_back_and_ends(
        self, deps: Deps, asker: Asker, ended: threading.Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(watch, "LONGEST_SHUTDOWN", 0.2)
        monkeypatch.setattr(watch, "HANGS_AFTER", 0.2)
        watcher = Watcher(deps.db, heartbeat_seconds=0.1)
        watcher.may_end_process(ended.set, hanging=2)
        one_hangs, two_hangs, works = (
            watcher.hold(held(deps, put_job(deps, asker.organization_id)).lease) for _ in range(3)
        )
        one_hangs.end()
        assert not ended.wait(0.6) and not works.stop.is_set(), "one is not too many"
        two_hangs.end()
        assert works.stop.wait(5), "what still works is given back first"
        watcher.release(works)
        assert ended.wait(5)
        watcher.release(one_hangs)
        watcher.release(two_hangs)

    def test_a_shutdown_waits_for_healthy_steps_although_another_hung_long_before(
        self, deps: Deps, asker: Asker, ended: threading.Event
    ) -> None:
        watcher = Watcher(deps.db, heartbeat_seconds=10)
        watcher.may_end_process(ended.set, hanging=3)
        hangs, works = (watcher.hold(held(deps, put_job(deps, asker.organization_id)).lease) for _ in range(2))
        hangs.end()
        assert hangs.stopped_at is not None
        hangs.stopped_at -= 30
        watcher.shut_down()
        assert works.stop.is_set()
        assert not ended.wait(0.5), "it has its time to hand back, counted from the shutdown"
        hangs.stopped_at -= 600
        assert not ended.wait(0.5), "however long the other hangs"
        watcher.release(works)
        assert ended.wait(5), "nobody is left to wait for"
        watcher.release(hangs)

    def test_a_database_that_is_silent_holds_up_no_shutdown(
        self, deps: Deps, job_id: UUID, ended: threading.Event, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(watch, "LONGEST_SHUTDOWN", 0.2)
        silent, asked = Silent(deps.db), threading.Event()
        watcher = Watcher(silent, heartbeat_seconds=0.1)
        watcher.may_end_process(ended.set, hanging=1)
        watcher.follow(asked.is_set)
        hanging = watcher.hold(held(deps, job_id).lease)
        asked.set()
        assert hanging.stop.wait(5), "a child of a pool learns of the stop"
        assert ended.wait(5)
        silent.go.set()
        watcher.release(hanging)
