"""Letting go: events first, then whole jobs, tombstones last; never what somebody may still need."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from schema.clock import new_id
from schema.errors import NotFound
from storage import events, jobs, retention
from storage.engine import children, moves
from tasks import once
from tasks.commands import Asker, cancel_job, retry_job, start_job
from tasks.deps import Deps
from tests.conftest import make_deps
from tests.integration.stage import WATER, at_once, change, job, one, put_job, request, rows, start, together, types

NOTHING = dict.fromkeys(
    ("events", "jobs", "calls", "tombstones", "batches", "deliveries", "mails", "topics", "sessions", "audit"), 0
)


def purge(deps: Deps) -> dict[str, int]:
    return retention.purge(deps.db, jobs_hours=720, events_hours=168)


def ended(deps: Deps, asker: Asker, hours: float, status: str = "done", **more: object) -> UUID:
    """A job that ended some hours ago."""
    job_id = put_job(deps, asker.organization_id, **more)
    column = "cancelled_at" if status == "cancelled" else "completed_at"
    change(
        deps,
        f"""UPDATE jobs SET status = :status, due_at = NULL, updated_at = clock_timestamp(),
        {column} = clock_timestamp() - make_interval(hours => 1) * :hours WHERE id = :id""",
        id=job_id,
        status=status,
        hours=hours,
    )
    return job_id


@pytest.mark.parametrize("status", ["done", "failed", "cancelled"])
def test_events_go_first_then_the_job_and_a_tombstone_stays(deps: Deps, asker: Asker, status: str) -> None:
    fresh, week_old = ended(deps, asker, 100, status), ended(deps, asker, 200, status)
    month_old = ended(deps, asker, 800, status, course_id="sums")
    assert purge(deps) == {**NOTHING, "events": 2, "jobs": 1}
    assert types(deps, fresh) == ["job_created"]
    org = asker.organization_id
    for job_id in (week_old, month_old):
        assert events.after(deps.db, org, job_id, 0) == []
    shown = {job_id: jobs.read(deps.db, org, job_id) for job_id in (week_old, month_old)}
    assert [bool(found and found["payload"]) for found in shown.values()] == [True, False]
    assert {shown["jobId"] for shown in jobs.newest(deps.db, org, {}, None, 10)} == {str(fresh), str(week_old)}
    stone = job(deps, month_old)
    assert (stone.status, stone.course_id, stone.last_seq) == (status, "sums", 1)
    assert stone.purged_at is not None
    assert purge(deps) == NOTHING


def test_a_tombstone_is_forgotten_after_ninety_days(deps: Deps, asker: Asker) -> None:
    job_id = ended(deps, asker, 800)
    purge(deps)
    change(deps, "UPDATE jobs SET purged_at = purged_at - interval '89 days'")
    assert purge(deps) == NOTHING
    change(deps, "UPDATE jobs SET purged_at = purged_at - interval '2 days'")
    assert purge(deps) == {**NOTHING, "tombstones": 1}
    assert rows(deps, "SELECT * FROM jobs WHERE id = :id", id=job_id) == []


@pytest.mark.parametrize("status", ["pending", "processing", "stale", "dead_letter"])
def test_what_is_not_over_is_kept_however_old(deps: Deps, asker: Asker, status: str) -> None:
    job_id = ended(deps, asker, 10_000, status)
    assert purge(deps) == NOTHING
    assert types(deps, job_id) == ["job_created"]


@pytest.mark.parametrize("status", ["pending", "processing", "stale", "dead_letter"])
def test_a_job_is_kept_while_a_child_of_it_lives(deps: Deps, asker: Asker, status: str) -> None:
    parent = ended(deps, asker, 800)
    child = ended(deps, asker, 800, status, parent_job_id=parent, job_type="media")
    assert purge(deps)["jobs"] == 0
    change(deps, "UPDATE jobs SET status = 'done' WHERE id = :id", id=child)
    assert purge(deps)["jobs"] == 2
    change(deps, "UPDATE jobs SET purged_at = purged_at - interval '91 days'")
    purge(deps)
    purge(deps)
    assert rows(deps, "SELECT * FROM jobs") == []


def test_a_parent_that_expects_a_child_again_is_kept(deps: Deps, asker: Asker) -> None:
    """A retry of a child shows in its parent's own row, which the purge reads again under the lock."""
    parent = ended(deps, asker, 800)
    change(deps, "UPDATE jobs SET media_pending = 1")
    assert purge(deps)["jobs"] == 0
    assert job(deps, parent).purged_at is None


