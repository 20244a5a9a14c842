"""Rows that have drifted apart are set right: once, by whoever comes first, and counted once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from schema.clock import utc_now
from storage.engine import corrections
from storage.objects import ObjectStore
from tasks import cron, once
from tasks.commands import Asker, retry_job
from tasks.cron import reconcile
from tasks.deps import Deps
from tasks.step import deliver
from tests.conftest import make_deps
from tests.integration.stage import (
    WATER,
    at_once,
    change,
    everything,
    held,
    job,
    lose_worker,
    one,
    put_job,
    rows,
    start,
    told,
    types,
)

pytestmark = pytest.mark.usefixtures("empty_store")

ILLUSTRATED = {**WATER, "generateStudyTextImages": True}


def sums(answers: list[Any]) -> Counter[str]:
    """What many reconcilers corrected together. Fails when one of them failed."""
    assert all(isinstance(answer, dict) for answer in answers), answers
    return sum((Counter(answer) for answer in answers), Counter())


def counted(deps: Deps) -> dict[str, int]:
    return {correction.kind: correction.count for correction in corrections.read(deps.db)}


def forget_the_end(deps: Deps, job_id: UUID, status: str) -> None:
    """The job's steps are all written down; that it is done is not."""
    change(deps, "DELETE FROM job_events WHERE job_id = :id AND type = 'job_completed'", id=job_id)
    change(
        deps,
        """UPDATE jobs SET status = :status, last_seq = last_seq - 1, completed_at = NULL, progress = 90,
          updated_at = clock_timestamp() - interval '1 hour' WHERE id = :id""",
        id=job_id,
        status=status,
    )


@pytest.fixture
def done(deps: Deps, asker: Asker) -> UUID:
    job_id = start(deps, asker, courseId="sums")
    once.run_due(deps)
    return job_id


# --- everything written, but not done -----------------------------------------------------------------------------


@pytest.mark.parametrize("status", ["stale", "processing"])
def test_a_job_with_every_checkpoint_is_done_without_another_run(deps: Deps, done: UUID, status: str) -> None:
    forget_the_end(deps, done, status)
    assert reconcile(deps) == {"completed": 1} | ({"stale": 1} if status == "processing" else {})
    row = job(deps, done)
    assert (row.status, row.run, row.retry_count, row.progress, row.current_step) == ("done", 1, 0, 100, "media")
    assert row.completed_at is not None
    last = told(deps, done)[-1]
    assert (last["type"], last["courseId"], last["mediaPending"]) == ("job_completed", "sums", 0)
    assert last["totalDuration"] >= 0
    assert one(deps, "SELECT count(*) FROM document_revisions") == 1
    assert reconcile(deps) == {}


def test_a_job_that_lacks_one_checkpoint_is_run_again(deps: Deps, done: UUID) -> None:
    forget_the_end(deps, done, "stale")
    change(deps, "DELETE FROM job_steps WHERE step = 'media'")
    assert reconcile(deps) == {"requeued": 1}
    once.run_due(deps)
    assert (job(deps, done).status, job(deps, done).run) == ("done", 2)


def test_a_part_alone_is_no_whole_step(deps: Deps, done: UUID) -> None:
    forget_the_end(deps, done, "stale")
    change(deps, "UPDATE job_steps SET part = 'group:rivers' WHERE step = 'fill'")
    assert reconcile(deps) == {"requeued": 1}


def test_a_picture_that_was_attached_is_done_and_its_parent_keeps_its_count(deps: Deps, asker: Asker) -> None:
    parent = start(deps, asker, **ILLUSTRATED, courseId="water")
    once.run_due(deps)
    child = one(deps, "SELECT id FROM jobs WHERE parent_job_id = :id LIMIT 1", id=parent)
    before = everything(deps, parent)
    forget_the_end(deps, child, "stale")
    assert reconcile(deps) == {"completed": 1}
    assert job(deps, child).status == "done"
    assert everything(deps, parent) == before


# --- parents that count wrongly -----------------------------------------------------------------------------------


@pytest.fixture
def parent(deps: Deps, asker: Asker) -> UUID:
    """A finished course whose two pictures are ordered and not made."""
    job_id = start(deps, asker, **ILLUSTRATED, courseId="water")
    assert deliver(deps, job_id, 1, "skeleton", 60).verdict == "done"
    return job_id


@pytest.mark.parametrize("pending", [0, 1, 3])
def test_a_parent_that_waits_for_another_number_than_live_is_set_right(deps: Deps, parent: UUID, pending: int) -> None:
    before = types(deps, parent)
    change(deps, "UPDATE jobs SET media_pending = :pending WHERE id = :id", pending=pending, id=parent)
    assert reconcile(deps) == {"recounted": 1}
    assert job(deps, parent).media_pending == 2
    assert types(deps, parent) == before, "two are still to come"
    assert reconcile(deps) == {}
    once.run_due(deps)
    assert (job(deps, parent).media_pending, types(deps, parent)[-1]) == (0, "media_settled")


def test_a_parent_that_waits_for_nobody_is_told_that_all_is_settled(deps: Deps, asker: Asker, parent: UUID) -> None:
    once.run_due(deps)
    change(deps, "UPDATE jobs SET media_pending = 2, media_completed = 0 WHERE id = :id", id=parent)
    assert reconcile(deps) == {"recounted": 1}
    row, last = job(deps, parent), told(deps, parent)[-1]
    assert (row.media_pending, row.media_completed, row.media_failed) == (0, 2, 0)
    assert (last["type"], last["completed"], last["failed"]) == ("media_settled", 2, 0)
    assert reconcile(deps) == {}


