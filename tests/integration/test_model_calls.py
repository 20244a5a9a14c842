"""A call to a model is known of before it goes out, and stays known when its process dies under it."""

from __future__ import annotations

import threading
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from schema.clock import new_id
from storage.spending import calls
from storage.spending.calls import Beginning
from tasks import once, work
from tasks.commands import Asker, cancel_job
from tasks.deps import Deps
from tasks.reconcile import reconcile
from tasks.step import deliver
from tests.conftest import eventually
from tests.fakes.model_server import ModelServer
from tests.integration.stage import change, held, job, make_due, put_job, request, rows
from tests.integration.test_course_job import FISH

pytestmark = pytest.mark.usefixtures("empty_store")


def outcomes(deps: Deps) -> list[str]:
    return [row.outcome for row in rows(deps, "SELECT outcome FROM model_calls ORDER BY created_at")]


def test_a_call_that_goes_on_has_its_row(model_deps: Deps, asker: Asker, model: ModelServer) -> None:
    model.script([{"fault": "hang", "seconds": 60}])
    job_id = put_job(model_deps, asker.organization_id, payload=request(**FISH).payload)
    at_work = threading.Thread(target=lambda: deliver(model_deps, job_id, 1, "skeleton"))
    at_work.start()
    assert model.wait_for(lambda seen: len(seen) == 1)
    [row] = rows(model_deps, "SELECT * FROM model_calls")
    assert (row.outcome, row.purpose, row.step, row.run, row.job_id) == ("started", "plan", "skeleton", 1, job_id)
    cancel_job(model_deps, asker, job_id, "")
    at_work.join(10)
    eventually(lambda: outcomes(model_deps) == ["abandoned"], within=5)


def test_a_database_that_is_too_slow_to_write_calls_down_fails_no_job(
    model_deps: Deps, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "SETTLE_SECONDS", 0.05)
    job_id = put_job(model_deps, asker.organization_id, payload=request(**FISH).payload)
    answers = threading.Event()
    for _ in range(2):
        model_deps.writers.submit(answers.wait, 60)
    assert deliver(model_deps, job_id, 1, "skeleton").verdict == "stopped:tries_again"
    answers.set()
    row = job(model_deps, job_id)
    assert (row.status, row.retry_count, row.error["code"]) == ("pending", 0, "database_away")
    eventually(lambda: outcomes(model_deps) == ["ok"], within=10)
    monkeypatch.undo()
    make_due(model_deps, job_id)
    once.run_due(model_deps)
    assert job(model_deps, job_id).status == "done"


class TestLeftOpen:
    @pytest.fixture
    def call(self, deps: Deps, asker: Asker) -> UUID:
        """A call whose process dies now."""
        lease = held(deps, put_job(deps, asker.organization_id)).lease
        call_id = new_id()
        calls.started(deps.db, lease, Beginning(call_id, "plan", "plan/1", "gpt-5.2"))
        return call_id

    @pytest.mark.usefixtures("call")
    def test_it_counts_as_abandoned_once_it_can_not_be_going_on(self, deps: Deps) -> None:
        assert "call_left_open" not in reconcile(deps)
        change(deps, "UPDATE model_calls SET created_at = created_at - interval '181 seconds'")
        with capture_logs() as lines:
            assert reconcile(deps)["call_left_open"] == 1
        [row] = rows(deps, "SELECT job_id, outcome, error_code FROM model_calls")
        [told] = [line for line in lines if line["event"] == "job_corrected"]
        assert (told["kind"], told["job"], told["model"]) == ("call_left_open", str(row.job_id), "gpt-5.2")
        assert (row.outcome, row.error_code) == ("abandoned", "worker_lost")
        assert "call_left_open" not in reconcile(deps)

    def test_one_that_never_went_out_is_forgotten(self, deps: Deps, call: UUID) -> None:
        calls.forget(deps.db, call)
        assert outcomes(deps) == []

    def test_one_that_ended_is_not_forgotten(self, deps: Deps, call: UUID, asker: Asker) -> None:
        [row] = rows(deps, "SELECT job_id FROM model_calls")
        ended = {
            **{"id": call, "purpose": "plan", "prompt_version": "plan/1", "model": "gpt-5.2", "input_tokens": 3},
            **{"output_tokens": 4, "seconds": 0.5, "outcome": "ok", "error_code": None, "cost_usd": None},
        }
        calls.record(deps.db, asker.organization_id, row.job_id, 1, "skeleton", ended)
        calls.forget(deps.db, call)
        [kept] = rows(deps, "SELECT * FROM model_calls")
        assert (kept.outcome, kept.input_tokens, kept.output_tokens, kept.seconds) == ("ok", 3, 4, 0.5)
