"""How long a job will take is told with its first event, and does not make asking for one slow."""

from __future__ import annotations

from tasks import estimates
from tasks.commands import Asker
from tasks.deps import Deps
from tasks.estimates import estimated_seconds
from tests.integration.stage import change, put_job, school, start, told


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