@pytest.mark.usefixtures("empty_store")
@pytest.mark.parametrize("status", ["failed", "cancelled", "dead_letter"])
def test_a_child_of_a_tombstone_is_taken_up_alone(deps: Deps, asker: Asker, status: str) -> None:
    parent = start(deps, asker, **WATER, courseId="water", generateStudyTextImages=True)
    once.run_due(deps)
    child = one(deps, "SELECT id FROM jobs WHERE parent_job_id = :id LIMIT 1", id=parent)
    change(deps, "DELETE FROM job_steps WHERE job_id = :id", id=child)
    change(deps, "UPDATE jobs SET status = :status WHERE id = :id", id=child, status=status)
    change(deps, "UPDATE jobs SET purged_at = clock_timestamp() WHERE id = :id", id=parent)
    change(deps, "DELETE FROM job_events WHERE job_id = :id", id=parent)
    before = job(deps, parent)
    retry_job(deps, asker, child)
    assert job(deps, child).parent_job_id is None
    once.run_due(deps)
    assert (job(deps, child).status, job(deps, parent)) == ("done", before)
    assert one(deps, "SELECT count(*) FROM job_events WHERE job_id = :id", id=parent) == 0


def test_a_tombstone_waits_for_no_child_and_counts_none(deps: Deps, asker: Asker) -> None:
    stone, parent = (put_job(deps, asker.organization_id) for _ in range(2))
    for whose in (stone, parent):
        put_job(deps, asker.organization_id, parent_job_id=whose, job_type="media")
    change(deps, "UPDATE jobs SET status = 'done', due_at = NULL WHERE parent_job_id IS NULL")
    assert set(children.miscounted(deps.db)) == {stone, parent}
    change(deps, "UPDATE jobs SET purged_at = clock_timestamp() WHERE id = :id", id=stone)
    assert children.miscounted(deps.db) == [parent]
    with deps.db.transaction() as tx:
        moves.expect_children(tx, stone, 1)
    assert job(deps, stone).media_pending == 0


def test_those_that_cannot_be_mended_do_not_hide_the_others(deps: Deps, asker: Asker) -> None:
    wrong = {put_job(deps, asker.organization_id) for _ in range(6)}
    change(deps, "UPDATE jobs SET media_pending = 1")
    seen: set[UUID] = set()
    for _ in range(500):
        seen |= set(children.miscounted(deps.db, limit=1))
    assert seen == wrong


def test_many_are_purged_in_batches(deps: Deps, asker: Asker) -> None:
    for table, columns in (
        ("jobs", "id, organization_id, job_type, status, queue, completed_at, last_seq, current_step"),
        ("job_payloads", "job_id, organization_id, payload"),
        ("job_events", "job_id, seq, organization_id, type, body"),
    ):
        values = {
            "jobs": "gen_random_uuid(), :org, 'course', 'done', 'course', now() - interval '40 days', 1, 'media'",
            "job_payloads": "id, :org, '{}'",
            "job_events": "id, 1, :org, 'job_created', '{}'",
        }[table]
        source = "generate_series(1, 1203)" if table == "jobs" else "jobs"
        change(deps, f"INSERT INTO {table} ({columns}) SELECT {values} FROM {source}", org=asker.organization_id)
    answers = at_once(3, lambda: purge(deps))
    purged = [answer["jobs"] for answer in answers if isinstance(answer, dict)]
    assert sum(purged) == 1203
    for table in ("job_payloads", "job_events"):
        assert one(deps, f"SELECT count(*) FROM {table}") == 0
    assert one(deps, "SELECT count(*) FROM jobs WHERE purged_at IS NOT NULL") == 1203


def test_a_purge_ends_when_it_is_told_to_and_another_goes_on(deps: Deps, asker: Asker, monkeypatch: Any) -> None:
    monkeypatch.setattr(retention, "_BATCH", 2)
    for _ in range(5):
        ended(deps, asker, 800)
    asked = iter([True] * 12 + [False])  # ten kinds, then two more
    first = retention.purge(deps.db, jobs_hours=720, events_hours=168, go_on=lambda: next(asked))
    assert first == {**NOTHING, "events": 4, "jobs": 4}, "no kind waits until all of another is gone"
    assert purge(deps) == {**NOTHING, "events": 1, "jobs": 1}


def test_events_that_are_gone_are_not_looked_for_again(deps: Deps, asker: Asker) -> None:
    job_id = ended(deps, asker, 200)
    assert purge(deps)["events"] == 1
    change(
        deps,
        """INSERT INTO job_events (job_id, seq, organization_id, type, body)
        SELECT id, 2, organization_id, 'job_created', '{}' FROM jobs""",
    )
    later = ended(deps, asker, 190)
    assert purge(deps)["events"] == 1
    left = [len(events.after(deps.db, asker.organization_id, name, 0)) for name in (later, job_id)]
    assert left == [0, 1]
    restarted = make_deps(deps.settings, deps.send)  # type: ignore[arg-type]
    assert purge(restarted)["events"] == 1
    restarted.close()


def test_a_job_that_nobody_gave_an_end_is_as_old_as_its_last_change(deps: Deps, asker: Asker) -> None:
    young, old = put_job(deps, asker.organization_id), put_job(deps, asker.organization_id)
    change(deps, "UPDATE jobs SET status = 'failed', due_at = NULL")
    change(deps, "UPDATE jobs SET updated_at = updated_at - interval '40 days' WHERE id = :id", id=old)
    assert purge(deps) == {**NOTHING, "events": 1, "jobs": 1}
    assert (job(deps, young).purged_at, job(deps, old).purged_at is None) == (None, False)


