"""The watcher of a process: it renews leases, sees within a moment what was taken away, and is not fooled."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest

from schema.errors import Unavailable
from storage.db import Database, Transaction
from storage.steps import Claimed
from tasks import watch
from tasks.commands import Asker, cancel_job
from tasks.deps import Deps
from tasks.step import deliver
from tasks.watch import Watcher
from tests.conftest import eventually
from tests.integration.stage import change, held, job, lose_worker, one, put_job
from tests.integration.test_working_time import LostAnswers


@pytest.fixture(autouse=True)
def _looks_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LOOK_EVERY", 0.03)


@pytest.fixture
def claimed(deps: Deps, asker: Asker) -> Claimed:
    return held(deps, put_job(deps, asker.organization_id))


def age(deps: Deps, job_id: UUID) -> float:
    """Seconds since the last heartbeat."""
    return float(
        one(
            deps,
            "SELECT EXTRACT(epoch FROM clock_timestamp() - heartbeat_at) FROM job_leases WHERE job_id = :id",
            id=job_id,
        )
    )


def renewed(deps: Deps, job_id: UUID) -> None:
    """Wait until the watcher renews the lease of a job."""
    lose_worker(deps, job_id)
    eventually(lambda: age(deps, job_id) < 5, within=5)


def looked(deps: Deps, job_id: UUID) -> None:
    """Wait until the watcher, which holds this job, began a look after now and brought it to its end: the first renewal
    may belong to a look that began before, and the third says that the second look is over."""
    for _ in range(3):
        renewed(deps, job_id)


def test_a_running_step_keeps_its_lease_alive(deps: Deps, asker: Asker, claimed: Claimed) -> None:
    watcher = Watcher(deps.db, heartbeat_seconds=0.05)
    lease = watcher.hold(claimed.lease)
    renewed(deps, claimed.lease.job_id)
    assert not lease.stop.is_set()
    neighbour = watcher.hold(held(deps, put_job(deps, asker.organization_id)).lease)
    watcher.release(lease)
    looked(deps, neighbour.lease.job_id)
    lose_worker(deps, claimed.lease.job_id)
    looked(deps, neighbour.lease.job_id)
    assert age(deps, claimed.lease.job_id) > 60, "a released lease is renewed no more"
    watcher.release(neighbour)


@pytest.mark.parametrize("taken", ["lease_token = lease_token + 1", "run = run + 1", "status = 'stale'"])
def test_a_step_whose_job_was_taken_over_is_stopped(deps: Deps, claimed: Claimed, taken: str) -> None:
    watcher = Watcher(deps.db, heartbeat_seconds=10)
    lease = watcher.hold(claimed.lease)
    change(deps, f"UPDATE jobs SET {taken}")
    assert lease.stop.wait(5)
    watcher.release(lease)


def test_a_cancelled_step_is_stopped_and_its_neighbours_are_not(deps: Deps, asker: Asker, claimed: Claimed) -> None:
    watcher = Watcher(deps.db, heartbeat_seconds=10)
    mine = watcher.hold(claimed.lease)
    neighbour = watcher.hold(held(deps, put_job(deps, asker.organization_id)).lease)
    cancel_job(deps, asker, claimed.lease.job_id, "")
    assert mine.stop.wait(5)
    assert not neighbour.stop.is_set()
    watcher.shut_down()
    assert neighbour.stop.is_set()
    for lease in (mine, neighbour):
        watcher.release(lease)


def test_the_first_look_sees_a_cancel_however_young_the_step_and_before_anything_else(
    deps: Deps, asker: Asker, claimed: Claimed
) -> None:
    watcher = Watcher(LostAnswers(deps.db, at=2), heartbeat_seconds=10)
    watcher.close()  # it looks when this test does
    lease = watcher.hold(claimed.lease)
    cancel_job(deps, asker, claimed.lease.job_id, "")
    with pytest.raises(Unavailable):
        watcher._look_once(beats=True)
    assert lease.stop.is_set(), "it was seen before the beat, whose answer is lost"
    watcher.release(lease)


def test_what_is_held_after_the_stop_is_stopped_at_once(deps: Deps, claimed: Claimed) -> None:
    watcher = Watcher(deps.db, heartbeat_seconds=10)
    watcher.shut_down()
    lease = watcher.hold(claimed.lease)
    assert lease.stop.is_set()
    watcher.release(lease)


def test_a_job_that_comes_back_to_its_own_process_stops_the_sleeper(deps: Deps, claimed: Claimed) -> None:
    watcher = Watcher(deps.db, heartbeat_seconds=0.05)
    sleeper = watcher.hold(claimed.lease)
    change(deps, "UPDATE jobs SET status = 'pending', run = run + 1, due_at = clock_timestamp()")
    twin = watcher.hold(held(deps, claimed.lease.job_id).lease)
    assert sleeper.stop.is_set()
    watcher.release(sleeper)
    looked(deps, twin.lease.job_id)
    assert not twin.stop.is_set()
    change(deps, "UPDATE jobs SET run = run + 1")
    assert twin.stop.wait(5), "the twin is watched although the sleeper was released"
    watcher.release(twin)


class Sluggish(Database):
    """Commits at once, and takes long to say so."""

    @contextmanager
    def statement(self) -> Iterator[Transaction]:
        with super().statement() as tx:
            yield tx
        if threading.current_thread() is threading.main_thread():
            time.sleep(0.15)


def test_a_commit_whose_answer_is_slow_is_not_taken_for_a_lost_job(deps: Deps, asker: Asker, empty_store: None) -> None:
    job_id = put_job(deps, asker.organization_id)
    deps.db = Sluggish(deps.db.engine)
    assert deliver(deps, job_id, 1, "skeleton", 60).verdict == "done"
    assert job(deps, job_id).run == 1
