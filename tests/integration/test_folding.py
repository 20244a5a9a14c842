"""What purged jobs leave behind: figures by day, each counted once whatever dies, and the same as before."""

from __future__ import annotations

import threading
from typing import Any
from uuid import UUID

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from schema.clock import new_id
from schema.durations import BUCKETS, counted, merged
from schema.errors import Unavailable
from storage import retention
from storage.figures import statistics
from storage.spending import calls as model_calls
from tasks.admin import delete_job
from tasks.commands import Asker
from tasks.deps import Deps
from tests.conftest import eventually
from tests.integration.stage import at_once, change, one, rows, school
from tests.integration.test_retention import NOTHING, ended, purge


def tell(deps: Deps, job_id: UUID, steps: dict[str, float], calls: int = 0) -> None:
    """Give a job checkpoints that took so long, one part of a step, and calls to a model."""
    for step, seconds in (steps and {**steps, "fill/group:g": 99.0}).items():
        name, _, part = step.partition("/")
        change(
            deps,
            """INSERT INTO job_steps (job_id, step, part, organization_id, format, run, result, seconds, created_at)
            SELECT id, :step, :part, organization_id, 1, 1, '{}', :seconds, COALESCE(completed_at, cancelled_at)
            FROM jobs WHERE id = :id""",
            id=job_id,
            step=name,
            part=part,
            seconds=seconds,
        )
    for number in range(calls):
        change(
            deps,
            """INSERT INTO model_calls (id, organization_id, job_id, purpose, model, input_tokens, output_tokens,
              seconds, outcome, error_code, cost_usd, created_at)
            SELECT :call, organization_id, id, 'items', 'm', 100, 10, 2.0, :outcome, NULL, :cost,
              COALESCE(completed_at, cancelled_at) FROM jobs WHERE id = :id""",
            id=job_id,
            call=new_id(),
            outcome="ok" if number else "timeout",
            cost=0.5 if number else None,
        )


def kept(deps: Deps) -> dict[tuple[str, str, str], Any]:
    """The rows of ``daily_stats`` by kind, name and outcome, all days together."""
    found: dict[tuple[str, str, str], Any] = {}
    for row in rows(deps, "SELECT * FROM daily_stats ORDER BY day"):
        key = (row.kind, row.name, row.outcome)
        before = found.get(key, (0, 0.0, [0] * BUCKETS, 0, 0, 0.0))
        found[key] = (
            before[0] + row.count,
            before[1] + row.seconds,
            merged([before[2], row.durations]),
            before[3] + row.input_tokens,
            before[4] + row.output_tokens,
            before[5] + float(row.cost_usd),
        )
    return found


def figure(count: int, *seconds: float, tokens: tuple[int, int] = (0, 0), cost: float = 0.0) -> Any:
    return (count, sum(seconds), counted(seconds), *tokens, cost)


def test_what_a_purged_job_tells_is_kept_by_day(deps: Deps, asker: Asker) -> None:
    job_id = ended(deps, asker, 800)
    change(deps, "UPDATE jobs SET worked_seconds = 12, retry_count = 2, completed_at = '2026-01-02T01:30:00+02:00'")
    tell(deps, job_id, {"skeleton": 1.5, "fill": 30.0}, calls=3)
    assert purge(deps) == {**NOTHING, "events": 1, "jobs": 1}
    assert kept(deps) == {
        ("job", "course", "done"): figure(1, 12.0),
        ("job", "course", "retried"): figure(2),
        ("step", "course/skeleton", "done"): figure(1, 1.5),
        ("step", "course/fill", "done"): figure(1, 30.0),
        ("call", "m", "timeout"): figure(1, 2.0, tokens=(100, 10)),
        ("call", "m", "ok"): figure(2, 2.0, 2.0, tokens=(200, 20), cost=1.0),
    }
    found = rows(deps, "SELECT DISTINCT organization_id, day::text FROM daily_stats")
    assert found == [(asker.organization_id, "2026-01-01")], "the day in UTC"
    assert one(deps, "SELECT count(*) FROM model_calls") == 0


