"""What operators do with jobs: see every attempt, take them up, mark them, give them up, let them go."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from schema.clock import new_id
from schema.errors import Conflict, NotFound, Permanent, Transient
from storage import jobs, retention
from storage.engine import attempts
from tasks import once
from tasks.admin import delete_job, make_dead_letter, mark_stale, reconcile_now, requeue_dead_letters
from tasks.commands import Asker, cancel_job, retry_job, start_job
from tasks.cron import reconcile
from tasks.deps import Deps
from tasks.ending import settle_error
from tasks.step import deliver
from tests.conftest import use
from tests.integration.stage import (
    at_once,
    change,
    everything,
    held,
    job,
    lose_worker,
    make_due,
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
from tests.integration.test_reconcile_rows import ILLUSTRATED
from web.cli import cli

pytestmark = pytest.mark.usefixtures("empty_store")


@pytest.fixture
def job_id(deps: Deps, asker: Asker) -> UUID:
    return put_job(deps, asker.organization_id, course_id="sums", target="course:sums")


def fail(deps: Deps, job_id: UUID, error: Any) -> str:
    return str(settle_error(deps, held(deps, job_id).lease, job(deps, job_id).current_step, error))


def dead(deps: Deps, asker: Asker, code: str = "model_unavailable", **more: Any) -> UUID:
    """A job whose retries are used up."""
    job_id = put_job(deps, asker.organization_id, max_retries=0, **more)
    assert fail(deps, job_id, Transient("Out of reach.", code=code)) == "dead_letter"
    return job_id


def history(deps: Deps, job_id: UUID) -> list[dict[str, Any]]:
    return attempts.attempts(deps.db, job(deps, job_id).organization_id, [job_id])[job_id]


# --- attempts -----------------------------------------------------------------------------------------------------


def test_a_dead_letter_keeps_every_attempt(deps: Deps, asker: Asker, job_id: UUID) -> None:
    assert deliver(deps, job_id, 1, "skeleton", 0).pass_on
    assert fail(deps, job_id, Transient("Too many requests.", code="model_rate_limited", retry_after=0)) == "pending"
    held(deps, job_id)
    lose_worker(deps, job_id)
    reconcile(deps)
    assert fail(deps, job_id, Transient("Away.", code="model_unavailable", retry_after=0)) == "pending"
    assert fail(deps, job_id, Transient("Away.", code="model_unavailable")) == "dead_letter"
    found = history(deps, job_id)
    assert [(one["attempt"], one["run"], one["step"], one["error"]["code"]) for one in found] == [
        (1, 1, "fill", "model_rate_limited"),
        (2, 2, "fill", "worker_lost"),
        (3, 3, "fill", "model_unavailable"),
        (4, 4, "fill", "model_unavailable"),
    ]
    assert [one["nextRunAt"] is None for one in found] == [False, False, False, True]
    assert found[0]["error"] == {"code": "model_rate_limited", "message": "Too many requests."}
    assert [one["at"] for one in found] == sorted(one["at"] for one in found)
    change(deps, "UPDATE jobs SET completed_at = completed_at - interval '400 days'")
    retention.purge(deps.db, jobs_hours=720, events_hours=168)
    assert history(deps, job_id) == found, "it is kept until somebody ends it"


def test_a_persons_retry_is_no_attempt_and_begins_the_count_anew(deps: Deps, asker: Asker, job_id: UUID) -> None:
    fail(deps, job_id, Permanent("No.", code="model_refused"))
    retry_job(deps, asker, job_id)
    fail(deps, job_id, Transient("Away.", code="model_unavailable", retry_after=0))
    make_due(deps, job_id)
    fail(deps, job_id, Permanent("No.", code="model_refused"))
    found = [(one["attempt"], one["run"], one["error"]["code"]) for one in history(deps, job_id)]
    assert found == [(1, 1, "model_refused"), (1, 2, "model_unavailable"), (2, 3, "model_refused")]


def test_attempts_of_events_from_before_they_carried_a_run_can_be_told(deps: Deps, job_id: UUID) -> None:
    fail(deps, job_id, Transient("Away.", code="model_unavailable", retry_after=0))
    fail(deps, job_id, Permanent("No.", code="model_refused"))
    change(deps, "UPDATE job_events SET body = body - 'run'")
    change(deps, "UPDATE job_events SET body = body - 'attempt' WHERE type = 'job_failed'")
    found = [(one["attempt"], one["run"], one["error"]["code"]) for one in history(deps, job_id)]
    assert found == [(1, None, "model_unavailable"), (2, None, "model_refused")]


def test_who_holds_a_job_and_what_it_has_kept_can_be_seen(deps: Deps, asker: Asker, job_id: UUID) -> None:
    assert deliver(deps, job_id, 1, "skeleton", 0).pass_on
    held(deps, job_id)
    seen = attempts.inspect(deps.db, asker.organization_id, job_id)
    assert (seen["lease"]["holder"], seen["lease"]["step"]) == ("test", "fill")
    assert seen["lease"]["heartbeatAt"] >= seen["checkpoints"][0]["createdAt"]
    [kept] = seen["checkpoints"]
    assert (kept["step"], kept["part"], kept["run"]) == ("skeleton", "", 1)
    stranger = attempts.inspect(deps.db, school(deps).organization_id, job_id)
    assert stranger == {"attempts": [], "lease": None, "checkpoints": []}


# --- marking stale ------------------------------------------------------------------------------------------------


def test_a_job_marked_stale_is_out_of_its_workers_hands_and_run_again(deps: Deps, asker: Asker, job_id: UUID) -> None:
    lease = held(deps, job_id).lease
    mark_stale(deps, asker, job_id)
    assert job(deps, job_id).status == "stale"
    assert settle_error(deps, lease, "skeleton", Permanent("Too late.")) is None
    assert rows(deps, "SELECT * FROM job_leases") == []
    assert reconcile(deps) == {"requeued": 1}
    once.run_due(deps)
    assert (job(deps, job_id).status, job(deps, job_id).run) == ("done", 2)


@pytest.mark.parametrize("status", ["pending", "done", "failed", "cancelled", "stale", "dead_letter"])
def test_only_what_is_worked_on_can_be_marked_stale(deps: Deps, asker: Asker, job_id: UUID, status: str) -> None:
    change(deps, "UPDATE jobs SET status = :status", status=status)
    before = everything(deps, job_id)
    with pytest.raises(Conflict) as caught:
        mark_stale(deps, asker, job_id)
    assert caught.value.code == "wrong_status"
    assert everything(deps, job_id) == before


# --- giving up ----------------------------------------------------------------------------------------------------


def test_a_failed_job_can_be_made_a_dead_letter(deps: Deps, asker: Asker, job_id: UUID) -> None:
    fail(deps, job_id, Permanent("No.", code="model_refused"))
    before = history(deps, job_id)
    make_dead_letter(deps, asker, job_id)
    row, last = job(deps, job_id), told(deps, job_id)[-1]
    assert (row.status, row.error["code"], row.error["step"]) == ("dead_letter", "model_refused", "skeleton")
    assert (last["type"], last["deadLetter"], last["error"]["code"]) == ("job_failed", True, "model_refused")
    assert history(deps, job_id) == before, "nothing was tried"
    retry_job(deps, asker, job_id)
    once.run_due(deps)
    assert job(deps, job_id).status == "done"


def test_a_stale_job_can_be_made_a_dead_letter(deps: Deps, asker: Asker, job_id: UUID) -> None:
    held(deps, job_id)
    mark_stale(deps, asker, job_id)
    make_dead_letter(deps, asker, job_id)
    row = job(deps, job_id)
    assert (row.status, row.error["code"], row.due_at) == ("dead_letter", "worker_lost", None)
    assert [one["error"]["code"] for one in history(deps, job_id)] == ["worker_lost"]
    assert reconcile(deps) == {}


@pytest.mark.parametrize("status", ["pending", "processing", "done", "cancelled", "dead_letter"])
def test_nothing_else_can_be_made_a_dead_letter(deps: Deps, asker: Asker, job_id: UUID, status: str) -> None:
    change(deps, "UPDATE jobs SET status = :status", status=status)
    before = everything(deps, job_id)
    with pytest.raises(Conflict) as caught:
        make_dead_letter(deps, asker, job_id)
    assert caught.value.code == "wrong_status"
    assert everything(deps, job_id) == before


@pytest.mark.parametrize("at_first", ["failed", "stale"])
def test_a_parent_counts_a_child_that_is_given_up_once(deps: Deps, asker: Asker, at_first: str) -> None:
    parent = start(deps, asker, **ILLUSTRATED)
    assert deliver(deps, parent, 1, "skeleton", 60).verdict == "done"
    child = one(deps, "SELECT id FROM jobs WHERE parent_job_id = :id LIMIT 1", id=parent)
    if at_first == "failed":
        fail(deps, child, Permanent("No.", code="model_refused"))
    else:
        held(deps, child)
        mark_stale(deps, asker, child)
        assert job(deps, parent).media_pending == 2
    make_dead_letter(deps, asker, child)
    assert (job(deps, parent).media_pending, job(deps, parent).media_failed) == (1, 1)
    assert types(deps, parent).count("media_failed") == 1
    assert reconcile(deps) == {}
    retry_job(deps, asker, child)
    assert (job(deps, parent).media_pending, job(deps, parent).media_failed) == (2, 0)
    once.run_due(deps)
    assert (job(deps, parent).media_pending, job(deps, parent).media_completed) == (0, 2)


# --- many at once -------------------------------------------------------------------------------------------------


def test_dead_letters_are_requeued_together_and_each_says_what_became_of_it(deps: Deps, asker: Asker) -> None:
    lost = [dead(deps, asker, "worker_lost") for _ in range(2)]
    away = dead(deps, asker, "model_unavailable", course_id="sums", target="course:sums")
    newer = dead(deps, asker, "model_unavailable")
    change(deps, "UPDATE jobs SET current_step = 'proofread' WHERE id = :id", id=newer)
    theirs = dead(deps, school(deps))
    start(deps, asker, courseId="sums")
    outcomes = requeue_dead_letters(deps, asker, code="worker_lost", job_type=None, limit=1)
    assert [(outcome.job_id, outcome.error) for outcome in outcomes] == [(lost[0], None)], "the oldest first"
    outcomes = requeue_dead_letters(deps, asker, code=None, job_type="course", limit=100)
    assert [(outcome.job_id, outcome.error and outcome.error.code) for outcome in outcomes] == [
        (lost[1], None),
        (away, "active_job_exists"),
        (newer, "conflict"),
    ]
    stand = [job(deps, job_id).status for job_id in (*lost, away, newer, theirs)]
    assert stand == ["pending"] * 2 + ["dead_letter"] * 3
    assert requeue_dead_letters(deps, asker, code=None, job_type="media", limit=100) == []


def test_operators_at_once_requeue_each_dead_letter_once(deps: Deps, asker: Asker) -> None:
    letters = [dead(deps, asker) for _ in range(8)]
    answers = at_once(3, lambda: requeue_dead_letters(deps, asker, code=None, job_type=None, limit=100))
    outcomes = [outcome for answer in answers if isinstance(answer, list) for outcome in answer]
    assert sorted(map(str, (outcome.job_id for outcome in outcomes if outcome.error is None))) == sorted(
        map(str, letters)
    )
    assert {outcome.error.code for outcome in outcomes if outcome.error} <= {"not_retryable"}
    assert {job(deps, job_id).run for job_id in letters} == {2}


# --- letting go ---------------------------------------------------------------------------------------------------


def test_a_dead_letter_that_is_deleted_leaves_its_tombstone_and_its_figures(deps: Deps, asker: Asker) -> None:
    job_id = start(deps, asker, "a-key", courseId="sums")
    change(deps, "UPDATE jobs SET max_retries = 0")
    assert deliver(deps, job_id, 1, "skeleton", 0).pass_on
    fail(deps, job_id, Transient("Away.", code="model_unavailable"))
    delete_job(deps, asker, job_id)
    row = job(deps, job_id)
    assert (row.status, row.course_id, row.purged_at is None) == ("dead_letter", "sums", False)
    for table in ("job_payloads", "job_steps", "job_events", "job_leases"):
        assert one(deps, f"SELECT count(*) FROM {table}") == 0, table
    figures = rows(deps, "SELECT kind, name, outcome, count FROM daily_stats ORDER BY 1, 2, 3")
    assert [tuple(figure) for figure in figures] == [
        ("job", "course", "dead_letter", 1),
        ("step", "course/fill", "model_unavailable", 1),
        ("step", "course/skeleton", "done", 1),
    ]
    assert jobs.newest(deps.db, asker.organization_id, {}, None, 10) == []
    assert requeue_dead_letters(deps, asker, code=None, job_type=None, limit=100) == []
    assert start_job(deps, asker, request(courseId="sums"), "a-key").job_id == job_id
    for deed in (delete_job, retry_job, make_dead_letter):
        with pytest.raises(NotFound):
            deed(deps, asker, job_id)
    change(deps, "UPDATE jobs SET purged_at = purged_at - interval '91 days'")
    retention.purge(deps.db, jobs_hours=720, events_hours=168)
    assert rows(deps, "SELECT * FROM jobs") == []


@pytest.mark.parametrize("status", ["pending", "processing", "stale", "done"])
def test_what_lives_or_went_well_is_not_deleted(deps: Deps, asker: Asker, job_id: UUID, status: str) -> None:
    change(deps, "UPDATE jobs SET status = :status", status=status)
    before = everything(deps, job_id)
    with pytest.raises(Conflict) as caught:
        delete_job(deps, asker, job_id)
    assert caught.value.code == "wrong_status"
    assert everything(deps, job_id) == before


@pytest.mark.parametrize("status", ["pending", "processing", "stale", "dead_letter"])
def test_what_has_a_picture_at_work_or_among_the_dead_letters_is_not_deleted(
    deps: Deps, asker: Asker, job_id: UUID, status: str
) -> None:
    change(deps, "UPDATE jobs SET status = 'cancelled', due_at = NULL")
    child = put_job(deps, asker.organization_id, parent_job_id=job_id, job_type="media")
    change(deps, "UPDATE jobs SET status = :status WHERE id = :id", status=status, id=child)
    before = everything(deps, job_id)
    with pytest.raises(Conflict) as caught:
        delete_job(deps, asker, job_id)
    assert (caught.value.code, "Pictures of it" in caught.value.message) == ("wrong_status", True)
    assert everything(deps, job_id) == before
    change(deps, "UPDATE jobs SET status = 'failed' WHERE id = :id", id=child)
    delete_job(deps, asker, job_id)
    assert job(deps, job_id).purged_at is not None


def test_a_retry_and_a_deletion_at_once_agree(deps: Deps, asker: Asker) -> None:
    for _ in range(10):
        job_id = dead(deps, asker)
        answers = together([partial(retry_job, deps, asker, job_id), partial(delete_job, deps, asker, job_id)])
        row = job(deps, job_id)
        payloads = one(deps, "SELECT count(*) FROM job_payloads WHERE job_id = :id", id=job_id)
        if answers[0] is None:
            assert (row.status, row.purged_at, payloads) == ("pending", None, 1)
            assert isinstance(answers[1], Conflict)
        else:
            assert isinstance(answers[0], NotFound)
            assert (row.status, payloads, answers[1]) == ("dead_letter", 0, None)


@pytest.mark.parametrize("deed", [mark_stale, make_dead_letter, delete_job])
def test_the_job_of_another_organization_is_not_there(deps: Deps, asker: Asker, deed: Callable[..., None]) -> None:
    job_id = dead(deps, asker)
    before = everything(deps, job_id)
    for unknown in (job_id, new_id()):
        with pytest.raises(NotFound):
            deed(deps, school(deps), unknown)
    assert everything(deps, job_id) == before


def test_reconciling_now_believes_in_silence_only_since_the_database_is_there(deps: Deps, job_id: UUID) -> None:
    held(deps, job_id)
    lose_worker(deps, job_id, 10**6)
    change(deps, "UPDATE jobs SET media_pending = 1")
    corrected = reconcile_now(deps)
    assert corrected["recounted"] == 1
    started = "SELECT EXTRACT(epoch FROM clock_timestamp() - pg_postmaster_start_time())::float"
    assert ("stale" in corrected) is (one(deps, started) > deps.settings.jobs.stale_after_seconds)


# --- the command line ---------------------------------------------------------------------------------------------


@pytest.fixture
def run(deps: Deps, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Runs ``coursewright ...`` against this test's database."""
    monkeypatch.setenv("DATABASE_URL", deps.settings.database_url)
    use(deps)
    return lambda *words: CliRunner().invoke(cli, list(map(str, words)))


