"""Batches: all or none accepted, quickly, in the order asked; summed up; cancelled together."""

from __future__ import annotations

import time
from typing import Any
from uuid import UUID

import pytest

from schema.clock import new_id
from schema.errors import Conflict, Invalid, NotFound
from schema.job import STATUSES
from storage import batches, jobs
from tasks import once
from tasks.batches import StartedBatch, cancel_batch, start_batch
from tasks.commands import Asker, cancel_job, start_job
from tasks.deps import Deps
from tests.integration.stage import (
    Died,
    Fate,
    change,
    held,
    job,
    mortal,
    one,
    put_job,
    request,
    rows,
    school,
    start,
    together,
    types,
)

TABLES = ("batches", "jobs", "job_payloads", "job_events", "idempotency_keys")


def counts(deps: Deps) -> list[int]:
    return [one(deps, f"SELECT count(*) FROM {table}") for table in TABLES]


def shown(deps: Deps, asker: Asker, batch_id: UUID) -> dict[str, Any]:
    found = batches.read(deps.db, asker.organization_id, batch_id)
    assert found is not None
    return found


# --- asking -----------------------------------------------------------------------------------------------------


def test_a_batch_and_its_jobs_are_there_together_in_the_order_asked(deps: Deps, asker: Asker) -> None:
    asked = [request(courseId=f"sums-{9 - number}", itemsPerGroup=number + 1) for number in range(5)]
    started = start_batch(deps, asker, asked)
    assert started.fresh
    assert counts(deps) == [1, 5, 5, 5, 0]
    members = batches.members(deps.db, started.batch_id)
    assert [member["jobId"] for member in members] == [str(job_id) for job_id in started.job_ids]
    assert [member["courseId"] for member in members] == [f"sums-{9 - number}" for number in range(5)]
    first = jobs.read(deps.db, asker.organization_id, started.job_ids[0])
    assert first is not None
    assert (first["batchId"], first["status"], first["createdBy"]) == (str(started.batch_id), "pending", asker.user)
    assert first["payload"]["itemsPerGroup"] == 1
    assert types(deps, started.job_ids[4]) == ["job_created"]
    row = job(deps, started.job_ids[2])
    assert (row.priority, row.target, row.current_step, row.rationed) == (9, "course:sums-7", "skeleton", False)
    due = [job(deps, job_id).due_at for job_id in started.job_ids]
    assert due == sorted(due)


def test_five_hundred_are_accepted_quickly_and_in_few_statements(deps: Deps, asker: Asker) -> None:
    began = time.monotonic()
    started = start_batch(deps, asker, [request() for _ in range(500)])
    assert time.monotonic() - began < 2
    assert counts(deps)[1:4] == [500, 500, 500]
    assert len({row.course_id for row in rows(deps, "SELECT course_id FROM jobs")}) == 500
    assert len(started.job_ids) == 500


def test_a_batch_is_carried_out(deps: Deps, asker: Asker, empty_store: None) -> None:
    started = start_batch(deps, asker, [request() for _ in range(3)])
    once.run_due(deps)
    batch = shown(deps, asker, started.batch_id)
    assert (batch["done"], batch["progress"], batch["finished"]) == (3, 100.0, True)


def test_a_job_of_a_batch_knows_the_revision_it_began_with(deps: Deps, asker: Asker, empty_store: None) -> None:
    start(deps, asker, courseId="sums")
    once.run_due(deps)
    started = start_batch(deps, asker, [request(courseId="sums"), request(courseId="new")])
    assert [job(deps, job_id).base_revision for job_id in started.job_ids] == [1, None]


@pytest.mark.parametrize("moment", [2, 3])
def test_a_batch_that_dies_before_its_commit_leaves_nothing(deps: Deps, asker: Asker, moment: int) -> None:
    start(deps, asker)  # so that its duration is known already, and no moment is spent on that
    before = counts(deps)
    fate = Fate(moment)
    with pytest.raises(Died):
        start_batch(mortal(deps, fate), asker, [request(), request()], "key-1")
    assert counts(deps) == before, fate.moments


def test_every_fault_is_named_and_nothing_accepted(deps: Deps, asker: Asker) -> None:
    asked = [
        request(courseId="sums"),
        request(subject="Quantum gravity", mode="options"),
        request(courseId="sums", itemsPerGroup=9),
        request(notes="Only about apples, please."),
        request(),
    ]
    with pytest.raises(Invalid) as caught:
        start_batch(deps, asker, asked)
    assert [(fault.path, fault.code) for fault in caught.value.errors] == [
        ("jobs.1.payload.subject", "model_not_configured"),
        ("jobs.2.payload.courseId", "duplicate_target"),
        ("jobs.3.payload.notes", "model_not_configured"),
    ]
    assert "jobs.0" in caught.value.errors[1].message
    assert counts(deps) == [0] * 5