def test_a_job_nobody_measured_took_as_long_as_it_ran(deps: Deps, asker: Asker) -> None:
    ended(deps, asker, 800)
    change(deps, "UPDATE jobs SET started_at = completed_at - interval '7 seconds'")
    ended(deps, asker, 800, "cancelled", course_id="never-begun")
    purge(deps)
    assert kept(deps)["job", "course", "done"][2] == counted([7.0])
    assert kept(deps)["job", "course", "cancelled"] == figure(1)


def test_where_a_job_ended_is_kept_with_the_code_of_its_error(deps: Deps, asker: Asker) -> None:
    error = """'{"code": "model_timeout", "message": "", "step": "fill"}'"""
    for _ in range(2):
        failed = ended(deps, asker, 800, "failed")
        change(deps, f"UPDATE jobs SET error = {error}, current_step = 'fill' WHERE id = :id", id=failed)
    bare = ended(deps, asker, 800, "failed")
    cancelled = ended(deps, asker, 800, "cancelled")
    for job_id in (bare, cancelled):
        change(deps, "UPDATE jobs SET current_step = 'persist', error = NULL WHERE id = :id", id=job_id)
    purge(deps)
    told = {key: figures[0] for key, figures in kept(deps).items()}
    assert told == {
        ("job", "course", "failed"): 3,
        ("job", "course", "cancelled"): 1,
        ("step", "course/fill", "model_timeout"): 2,
        ("step", "course/persist", "failed"): 1,
        ("step", "course/persist", "cancelled"): 1,
    }


def test_purges_of_several_times_add_up(deps: Deps, asker: Asker) -> None:
    other = school(deps)
    for whose in (asker, asker, other, asker):
        job_id = ended(deps, whose, 800)
        change(deps, "UPDATE jobs SET worked_seconds = 3 WHERE id = :id", id=job_id)
        tell(deps, job_id, {"fill": 5.0}, calls=1)
        assert purge(deps)["jobs"] == 1
    assert kept(deps)["job", "course", "done"] == figure(4, *[3.0] * 4)
    assert kept(deps)["step", "course/fill", "done"] == figure(4, *[5.0] * 4)
    counts = "SELECT sum(count) FROM daily_stats WHERE kind = 'job' AND organization_id = :org"
    assert [one(deps, counts, org=whose.organization_id) for whose in (asker, other)] == [3, 1]


def test_a_dead_letter_is_not_folded_before_somebody_ends_it(deps: Deps, asker: Asker) -> None:
    job_id = ended(deps, asker, 10_000, "dead_letter")
    tell(deps, job_id, {"skeleton": 1.0}, calls=1)
    assert purge(deps) == NOTHING
    assert kept(deps) == {}
    assert one(deps, "SELECT count(*) FROM model_calls") == 1


def make_many(deps: Deps, asker: Asker, count: int) -> None:
    """Many old jobs of two types, over some days, with two steps and a call each."""
    change(
        deps,
        """INSERT INTO jobs (id, organization_id, job_type, status, queue, completed_at, last_seq, current_step,
          worked_seconds, retry_count)
        SELECT gen_random_uuid(), :org, CASE WHEN n % 3 = 0 THEN 'course' ELSE 'media' END, 'done', 'course',
          clock_timestamp() - interval '40 days' - interval '1 day' * (n % 7), 0, 'media', n % 50 + 1, n % 2
        FROM generate_series(1, :count) n""",
        org=asker.organization_id,
        count=count,
    )
    change(
        deps,
        """INSERT INTO job_steps (job_id, step, part, organization_id, format, run, result, seconds, created_at)
        SELECT id, step, '', organization_id, 1, 1, '{}', worked_seconds / 2, completed_at
        FROM jobs, unnest(ARRAY['picture', 'attach']) step""",
    )
    change(
        deps,
        """INSERT INTO model_calls (id, organization_id, job_id, purpose, model, input_tokens, seconds, outcome,
          created_at)
        SELECT gen_random_uuid(), organization_id, id, 'items', 'm', 7, 1, 'ok', completed_at FROM jobs""",
    )


