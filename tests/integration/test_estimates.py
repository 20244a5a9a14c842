"""How long a job will take is told with its first event, and does not make asking for one slow."""

from __future__ import annotations

from uuid import UUID

import pytest

from storage import retention
from tasks import estimates, once
from tasks.batches import start_batch
from tasks.commands import Asker, cancel_job, retry_job
from tasks.deps import Deps
from tasks.estimates import estimated_seconds, step_shares
from tasks.pipeline import PIPELINES
from tests.fakes.model_server import ModelServer
from tests.integration.stage import change, held, job, put_job, request, school, start, told
from tests.integration.test_course_job import FISH
from web.app import create_app


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.at = 1000.0

    def __call__(self) -> float:
        return self.at


def done(deps: Deps, asker: Asker, seconds: float) -> None:
    for _ in range(5):
        job_id = put_job(deps, asker.organization_id)
        change(
            deps,
            """UPDATE jobs SET status = 'done', due_at = NULL, completed_at = clock_timestamp(),
            worked_seconds = :seconds WHERE id = :id""",
            id=job_id,
            seconds=seconds,
        )


def test_an_answer_holds_for_a_minute(deps: Deps, asker: Asker) -> None:
    clock, org = Clock(), asker.organization_id
    assert estimated_seconds(deps, org, "course", clock) is None
    done(deps, asker, 7.04)
    clock.at += estimates.KEPT_SECONDS - 1
    assert estimated_seconds(deps, org, "course", clock) is None
    clock.at += 2
    assert estimated_seconds(deps, org, "course", clock) == 7.0
    change(deps, "UPDATE jobs SET worked_seconds = 1000")
    assert estimated_seconds(deps, org, "course", clock) == 7.0


def test_each_organization_and_type_has_its_own(deps: Deps, asker: Asker) -> None:
    other = school(deps)
    done(deps, asker, 5)
    done(deps, other, 50)
    found = [estimated_seconds(deps, whose.organization_id, "course") for whose in (asker, other)]
    assert found == [5.0, 50.0]
    assert estimated_seconds(deps, other.organization_id, "media") is None


def test_a_new_job_says_how_long_those_before_it_took(deps: Deps, asker: Asker) -> None:
    done(deps, asker, 12)
    [created, *_] = told(deps, start(deps, asker))
    assert (created["type"], created["estimatedDuration"]) == ("job_created", 12.0)


def test_the_first_of_all_says_nothing(deps: Deps, asker: Asker) -> None:
    [created, *_] = told(deps, start(deps, asker))
    assert created["estimatedDuration"] is None


# --- by steps ---------------------------------------------------------------------------------------------------

SECONDS = {"skeleton": 4.0, "fill": 30.0, "validate": 4.0, "persist": 1.0, "catalog": 0.5, "media": 0.5}
SHARES = (10.8, 68.0, 10.8, 4.2, 3.1, 3.1)


def worked(deps: Deps, asker: Asker, count: int = 5, slower: float = 1.0) -> None:
    """Past courses that took so long at each step."""
    for _ in range(count):
        job_id = put_job(deps, asker.organization_id)
        change(
            deps,
            "UPDATE jobs SET status = 'done', completed_at = clock_timestamp(), due_at = NULL WHERE id = :id",
            id=job_id,
        )
        for step, seconds in SECONDS.items():
            change(
                deps,
                """INSERT INTO job_steps (job_id, step, part, organization_id, format, run, result, seconds)
                VALUES (:id, :step, '', :org, 1, 1, '{}', :seconds)""",
                id=job_id,
                step=step,
                org=asker.organization_id,
                seconds=seconds * slower,
            )


class TestShares:
    def test_without_history_they_are_the_built_in_guess(self, deps: Deps, asker: Asker) -> None:
        worked(deps, asker, count=4)
        assert step_shares(deps, asker.organization_id, "course") == PIPELINES["course"].shares

    def test_of_a_new_job_they_are_those_of_the_time_past_jobs_took(self, deps: Deps, asker: Asker) -> None:
        worked(deps, asker)
        shares = step_shares(deps, asker.organization_id, "course")
        assert shares == pytest.approx(SHARES, abs=0.3) and sum(shares) == pytest.approx(100)
        assert step_shares(deps, asker.organization_id, "media") == PIPELINES["media"].shares
        assert tuple(job(deps, start(deps, asker)).step_shares) == shares
        batch = start_batch(deps, asker, [request(courseId="a"), request(courseId="b")])
        assert [tuple(job(deps, job_id).step_shares) for job_id in batch.job_ids] == [shares] * 2

    def test_others_past_counts_where_there_is_none_of_ones_own(self, deps: Deps, asker: Asker) -> None:
        worked(deps, asker)
        assert step_shares(deps, school(deps).organization_id, "course") == pytest.approx(SHARES, abs=0.3)

    @pytest.mark.usefixtures("empty_store")
    def test_a_job_goes_its_own_way_whatever_comes_later(self, deps: Deps, asker: Asker) -> None:
        worked(deps, asker)
        job_id = start(deps, asker)
        change(deps, "UPDATE job_steps SET seconds = 1000 WHERE step = 'media'")
        once.run_due(deps)
        ends = [event["progress"] for event in told(deps, job_id) if event["type"] == "step_completed"]
        own = job(deps, job_id).step_shares
        assert ends == pytest.approx([sum(own[: at + 1]) for at in range(6)])
        assert job(deps, job_id).progress == 100

    @pytest.mark.usefixtures("empty_store")
    def test_a_job_of_an_older_release_goes_the_built_in_way(self, deps: Deps, asker: Asker) -> None:
        job_id = start(deps, asker)
        change(deps, "UPDATE jobs SET step_shares = NULL")
        once.run_due(deps)
        ends = [event["progress"] for event in told(deps, job_id) if event["type"] == "step_completed"]
        assert ends == [10, 70, 85, 90, 95, 100]


