"""Asking for work: all of it is written or nothing, and the same wish twice is one job."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.exc import IntegrityError

from schema.clock import new_id
from schema.errors import Conflict, Invalid, ModelNotConfigured, NotFound
from storage import jobs
from storage.engine.leases import beat
from tasks import once
from tasks.commands import Asker, Started, cancel_job, retry_job, start_job
from tasks.deps import Deps
from tests.conftest import eventually, make_deps, with_jobs
from tests.integration.stage import (
    Died,
    Fate,
    at_once,
    change,
    claim,
    everything,
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
    told,
    types,
)

TABLES = ("jobs", "job_payloads", "job_events", "job_leases", "job_steps")


def counts(deps: Deps) -> dict[str, int]:
    return {table: one(deps, f"SELECT count(*) FROM {table}") for table in TABLES}


def test_a_job_its_payload_and_its_first_event_are_there_together(deps: Deps, asker: Asker) -> None:
    job_id = start(deps, asker, courseId="sums", tags=["a"])
    shown = jobs.read(deps.db, asker.organization_id, job_id)
    assert shown is not None
    assert (shown["status"], shown["currentStep"], shown["runNumber"]) == ("pending", "skeleton", 1)
    assert (shown["payload"]["tags"], shown["courseId"]) == (["a"], "sums")
    assert (shown["createdBy"], shown["totalSteps"], shown["maxRetries"]) == (asker.user, 6, 3)
    assert shown["nextRunAt"] is not None
    [created] = told(deps, job_id)
    assert (created["type"], created["seq"]) == ("job_created", 1)


@pytest.mark.parametrize("moment", range(1, 7))
def test_a_request_that_dies_before_its_commit_leaves_nothing(deps: Deps, asker: Asker, moment: int) -> None:
    with pytest.raises(Died):
        start(mortal(deps, Fate(moment)), asker)
    assert set(counts(deps).values()) == {0}


def test_a_request_that_dies_after_its_commit_is_run_all_the_same(deps: Deps, asker: Asker, empty_store: None) -> None:
    with pytest.raises(Died, match="after commit"):
        start(mortal(deps, Fate(15)), asker)  # after a look at the settings, five at past jobs and the transaction
    once.run_due(deps)
    assert one(deps, "SELECT status FROM jobs") == "done"


def test_a_transaction_that_fails_leaves_nothing(deps: Deps) -> None:
    with pytest.raises(IntegrityError):
        start(deps, Asker(new_id(), None))
    assert set(counts(deps).values()) == {0}


# --- the same wish twice ----------------------------------------------------------------------------------------


def test_the_same_key_and_body_give_the_same_job_whatever_became_of_it(deps: Deps, asker: Asker) -> None:
    first = start_job(deps, asker, request(courseId="sums"), "key-1")
    again = start_job(deps, asker, request(courseId="sums"), "key-1")
    assert again == Started(first.job_id, "pending", fresh=False, by_key=True)
    cancel_job(deps, asker, first.job_id, "")
    assert start_job(deps, asker, request(courseId="sums"), "key-1").job_id == first.job_id
    assert counts(deps)["jobs"] == 1


def test_the_same_key_with_another_body_is_a_conflict_and_writes_nothing(deps: Deps, asker: Asker) -> None:
    first = start(deps, asker, "key-1")
    with pytest.raises(Conflict) as caught:
        start(deps, asker, "key-1", itemsPerGroup=5)
    assert caught.value.code == "idempotency_conflict"
    assert caught.value.details == {"jobId": str(first)}
    assert counts(deps) == {"jobs": 1, "job_payloads": 1, "job_events": 1, "job_leases": 0, "job_steps": 0}


def test_a_key_belongs_to_its_organization(deps: Deps, asker: Asker) -> None:
    first = start(deps, asker, "key-1")
    assert start(deps, school(deps), "key-1", itemsPerGroup=5) != first


@pytest.mark.parametrize("key", ["key-1", None])
def test_twenty_who_ask_for_the_same_at_once_get_one_job(deps: Deps, asker: Asker, key: str | None) -> None:
    answers = at_once(20, lambda: start_job(deps, asker, request(courseId="sums"), key))
    started = [answer for answer in answers if isinstance(answer, Started)]
    assert len(started) == 20
    assert len({answer.job_id for answer in started}) == 1
    assert [answer.fresh for answer in started].count(True) == 1
    assert counts(deps)["jobs"] == counts(deps)["job_events"] == 1


# --- one active job for a course --------------------------------------------------------------------------------


def test_a_course_at_work_gives_the_running_job_to_the_same_wish(deps: Deps, asker: Asker) -> None:
    first = start_job(deps, asker, request(courseId="sums"))
    again = start_job(deps, asker, request(courseId="sums"), "a-new-key")
    assert again == Started(first.job_id, "pending", fresh=False, by_key=False)


@pytest.mark.parametrize("status", ["pending", "processing", "stale"])
def test_a_course_at_work_refuses_another_wish(deps: Deps, asker: Asker, status: str) -> None:
    first = start(deps, asker, courseId="sums")
    if status != "pending":
        held(deps, first)
        change(deps, "UPDATE jobs SET status = :status WHERE id = :id", status=status, id=first)
    with pytest.raises(Conflict) as caught:
        start(deps, asker, courseId="sums", itemsPerGroup=5)
    assert caught.value.code == "active_job_exists"
    assert caught.value.details == {"jobId": str(first)}
    assert counts(deps)["jobs"] == 1


def test_a_course_is_free_again_when_its_job_has_ended(deps: Deps, asker: Asker) -> None:
    first = start(deps, asker, courseId="sums")
    cancel_job(deps, asker, first, "")
    assert start(deps, asker, courseId="sums", itemsPerGroup=5) != first


def test_two_organizations_may_use_the_same_course_id_at_once(deps: Deps, asker: Asker) -> None:
    assert start(deps, asker, courseId="sums") != start(deps, school(deps), courseId="sums")


def test_courses_without_a_name_never_meet(deps: Deps, asker: Asker) -> None:
    ids = {start(deps, asker) for _ in range(5)}
    assert len({job(deps, job_id).course_id for job_id in ids}) == 5


# --- what is not accepted ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "payload",
    [{"subject": "Quantum gravity", "mode": "options"}, {"notes": "Only about apples, please."}],
    ids=["nobody serves it", "notes need a model"],
)
def test_what_nobody_can_serve_is_refused_at_once_and_writes_nothing(
    deps: Deps, asker: Asker, payload: dict[str, Any]
) -> None:
    with pytest.raises(ModelNotConfigured):
        start(deps, asker, "key-1", **payload)
    assert set(counts(deps).values()) == {0}


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("itemsPerGroup", 0),
        ("itemsPerGroup", 101),
        ("itemsPerGroup", True),
        ("itemsPerGroup", "12"),
        ("levelsCount", 11),
        ("studyTextsCount", 13),
        ("subject", "x" * 201),
        ("gradeBand", "x" * 51),
        ("notes", "x" * 5001),
        ("courseId", "../x"),
        ("courseId", "x" * 65),
        ("mode", "essay"),
    ],
)
def test_limits_are_named_before_anything_is_written(deps: Deps, asker: Asker, field: str, value: Any) -> None:
    with pytest.raises(Invalid) as caught:
        start(deps, asker, **{field: value})
    assert [error.path for error in caught.value.errors] == [f"payload.{field}"]
    assert counts(deps)["jobs"] == 0


def test_how_often_a_job_may_be_tried_is_settled_when_it_is_asked_for(deps: Deps, asker: Asker) -> None:
    patient = make_deps(with_jobs(deps.settings, max_retries=7), deps.send)  # type: ignore[arg-type]
    job_id = start(patient, asker)
    patient.close()
    assert job(deps, job_id).max_retries == 7


# --- cancel -----------------------------------------------------------------------------------------------------


def test_a_cancelled_job_is_never_claimed(deps: Deps, asker: Asker) -> None:
    job_id = start(deps, asker)
    cancel_job(deps, asker, job_id, "Not needed")
    row = job(deps, job_id)
    assert (row.status, row.cancellation_reason, row.due_at) == ("cancelled", "Not needed", None)
    assert types(deps, job_id) == ["job_created", "job_cancelled"]
    assert claim(deps, job_id) is None


def test_a_cancelled_worker_sees_it_at_its_next_heartbeat(deps: Deps, asker: Asker) -> None:
    job_id = start(deps, asker)
    lease = held(deps, job_id).lease
    assert beat(deps.db, [lease], [0]) == {job_id}
    cancel_job(deps, asker, job_id, "")
    assert beat(deps.db, [lease], [0]) == set()


def test_many_who_cancel_at_once_cancel_once(deps: Deps, asker: Asker) -> None:
    job_id = start(deps, asker)
    answers = at_once(6, lambda: cancel_job(deps, asker, job_id, ""))
    assert sum(isinstance(answer, str) for answer in answers) == 1
    assert {answer.code for answer in answers if isinstance(answer, Conflict)} == {"job_finished"}
    assert types(deps, job_id).count("job_cancelled") == 1


@pytest.mark.parametrize("deed", [lambda *given: cancel_job(*given, ""), retry_job], ids=["cancel", "retry"])
def test_the_job_of_another_organization_is_not_there(deps: Deps, asker: Asker, deed: Any) -> None:
    job_id = put_job(deps, asker.organization_id)
    stranger = school(deps)
    before = everything(deps, job_id)
    for unknown in (job_id, new_id()):
        with pytest.raises(NotFound):
            deed(deps, stranger, unknown)
    assert jobs.read(deps.db, stranger.organization_id, job_id) is None
    assert everything(deps, job_id) == before


# --- retry ------------------------------------------------------------------------------------------------------


def test_a_retry_is_a_new_run_from_the_first_step_without_a_checkpoint(
    deps: Deps, asker: Asker, empty_store: None
) -> None:
    job_id = start(deps, asker)
    once.run_due(deps)
    change(deps, "UPDATE jobs SET status = 'failed', retry_count = 2 WHERE id = :id", id=job_id)
    change(deps, "DELETE FROM job_steps WHERE job_id = :id AND step IN ('validate', 'persist')", id=job_id)
    retry_job(deps, asker, job_id)
    row = job(deps, job_id)
    assert (row.status, row.current_step, row.run, row.retry_count) == ("pending", "validate", 2, 0)
    assert told(deps, job_id)[-1]["type"] == "job_retrying"


@pytest.mark.parametrize("status", ["pending", "processing", "done"])
def test_only_what_ended_badly_can_be_retried(deps: Deps, asker: Asker, status: str) -> None:
    job_id = start(deps, asker)
    change(deps, "UPDATE jobs SET status = :status WHERE id = :id", status=status, id=job_id)
    with pytest.raises(Conflict) as caught:
        retry_job(deps, asker, job_id)
    assert caught.value.code == "not_retryable"


@pytest.mark.parametrize("unknown", ["job_type = 'hologram'", "current_step = 'proofread'"])
def test_what_only_newer_code_knows_is_not_retried_here(deps: Deps, asker: Asker, unknown: str) -> None:
    job_id = start(deps, asker)
    change(deps, f"UPDATE jobs SET status = 'failed', due_at = NULL, {unknown} WHERE id = :id", id=job_id)
    before = everything(deps, job_id)
    with pytest.raises(Conflict, match="too old") as caught:
        retry_job(deps, asker, job_id)
    assert caught.value.code == "conflict"
    assert everything(deps, job_id) == before


def test_a_retry_waits_for_the_other_job_on_its_course(deps: Deps, asker: Asker) -> None:
    first = start(deps, asker, courseId="sums")
    cancel_job(deps, asker, first, "")
    second = start(deps, asker, courseId="sums", itemsPerGroup=5)
    before = everything(deps, first)
    with pytest.raises(Conflict) as caught:
        retry_job(deps, asker, first)
    assert caught.value.code == "active_job_exists"
    assert everything(deps, first) == before
    cancel_job(deps, asker, second, "")
    retry_job(deps, asker, first)
    assert job(deps, first).status == "pending"


def test_of_many_retries_of_rival_jobs_at_once_one_wins(deps: Deps, asker: Asker) -> None:
    rivals = []
    for items in (4, 5, 6):
        rivals.append(start(deps, asker, courseId="sums", itemsPerGroup=items))
        cancel_job(deps, asker, rivals[-1], "")

    def retry(job_id: UUID) -> Any:
        return lambda: retry_job(deps, asker, job_id)

    answers = together([retry(job_id) for job_id in rivals * 3])
    assert answers.count(None) == 1
    codes = {answer.code for answer in answers if isinstance(answer, Conflict)}
    assert codes <= {"active_job_exists", "not_retryable"}
    assert len(codes) > 0
    assert all(answer is None or isinstance(answer, Conflict) for answer in answers)
    assert sorted(row.run for row in rows(deps, "SELECT run FROM jobs")) == [1, 1, 2]


def test_a_cancel_and_a_retry_at_once_leave_a_job_that_is_whole(deps: Deps, asker: Asker) -> None:
    job_id = put_job(deps, asker.organization_id)
    for _ in range(10):
        change(deps, "UPDATE jobs SET status = 'failed', due_at = NULL WHERE id = :id", id=job_id)
        together([lambda: retry_job(deps, asker, job_id), lambda: cancel_job(deps, asker, job_id, "")])
        row = job(deps, job_id)
        assert (row.status, row.due_at is None) in {("pending", False), ("cancelled", True)}
        told(deps, job_id)


def test_a_purged_job_is_not_there_for_a_retry(deps: Deps, asker: Asker) -> None:
    job_id = start(deps, asker)
    cancel_job(deps, asker, job_id, "")
    change(deps, "DELETE FROM job_payloads WHERE job_id = :id", id=job_id)
    change(deps, "UPDATE jobs SET purged_at = clock_timestamp() WHERE id = :id", id=job_id)
    with pytest.raises(NotFound):
        retry_job(deps, asker, job_id)
    assert job(deps, job_id).status == "cancelled"


def test_a_request_is_handed_to_the_broker_without_waiting_for_it(deps: Deps, asker: Asker) -> None:
    job_id = start(deps, asker)
    sent = eventually(lambda: [sending.job_id for sending in deps.send], within=5)  # type: ignore[attr-defined]
    assert sent == [job_id]