def test_a_course_at_work_refuses_the_whole_batch_and_names_each(deps: Deps, asker: Asker) -> None:
    first, second = start(deps, asker, courseId="sums"), start(deps, asker, courseId="more-sums")
    start(deps, school(deps), courseId="free")
    asked = [request(courseId="free"), request(courseId="more-sums"), request(courseId="sums")]
    with pytest.raises(Conflict) as caught:
        start_batch(deps, asker, asked, "key-1")
    assert caught.value.code == "active_job_exists"
    assert caught.value.details == {
        "jobId": str(second),
        "jobs": [
            {"path": "jobs.1.payload.courseId", "jobId": str(second)},
            {"path": "jobs.2.payload.courseId", "jobId": str(first)},
        ],
    }
    assert counts(deps) == [0, 3, 3, 3, 0]


def test_of_many_batches_for_the_same_courses_one_is_accepted(deps: Deps, asker: Asker) -> None:
    """And the others are told by whom they were taken; asking in another order makes no ring of waiting."""
    asked = [request(courseId=f"sums-{number}") for number in range(20)]
    answers = together([lambda: start_batch(deps, asker, asked), lambda: start_batch(deps, asker, asked[::-1])] * 3)
    won = [answer for answer in answers if isinstance(answer, StartedBatch)]
    lost = [answer for answer in answers if isinstance(answer, Conflict)]
    assert (len(won), len(lost)) == (1, 5), answers
    assert counts(deps)[:2] == [1, 20]
    assert {tuple(error.details["jobs"][0]) for error in lost} == {("path", "jobId")}
    cancel_batch(deps, asker, won[0].batch_id, "")
    assert start_batch(deps, asker, asked).fresh


# --- the same wish twice ----------------------------------------------------------------------------------------


def test_the_same_key_and_jobs_give_the_same_batch(deps: Deps, asker: Asker) -> None:
    asked = [request(), request(itemsPerGroup=3)]
    first = start_batch(deps, asker, asked, "key-1")
    again = start_batch(deps, asker, asked, "key-1")
    assert (again.batch_id, again.job_ids, again.fresh) == (first.batch_id, first.job_ids, False)
    assert counts(deps) == [1, 2, 2, 2, 1]


def test_the_same_key_for_anything_else_is_a_conflict(deps: Deps, asker: Asker) -> None:
    start_batch(deps, asker, [request(), request()], "key-1")
    start(deps, asker, "key-2")
    other: list[tuple[str, Any]] = [
        ("key-1", lambda: start_batch(deps, asker, [request()], "key-1")),
        ("key-1", lambda: start_job(deps, asker, request(), "key-1")),
        ("key-2", lambda: start_batch(deps, asker, [request()], "key-2")),
    ]
    for key, ask in other:
        with pytest.raises(Conflict) as caught:
            ask()
        assert caught.value.code == "idempotency_conflict", key
    assert counts(deps)[:2] == [1, 3]


def test_many_with_one_key_at_once_make_one_batch(deps: Deps, asker: Asker) -> None:
    asked = [request() for _ in range(10)]
    answers = together([lambda: start_batch(deps, asker, asked, "key-1")] * 6)
    made = {answer.batch_id for answer in answers if isinstance(answer, StartedBatch)}
    assert len(made) == 1, answers
    assert sum(isinstance(answer, StartedBatch) and answer.fresh for answer in answers) == 1
    assert counts(deps)[:2] == [1, 10]


# --- sums -------------------------------------------------------------------------------------------------------


def test_the_sums_follow_the_jobs(deps: Deps, asker: Asker) -> None:
    started = start_batch(deps, asker, [request() for _ in range(6)])
    done, failed, dead, working, cancelled, _ = started.job_ids
    held(deps, working)
    change(deps, "UPDATE jobs SET progress = 40 WHERE id = :id", id=working)
    change(deps, "UPDATE jobs SET status = 'done', progress = 100 WHERE id = :id", id=done)
    error = '{"code": "model_refused", "message": "No.", "step": "fill", "details": {"long": 1}}'
    for job_id, status in ((failed, "failed"), (dead, "dead_letter")):
        change(
            deps,
            "UPDATE jobs SET status = :status, progress = 10, error = CAST(:error AS jsonb) WHERE id = :id",
            id=job_id,
            status=status,
            error=error,
        )
    cancel_job(deps, asker, cancelled, "")
    change(
        deps,
        """INSERT INTO model_calls (id, organization_id, job_id, purpose, model, input_tokens, output_tokens, seconds,
          outcome, cost_usd) SELECT gen_random_uuid(), organization_id, id, 'plan', 'm', 10, 2, 1, 'ok', 0.25 FROM jobs
        WHERE id IN (:one, :two)""",
        one=done,
        two=failed,
    )
    batch = shown(deps, asker, started.batch_id)
    assert batch["byStatus"] == {
        **dict.fromkeys(STATUSES, 0),
        **dict.fromkeys(("done", "failed", "dead_letter", "processing", "cancelled", "pending"), 1),
    }
    assert (batch["total"], batch["done"], batch["failed"], batch["finished"]) == (6, 1, 2, False)
    assert batch["progress"] == round((4 * 100 + 40 + 0) / 6, 1)
    assert batch["usage"] == {"calls": 2, "inputTokens": 20, "outputTokens": 4, "costUsd": 0.5}
    told = {member["jobId"]: member for member in batches.members(deps.db, started.batch_id)}
    assert told[str(failed)]["error"] == {"code": "model_refused", "message": "No.", "step": "fill"}
    assert told[str(done)]["error"] is None
    change(deps, "UPDATE jobs SET status = 'done' WHERE status IN ('pending', 'processing')")
    assert shown(deps, asker, started.batch_id)["finished"]


