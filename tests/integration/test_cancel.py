"""A cancel while a model works: nothing more is asked, what was asked is closed at the server, and nothing is lost."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from uuid import UUID

import pytest

from tasks import once
from tasks.commands import Asker, cancel_job, retry_job
from tasks.deps import Deps
from tasks.step import Delivery, deliver
from tests.conftest import eventually
from tests.fakes.model_faults import Call
from tests.fakes.model_server import ModelServer
from tests.integration.stage import job, rows, start, types
from tests.integration.test_course_job import FISH
from tests.integration.test_media import ILLUSTRATED

pytestmark = pytest.mark.usefixtures("empty_store")

#: From the cancel's commit until no call is open any more, also where the step had begun only just before.
WITHIN_SECONDS = 1.0


@dataclass
class Worker:
    """A thread that carries out one message."""

    deps: Deps
    job_id: UUID
    step: str = "skeleton"
    job_type: str | None = None
    answers: list[Delivery] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.thread = threading.Thread(
            target=lambda: self.answers.append(deliver(self.deps, self.job_id, 1, self.step, 60, self.job_type))
        )
        self.thread.start()

    def ended(self, within: float) -> list[str]:
        self.thread.join(within)
        assert not self.thread.is_alive(), "the worker is not free"
        return [answer.verdict for answer in self.answers]


def hanging(calls: list[Call]) -> list[Call]:
    return [call for call in calls if call.fault == "hang"]


@pytest.mark.parametrize("purpose", ["plan", "items", "study_text", "verify"])
def test_a_cancel_closes_the_open_call_within_a_second_and_a_retry_goes_on(
    model_deps: Deps, asker: Asker, model: ModelServer, purpose: str
) -> None:
    model.script([{"fault": "hang", "purpose": purpose}])
    job_id = start(model_deps, asker, **FISH)
    worker = Worker(model_deps, job_id)
    assert model.wait_for(lambda calls: len(hanging(calls)) == 1, 20)
    # The other parts of the step are finished by now, or will never be.
    eventually(lambda: sum(call.seconds is None for call in model.calls()) == 1, within=10)
    if purpose != "plan":  # its step has only just begun, and asks nothing else
        time.sleep(0.4)  # a part that stood between two calls has begun its next one
    kept = parts(model_deps, job_id)
    cancel_job(model_deps, asker, job_id, "Never mind.")
    committed = time.time()
    assert worker.ended(WITHIN_SECONDS + 1) == ["stopped:not_ours"]
    assert model.wait_for(lambda calls: all(call.hungUp for call in hanging(calls)))
    [open_call] = hanging(model.calls())
    assert open_call.hungUpAt is not None
    assert open_call.hungUpAt - committed < WITHIN_SECONDS
    assert all(call.at <= committed for call in model.calls()), "no call began after the cancel"
    assert (job(model_deps, job_id).status, types(model_deps, job_id)[-1]) == ("cancelled", "job_cancelled")
    assert parts(model_deps, job_id) == kept
    model.forget(calls=True)
    retry_job(model_deps, asker, job_id)
    once.run_due(model_deps)
    assert job(model_deps, job_id).status == "done"
    asked = [call.purpose for call in model.calls()]
    assert ("plan" in asked) is (purpose == "plan")
    if purpose != "plan":
        written = sum(name.startswith("text:") for step, name in kept if step == "fill")
        assert asked.count("study_text") == 1 - written
    assert parts(model_deps, job_id) >= kept


def parts(deps: Deps, job_id: UUID) -> set[tuple[str, str]]:
    """The checkpoints there are."""
    return {
        (row.step, row.part) for row in rows(deps, "SELECT step, part FROM job_steps WHERE job_id = :id", id=job_id)
    }


def test_a_cancelled_picture_is_closed_at_the_server_too(model_deps: Deps, asker: Asker, model: ModelServer) -> None:
    model.script([{"fault": "hang", "purpose": "picture"}])
    course = start(model_deps, asker, **ILLUSTRATED)
    assert deliver(model_deps, course, 1, "skeleton", 60).verdict == "done"
    [child, *_] = rows(model_deps, "SELECT id FROM jobs WHERE parent_job_id = :id ORDER BY id", id=course)
    worker = Worker(model_deps, child.id, "picture")
    assert model.wait_for(lambda calls: len(hanging(calls)) == 1)
    cancel_job(model_deps, asker, child.id, "")
    committed = time.time()
    assert worker.ended(WITHIN_SECONDS + 1) == ["stopped:not_ours"]
    assert model.wait_for(lambda calls: all(call.hungUp for call in hanging(calls)))
    assert (hanging(model.calls())[0].hungUpAt or 0) - committed < WITHIN_SECONDS


def test_a_worker_of_a_cancelled_job_is_free_for_the_next(model_deps: Deps, asker: Asker, model: ModelServer) -> None:
    model.script([{"fault": "hang", "purpose": "items", "times": 2}])
    cancelled = start(model_deps, asker, **FISH)
    worker = Worker(model_deps, cancelled)
    assert model.wait_for(lambda calls: len(hanging(calls)) == 2, 20)
    cancel_job(model_deps, asker, cancelled, "")
    following = start(model_deps, asker, **FISH)
    worker.ended(WITHIN_SECONDS + 1)
    assert deliver(model_deps, following, 1, "skeleton", 60).verdict == "done"
    assert model.wait_for(lambda calls: all(call.hungUp for call in hanging(calls)))
