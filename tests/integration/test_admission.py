"""Who may begin: never more of an organization than allowed, whoever admits; and in which order they are sent."""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from uuid import UUID

import pytest

from schema.job import BATCH_PRIORITY
from storage.db import Database
from storage.engine import admission, leases
from storage.engine.queue import Sending
from tasks import once
from tasks.commands import Asker, cancel_job, retry_job
from tasks.deps import Deps
from tasks.dispatch import QUEUES, dispatch, limits_of
from tasks.step import deliver
from tests.conftest import Outbox, make_deps, with_jobs
from tests.integration.stage import at_once, change, claim, held, job, one, put_job, rows, school, start, together

ACTIVE = """SELECT COALESCE(max(n), 0) FROM (
  SELECT count(*) AS n FROM jobs WHERE status = 'processing' GROUP BY organization_id) AS each_one"""


def take(deps: Deps, most: int = 50, window: int = 64) -> list[Sending]:
    jobs = with_jobs(deps.settings, dispatch_window=window, organization_max_active=most).jobs
    return admission.take_for_sending(deps.db, limits_of(jobs))


def put_picture(deps: Deps, organization_id: UUID, parent: UUID, **changes: object) -> UUID:
    return put_job(
        deps, organization_id, job_type="media", queue="media", first_step="picture", parent_job_id=parent, **changes
    )


def put_batch_job(deps: Deps, asker: Asker) -> UUID:
    return put_job(deps, asker.organization_id, priority=BATCH_PRIORITY)


# --- no more than allowed ---------------------------------------------------------------------------------------


def test_no_more_are_sent_or_at_work_than_an_organization_may_have(deps: Deps, asker: Asker) -> None:
    job_ids = [put_job(deps, asker.organization_id) for _ in range(6)]
    others = school(deps)
    theirs = put_job(deps, others.organization_id)
    assert {sent.job_id for sent in take(deps, most=3)} == {*job_ids[:3], theirs}
    held(deps, job_ids[0])
    assert take(deps, most=3) == []
    change(deps, "UPDATE jobs SET status = 'done' WHERE id = :id", id=job_ids[0])
    assert [sent.job_id for sent in take(deps, most=3)] == [job_ids[3]]
    assert [job(deps, job_id).status for job_id in job_ids[4:]] == ["pending"] * 2


def test_courses_and_pictures_share_the_places(deps: Deps, asker: Asker) -> None:
    course, waiting = put_job(deps, asker.organization_id), put_job(deps, asker.organization_id)
    picture = put_picture(deps, asker.organization_id, course)
    change(deps, "UPDATE jobs SET status = 'done', due_at = NULL WHERE id = :id", id=course)
    assert [sent.job_id for sent in take(deps, most=1)] == [picture], "what belongs to a course that is done goes first"
    held(deps, picture)
    assert take(deps, most=1) == []
    change(deps, "UPDATE jobs SET status = 'done' WHERE id = :id", id=picture)
    assert [sent.job_id for sent in take(deps, most=1)] == [waiting]


def test_pictures_nobody_begins_leave_places_for_courses(deps: Deps, asker: Asker) -> None:
    course = put_job(deps, asker.organization_id)
    change(deps, "UPDATE jobs SET status = 'done', due_at = NULL")
    for _ in range(20):
        put_picture(deps, asker.organization_id, course)
    for _ in range(20):
        put_job(deps, asker.organization_id)
    kinds = [sent.job_type for sent in take(deps, most=8)]
    assert (kinds.count("media"), kinds.count("course")) == (2, 6)
    assert take(deps, most=8) == []


def test_one_place_is_enough_for_a_course_and_its_pictures(deps: Deps, asker: Asker, empty_store: None) -> None:
    narrow = make_deps(with_jobs(deps.settings, organization_max_active=1), deps.send)  # type: ignore[arg-type]
    wish = {"subject": "The water cycle", "gradeBand": "4", "mode": "options", "generateStudyTextImages": True}
    job_id = start(narrow, asker, **wish)
    once.run_due(narrow)
    pictures = one(deps, "SELECT count(*) FROM jobs WHERE parent_job_id = :id", id=job_id)
    assert pictures > 1
    assert one(deps, "SELECT count(*) FROM jobs WHERE status <> 'done'") == 0
    narrow.close()


def test_a_job_that_was_passed_on_is_never_held_back(deps: Deps, asker: Asker) -> None:
    job_ids = [put_job(deps, asker.organization_id) for _ in range(3)]
    for job_id in job_ids:
        assert deliver(deps, job_id, 1, "skeleton", 0).pass_on
    change(deps, "UPDATE jobs SET sent_at = clock_timestamp() - interval '1 hour'")
    assert {sent.job_id for sent in take(deps, most=1, window=1)} == set(job_ids)


