"""An exam course whose worker dies, or that is cancelled: what is finished is never asked for twice."""

from __future__ import annotations

from uuid import UUID

import pytest

from tasks import once
from tasks.commands import Asker, cancel_job, retry_job
from tasks.cron import reconcile
from tasks.deps import Deps
from tasks.step import deliver
from tests.conftest import eventually
from tests.fakes.model_server import ModelServer
from tests.integration.stage import Died, Fate, job, lift_brakes, lose_worker, make_due, mortal, one, rows, told
from tests.integration.test_cancel import WITHIN_SECONDS, Worker, hanging
from tests.integration.test_exam_course import STEPS, asked, course_of, put_exam

pytestmark = pytest.mark.usefixtures("empty_store")


def kept_topics(deps: Deps, job_id: UUID) -> set[str]:
    """The topics whose lessons are kept."""
    statement = "SELECT part FROM job_steps WHERE job_id = :job AND step = 'lessons' AND part <> ''"
    return {row.part.removeprefix("topic:") for row in rows(deps, statement, job=job_id)}


def finished(deps: Deps, job_id: UUID) -> set[str]:
    return {row.step for row in rows(deps, "SELECT step FROM job_steps WHERE job_id = :job AND part = ''", job=job_id)}


def lived(deps: Deps, job_id: UUID, fate: Fate) -> bool:
    """Carry the job as far as this process lives."""
    doomed = mortal(deps, fate)
    try:
        deliver(doomed, job_id, 1, "settings", 60, "exam_course")
    except Died:
        return False
    finally:
        doomed.writers.shutdown()
    return True


def test_a_course_that_dies_on_the_way_goes_on_from_what_is_finished(
    model_deps: Deps, asker: Asker, model: ModelServer
) -> None:
    exam_id = put_exam(model_deps, asker)
    whole = Fate(10**9)
    assert lived(model_deps, asked(model_deps, asker, exam_id, lessonsPerTopic=1).job_id, whole)
    moments = len(whole.moments)
    seen = set()
    for moment in range(3, moments, max(1, moments // 9)):
        job_id = asked(model_deps, asker, exam_id, lessonsPerTopic=1).job_id
        assert not lived(model_deps, job_id, Fate(moment))
        before, topics = finished(model_deps, job_id), kept_topics(model_deps, job_id)
        seen.add((len(before), len(topics)))
        if job(model_deps, job_id).status == "processing":
            lose_worker(model_deps, job_id)
        model.forget(calls=True)
        reconcile(model_deps)
        once.run_due(model_deps)
        assert job(model_deps, job_id).status == "done"
        assert sorted(
            event["step"] for event in told(model_deps, job_id) if event["type"] == "step_completed"
        ) == sorted(STEPS)
        # Topics of this exam are known since the first job; lessons that are kept are not written again.
        assert not model.calls("topics")
        assert len(model.calls("lessons")) == 2 - len(topics)
        if "validate" in before:
            assert not model.calls("verify")
        assert len(course_of(model_deps, job_id)["topics"]) == 2
        assert one(model_deps, "SELECT count(*) FROM document_revisions WHERE job_id = :job", job=job_id) == 1
    assert len(seen) > 4, "it died in different places"


@pytest.mark.parametrize("purpose", ["topics", "lessons", "verify"])
def test_a_cancel_closes_the_open_call_and_a_retry_goes_on(
    model_deps: Deps, asker: Asker, model: ModelServer, purpose: str
) -> None:
    model.script([{"fault": "hang", "purpose": purpose}])
    job_id = asked(model_deps, asker, put_exam(model_deps, asker), lessonsPerTopic=1).job_id
    worker = Worker(model_deps, job_id, "settings", job_type="exam_course")
    assert model.wait_for(lambda calls: len(hanging(calls)) == 1, 20)
    if purpose == "lessons":
        eventually(lambda: len(kept_topics(model_deps, job_id)) == 1)
    cancel_job(model_deps, asker, job_id, "Never mind.")
    assert worker.ended(WITHIN_SECONDS + 10) == ["stopped:not_ours"]
    assert model.wait_for(lambda calls: all(call.hungUp for call in hanging(calls)), 20)
    assert told(model_deps, job_id)[-1]["type"] == "job_cancelled"
    model.forget(calls=True)
    retry_job(model_deps, asker, job_id)
    once.run_due(model_deps)
    row = job(model_deps, job_id)
    assert (row.status, row.run) == ("done", 2)
    expected = {"topics": (1, 2), "lessons": (0, 1), "verify": (0, 0)}[purpose]
    assert (len(model.calls("topics")), len(model.calls("lessons"))) == expected


def test_a_model_that_stumbles_in_the_middle_of_the_checks_is_not_asked_again_for_what_it_answered(
    model_deps: Deps, asker: Asker, model: ModelServer
) -> None:
    job_id = asked(model_deps, asker, put_exam(model_deps, asker), lessonsPerTopic=2).job_id
    model.script([{"fault": "401", "purpose": "verify"}])
    deliver(model_deps, job_id, 1, "settings", 60, "exam_course")
    assert job(model_deps, job_id).error["code"] == "model_unauthorized"
    kept = {row.part for row in rows(model_deps, "SELECT part FROM job_steps WHERE step = 'validate'")}
    model.forget(calls=True)
    retry_job(model_deps, asker, job_id)
    assert job(model_deps, job_id).progress < 75, "what is kept of the checks is no sign of how far they are"
    once.run_due(model_deps)
    assert job(model_deps, job_id).status == "done"
    assert len(model.calls("verify")) == 4 - len(kept)
    assert not model.calls("lessons")


def test_an_outage_in_the_middle_of_the_checks_keeps_the_answers_that_came(
    model_deps: Deps, asker: Asker, model: ModelServer
) -> None:
    job_id = asked(model_deps, asker, put_exam(model_deps, asker), lessonsPerTopic=2).job_id
    model.script([{"fault": "429", "purpose": "verify", "retryAfter": 40}])
    assert deliver(model_deps, job_id, 1, "settings", 60, "exam_course").verdict == "stopped:tries_again"
    kept = {row.part for row in rows(model_deps, "SELECT part FROM job_steps WHERE step = 'validate'")}
    assert len(kept) < 4
    model.forget(calls=True)
    make_due(model_deps, job_id)
    lift_brakes(model_deps)
    once.run_due(model_deps)
    assert job(model_deps, job_id).status == "done"
    assert len(model.calls("verify")) == 4 - len(kept)
