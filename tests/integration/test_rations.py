"""How many jobs a person may ask for within an hour, and what does not count."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from schema.errors import TooMany
from tasks.batches import start_batch
from tasks.commands import Asker, Started, cancel_job, retry_job, start_job
from tasks.deps import Deps
from tests.conftest import make_deps, with_jobs
from tests.integration.stage import change, job, one, request, school, start, together


@pytest.fixture
def person(asker: Asker) -> Asker:
    return replace(asker, rationed=True)


@pytest.fixture
def strict(deps: Deps) -> Any:
    """Three jobs an hour."""
    made = make_deps(with_jobs(deps.settings, user_per_hour=3), deps.send)  # type: ignore[arg-type]
    yield made
    made.close()


def aged(deps: Deps, job_id: UUID, minutes: float) -> None:
    past = "clock_timestamp() - make_interval(secs => :seconds)"
    change(deps, f"UPDATE jobs SET created_at = {past} WHERE id = :id", id=job_id, seconds=minutes * 60)


def test_one_more_than_allowed_is_refused_and_told_when_there_is_room(strict: Deps, person: Asker) -> None:
    first = start(strict, person)
    aged(strict, first, 50)
    aged(strict, start(strict, person), 20)
    start(strict, person, "key-3")
    with pytest.raises(TooMany) as caught:
        start(strict, person, "key-4")
    refused = caught.value
    assert (refused.status, refused.code) == (429, "user_job_limit")
    assert 9 * 60 < refused.retry_after <= 10 * 60, "when the oldest falls out of the hour"
    assert refused.details == {
        "limit": "USER_JOBS_PER_HOUR",
        "jobsPerHour": 3,
        "retryAfterSeconds": refused.retry_after,
    }
    assert "USER_JOBS_PER_HOUR" in refused.message and "3" in refused.message
    assert one(strict, "SELECT count(*) FROM jobs") == 3
    assert one(strict, "SELECT count(*) FROM idempotency_keys") == 1, "the refused key is free"
    aged(strict, first, 61)
    assert start(strict, person, "key-4")


def test_each_person_has_a_ration_of_their_own(strict: Deps, person: Asker) -> None:
    for _ in range(3):
        start(strict, person)
    start(strict, replace(person, user="somebody else"))
    start(strict, replace(school(strict), user=person.user, rationed=True))
    for _ in range(3):
        start(strict, replace(person, user=None))
    for asker in (person, replace(person, user=None)):
        with pytest.raises(TooMany):
            start(strict, asker)


def test_programs_and_admins_are_not_counted(strict: Deps, asker: Asker, person: Asker) -> None:
    for _ in range(5):
        start(strict, asker)
    for _ in range(3):
        start(strict, person)
    assert one(strict, "SELECT count(*) FROM jobs WHERE rationed") == 3


def test_jobs_of_a_batch_and_pictures_are_not_counted(strict: Deps, person: Asker) -> None:
    start_batch(strict, person, [request() for _ in range(5)])
    assert one(strict, "SELECT count(*) FROM jobs WHERE rationed") == 0
    for _ in range(3):
        start(strict, person)


def test_the_same_wish_again_is_answered_also_beyond_the_ration(strict: Deps, person: Asker) -> None:
    first = start_job(strict, person, request(courseId="sums"), "key-1")
    start(strict, person)
    start(strict, person)
    assert start_job(strict, person, request(courseId="sums"), "key-1").job_id == first.job_id
    assert start_job(strict, person, request(courseId="sums")) == Started(first.job_id, "pending", fresh=False)


def test_a_cancelled_job_counts_and_its_retry_does_not(strict: Deps, person: Asker) -> None:
    job_ids = [start(strict, person) for _ in range(3)]
    cancel_job(strict, person, job_ids[0], "")
    with pytest.raises(TooMany):
        start(strict, person)
    retry_job(strict, person, job_ids[0])
    assert job(strict, job_ids[0]).status == "pending"


def test_many_at_once_get_no_more_than_one_after_the_other(strict: Deps, person: Asker) -> None:
    for _ in range(3):
        change(strict, "DELETE FROM jobs")
        answers = together([lambda: start(strict, person)] * 8)
        assert sum(isinstance(answer, UUID) for answer in answers) == 3
        assert sum(isinstance(answer, TooMany) for answer in answers) == 5
        assert one(strict, "SELECT count(*) FROM jobs") == 3