def test_a_job_that_was_given_back_keeps_its_place(deps: Deps, asker: Asker) -> None:
    """A copy of its message may still be out: were its place given away, both would be at work."""
    first = put_batch_job(deps, asker)
    assert [sent.job_id for sent in take(deps, most=1)] == [first]
    urgent = put_job(deps, asker.organization_id)
    assert leases.hand_back(deps.db, held(deps, first).lease)
    assert [sent.job_id for sent in take(deps, most=1)] == [first], "and is sent again at once"
    assert take(deps, most=1) == []
    assert claim(deps, first) is not None
    assert job(deps, urgent).sent_at is None


def test_many_admitting_and_beginning_at_once_never_pass_the_limit(deps: Deps, asker: Asker) -> None:
    """Dispatchers, workers that hear of a job twice, workers without a broker, and jobs that end, are given back,
    fail and are asked for again: at no moment are more at work than allowed."""
    most, schools = 2, [asker, school(deps)]
    for one_school in schools:
        for number in range(20):
            put_job(deps, one_school.organization_id, queue="course", priority=5 if number % 2 else 9)
    narrow = make_deps(with_jobs(deps.settings, organization_max_active=most, resend_after_seconds=0.1), Outbox())
    heard: list[Sending] = []
    highest: list[int] = []
    left = threading.Event()
    chance = random.Random(4)

    # A moment's rest between two looks: ten threads that spin in one process take the time from those that get on.
    def admit() -> None:
        while not left.wait(0.002):
            heard.extend(admission.take_for_sending(narrow.db, limits_of(narrow.settings.jobs)))

    def admit_one() -> None:
        while not left.wait(0.002):
            taken = admission.take_next(narrow.db, QUEUES, most)
            if taken is not None:
                heard.append(taken)

    def begin() -> None:
        while not left.wait(0.001):
            if heard:
                sending = chance.choice(heard[-30:])  # many of them not for the first time
                end(sending.job_id)

    def end(job_id: UUID) -> None:
        claimed = claim(narrow, job_id)
        if claimed is None:
            return
        highest.append(one(narrow, ACTIVE))
        if chance.random() < 0.3:
            assert leases.hand_back(narrow.db, claimed.lease)
        else:
            change(narrow, "UPDATE jobs SET status = 'done', due_at = NULL WHERE id = :id", id=job_id)

    def watch() -> None:
        done = "SELECT count(*) FROM jobs WHERE status <> 'done'"
        while one(deps, done):
            highest.append(one(deps, ACTIVE))
            left.wait(0.002)
        left.set()

    results = together([admit, admit, admit_one, *[begin] * 6, watch])
    left.set()
    assert results == [None] * 10
    assert max(highest) == most, "all places are used, and never one more"
    narrow.close()


def test_dispatchers_at_once_fill_the_places_once(deps: Deps, asker: Asker) -> None:
    for _ in range(5):
        change(deps, "DELETE FROM jobs")
        for _ in range(20):
            put_job(deps, asker.organization_id)
        answers = at_once(6, lambda: take(deps, most=7))
        assert sorted(len(answer) for answer in answers if isinstance(answer, list)) == [0, 0, 0, 0, 0, 7]


def test_a_worker_without_a_broker_leaves_what_has_no_place(deps: Deps, asker: Asker) -> None:
    job_ids = [put_job(deps, asker.organization_id) for _ in range(3)]
    others = put_job(deps, school(deps).organization_id)
    held(deps, job_ids[0])
    taken = admission.take_next(deps.db, QUEUES, 1)
    assert taken is not None and taken.job_id == others
    held(deps, others)
    assert admission.take_next(deps.db, QUEUES, 1) is None
    more = admission.take_next(deps.db, QUEUES, 2)
    assert more is not None and more.job_id == job_ids[1]
    again = admission.take_next(deps.db, QUEUES, 2)
    assert again is not None and again.job_id == job_ids[1], "it has its place, whatever became of its message"


def test_a_cancelled_job_gives_its_place_back_and_a_retried_one_waits_for_one(deps: Deps, asker: Asker) -> None:
    first, second = put_job(deps, asker.organization_id), put_job(deps, asker.organization_id)
    assert [sent.job_id for sent in take(deps, most=1)] == [first]
    cancel_job(deps, asker, first, "")
    assert [sent.job_id for sent in take(deps, most=1)] == [second]
    retry_job(replace(deps, ask_dispatch=lambda: None), asker, first)  # nobody but this test sends it
    assert take(deps, most=1) == []
    assert [sent.job_id for sent in take(deps, most=2)] == [first]


# --- the order --------------------------------------------------------------------------------------------------


def test_what_a_person_asked_for_goes_before_any_batch(deps: Deps, asker: Asker) -> None:
    for _ in range(5):
        put_batch_job(deps, asker)
    other = school(deps)
    for _ in range(5):
        put_batch_job(deps, other)
    single, theirs = put_job(deps, asker.organization_id), put_job(deps, other.organization_id)
    taken = take(deps, window=6)
    assert [sent.job_id for sent in taken[:2]] == [single, theirs]
    assert {sent.line for sent in taken[:2]} == {0}
    assert {sent.line for sent in taken[2:]} == {6}, "and overtakes them at the broker"


