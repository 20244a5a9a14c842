"""A worker dies without a word: its job is found by its silence, runs again, and the dead one can't write any more."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import pytest

from storage import steps
from storage.engine import leases
from storage.engine.leases import beat
from tasks import once
from tasks.commands import Asker, retry_job
from tasks.cron import reconcile
from tasks.deps import Deps
from tasks.step import deliver
from tests.conftest import make_deps, with_jobs
from tests.integration.stage import (
    at_once,
    change,
    everything,
    held,
    job,
    lose_worker,
    put_job,
    rows,
    together,
    told,
    types,
)
from tests.integration.test_steps import PROGRESS, WRITES, assert_made_once

NOTHING: dict[str, int] = {}
FOUND = NOTHING | {"stale": 1, "requeued": 1}
LOST = NOTHING | {"stale": 1, "dead_letter": 1}


@pytest.fixture
def job_id(deps: Deps, asker: Asker) -> UUID:
    return put_job(deps, asker.organization_id, course_id="left-behind")


@pytest.mark.usefixtures("empty_store")
def test_a_job_whose_worker_died_is_run_again_from_its_checkpoints(deps: Deps, job_id: UUID) -> None:
    assert deliver(deps, job_id, 1, "skeleton", 0).pass_on
    held(deps, job_id)
    lose_worker(deps, job_id)
    assert reconcile(deps) == FOUND
    row = job(deps, job_id)
    assert (row.status, row.run, row.retry_count, row.current_step) == ("pending", 2, 1, "fill")
    assert (row.error["code"], row.error["step"]) == ("worker_lost", "fill")
    retrying = told(deps, job_id)[-1]
    assert (retrying["type"], retrying["step"], retrying["attempt"]) == ("job_retrying", "fill", 2)
    once.run_due(deps)
    assert_made_once(deps, job_id)
    assert job(deps, job_id).error is None


def test_a_message_of_the_run_before_begins_nothing(deps: Deps, job_id: UUID) -> None:
    held(deps, job_id)
    lose_worker(deps, job_id)
    reconcile(deps)
    before = everything(deps, job_id)
    assert deliver(deps, job_id, 1, "skeleton").verdict == "stopped:not_due"
    assert everything(deps, job_id) == before


def test_a_late_write_of_the_dead_worker_is_refused(deps: Deps, job_id: UUID) -> None:
    late = held(deps, job_id).lease
    lose_worker(deps, job_id)
    reconcile(deps)
    for moment in ("waiting", "at work again"):
        before = everything(deps, job_id)
        assert not any(write(deps, late) for write in WRITES.values()), moment
        assert beat(deps.db, [late], [0]) == set(), moment
        assert everything(deps, job_id) == before, moment
        if moment == "waiting":
            held(deps, job_id)


def test_who_is_heard_of_is_left_alone(deps: Deps, job_id: UUID) -> None:
    lease = held(deps, job_id).lease
    lose_worker(deps, job_id, deps.settings.jobs.stale_after_seconds - 5)
    assert reconcile(deps) == NOTHING
    lose_worker(deps, job_id)
    assert beat(deps.db, [lease], [0]) == {job_id}
    assert reconcile(deps) == NOTHING
    lose_worker(deps, job_id)
    assert steps.tell(deps.db, lease, [PROGRESS], progress=1, message="")
    assert job(deps, job_id).status == "processing"


@pytest.mark.parametrize("state", ["pending", "between two steps", "cancelled", "done", "failed"])
def test_what_nobody_runs_is_not_taken_for_lost(deps: Deps, job_id: UUID, state: str) -> None:
    if state == "between two steps":
        assert deliver(deps, job_id, 1, "skeleton", 0).pass_on
    elif state != "pending":
        change(deps, "UPDATE jobs SET status = :status, due_at = NULL", status=state)
    change(deps, "UPDATE jobs SET updated_at = clock_timestamp() - interval '1 day'")
    before = everything(deps, job_id)
    assert reconcile(deps) == NOTHING
    assert everything(deps, job_id) == before


def test_a_claim_without_a_lease_row_is_found_too(deps: Deps, job_id: UUID) -> None:
    held(deps, job_id)
    change(deps, "DELETE FROM job_leases")
    assert reconcile(deps) == NOTHING
    change(deps, "UPDATE jobs SET updated_at = clock_timestamp() - interval '2 minutes'")
    assert reconcile(deps) == FOUND


def test_a_job_left_stale_by_a_reconciler_that_died_is_taken_up(deps: Deps, job_id: UUID) -> None:
    held(deps, job_id)
    change(deps, "UPDATE jobs SET status = 'stale', due_at = NULL")
    assert reconcile(deps) == NOTHING | {"requeued": 1}
    assert job(deps, job_id).status == "pending"


@pytest.mark.usefixtures("empty_store")
@pytest.mark.usefixtures("empty_store")
def test_a_job_at_a_step_that_only_newer_code_knows_is_not_taken_for_done(deps: Deps, job_id: UUID) -> None:
    once.run_due(deps)
    change(deps, "UPDATE jobs SET status = 'stale', current_step = 'proofread', completed_at = NULL")
    assert reconcile(deps)["requeued"] == 1
    assert (job(deps, job_id).status, job(deps, job_id).current_step) == ("pending", "proofread")


def test_a_job_that_kills_every_worker_ends_as_a_dead_letter_and_a_person_can_bring_it_back(
    deps: Deps, asker: Asker, job_id: UUID
) -> None:
    for run in (1, 2, 3, 4):
        assert job(deps, job_id).run == run
        held(deps, job_id)
        lose_worker(deps, job_id)
        assert reconcile(deps) == (FOUND if run < 4 else LOST)
    row = job(deps, job_id)
    assert (row.status, row.retry_count, row.due_at, row.error["code"]) == ("dead_letter", 3, None, "worker_lost")
    failed = told(deps, job_id)[-1]
    assert (failed["type"], failed["deadLetter"], failed["canResume"]) == ("job_failed", True, True)
    assert reconcile(deps) == NOTHING
    assert once.run_due(deps).turns == 0
    retry_job(deps, asker, job_id)
    once.run_due(deps)
    assert_made_once(deps, job_id)
    assert (job(deps, job_id).run, job(deps, job_id).retry_count) == (5, 0)


def test_a_job_that_may_not_be_tried_again_is_a_dead_letter_at_the_first_death(deps: Deps, asker: Asker) -> None:
    job_id = put_job(deps, asker.organization_id, max_retries=0)
    held(deps, job_id)
    lose_worker(deps, job_id)
    assert reconcile(deps) == LOST
    assert job(deps, job_id).status == "dead_letter"


def test_reconcilers_at_once_correct_each_job_once(deps: Deps, asker: Asker) -> None:
    job_ids = [put_job(deps, asker.organization_id, max_retries=index % 2) for index in range(12)]
    for job_id in job_ids:
        held(deps, job_id)
        lose_worker(deps, job_id)
    answers = at_once(4, lambda: reconcile(deps))
    sums = sum((Counter(answer) for answer in answers if isinstance(answer, dict)), Counter[str]())
    assert sums == {"stale": 12, "requeued": 6, "dead_letter": 6}
    for index, job_id in enumerate(job_ids):
        assert types(deps, job_id)[2:] == (["job_retrying"] if index % 2 else ["job_failed"])
        assert job(deps, job_id).run == (2 if index % 2 else 1)
    assert rows(deps, "SELECT * FROM job_leases") == []


def test_a_heartbeat_and_a_reconciler_at_once_agree(deps: Deps, asker: Asker) -> None:
    """Either the beat comes first and the job is left alone, or the job is taken and the beat says so."""
    for _ in range(15):
        job_id = put_job(deps, asker.organization_id)
        lease = held(deps, job_id).lease
        lose_worker(deps, job_id)
        together([lambda lease=lease: beat(deps.db, [lease], [0]), lambda: reconcile(deps)])  # type: ignore[misc]
        still = beat(deps.db, [lease], [0]) == {job_id}
        assert job(deps, job_id).status == ("processing" if still else "pending")


def test_handing_back_at_every_shutdown_never_uses_a_retry_up(deps: Deps, job_id: UUID) -> None:
    for _ in range(6):
        assert leases.hand_back(deps.db, held(deps, job_id).lease)
    row = job(deps, job_id)
    assert (row.status, row.run, row.retry_count) == ("pending", 1, 0)
    assert "job_retrying" not in types(deps, job_id)


def test_how_long_silence_lasts_is_a_setting(deps: Deps, job_id: UUID) -> None:
    hasty = make_deps(with_jobs(deps.settings, stale_after_seconds=5), deps.send)  # type: ignore[arg-type]
    held(deps, job_id)
    lose_worker(deps, job_id, 7)
    assert reconcile(deps) == NOTHING
    assert reconcile(hasty) == FOUND
    hasty.close()
