"""A schedule starts one job for each of its times: with two beats, with kills in between, and after an outage."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from schema.errors import Conflict, Invalid, ModelNotConfigured, NotFound
from schema.schedule import NewScheduleSchema, ScheduleChangesSchema, load_schedule
from storage import schedules as kept
from tasks import schedules
from tasks.commands import Asker, cancel_job
from tasks.deps import Deps
from tests.conftest import eventually
from tests.integration.stage import SUMS, Died, Fate, at_once, change, job, mortal, one, rows, school


def body(**more: Any) -> dict[str, Any]:
    request = {"jobType": "course", "payload": SUMS}
    return {"name": "Sums", "cron": "0 6 * * 1", "timeZone": "Europe/Berlin", "request": request, **more}


def make(deps: Deps, asker: Asker, **more: Any) -> UUID:
    return UUID(schedules.make(deps, asker, load_schedule(NewScheduleSchema(), body(**more)))["scheduleId"])


def alter(deps: Deps, asker: Asker, schedule_id: UUID, **changes: Any) -> dict[str, Any]:
    return schedules.change(deps, asker, schedule_id, load_schedule(ScheduleChangesSchema(), changes))


def shown(deps: Deps, asker: Asker, schedule_id: UUID) -> dict[str, Any]:
    found = kept.read(deps.db, asker.organization_id, schedule_id)
    assert found is not None
    return found


def was_due(deps: Deps, schedule_id: UUID, seconds: float = 5, cron: str | None = None) -> datetime:
    """Its time came so many seconds ago. Returns that time."""
    change(
        deps,
        """UPDATE schedules SET cron = COALESCE(:cron, cron),
          due_at = date_trunc('milliseconds', clock_timestamp() - make_interval(secs => :seconds)) WHERE id = :id""",
        id=schedule_id,
        seconds=seconds,
        cron=cron,
    )
    due: datetime = one(deps, "SELECT due_at FROM schedules WHERE id = :id", id=schedule_id)
    return due


def jobs_of(deps: Deps) -> list[Any]:
    return rows(deps, "SELECT * FROM jobs ORDER BY created_at")


def read_at(text: str | None) -> datetime:
    assert text is not None
    return datetime.fromisoformat(text.replace("Z", "+00:00"))


# --- coming due -----------------------------------------------------------------------------------------------------


def test_a_due_schedule_starts_its_job_and_moves_on(deps: Deps, asker: Asker) -> None:
    schedule_id = make(deps, asker)
    assert schedules.run_due(deps) == 0, "it is not due yet"
    due = was_due(deps, schedule_id)
    assert schedules.run_due(deps) == 1
    assert schedules.run_due(deps) == 0
    [started] = jobs_of(deps)
    after = shown(deps, asker, schedule_id)
    assert (after["lastJobId"], after["lastError"]) == (str(started.id), None)
    assert read_at(after["lastDueAt"]) == due
    assert read_at(after["nextDueAt"]) > datetime.now(UTC)
    assert (started.created_by, started.rationed) == (asker.user, False)
    assert one(deps, "SELECT payload->>'subject' FROM job_payloads") == "Addition"
    # Each time another course, unless one is named.
    was_due(deps, schedule_id)
    assert schedules.run_due(deps) == 1
    assert len({row.course_id for row in jobs_of(deps)}) == 2


def test_many_beats_start_one_job(deps: Deps, asker: Asker) -> None:
    schedule_ids = [make(deps, asker) for _ in range(3)]
    for schedule_id in schedule_ids:
        was_due(deps, schedule_id)
    started = at_once(6, lambda: schedules.run_due(deps))
    assert sum(count for count in started if isinstance(count, int)) == 3, started
    assert len(jobs_of(deps)) == 3


def test_a_beat_that_is_killed_at_any_moment_neither_loses_nor_doubles(deps: Deps, asker: Asker) -> None:
    schedule_id = make(deps, asker)
    deaths = []
    while not deaths or deaths[-1] is not None:
        change(deps, "DELETE FROM job_payloads; DELETE FROM job_events; DELETE FROM idempotency_keys; DELETE FROM jobs")
        due = was_due(deps, schedule_id)
        fate = Fate(len(deaths) + 1)
        try:
            schedules.run_due(mortal(deps, fate))
            deaths.append(None)
        except Died as died:
            deaths.append(str(died))
            assert len(jobs_of(deps)) == (1 if "after commit" in fate.moments else 0)
        schedules.run_due(deps)
        [started] = jobs_of(deps)
        after = shown(deps, asker, schedule_id)
        assert after["lastJobId"] == str(started.id) and read_at(after["lastDueAt"]) == due
    assert {"after statement", "before begin", "before commit", "after commit"} <= set(deaths)


def test_a_time_that_was_started_already_is_not_started_again(deps: Deps, asker: Asker) -> None:
    """The second belt: the schedule's row was restored from a backup, say, and the job's is there."""
    schedule_id = make(deps, asker)
    due = was_due(deps, schedule_id)
    schedules.run_due(deps)
    change(deps, "UPDATE schedules SET due_at = :due, last_job_id = NULL", due=due)
    assert schedules.run_due(deps) == 0
    [started] = jobs_of(deps)
    assert shown(deps, asker, schedule_id)["lastJobId"] == str(started.id)


def test_one_that_is_changed_while_it_comes_due_goes_by_the_change(deps: Deps, asker: Asker) -> None:
    schedule_id = make(deps, asker)
    was_due(deps, schedule_id)
    running = threading.Thread(target=schedules.run_due, args=(deps,))
    with deps.db.transaction() as tx:
        assert kept.lock(tx, asker.organization_id, schedule_id) is not None
        running.start()
        running.join(30)  # it passes over what somebody else has locked
        assert not running.is_alive()
    assert jobs_of(deps) == []
    [seen] = kept.due(deps.db)
    alter(deps, asker, schedule_id, paused=True)
    assert not schedules._come(deps, seen)
    assert jobs_of(deps) == [] and shown(deps, asker, schedule_id)["lastError"] is None


# --- what was missed ------------------------------------------------------------------------------------------------


def test_of_several_missed_times_the_last_is_made_up_for(deps: Deps, asker: Asker) -> None:
    schedule_id = make(deps, asker)
    was_due(deps, schedule_id, seconds=3 * 86_400, cron="*/5 * * * *")
    assert schedules.run_due(deps) == 1
    assert len(jobs_of(deps)) == 1
    after = shown(deps, asker, schedule_id)
    now = datetime.now(UTC)
    assert now - timedelta(minutes=6) < read_at(after["lastDueAt"]) <= now
    assert now < read_at(after["nextDueAt"]) <= now + timedelta(minutes=5)


def test_what_was_missed_long_ago_is_skipped_and_told(deps: Deps, asker: Asker) -> None:
    schedule_id = make(deps, asker)
    # Not a time within the last hour: a day of the month that was not today or yesterday.
    day = (datetime.now(UTC) + timedelta(days=14)).day
    due = was_due(deps, schedule_id, seconds=3700, cron=f"0 0 {min(day, 28)} * *")
    assert schedules.run_due(deps) == 0
    assert jobs_of(deps) == []
    after = shown(deps, asker, schedule_id)
    assert after["lastError"]["code"] == "schedule_missed" and read_at(after["lastDueAt"]) == due
    assert read_at(after["nextDueAt"]) > datetime.now(UTC)
    was_due(deps, schedule_id)
    assert schedules.run_due(deps) == 1
    assert shown(deps, asker, schedule_id)["lastError"] is None


# --- what can't be started ------------------------------------------------------------------------------------------


def test_a_course_that_is_still_being_made_is_left_alone(deps: Deps, asker: Asker) -> None:
    schedule_id = make(deps, asker, request={"jobType": "course", "payload": {**SUMS, "courseId": "sums"}})
    was_due(deps, schedule_id)
    assert schedules.run_due(deps) == 1
    [first] = jobs_of(deps)
    was_due(deps, schedule_id)
    assert schedules.run_due(deps) == 0
    after = shown(deps, asker, schedule_id)
    assert after["lastError"]["code"] == "active_job_exists" and str(first.id) in after["lastError"]["message"]
    assert after["lastJobId"] == str(first.id)
    assert one(deps, "SELECT count(*) FROM idempotency_keys") == 1, "what was refused left nothing behind"
    cancel_job(deps, asker, first.id, "")
    was_due(deps, schedule_id)
    assert schedules.run_due(deps) == 1
    assert [row.course_id for row in jobs_of(deps)] == ["sums", "sums"]


def test_a_request_that_nobody_can_serve_any_more_says_so_and_keeps_nobody_waiting(deps: Deps, asker: Asker) -> None:
    broken, sound = make(deps, asker), make(deps, asker)
    unserved = {"jobType": "course", "payload": {**SUMS, "subject": "Baroque fugues", "mode": "options"}}
    change(deps, "UPDATE schedules SET request = CAST(:r AS jsonb) WHERE id = :id", r=json.dumps(unserved), id=broken)
    was_due(deps, broken, seconds=9)
    was_due(deps, sound)
    assert schedules.run_due(deps) == 1
    assert shown(deps, asker, broken)["lastError"]["code"] == "model_not_configured"
    change(deps, """UPDATE schedules SET request = '{"jobType": "course", "payload": {}}' WHERE id = :id""", id=broken)
    was_due(deps, broken, seconds=9)
    was_due(deps, sound)
    assert schedules.run_due(deps) == 1
    assert shown(deps, asker, broken)["lastError"]["code"] == "invalid"


def test_a_fault_of_ours_keeps_nobody_waiting_either(deps: Deps, asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    broken, sound = make(deps, asker, name="Broken"), make(deps, asker)
    was_due(deps, broken, seconds=9)
    was_due(deps, sound)
    load = schedules.load_new_job
    seen: list[int] = []

    def fails_once(given: Any, under: str) -> Any:
        seen.append(1)
        if len(seen) == 1:
            raise ZeroDivisionError
        return load(given, under)

    monkeypatch.setattr(schedules, "load_new_job", fails_once)
    assert schedules.run_due(deps) == 1
    assert shown(deps, asker, broken)["lastError"]["code"] == "internal_error"


# --- by people ------------------------------------------------------------------------------------------------------


def test_pausing_and_resuming(deps: Deps, asker: Asker) -> None:
    schedule_id = make(deps, asker, paused=True)
    assert shown(deps, asker, schedule_id)["nextDueAt"] is None
    resumed = alter(deps, asker, schedule_id, paused=False)
    assert len(resumed["nextTimes"]) == 3 and resumed["nextTimes"][0] == resumed["nextDueAt"]
    was_due(deps, schedule_id)
    paused = alter(deps, asker, schedule_id, paused=True)
    assert (paused["nextDueAt"], paused["nextTimes"]) == (None, [])
    assert schedules.run_due(deps) == 0
    again = alter(deps, asker, schedule_id, paused=False)
    assert read_at(again["nextDueAt"]) > datetime.now(UTC), "what was paused is not made up for"


def test_a_change_of_times_counts_from_now_and_of_other_things_keeps_the_time(deps: Deps, asker: Asker) -> None:
    schedule_id = make(deps, asker)
    before = shown(deps, asker, schedule_id)["nextDueAt"]
    assert alter(deps, asker, schedule_id, name="Other")["nextDueAt"] == before
    elsewhere = alter(deps, asker, schedule_id, timeZone="Asia/Tokyo")
    assert elsewhere["nextDueAt"] != before and elsewhere["timeZone"] == "Asia/Tokyo"
    soon = alter(deps, asker, schedule_id, cron="* * * * *")
    assert read_at(soon["nextDueAt"]) - datetime.now(UTC) <= timedelta(minutes=1)
    request = {"jobType": "course", "payload": {**SUMS, "subject": "Subtraction"}}
    assert alter(deps, asker, schedule_id, request=request)["request"]["payload"]["subject"] == "Subtraction"
    assert alter(deps, asker, schedule_id) == {**shown(deps, asker, schedule_id)}


def test_run_now_starts_at_once_and_keeps_the_time(deps: Deps, asker: Asker) -> None:
    schedule_id = make(deps, asker, paused=True)
    started = schedules.run_now(deps, asker, schedule_id)
    assert started.fresh and job(deps, started.job_id).status == "pending"
    after = shown(deps, asker, schedule_id)
    assert (after["lastJobId"], after["lastDueAt"], after["nextDueAt"]) == (str(started.job_id), None, None)


def test_what_nobody_can_serve_is_refused_when_it_is_made(deps: Deps, asker: Asker) -> None:
    with pytest.raises(ModelNotConfigured):
        make(deps, asker, request={"jobType": "course", "payload": {**SUMS, "notes": "With dragons"}})
    schedule_id = make(deps, asker)
    with pytest.raises(ModelNotConfigured):
        alter(deps, asker, schedule_id, request={"jobType": "course", "payload": {**SUMS, "notes": "With dragons"}})
    with pytest.raises(Invalid):
        load_schedule(NewScheduleSchema(), body(cron="never"))


def test_another_schools_schedule_is_not_there(deps: Deps, asker: Asker) -> None:
    schedule_id, other = make(deps, asker), school(deps)
    for deed in (schedules.remove, schedules.run_now, lambda *who: schedules.change(*who, {"paused": True})):
        with pytest.raises(NotFound):
            deed(deps, other, schedule_id)
    assert kept.read(deps.db, other.organization_id, schedule_id) is None
    schedules.remove(deps, asker, schedule_id)
    with pytest.raises(NotFound):
        schedules.remove(deps, asker, schedule_id)


def test_an_organization_may_have_a_hundred(deps: Deps, asker: Asker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schedules, "MOST_SCHEDULES", 3)
    answers = at_once(5, lambda: make(deps, asker))
    assert sum(isinstance(answer, Conflict) for answer in answers) == 2
    make(deps, school(deps))


def test_the_tick_starts_what_is_due(deps: Deps, asker: Asker) -> None:
    from tasks.cron import schedule

    was_due(deps, make(deps, asker))
    schedule(deps)
    eventually(lambda: len(jobs_of(deps)) == 1)