def test_a_batch_is_not_kept_waiting_by_a_thousand_single_jobs_of_others(deps: Deps, asker: Asker) -> None:
    for _ in range(30):
        put_job(deps, asker.organization_id)
    other = school(deps)
    mine = [put_batch_job(deps, other) for _ in range(3)]
    order = [sent.job_id for sent in take(deps, window=20)]
    assert set(mine) <= set(order)
    assert order.index(mine[0]) == 9, "behind eight that somebody asked for one by one, then in turns"


def test_the_line_follows_from_how_many_an_organization_has_at_work(deps: Deps, asker: Asker) -> None:
    for _ in range(40):
        put_job(deps, asker.organization_id)
    lines = [sent.line for sent in take(deps)]
    assert lines == [0] + [3] * 7 + [6] * 24 + [9] * 8
    assert [sent.line for sent in take(deps)] == []
    put_job(deps, school(deps).organization_id)
    assert [sent.line for sent in take(deps, window=1)] == [0], "also when the window is full of others'"


def test_a_full_window_lets_one_through_of_each_who_has_none(deps: Deps, asker: Asker) -> None:
    for _ in range(10):
        put_job(deps, asker.organization_id)
    assert len(take(deps, window=3)) == 3
    late = [school(deps) for _ in range(3)]
    for one_school in late:
        put_job(deps, one_school.organization_id)
        put_job(deps, one_school.organization_id)
    taken = [job(deps, sent.job_id).organization_id for sent in take(deps, window=3)]
    assert set(taken) == {one_school.organization_id for one_school in late}
    assert len(taken) == 3
    assert take(deps, window=3) == []


def test_a_full_window_of_courses_holds_up_no_pictures(deps: Deps, asker: Asker) -> None:
    others = school(deps)
    for _ in range(9):
        put_job(deps, others.organization_id)
    assert len(take(deps, window=4)) == 4
    course = put_batch_job(deps, asker)
    change(deps, "UPDATE jobs SET status = 'done', due_at = NULL WHERE id = :id", id=course)
    picture = put_picture(deps, asker.organization_id, course)
    for _ in range(9):
        put_job(deps, asker.organization_id)
    assert picture in {sent.job_id for sent in take(deps, window=4, most=4)}


def test_what_was_begun_goes_before_what_was_not(deps: Deps, asker: Asker) -> None:
    job_ids = [put_job(deps, asker.organization_id) for _ in range(3)]
    change(deps, "UPDATE jobs SET started_at = clock_timestamp() WHERE id = :id", id=job_ids[2])
    assert [sent.job_id for sent in take(deps, most=1)] == [job_ids[2]]


def test_a_picture_is_as_urgent_as_its_course(deps: Deps, asker: Asker) -> None:
    for parent in (put_job(deps, asker.organization_id), put_batch_job(deps, asker)):
        picture = put_picture(deps, asker.organization_id, parent)
        assert job(deps, picture).priority == job(deps, parent).priority


def test_the_message_carries_the_line(deps: Deps, asker: Asker, outbox: Outbox) -> None:
    put_batch_job(deps, asker)
    put_job(deps, asker.organization_id)
    assert dispatch(deps) == 2
    assert [sent.line for sent in outbox] == [0, 6]


@pytest.mark.parametrize("number", [1, 2, 8, 9, 32, 33, 1000])
def test_a_lower_number_never_stands_in_a_higher_line(number: int) -> None:
    assert admission._line(number) in admission.LINES
    assert admission._line(number) <= admission._line(number + 1)


# --- beside many rows -------------------------------------------------------------------------------------------


def test_ten_thousand_waiting_rows_are_not_read_to_send_a_few(deps: Deps, owner: Database, asker: Asker) -> None:
    """The plan looks at the first of each organization through the index, and sorts no long list."""
    for whose in (asker, school(deps), school(deps)):
        change(
            deps,
            """INSERT INTO jobs (id, organization_id, job_type, status, queue, current_step, due_at)
            SELECT gen_random_uuid(), :org, 'course', 'pending', 'course', 'skeleton', clock_timestamp()
            FROM generate_series(1, 3334)""",
            org=whose.organization_id,
        )
    with owner.statement() as tx:  # asked by anybody else it is skipped, and the plan is made for other rows
        tx.run("ANALYZE jobs")
    assert len(take(deps)) == 64
    values = limits_of(with_jobs(deps.settings, dispatch_window=80).jobs).values()
    plan = [row[0] for row in rows(deps, f"EXPLAIN (ANALYZE, TIMING OFF) {admission._TAKE}", **values)]
    by_index = [line for line in plan if "Index Scan using ix_jobs_waiting" in line and "rows=" in line]
    assert by_index, plan
    read = max(float(line.split("actual rows=")[1].split(" ")[0]) for line in by_index)
    assert read <= 64, plan
