"""What was said to the model is kept for operators, whatever came of it, and never at a job's cost."""

from __future__ import annotations

import json
import threading
from typing import Any
from uuid import UUID

import pytest

from schema.errors import Transient
from schema.settings import S3Settings
from storage.objects import ObjectStore
from tasks import once, transcripts
from tasks.commands import Asker
from tasks.deps import Deps
from tasks.step import deliver
from tests.conftest import eventually, make_deps
from tests.fakes.model_server import ModelServer
from tests.integration.stage import job, make_due, start
from tests.integration.test_course_job import FISH, debug, made

pytestmark = pytest.mark.usefixtures("empty_store")


def names(deps: Deps, job_id: UUID) -> list[str]:
    folder = f"debug/{job(deps, job_id).organization_id}/jobs/{job_id}/"
    listed = deps.objects.client.list_objects(deps.settings.s3.courses_bucket, folder + "llm/", recursive=True)
    return sorted(str(found.object_name).removeprefix(folder) for found in listed)


def kept(deps: Deps, job_id: UUID, calls: int) -> dict[str, Any]:
    """The conversations of a job by name, once there are as many as there were calls."""
    eventually(lambda: len(names(deps, job_id)) == calls, within=10, what="a file for each call")
    return {name: debug(deps, job_id, name) for name in names(deps, job_id)}


def test_each_conversation_of_a_course_is_kept_as_it_was(model_deps: Deps, asker: Asker, model: ModelServer) -> None:
    model.script([{"fault": "wrong_key", "purpose": "items"}])
    job_id = made(model_deps, asker, **FISH, notes="Tell of sharks. 🦈")
    files = kept(model_deps, job_id, len(model.calls()))
    assert {(name.split("-")[1], one["purpose"]) for name, one in files.items()} == {
        ("skeleton", "plan"),
        ("fill", "items"),
        ("fill", "study_text"),
        ("validate", "verify"),
        ("validate", "repair"),
    }
    asked = sorted((call.purpose, call.question) for call in model.calls())
    assert sorted((one["purpose"], one["user"]) for one in files.values()) == asked
    plan = files["llm/1-skeleton-1-001-plan.json"]
    assert sorted(plan) == ["answer", "errorCode", "model", "outcome", "promptVersion", "purpose", "system", "user"]
    assert (plan["outcome"], plan["errorCode"], plan["model"]) == ("ok", None, "gpt-5.2")
    assert plan["promptVersion"].startswith("plan/") and plan["system"]
    assert "Tell of sharks. 🦈" in plan["user"] and len(plan["answer"]["groups"]) >= 2


def test_an_answer_that_could_not_be_used_is_kept_as_it_came(
    model_deps: Deps, asker: Asker, model: ModelServer
) -> None:
    model.script([{"fault": "truncated", "purpose": "plan"}])
    job_id = made(model_deps, asker, **FISH)
    files = kept(model_deps, job_id, len(model.calls()))
    first, second = (files[f"llm/1-skeleton-1-00{number}-plan.json"] for number in (1, 2))
    assert (first["outcome"], first["errorCode"]) == ("unreadable", "model_answer_unreadable")
    assert isinstance(first["answer"], str) and first["answer"].startswith("{")
    assert second["outcome"] == "ok" and second["user"].startswith(first["user"])


def test_a_run_does_not_overwrite_what_an_earlier_one_left_nor_does_it_tell_a_key(
    model_deps: Deps, asker: Asker, model: ModelServer
) -> None:
    model.script(["503"])
    job_id = start(model_deps, asker, **FISH)
    once.run_due(model_deps)
    make_due(model_deps, job_id)
    once.run_due(model_deps)
    assert job(model_deps, job_id).status == "done"
    files = kept(model_deps, job_id, len(model.calls()))
    failed = files["llm/1-skeleton-1-001-plan.json"]
    assert (failed["outcome"], failed["errorCode"], failed["answer"]) == ("failed", "model_unavailable", None)
    assert {name.split("-")[0] for name in files} == {"llm/1", "llm/2"}
    assert "sk-" not in json.dumps(files)


def test_a_step_that_was_handed_back_keeps_what_was_said_before(
    model_deps: Deps, asker: Asker, model: ModelServer
) -> None:
    model.script([{"fault": "hang", "purpose": "plan"}])
    job_id = start(model_deps, asker, **FISH)
    worker = threading.Thread(target=deliver, args=(model_deps, job_id, 1, "skeleton", 60))
    worker.start()
    assert model.wait_for(lambda calls: len(calls) == 1)
    model_deps.watcher.shut_down()
    worker.join(10)
    other = make_deps(model_deps.settings, model_deps.send)  # type: ignore[arg-type]
    once.run_due(other)
    assert (job(other, job_id).status, job(other, job_id).run) == ("done", 1)
    files = kept(other, job_id, len(model.calls()))
    plans = [(one["outcome"], one["answer"] is None) for name, one in sorted(files.items()) if "-plan" in name]
    assert plans == [("abandoned", True), ("ok", False)]
    other.writers.shutdown()
    other.close()


class NoDebugFiles(ObjectStore):
    """A store that takes everything but what only operators look at."""

    def put(self, bucket: str, key: str, body: bytes, content_type: str, cache_control: str) -> None:
        if "/llm/" in key:
            raise Transient("Not now.", code="store_away")
        super().put(bucket, key, body, content_type, cache_control)


def test_a_course_is_made_although_no_conversation_can_be_kept(model_deps: Deps, asker: Asker) -> None:
    model_deps.objects = NoDebugFiles(model_deps.settings.s3)
    assert names(model_deps, made(model_deps, asker, **FISH)) == []


class StuckStore(ObjectStore):
    """A store that takes what only operators look at when it is told to, and the rest at once."""

    def __init__(self, settings: S3Settings) -> None:
        super().__init__(settings)
        self.free = threading.Event()

    def put(self, bucket: str, key: str, body: bytes, content_type: str, cache_control: str) -> None:
        assert "/llm/" not in key or self.free.wait(60)
        super().put(bucket, key, body, content_type, cache_control)


def test_no_step_waits_for_a_conversation_to_be_kept(model_deps: Deps, asker: Asker, model: ModelServer) -> None:
    model_deps.objects = store = StuckStore(model_deps.settings.s3)
    job_id = made(model_deps, asker, **FISH)
    assert names(model_deps, job_id) == []
    store.free.set()
    kept(model_deps, job_id, len(model.calls()))


def test_what_finds_no_room_is_given_up_and_the_course_is_made(
    model_deps: Deps, asker: Asker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transcripts, "MOST_WAITING", 0)
    job_id = made(model_deps, asker, **FISH)
    model_deps.writers.shutdown()
    assert names(model_deps, job_id) == []