@pytest.mark.parametrize(
    ("statement", "index"),
    [("_EVENTS", "ix_jobs_kept"), ("_JOBS", "ix_jobs_kept"), ("_TOMBSTONES", "ix_jobs_purged_at")],
)
def test_only_what_is_due_is_read(deps: Deps, statement: str, index: str) -> None:
    """The index is searched by the time, whatever Postgres would think better of for a few rows."""
    values = {"hours": 720, "batch": 500, "ended": "-infinity", "job": UUID(int=0)}
    with deps.db.transaction() as tx:
        for other in ("enable_seqscan", "enable_bitmapscan"):
            tx.run(f"SET LOCAL {other} = off")
        sql = getattr(retention, statement)
        found = tx.run("EXPLAIN " + sql, {name: one for name, one in values.items() if f":{name}" in sql}).all()
    plan = [line for (line,) in found]
    at = next(at for at, line in enumerate(plan) if f"using {index} on jobs" in line)
    assert "Index Cond: " in plan[at + 1] and " < (InitPlan " in plan[at + 1], plan[at + 1]


@pytest.mark.usefixtures("empty_store")
def test_results_stay_when_their_jobs_go(deps: Deps, asker: Asker) -> None:
    start(deps, asker, **WATER, courseId="water", generateStudyTextImages=True)
    once.run_due(deps)
    kept = ("documents", "document_revisions", "course_metadata", "catalog_updates", "media_assets")
    before = {table: one(deps, f"SELECT count(*) FROM {table}") for table in kept}
    change(deps, "UPDATE jobs SET completed_at = completed_at - interval '40 days'")
    purge(deps)
    assert one(deps, "SELECT count(*) FROM job_steps") == 0
    change(deps, "UPDATE jobs SET purged_at = purged_at - interval '91 days'")
    purge(deps)
    purge(deps)
    assert one(deps, "SELECT count(*) FROM jobs") == 0
    assert {table: one(deps, f"SELECT count(*) FROM {table}") for table in kept} == before


def test_the_key_of_a_purged_job_still_names_it_and_nothing_else_can_be_done_with_it(deps: Deps, asker: Asker) -> None:
    job_id = start(deps, asker, "key-1", courseId="sums")
    cancel_job(deps, asker, job_id, "")
    change(deps, "UPDATE jobs SET cancelled_at = cancelled_at - interval '40 days'")
    assert purge(deps)["jobs"] == 1
    assert start_job(deps, asker, request(courseId="sums"), "key-1").job_id == job_id
    for deed in (lambda: retry_job(deps, asker, job_id), lambda: cancel_job(deps, asker, job_id, "")):
        with pytest.raises(NotFound):
            deed()
    assert start(deps, asker, "key-2", courseId="sums") != job_id


def test_a_retry_and_a_purge_at_once_agree(deps: Deps, asker: Asker) -> None:
    """Either the retry comes first and the whole job is kept, or the job is gone and the retry says so."""
    for _ in range(12):
        job_id = ended(deps, asker, 800, "failed")
        answers = together([lambda: purge(deps), lambda job_id=job_id: retry_job(deps, asker, job_id)])  # type: ignore[misc]
        row = job(deps, job_id)
        payloads = one(deps, "SELECT count(*) FROM job_payloads WHERE job_id = :id", id=job_id)
        if answers[1] is None:
            assert (row.status, row.purged_at, payloads) == ("pending", None, 1)
        else:
            assert isinstance(answers[1], NotFound)
            assert (row.status, payloads) == ("failed", 0)
        change(deps, "UPDATE jobs SET status = 'cancelled', due_at = NULL WHERE id = :id", id=job_id)


def test_a_batch_goes_when_the_last_of_its_jobs_is_forgotten(deps: Deps, asker: Asker) -> None:
    batch, empty, young = new_id(), new_id(), new_id()
    for name, hours in ((batch, 800), (empty, 25), (young, 23)):
        change(
            deps,
            """INSERT INTO batches (id, organization_id, total, created_at)
            VALUES (:id, :org, 1, clock_timestamp() - make_interval(hours => :hours))""",
            id=name,
            org=asker.organization_id,
            hours=hours,
        )
    ended(deps, asker, 800, batch_id=batch)
    assert purge(deps) == {**NOTHING, "events": 1, "jobs": 1, "batches": 1}
    assert {row.id for row in rows(deps, "SELECT id FROM batches")} == {batch, young}
    change(deps, "UPDATE jobs SET purged_at = purged_at - interval '91 days'")
    assert purge(deps) == {**NOTHING, "tombstones": 1, "batches": 1}
    assert {row.id for row in rows(deps, "SELECT id FROM batches")} == {young}