@pytest.mark.usefixtures("empty_store")
def test_progress_rises_within_each_run_and_a_retry_begins_with_what_is_kept(
    model_deps: Deps, asker: Asker, model: ModelServer
) -> None:
    model.script([{"fault": "500", "purpose": "items"}])
    job_id = start(model_deps, asker, **FISH)
    once.run_due(model_deps)
    stood = job(model_deps, job_id).progress
    assert stood == pytest.approx(10 + 60 * 2 / 3, abs=0.01), "two of three parts are kept"
    cancel_job(model_deps, asker, job_id, "")
    retry_job(model_deps, asker, job_id)
    assert job(model_deps, job_id).progress == pytest.approx(stood)
    once.run_due(model_deps)
    events = told(model_deps, job_id)  # each run's progress is looked at there
    begun = max(at for at, event in enumerate(events) if event["type"] == "job_retrying")
    assert events[begun + 1]["type"] == "step_started"
    assert events[begun + 1]["progress"] == pytest.approx(stood)
    assert events[-1]["type"] == "job_completed"


class TestTimeLeft:
    def shown(self, deps: Deps, asker: Asker, job_id: UUID) -> float | None:
        """What the API says: of one job, and of the same in the list."""
        whose = {"X-Agent-Token": str(deps.settings.agent_token), "X-Organization-Id": str(asker.organization_id)}
        with create_app().test_client() as client:
            found = client.get(f"/api/jobs/{job_id}", headers=whose).get_json()["job"]
            listing = client.get(f"/api/jobs?limit=1&status={found['status']}", headers=whose).get_json()
        left = found["estimatedSecondsLeft"]
        assert [listed["jobId"] for listed in listing["jobs"]] == [str(job_id)]
        assert listing["jobs"][0]["estimatedSecondsLeft"] == (left and pytest.approx(left, abs=2))
        return None if left is None else float(left)

    def test_a_job_that_waits_has_the_whole_way_before_it(self, deps: Deps, asker: Asker) -> None:
        worked(deps, asker)
        assert self.shown(deps, asker, start(deps, asker)) == 40

    def test_one_at_work_has_less_from_second_to_second_until_nobody_knows(self, deps: Deps, asker: Asker) -> None:
        worked(deps, asker)
        worked(deps, asker, slower=2.0)
        job_id = start(deps, asker)
        change(deps, "UPDATE jobs SET current_step = 'fill' WHERE id = :id", id=job_id)
        held(deps, job_id)
        found = []
        for elapsed in (0, 10, 50, 100):
            change(
                deps,
                "UPDATE jobs SET working_since = clock_timestamp() - make_interval(secs => :s) WHERE id = :id",
                s=elapsed,
                id=job_id,
            )
            found.append(self.shown(deps, asker, job_id))
        # Half took 54 seconds from there at most, nine of ten 72.
        assert found == [pytest.approx(54, abs=2), pytest.approx(44, abs=2), pytest.approx(4, abs=2), None]

    def test_nobody_knows_without_history_or_when_nobody_works(self, deps: Deps, asker: Asker) -> None:
        first = start(deps, asker)
        assert self.shown(deps, asker, first) is None
        estimates._known.clear()
        cancel_job(deps, asker, first, "")
        worked(deps, asker)
        assert self.shown(deps, asker, first) is None

    def test_what_was_purged_still_tells(self, deps: Deps, asker: Asker) -> None:
        worked(deps, asker, count=7)
        assert retention.purge(deps.db, jobs_hours=0, events_hours=0)["jobs"] == 7
        assert step_shares(deps, asker.organization_id, "course") == pytest.approx(SHARES, abs=0.3)
        left = self.shown(deps, asker, start(deps, asker))
        assert left == pytest.approx(40, rel=0.5), "counted in buckets, each half as wide again as the one before"


@pytest.mark.usefixtures("empty_store")
def test_a_picture_says_how_long_those_before_it_took(deps: Deps, asker: Asker) -> None:
    for _ in range(5):
        job_id = put_job(deps, asker.organization_id, job_type="media", payload={})
        change(
            deps,
            """UPDATE jobs SET status = 'done', due_at = NULL, completed_at = clock_timestamp(), worked_seconds = 3
            WHERE id = :id""",
            id=job_id,
        )
    parent = start(deps, asker, subject="The water cycle", gradeBand="4", mode="options", generateStudyTextImages=True)
    once.run_due(deps)
    children = [UUID(event["mediaJobId"]) for event in told(deps, parent) if event["type"] == "media_completed"]
    assert children
    assert [told(deps, child)[0]["estimatedDuration"] for child in children] == [3.0] * len(children)