def test_show_tells_a_person_the_whole_story(
    deps: Deps, asker: Asker, job_id: UUID, run: Callable[..., Result]
) -> None:
    assert deliver(deps, job_id, 1, "skeleton", 0).pass_on
    fail(deps, job_id, Transient("Out of reach.", code="model_unavailable", retry_after=0))
    held(deps, job_id)
    shown = run("jobs", "show", job_id)
    assert shown.exit_code == 0
    for words in ("processing", "sums", "1 of 3 retries", "fill (2 of 6)", "model_unavailable: Out of reach.", "run 1"):
        assert words in shown.stdout
    assert "fill by test; last beat" in shown.stdout
    assert "Kept\n  skeleton" in shown.stdout
    read = json.loads(run("jobs", "show", job_id, "--json").stdout)
    assert read["job"]["jobId"] == str(job_id)
    assert [one["error"]["code"] for one in read["attempts"]] == ["model_unavailable"]
    assert read["lease"]["holder"] == "test"
    assert [kept["step"] for kept in read["checkpoints"]] == ["skeleton"]


def test_every_move_can_be_made_from_the_command_line(
    deps: Deps, asker: Asker, job_id: UUID, run: Callable[..., Result]
) -> None:
    held(deps, job_id)
    for words, status in (
        (("jobs", "mark-stale", job_id), "stale"),
        (("jobs", "dead-letter", job_id), "dead_letter"),
        (("jobs", "requeue", job_id), "pending"),
        (("jobs", "cancel", job_id), "cancelled"),
        (("jobs", "retry", job_id), "pending"),
    ):
        assert run(*words).exit_code == 0, words
        assert job(deps, job_id).status == status
    assert [line.split()[0] for line in run("jobs", "list").stdout.splitlines()] == [str(job_id)]
    assert [one["jobId"] for one in json.loads(run("jobs", "list", "--json").stdout)] == [str(job_id)]
    cancel_job(deps, asker, job_id, "")
    assert run("jobs", "delete", job_id).exit_code == 0
    assert run("jobs", "list").stdout == ""