def test_many_purges_at_once_count_everything_once(deps: Deps, asker: Asker) -> None:
    make_many(deps, asker, 1203)
    answers = at_once(4, lambda: purge(deps))
    assert [answer for answer in answers if not isinstance(answer, dict)] == []
    purge(deps)
    totals = dict(rows(deps, "SELECT kind || ':' || outcome, sum(count) FROM daily_stats GROUP BY 1"))
    assert totals == {"job:done": 1203, "job:retried": 602, "step:done": 2406, "call:ok": 1203}
    assert one(deps, "SELECT sum(input_tokens) FROM daily_stats") == 1203 * 7
    assert one(deps, "SELECT sum(d) FROM daily_stats, unnest(durations) d WHERE kind = 'job'") == 1203
    assert [one(deps, f"SELECT count(*) FROM {table}") for table in ("job_steps", "model_calls")] == [0, 0]


def test_a_purge_that_dies_in_between_loses_and_doubles_nothing(deps: Deps, asker: Asker) -> None:
    make_many(deps, asker, 20)
    died: list[BaseException] = []

    def die() -> None:
        try:
            purge(deps)
        except Unavailable as error:
            died.append(error)

    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    change(
        deps,
        """INSERT INTO daily_stats (organization_id, day, kind, name, outcome, count, seconds, durations)
        SELECT DISTINCT organization_id, (completed_at AT TIME ZONE 'UTC')::date, 'step', 'media/picture', 'done', 0, 0,
          '{}'::bigint[] FROM jobs""",
    )
    with deps.db.transaction() as tx:
        # Its last row is what it waits for: the rest is deleted and counted by then, and not committed.
        tx.run("SELECT 1 FROM daily_stats FOR UPDATE")
        thread = threading.Thread(target=die)
        thread.start()
        eventually(lambda: one(deps, waiting), what="the purge's wait")
        change(
            deps,
            """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
            WHERE wait_event_type = 'Lock' AND datname = current_database()""",
        )
        thread.join(30)
    assert not thread.is_alive() and len(died) == 1
    assert one(deps, "SELECT count(*) FROM jobs WHERE purged_at IS NULL") == 20
    assert [one(deps, f"SELECT count(*) FROM {table}") for table in ("job_steps", "model_calls")] == [40, 20]
    assert kept(deps) == {("step", "media/picture", "done"): figure(0)}
    assert purge(deps)["jobs"] == 20
    assert sum(figures[0] for key, figures in kept(deps).items() if key[0] == "job" and key[2] == "done") == 20


def test_calls_of_no_job_are_kept_as_figures_too(deps: Deps, asker: Asker) -> None:
    make_many(deps, asker, 3)
    change(deps, "UPDATE model_calls SET job_id = NULL")
    assert purge(deps) == {**NOTHING, "jobs": 3, "calls": 3}
    assert kept(deps)["call", "m", "ok"] == figure(3, 1.0, 1.0, 1.0, tokens=(21, 0))


def test_a_call_that_was_written_down_late_is_not_lost(deps: Deps, asker: Asker) -> None:
    job_id = ended(deps, asker, 800)
    assert purge(deps)["jobs"] == 1
    tell(deps, job_id, {}, calls=1)
    assert purge(deps)["calls"] == 1
    tell(deps, job_id, {}, calls=1)
    change(deps, "UPDATE model_calls SET created_at = clock_timestamp()")
    change(deps, "UPDATE jobs SET purged_at = purged_at - interval '91 days'")
    assert purge(deps) == NOTHING, "its tombstone waits for it"
    assert kept(deps)["call", "m", "timeout"][0] == 1