def test_a_job_without_children_that_waits_is_set_right_too(deps: Deps, done: UUID) -> None:
    change(deps, "UPDATE jobs SET media_pending = 1")
    assert reconcile(deps) == {"recounted": 1}
    assert (job(deps, done).media_pending, types(deps, done)[-1]) == (0, "media_settled")


def test_a_child_taken_up_again_is_expected_and_no_drift(deps: Deps, asker: Asker, parent: UUID) -> None:
    child = one(deps, "SELECT id FROM jobs WHERE parent_job_id = :id LIMIT 1", id=parent)
    change(deps, "UPDATE jobs SET max_retries = 0 WHERE id = :id", id=child)
    held(deps, child)
    lose_worker(deps, child)
    assert reconcile(deps) == {"stale": 1, "dead_letter": 1}
    assert (job(deps, parent).media_pending, job(deps, parent).media_failed) == (1, 1)
    retry_job(deps, asker, child)
    assert (job(deps, parent).media_pending, job(deps, parent).media_failed) == (2, 0)
    assert reconcile(deps) == {}


# --- many at once -------------------------------------------------------------------------------------------------


def test_reconcilers_at_once_correct_and_count_each_thing_once(deps: Deps, asker: Asker) -> None:
    finished = [start(deps, asker, courseId=f"sums-{number}") for number in range(4)]
    parents = [start(deps, asker, **ILLUSTRATED, courseId=f"water-{number}") for number in range(3)]
    once.run_due(deps)
    lost = [put_job(deps, asker.organization_id) for _ in range(5)]
    for job_id in lost:
        held(deps, job_id)
        lose_worker(deps, job_id)
    for job_id in finished:
        forget_the_end(deps, job_id, "stale")
    change(deps, "UPDATE jobs SET media_pending = 1 WHERE id = ANY(:ids)", ids=parents)
    expected = {"stale": 5, "requeued": 5, "completed": 4, "recounted": 3}
    assert sums(at_once(4, lambda: reconcile(deps))) == expected
    assert counted(deps) == expected
    for job_id in finished:
        assert types(deps, job_id).count("job_completed") == 1
    for job_id in parents:
        assert types(deps, job_id).count("media_settled") == 2, "the first was told when its pictures were made"
    assert reconcile(deps) == {}
    assert counted(deps) == expected


def test_a_worker_that_comes_back_and_a_reconciler_agree_about_a_parent(deps: Deps, parent: UUID) -> None:
    """Pictures land while somebody counts: whoever is second finds the other's count."""
    change(deps, "UPDATE jobs SET media_pending = 5 WHERE id = :id", id=parent)
    answers = at_once(3, lambda: (reconcile(deps), once.run_due(deps))[0])
    assert sums(answers)["recounted"] in (1, 2)
    reconcile(deps)
    assert (job(deps, parent).media_pending, job(deps, parent).media_completed) == (0, 2)
    assert types(deps, parent)[-1] == "media_settled"


# --- what is away keeps nobody waiting ----------------------------------------------------------------------------


def test_a_store_that_is_away_keeps_no_lost_job_waiting(deps: Deps, done: UUID, asker: Asker) -> None:
    nowhere = replace(deps.settings.s3, endpoint_url="http://127.0.0.1:9")
    cut_off = make_deps(replace(deps.settings, s3=nowhere), deps.send)  # type: ignore[arg-type]
    job_id = put_job(deps, asker.organization_id)
    held(deps, job_id)
    lose_worker(deps, job_id)
    assert reconcile(cut_off) == {"stale": 1, "requeued": 1}
    assert rows(deps, "SELECT 1 FROM documents WHERE verified_at IS NOT NULL") == []
    cut_off.close()


class FaultyStore(ObjectStore):
    """A store whose client has a fault when courses are looked at."""

    def stored(self, bucket: str, key: str) -> Any:
        if bucket == self.settings.courses_bucket:
            raise ValueError("a fault of ours")
        return super().stored(bucket, key)


def test_a_fault_in_one_mend_keeps_no_other_from_its_work(deps: Deps, asker: Asker) -> None:
    start(deps, asker, **ILLUSTRATED, courseId="water")
    once.run_due(deps)
    deps.objects.delete(deps.settings.s3.media_bucket, [_a_picture(deps)])
    deps.objects = FaultyStore(deps.settings.s3)
    assert reconcile(deps) == {"picture_ordered": 1}


def _a_picture(deps: Deps) -> str:
    [row] = rows(deps, "SELECT organization_id, sha256 FROM media_assets LIMIT 1")
    return f"{row.organization_id}/{row.sha256}.png"


def test_a_tick_that_finds_another_at_the_store_goes_on_with_the_rows(deps: Deps, done: UUID, asker: Asker) -> None:
    job_id = put_job(deps, asker.organization_id)
    held(deps, job_id)
    silent_for = (utc_now() - one(deps, "SELECT pg_postmaster_start_time()")).total_seconds() + 120
    lose_worker(deps, job_id, silent_for)
    change(deps, "UPDATE jobs SET media_pending = 1 WHERE id = :id", id=done)
    with cron._at_the_store:
        cron.reconcile_in_turn(deps)
    assert job(deps, done).media_pending == 0
    assert rows(deps, "SELECT 1 FROM documents WHERE verified_at IS NOT NULL") == []
    cron.reconcile_in_turn(deps)
    assert len(rows(deps, "SELECT 1 FROM documents WHERE verified_at IS NOT NULL")) == 1
