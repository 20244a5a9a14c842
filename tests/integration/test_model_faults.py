"""A course job whose model misbehaves: what is tried again, what is given up, and what is never asked for twice."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from storage import jobs
from tasks import once, watch
from tasks.commands import Asker, cancel_job, retry_job
from tasks.deps import Deps
from tasks.step import Delivery, deliver
from tests.conftest import eventually, make_deps, with_jobs
from tests.fakes.model_server import ModelServer
from tests.integration.stage import job, lift_brakes, make_due, rows, start, told, types
from tests.integration.test_course_job import FISH, course_of, debug

pytestmark = pytest.mark.usefixtures("empty_store")


@pytest.fixture
def ask(model_deps: Deps, asker: Asker, model: ModelServer) -> Callable[..., UUID]:
    """Asks for a course while the model is scripted, and lets it run."""

    def run(*faults: str | dict[str, Any], **payload: Any) -> UUID:
        model.script(list(faults))
        job_id = start(model_deps, asker, **{**FISH, **payload})
        once.run_due(model_deps)
        return job_id

    return run


def outcomes(deps: Deps, job_id: UUID) -> list[tuple[str, str]]:
    """Each written call: what for, and how it ended."""
    found = rows(deps, "SELECT purpose, outcome FROM model_calls WHERE job_id = :id ORDER BY created_at", id=job_id)
    return [(row.purpose, row.outcome) for row in found]


def asked(model: ModelServer) -> list[str]:
    return sorted(call.purpose for call in model.calls())


def kept_parts(deps: Deps, job_id: UUID) -> set[str]:
    found = rows(deps, "SELECT part FROM job_steps WHERE job_id = :id AND step = 'fill'", id=job_id)
    return {row.part for row in found}


# --- again later ------------------------------------------------------------------------------------------------


def test_a_model_that_asks_to_wait_is_waited_for_exactly_as_long(
    model_deps: Deps, ask: Callable[..., UUID], model: ModelServer
) -> None:
    job_id = ask({"fault": "429", "retryAfter": 37})
    row = job(model_deps, job_id)
    assert (row.status, row.retry_count, row.run, row.error["code"]) == ("pending", 1, 2, "model_rate_limited")
    assert (row.due_at - row.updated_at).total_seconds() == pytest.approx(37, abs=0.1)
    retrying = told(model_deps, job_id)[-1]
    shown = jobs.read(model_deps.db, row.organization_id, job_id)
    assert shown is not None
    assert (retrying["type"], retrying["attempt"], retrying["step"]) == ("job_retrying", 2, "skeleton")
    assert retrying["nextRunAt"] == shown["nextRunAt"]
    assert once.run_due(model_deps).turns == 0
    assert len(model.calls()) == 1
    make_due(model_deps, job_id)
    lift_brakes(model_deps)
    once.run_due(model_deps)
    assert job(model_deps, job_id).status == "done"


def test_every_call_is_written_down_also_those_that_failed(model_deps: Deps, ask: Callable[..., UUID]) -> None:
    job_id = ask({"fault": "429", "retryAfter": 9})
    eventually(lambda: outcomes(model_deps, job_id) == [("plan", "rate_limited")], within=5)
    [call] = rows(model_deps, "SELECT * FROM model_calls")
    assert (call.input_tokens, call.output_tokens, call.cost_usd) == (0, 0, None)
    assert (call.error_code, call.step, call.run) == ("model_rate_limited", "skeleton", 1)


@pytest.mark.parametrize("fault", ["truncated", "fenced", "misshaped", "broken_body", "empty", "length"])
def test_an_answer_that_can_not_be_used_is_asked_for_again_within_the_step(
    model_deps: Deps, ask: Callable[..., UUID], fault: str
) -> None:
    job_id = ask({"fault": fault, "purpose": "items"})
    assert (job(model_deps, job_id).status, job(model_deps, job_id).run) == ("done", 1)
    unreadable = [outcome for _, outcome in outcomes(model_deps, job_id)].count("unreadable")
    assert unreadable == (0 if fault == "fenced" else 1)


def test_three_answers_that_can_not_be_used_are_tried_again_later(
    model_deps: Deps, ask: Callable[..., UUID], model: ModelServer
) -> None:
    job_id = ask({"fault": "truncated", "purpose": "plan", "times": 3})
    row = job(model_deps, job_id)
    assert (row.status, row.error["code"], len(model.calls())) == ("pending", "model_answer_unreadable", 3)


def test_only_the_group_that_failed_is_asked_for_again(
    model_deps: Deps, ask: Callable[..., UUID], model: ModelServer
) -> None:
    job_id = ask({"fault": "500", "purpose": "items"})
    row = job(model_deps, job_id)
    assert (row.status, row.current_step, row.error["code"]) == ("pending", "fill", "model_unavailable")
    before = kept_parts(model_deps, job_id)
    assert len(before) == 2, "one group and the text are kept"
    model.forget(calls=True)
    make_due(model_deps, job_id)
    once.run_due(model_deps)
    assert job(model_deps, job_id).status == "done"
    assert asked(model) == ["items", "verify"]
    completed = [event["topicName"] for event in told(model_deps, job_id) if event["type"] == "topic_completed"]
    assert len(completed) == len(set(completed)) == 3


def test_a_model_that_stays_away_ends_in_a_dead_letter_with_a_way_back(
    model_deps: Deps, asker: Asker, model: ModelServer
) -> None:
    patient = make_deps(with_jobs(model_deps.settings, max_retries=2), model_deps.send)  # type: ignore[arg-type]
    model.script([{"fault": "503", "times": 3}])
    job_id = start(patient, asker, **FISH)
    for _ in range(3):
        make_due(patient, job_id)
        once.run_due(patient)
    row = job(patient, job_id)
    assert (row.status, row.retry_count, row.run, row.due_at) == ("dead_letter", 2, 3, None)
    assert types(patient, job_id).count("job_retrying") == 2
    failed = told(patient, job_id)[-1]
    assert (failed["type"], failed["deadLetter"], failed["canResume"]) == ("job_failed", True, True)
    retry_job(patient, asker, job_id)
    once.run_due(patient)
    assert (job(patient, job_id).status, job(patient, job_id).retry_count) == ("done", 0)
    patient.close()


# --- for good ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "code", "advice"),
    [
        ("401", "model_unauthorized", "OPENAI_API_KEY"),
        ("quota", "model_quota_exhausted", "billing"),
        ("refusal", "model_refused", "Change the subject or the notes"),
        ("404", "model_request_invalid", "OPENAI_BASE_URL"),
    ],
)
def test_what_a_person_must_mend_fails_at_once_with_advice(
    model_deps: Deps, asker: Asker, ask: Callable[..., UUID], model: ModelServer, fault: str, code: str, advice: str
) -> None:
    job_id = ask(fault)
    row = job(model_deps, job_id)
    assert (row.status, row.error["code"], row.error["step"]) == ("failed", code, "skeleton")
    assert advice in row.error["message"]
    failed = told(model_deps, job_id)[-1]
    assert (failed["failedStep"], failed["deadLetter"], failed["error"]["code"]) == ("skeleton", False, code)
    assert len(model.calls()) == 1
    retry_job(model_deps, asker, job_id)
    once.run_due(model_deps)
    assert job(model_deps, job_id).status == "done"


def test_a_refused_group_gives_up_the_others_and_keeps_what_is_finished(
    model_deps: Deps, asker: Asker, ask: Callable[..., UUID], model: ModelServer
) -> None:
    job_id = ask({"fault": "hang", "purpose": "items"}, {"fault": "refusal", "purpose": "items"}, studyTextsCount=2)
    assert job(model_deps, job_id).error["code"] == "model_refused"
    assert model.wait_for(lambda calls: all(call.hungUp for call in calls if call.fault == "hang"))
    parts = kept_parts(model_deps, job_id)
    model.forget(calls=True)
    retry_job(model_deps, asker, job_id)
    once.run_due(model_deps)
    assert job(model_deps, job_id).status == "done"
    assert asked(model).count("study_text") == 2 - len(parts)


# --- wrong answers ----------------------------------------------------------------------------------------------


def test_a_wrong_key_is_found_by_a_blind_answer_and_mended(
    model_deps: Deps, ask: Callable[..., UUID], model: ModelServer
) -> None:
    job_id = ask({"fault": "wrong_key", "purpose": "items"})
    assert job(model_deps, job_id).status == "done"
    assert asked(model) == ["items", "items", "plan", "repair", "study_text", "verify", "verify"]
    assert course_of(model_deps, job_id).content["provenance"]["verified"] is True
    [repair] = debug(model_deps, job_id, "repair.json")["repairs"]
    assert [problem["code"] for problem in repair["problems"]] == ["key_not_verified"]


def test_what_can_not_be_mended_fails_with_every_problem_and_a_retry_can_succeed(
    model_deps: Deps, asker: Asker, ask: Callable[..., UUID], model: ModelServer
) -> None:
    job_id = ask(
        {"fault": "wrong_key", "purpose": "items", "count": 2},
        {"fault": "wrong_key", "purpose": "repair", "count": 2, "times": 2},
    )
    row = job(model_deps, job_id)
    assert (row.status, row.error["code"], row.error["step"]) == ("failed", "validation_failed", "validate")
    problems = row.error["details"]["problems"]
    assert [problem["code"] for problem in problems if problem["severity"] == "error"] == ["key_not_verified"] * 2
    assert debug(model_deps, job_id, "validation_issues.json") == {"problems": problems}
    [failing] = row.error["details"]["failingParts"]
    assert kept_parts(model_deps, job_id) == {"group:group-1", "group:group-2", "text:text-1"} - {failing}
    assert rows(model_deps, "SELECT * FROM document_revisions") == []
    model.forget(calls=True)
    retry_job(model_deps, asker, job_id)
    assert job(model_deps, job_id).current_step == "fill"
    once.run_due(model_deps)
    assert job(model_deps, job_id).status == "done"
    assert asked(model) == ["items", "verify"]


def test_the_same_item_many_times_over_is_mended_or_named(
    model_deps: Deps, ask: Callable[..., UUID], model: ModelServer
) -> None:
    job_id = ask({"fault": "duplicate_items", "purpose": "items"})
    assert job(model_deps, job_id).status == "done"
    assert "repair" in asked(model)
    texts = [item["text"] for item in course_of(model_deps, job_id).content["items"]]
    assert len(texts) == len(set(texts))


# --- in the middle of a call ------------------------------------------------------------------------------------


@pytest.fixture
def hanging(
    model_deps: Deps, asker: Asker, model: ModelServer, monkeypatch: pytest.MonkeyPatch
) -> tuple[UUID, threading.Thread, list[Delivery]]:
    """A job whose two groups hang at the model while its text is finished."""
    monkeypatch.setattr(watch, "LOOK_EVERY", 0.05)
    model.script([{"fault": "hang", "purpose": "items", "times": 2}])
    job_id = start(model_deps, asker, **FISH)
    answers: list[Delivery] = []
    worker = threading.Thread(target=lambda: answers.append(deliver(model_deps, job_id, 1, "skeleton", 60)))
    worker.start()
    eventually(lambda: kept_parts(model_deps, job_id) == {"text:text-1"}, within=10)
    assert model.wait_for(lambda calls: [call.purpose for call in calls].count("items") == 2)
    return job_id, worker, answers


def test_a_cancel_abandons_open_calls_and_starts_no_other(
    model_deps: Deps,
    asker: Asker,
    model: ModelServer,
    hanging: tuple[UUID, threading.Thread, list[Delivery]],
) -> None:
    job_id, worker, answers = hanging
    cancel_job(model_deps, asker, job_id, "")
    worker.join(10)
    assert [answer.verdict for answer in answers] == ["stopped:not_ours"]
    assert model.wait_for(lambda calls: all(call.hungUp for call in calls if call.fault == "hang"))
    assert len(model.calls()) == 4
    assert job(model_deps, job_id).status == "cancelled"
    eventually(lambda: outcomes(model_deps, job_id).count(("items", "abandoned")) == 2, within=5)


def test_a_shutdown_hands_the_job_back_with_what_is_finished(
    model_deps: Deps,
    asker: Asker,
    model: ModelServer,
    hanging: tuple[UUID, threading.Thread, list[Delivery]],
) -> None:
    job_id, worker, answers = hanging
    model_deps.watcher.shut_down()
    worker.join(10)
    assert [answer.verdict for answer in answers] == ["stopped:handed_back"]
    row = job(model_deps, job_id)
    assert (row.status, row.run, row.retry_count) == ("pending", 1, 0)
    model.forget(calls=True)
    other = make_deps(model_deps.settings, model_deps.send)  # type: ignore[arg-type]
    once.run_due(other)
    other.close()
    assert job(model_deps, job_id).status == "done"
    assert asked(model) == ["items", "items", "verify"]


def test_a_call_that_hangs_ends_at_its_limit_and_is_tried_again(
    model_deps: Deps, asker: Asker, model: ModelServer
) -> None:
    settings = replace(model_deps.settings, model=replace(model_deps.settings.model, timeout_seconds=0.3))
    hasty = make_deps(settings, model_deps.send)  # type: ignore[arg-type]
    model.script([{"fault": "hang", "purpose": "plan"}])
    job_id = start(hasty, asker, **FISH)
    once.run_due(hasty)
    row = job(hasty, job_id)
    assert (row.status, row.error["code"]) == ("pending", "model_timeout")
    eventually(lambda: outcomes(hasty, job_id) == [("plan", "timeout")], within=5)
    hasty.close()