def test_a_call_that_goes_on_is_counted_once_when_it_has_ended(deps: Deps, asker: Asker) -> None:
    """Its job is deleted under it: somebody cancelled it a moment ago."""
    job_id = ended(deps, asker, 0, "cancelled")
    tell(deps, job_id, {}, calls=1)
    change(deps, "UPDATE model_calls SET outcome = 'started'")
    assert statistics.cost(deps.db, asker.organization_id, 30)["total"]["calls"] == 0
    delete_job(deps, asker, job_id)
    assert purge(deps)["calls"] == 0
    assert "call" not in {kind for kind, *_ in kept(deps)}
    [call] = rows(deps, "SELECT * FROM model_calls")
    ending = {
        **{"id": call.id, "purpose": "items", "prompt_version": "items/1", "model": "m", "input_tokens": 100},
        **{"output_tokens": 10, "seconds": 2.0, "outcome": "ok", "error_code": None, "cost_usd": 0.5},
    }
    model_calls.record(deps.db, asker.organization_id, job_id, 1, "fill", ending)
    assert statistics.cost(deps.db, asker.organization_id, 30)["total"]["calls"] == 1
    change(deps, "UPDATE model_calls SET created_at = created_at - interval '800 hours'")
    assert purge(deps)["calls"] == 1
    assert kept(deps)["call", "m", "ok"] == figure(1, 2.0, tokens=(100, 10), cost=0.5)


def test_a_call_whose_process_died_ends_as_abandoned_though_its_job_is_deleted(deps: Deps, asker: Asker) -> None:
    job_id = ended(deps, asker, 0, "dead_letter")
    tell(deps, job_id, {}, calls=1)
    change(deps, "UPDATE model_calls SET outcome = 'started'")
    delete_job(deps, asker, job_id)
    change(deps, "UPDATE model_calls SET created_at = created_at - interval '800 hours'")
    assert purge(deps)["calls"] == 0, "somebody may still write its end down"
    assert [call.job_id for call in model_calls.close_left_open(deps.db, 180)] == [job_id]
    assert purge(deps)["calls"] == 1
    assert {outcome: row[0] for (kind, _, outcome), row in kept(deps).items() if kind == "call"} == {"abandoned": 1}


def test_a_young_call_of_no_job_stays(deps: Deps, asker: Asker) -> None:
    make_many(deps, asker, 1)
    change(deps, "UPDATE model_calls SET job_id = NULL, created_at = clock_timestamp() - interval '29 days'")
    assert purge(deps)["calls"] == 0
    assert one(deps, "SELECT count(*) FROM model_calls") == 1


# --- the same before and after ----------------------------------------------------------------------------------


ENDS = st.lists(
    st.tuples(
        st.sampled_from(["course", "media"]),
        st.sampled_from(["done", "done", "failed", "cancelled", "dead_letter"]),
        st.integers(0, 1000),  # hours ago
        st.floats(0, 5000),  # seconds of work
        st.integers(0, 2),  # calls
        st.integers(0, 2),  # retries
    ),
    max_size=12,
)


def figures(deps: Deps, organization_id: UUID) -> list[Any]:
    return [
        read(deps.db, organization_id, 60)
        for read in (statistics.metrics, statistics.durations, statistics.failures, statistics.cost)
    ]


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ends=ENDS)
def test_a_purge_changes_no_figure(deps: Deps, ends: list[tuple[str, str, int, float, int, int]]) -> None:
    asker = school(deps)
    for job_type, status, hours, seconds, calls, retries in ends:
        job_id = ended(deps, asker, hours, status, job_type=job_type)
        change(
            deps,
            "UPDATE jobs SET worked_seconds = :seconds, retry_count = :retries WHERE id = :id",
            id=job_id,
            seconds=seconds,
            retries=retries,
        )
        tell(deps, job_id, {"fill": seconds / 2}, calls)
    before = figures(deps, asker.organization_id)
    retention.purge(deps.db, jobs_hours=500, events_hours=168)
    after = figures(deps, asker.organization_id)
    assert after == before
    old = [end for end in ends if end[1] != "dead_letter" and end[2] >= 500]
    purged = "SELECT count(*) FROM jobs WHERE organization_id = :org AND purged_at IS NOT NULL"
    assert one(deps, purged, org=asker.organization_id) == len(old)