def test_dead_letters_are_requeued_from_the_command_line(deps: Deps, asker: Asker, run: Callable[..., Result]) -> None:
    letters = [dead(deps, asker, "worker_lost"), dead(deps, asker, "model_unavailable")]
    ran = run("jobs", "requeue", "--dead-letters", "--code", "worker_lost")
    assert (ran.exit_code, ran.stdout) == (0, f"{letters[0]}  It will run again.\n")
    change(deps, "UPDATE jobs SET target = 'course:sums' WHERE id = :id", id=letters[1])
    start(deps, asker, courseId="sums")
    refused = run("jobs", "requeue", "--dead-letters", "--json")
    assert refused.exit_code == 1
    assert [one["error"]["code"] for one in json.loads(refused.stdout)] == ["active_job_exists"]
    for words in ((), (letters[1], "--dead-letters")):
        assert run("jobs", "requeue", *words).exit_code == 2


def test_reconcile_says_what_it_corrected(deps: Deps, job_id: UUID, run: Callable[..., Result]) -> None:
    assert run("reconcile").stdout == "Nothing to correct.\n"
    change(deps, "UPDATE jobs SET media_pending = 1")
    assert run("reconcile").stdout == "    1  recounted\n"
    assert json.loads(run("reconcile", "--json").stdout) == {}


@pytest.mark.parametrize("command", ["show", "cancel", "retry", "requeue", "dead-letter", "mark-stale", "delete"])
def test_a_command_for_a_job_there_is_not_is_wrong_usage(run: Callable[..., Result], command: str) -> None:
    ran = run("jobs", command, new_id())
    assert ran.exit_code != 0
    assert isinstance(ran.exception, SystemExit | NotFound)
