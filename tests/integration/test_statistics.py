"""Figures for operators: from rows that live and rows that are gone, of one organization, over some days."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
from flask.testing import FlaskClient

from schema.access import Role
from schema.clock import new_id
from schema.durations import bucket
from storage import retention
from storage.figures import statistics
from storage.figures.statistics import Expected
from tasks.commands import Asker
from tasks.deps import Deps
from tests.integration.signed_in import sign_in
from tests.integration.stage import change, held, one, put_job, school
from web.app import create_app

HEADERS = {"X-Agent-Token": "agent-token-of-the-tests"}


def ended(
    deps: Deps, asker: Asker, days: float = 0, status: str = "done", seconds: float = 10, **columns: object
) -> UUID:
    """A job that ended some days ago and was worked on for some seconds."""
    job_type = str(columns.pop("job_type", "course"))
    job_id = put_job(deps, asker.organization_id, job_type=job_type)
    ended_at = "cancelled_at" if status == "cancelled" else "completed_at"
    sets = "".join(f", {name} = :{name}" for name in columns)
    change(
        deps,
        f"""UPDATE jobs SET status = :status, due_at = NULL, worked_seconds = :seconds,
        {ended_at} = clock_timestamp() - make_interval(secs => :age) {sets} WHERE id = :id""",
        id=job_id,
        status=status,
        seconds=seconds,
        age=days * 86400,
        **columns,
    )
    return job_id


def checkpoint(deps: Deps, job_id: UUID, step: str, seconds: float) -> None:
    change(
        deps,
        """INSERT INTO job_steps (job_id, step, part, organization_id, format, run, result, seconds, created_at)
        SELECT id, :step, '', organization_id, 1, 1, '{}', :seconds, COALESCE(completed_at, clock_timestamp())
        FROM jobs WHERE id = :id""",
        id=job_id,
        step=step,
        seconds=seconds,
    )


def call(deps: Deps, job_id: UUID, model: str, cost: float | None, outcome: str = "ok", days: float = 0) -> None:
    change(
        deps,
        """INSERT INTO model_calls (id, organization_id, job_id, purpose, model, input_tokens, output_tokens, seconds,
          outcome, cost_usd, created_at)
        SELECT :call, organization_id, id, 'items', :model, 1000, 100, 3, :outcome, :cost,
          clock_timestamp() - make_interval(secs => :age) FROM jobs WHERE id = :id""",
        id=job_id,
        call=new_id(),
        model=model,
        outcome=outcome,
        cost=cost,
        age=days * 86400,
    )


def day(deps: Deps, ago: int) -> str:
    return str(one(deps, "SELECT ((clock_timestamp() AT TIME ZONE 'UTC')::date - :ago)::text", ago=ago))


def purge_all(deps: Deps) -> None:
    """Purge everything that ended, so that only its figures are left."""
    assert retention.purge(deps.db, jobs_hours=0, events_hours=0)["jobs"] > 0


@pytest.fixture(params=["living", "purged"])
def gone(deps: Deps, request: pytest.FixtureRequest) -> Any:
    """Called when everything is there: the figures are the same of rows that live and of rows that are gone."""
    return (lambda: purge_all(deps)) if request.param == "purged" else (lambda: None)


class TestMetrics:
    def test_jobs_are_counted_by_type_and_status(self, deps: Deps, asker: Asker, gone: Any) -> None:
        for status, count in (("done", 4), ("failed", 2), ("cancelled", 2)):
            for _ in range(count):
                ended(deps, asker, status=status)
        ended(deps, asker, job_type="media", retry_count=2)
        ended(deps, school(deps))
        gone()
        put_job(deps, asker.organization_id)
        held(deps, put_job(deps, asker.organization_id))
        found = statistics.metrics(deps.db, asker.organization_id, 30)
        assert {(one["jobType"], one["status"]): one["count"] for one in found["jobs"]} == {
            ("course", "done"): 4,
            ("course", "failed"): 2,
            ("course", "cancelled"): 2,
            ("course", "pending"): 1,
            ("course", "processing"): 1,
            ("media", "done"): 1,
        }
        assert found["cancellationRate"] == round(2 / 9, 4)
        assert found["retries"] == 2
        assert (found["days"], found["since"]) == (30, day(deps, 29))

    def test_only_the_days_asked_for_are_counted(self, deps: Deps, asker: Asker, gone: Any) -> None:
        for days in (0, 1, 6, 7, 40):
            # In the first moment of its day in UTC, which is the one that is easily counted to the day before.
            job_id = ended(deps, asker)
            change(
                deps,
                """UPDATE jobs SET completed_at = date_trunc('day', clock_timestamp(), 'UTC') + interval '1 ms'
                - interval '1 day' * :days WHERE id = :id""",
                id=job_id,
                days=days,
            )
        gone()
        counts = [
            sum(one["count"] for one in statistics.metrics(deps.db, asker.organization_id, days)["jobs"])
            for days in (1, 2, 7, 8, 366)
        ]
        assert counts == [1, 2, 3, 4, 5]

    def test_retries_of_those_at_work_count_too(self, deps: Deps, asker: Asker) -> None:
        put_job(deps, asker.organization_id)
        change(deps, "UPDATE jobs SET retry_count = 3")
        assert statistics.metrics(deps.db, asker.organization_id, 1)["retries"] == 3

    def test_what_waits_is_told_by_queue(self, deps: Deps, asker: Asker) -> None:
        for _ in range(3):
            put_job(deps, asker.organization_id)
        put_job(deps, school(deps).organization_id)
        later = put_job(deps, asker.organization_id)
        change(deps, "UPDATE jobs SET due_at = clock_timestamp() - interval '90 s'")
        change(deps, "UPDATE jobs SET due_at = clock_timestamp() + interval '1 h' WHERE id = :id", id=later)
        [queue] = statistics.metrics(deps.db, asker.organization_id, 1)["queues"]
        assert (queue["queue"], queue["depth"]) == ("course", 3)
        assert 90 <= queue["oldestWaitingSeconds"] < 120

    def test_of_nothing_there_are_no_rates(self, deps: Deps, asker: Asker) -> None:
        found = statistics.metrics(deps.db, asker.organization_id, 7)
        assert {key: found[key] for key in ("jobs", "cancellationRate", "retries", "queues")} == {
            "jobs": [],
            "cancellationRate": None,
            "retries": 0,
            "queues": [],
        }


class TestDurations:
    def test_jobs_and_steps_have_their_quantiles(self, deps: Deps, asker: Asker, gone: Any) -> None:
        for n in range(1, 101):
            job_id = ended(deps, asker, days=n % 20, seconds=n)
            checkpoint(deps, job_id, "fill", n / 10)
        ended(deps, asker, status="failed", seconds=5000)
        ended(deps, school(deps), seconds=5000)
        gone()
        found = statistics.durations(deps.db, asker.organization_id, 30)
        [jobs], [steps] = found["jobs"], found["steps"]
        assert (jobs["jobType"], jobs["count"], jobs["averageSeconds"]) == ("course", 100, 50.5)
        assert (steps["jobType"], steps["step"], steps["count"]) == ("course", "fill", 100)
        for times, scale in ((jobs, 1), (steps, 10)):
            for share in (50, 95, 99):
                assert bucket(times[f"p{share}Seconds"]) == bucket(share / scale), share

    def test_a_step_of_a_job_at_work_counts(self, deps: Deps, asker: Asker) -> None:
        job_id = put_job(deps, asker.organization_id)
        checkpoint(deps, job_id, "skeleton", 1.0)
        found = statistics.durations(deps.db, asker.organization_id, 1)
        assert (found["jobs"], [one["count"] for one in found["steps"]]) == ([], [1])

    def test_without_a_measure_there_is_none(self, deps: Deps, asker: Asker) -> None:
        ended(deps, asker, seconds=0)
        [jobs] = statistics.durations(deps.db, asker.organization_id, 1)["jobs"]
        assert jobs == {
            "jobType": "course",
            "count": 1,
            **dict.fromkeys(("averageSeconds", "p50Seconds", "p95Seconds", "p99Seconds")),
        }


class TestFailures:
    def test_each_step_has_its_rate_and_its_errors(self, deps: Deps, asker: Asker, gone: Any) -> None:
        for code, count in (("model_timeout", 1), ("validation_failed", 2)):
            for _ in range(count):
                job_id = ended(deps, asker, status="failed")
                change(
                    deps,
                    """UPDATE jobs SET error = jsonb_build_object('code', CAST(:code AS text), 'step', 'validate')
                    WHERE id = :id""",
                    id=job_id,
                    code=code,
                )
                checkpoint(deps, job_id, "fill", 1.0)
        for _ in range(9):
            checkpoint(deps, ended(deps, asker), "validate", 1.0)
        ended(deps, asker, status="cancelled", current_step="validate")
        gone()
        found = statistics.failures(deps.db, asker.organization_id, 30)["steps"]
        nothing: dict[str, Any] = {"failed": 0, "cancelled": 0, "failureRate": 0.0, "errors": []}
        assert found == [
            {"jobType": "course", "step": "fill", "completed": 3, **nothing},
            {
                "jobType": "course",
                "step": "validate",
                "completed": 9,
                "failed": 3,
                "cancelled": 1,
                "failureRate": 0.25,
                "errors": [{"code": "validation_failed", "count": 2}, {"code": "model_timeout", "count": 1}],
            },
        ]

    def test_a_dead_letter_counts_while_it_waits(self, deps: Deps, asker: Asker) -> None:
        ended(deps, asker, status="dead_letter", current_step="fill")
        [step] = statistics.failures(deps.db, asker.organization_id, 1)["steps"]
        assert (step["step"], step["failed"], step["failureRate"]) == ("fill", 1, 1.0)
        assert step["errors"] == [{"code": "dead_letter", "count": 1}]


class TestCost:
    def test_it_is_told_by_day_and_model(self, deps: Deps, asker: Asker, gone: Any) -> None:
        # The days of its calls, not the day of its end.
        job_id = ended(deps, asker)
        call(deps, job_id, "text", 0.25, days=1)
        call(deps, job_id, "text", 0.5, days=1)
        call(deps, job_id, "text", None, "timeout", days=1)
        call(deps, job_id, "image", 0.125)
        call(deps, job_id, "image", None, "abandoned")
        call(deps, ended(deps, school(deps)), "text", 99.0)
        gone()
        found = statistics.cost(deps.db, asker.organization_id, 30)
        assert found["total"] == {
            "calls": 5,
            "failedCalls": 1,
            "inputTokens": 5000,
            "outputTokens": 500,
            "costUsd": 0.875,
        }
        columns = ("day", "model", "calls", "failedCalls", "costUsd")
        assert [tuple(one[column] for column in columns) for one in found["byDay"]] == [
            (day(deps, 0), "image", 2, 0, 0.125),
            (day(deps, 1), "text", 3, 1, 0.75),
        ]

    def test_nothing_spent_is_nothing(self, deps: Deps, asker: Asker) -> None:
        found = statistics.cost(deps.db, asker.organization_id, 7)
        assert (found["byDay"], found["total"]["costUsd"]) == ([], 0.0)


class TestExpected:
    def test_it_is_the_organizations_own_past(self, deps: Deps, asker: Asker) -> None:
        for seconds in range(1, 12):
            ended(deps, asker, seconds=seconds)
        for _ in range(20):
            ended(deps, asker, status="failed", seconds=1000)
            ended(deps, asker, job_type="media", seconds=1000)
            ended(deps, school(deps), seconds=1000)
        assert statistics.expected_seconds(deps.db, asker.organization_id, "course") == Expected(6.0, 10.0)

    def test_with_less_than_five_of_its_own_everybodys_counts(self, deps: Deps, asker: Asker) -> None:
        for seconds in (1, 2, 3, 4):
            ended(deps, asker, seconds=seconds)
        assert statistics.expected_seconds(deps.db, asker.organization_id, "course") is None
        assert statistics.expected_seconds(deps.db, None, "course") is None
        ended(deps, school(deps), seconds=90)
        assert statistics.expected_seconds(deps.db, asker.organization_id, "course") == Expected(3.0, 55.6)
        assert statistics.expected_seconds(deps.db, None, "course") == Expected(3.0, 55.6)
        assert statistics.expected_seconds(deps.db, asker.organization_id, "media") is None

    def test_what_was_purged_is_not_forgotten_as_long_as_its_tombstone_stands(self, deps: Deps, asker: Asker) -> None:
        for _ in range(5):
            ended(deps, asker, seconds=7)
        purge_all(deps)
        assert statistics.expected_seconds(deps.db, asker.organization_id, "course") == Expected(7.0, 7.0)

    def test_the_newest_count(self, deps: Deps, asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(statistics, "_RECENT", 5)
        for seconds in (*[1000] * 5, *[1] * 5):
            ended(deps, asker, seconds=seconds)
        assert statistics.expected_seconds(deps.db, asker.organization_id, "course") == Expected(1.0, 1.0)


class TestOverHttp:
    @pytest.fixture
    def client(self, deps: Deps) -> Iterator[FlaskClient]:
        with create_app().test_client() as client:
            yield client

    @pytest.mark.parametrize("name", ["metrics", "durations", "failures", "cost"])
    def test_an_admin_reads_what_the_rows_say(self, deps: Deps, asker: Asker, client: FlaskClient, name: str) -> None:
        job_id = ended(deps, asker, status="failed", current_step="fill")
        checkpoint(deps, job_id, "skeleton", 1.5)
        call(deps, job_id, "text", 0.25)
        ended(deps, asker)
        headers = {**HEADERS, "X-Organization-Id": str(asker.organization_id)}
        answer = client.get(f"/api/admin/{name}?days=7", headers=headers)
        assert answer.status_code == 200
        assert answer.get_json() == getattr(statistics, name)(deps.db, asker.organization_id, 7)
        assert client.get(f"/api/admin/{name}", headers=headers).get_json()["days"] == 30
        elsewhere = {**HEADERS, "X-Organization-Id": str(school(deps).organization_id)}
        shown = client.get(f"/api/admin/{name}", headers=elsewhere).get_json()
        assert not [part for part in shown.values() if isinstance(part, list) and part]

    @pytest.mark.parametrize("query", ["days=0", "days=367", "days=many", "days=-1", "dys=7"])
    def test_another_span_is_refused(self, asker: Asker, client: FlaskClient, query: str) -> None:
        headers = {**HEADERS, "X-Organization-Id": str(asker.organization_id)}
        for name in ("metrics", "durations", "failures", "cost"):
            assert client.get(f"/api/admin/{name}?{query}", headers=headers).status_code == 422

    @pytest.mark.parametrize(("role", "status"), [("viewer", 403), ("author", 403), ("admin", 200)])
    def test_only_an_admin_may(self, deps: Deps, asker: Asker, client: FlaskClient, role: Role, status: int) -> None:
        sign_in(client, deps, asker.organization_id, role)
        for name in ("metrics", "durations", "failures", "cost"):
            assert client.get(f"/api/admin/{name}").status_code == status