def test_batches_are_listed_newest_first_and_only_ones_own(deps: Deps, asker: Asker) -> None:
    made = [start_batch(deps, asker, [request()]).batch_id for _ in range(3)]
    start_batch(deps, school(deps), [request()])
    found = batches.newest(deps.db, asker.organization_id, None, 2)
    assert [batch["batchId"] for batch in found] == [str(made[2]), str(made[1])]
    rest = batches.newest(deps.db, asker.organization_id, found[1]["_position"], 2)
    assert [batch["batchId"] for batch in rest] == [str(made[0])]
    assert batches.read(deps.db, school(deps).organization_id, made[0]) is None


def test_jobs_can_be_asked_for_by_their_batch(deps: Deps, asker: Asker) -> None:
    started = start_batch(deps, asker, [request(), request()])
    start(deps, asker)
    found = jobs.newest(deps.db, asker.organization_id, {"batch_id": str(started.batch_id)}, None, 10)
    assert [shown["jobId"] for shown in found] == [str(job_id) for job_id in reversed(started.job_ids)]
    assert jobs.newest(deps.db, asker.organization_id, {"batch_id": str(new_id())}, None, 10) == []


# --- cancel -----------------------------------------------------------------------------------------------------


def test_cancelling_ends_what_has_not_ended_and_keeps_what_has(deps: Deps, asker: Asker) -> None:
    started = start_batch(deps, asker, [request() for _ in range(5)])
    done, failed, working, waiting, stale = started.job_ids
    change(deps, "UPDATE jobs SET status = 'done', due_at = NULL WHERE id = :id", id=done)
    change(deps, "UPDATE jobs SET status = 'failed', due_at = NULL WHERE id = :id", id=failed)
    held(deps, working)
    change(deps, "UPDATE jobs SET status = 'stale', due_at = NULL WHERE id = :id", id=stale)
    assert cancel_batch(deps, asker, started.batch_id, "No longer needed") == 3
    statuses = [job(deps, job_id).status for job_id in started.job_ids]
    assert statuses == ["done", "failed", "cancelled", "cancelled", "cancelled"]
    assert job(deps, waiting).cancellation_reason == "No longer needed"
    assert types(deps, waiting)[-1] == "job_cancelled"
    with pytest.raises(Conflict) as caught:
        cancel_batch(deps, asker, started.batch_id, "")
    assert caught.value.code == "batch_finished"


def test_pictures_of_finished_courses_are_cancelled_too(deps: Deps, asker: Asker) -> None:
    started = start_batch(deps, asker, [request()])
    [course] = started.job_ids
    pictures = [
        put_job(
            deps,
            asker.organization_id,
            job_type="media",
            queue="media",
            first_step="picture",
            parent_job_id=course,
            payload={"targetRef": {"type": "study_text", "id": "a", "marker": "b"}},
        )
        for _ in range(2)
    ]
    change(deps, "UPDATE jobs SET status = 'done', due_at = NULL, media_pending = 2 WHERE id = :id", id=course)
    assert cancel_batch(deps, asker, started.batch_id, "") == 1
    assert {job(deps, picture).status for picture in pictures} == {"cancelled"}
    assert (job(deps, course).status, job(deps, course).media_pending) == ("done", 0)


def test_two_who_cancel_at_once_cancel_each_job_once(deps: Deps, asker: Asker) -> None:
    started = start_batch(deps, asker, [request() for _ in range(40)])
    answers = together([lambda: cancel_batch(deps, asker, started.batch_id, "")] * 3)
    counted = [answer if isinstance(answer, int) else 0 for answer in answers]
    assert sum(counted) == 40, answers
    assert all(types(deps, job_id).count("job_cancelled") == 1 for job_id in started.job_ids)


def test_a_cancel_that_was_cut_short_is_finished_by_the_next(deps: Deps, asker: Asker) -> None:
    started = start_batch(deps, asker, [request() for _ in range(4)])
    with pytest.raises(Died):
        cancel_batch(mortal(deps, Fate(7)), asker, started.batch_id, "")
    assert shown(deps, asker, started.batch_id)["byStatus"]["cancelled"] in range(1, 4)
    cancel_batch(deps, asker, started.batch_id, "")
    assert shown(deps, asker, started.batch_id)["byStatus"]["cancelled"] == 4


def test_another_organization_can_neither_see_nor_cancel(deps: Deps, asker: Asker) -> None:
    started = start_batch(deps, asker, [request()])
    with pytest.raises(NotFound):
        cancel_batch(deps, school(deps), started.batch_id, "")
    with pytest.raises(NotFound):
        cancel_batch(deps, asker, new_id(), "")
    assert job(deps, started.job_ids[0]).status == "pending"
