"""Who may begin a step, and who may write for it: the holder of run, token and status, and nobody else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any
from uuid import UUID

import pytest

from schema.errors import Permanent, Transient
from schema.events import Event
from storage import documents, events, steps
from storage.engine import leases
from storage.engine.leases import Lease
from storage.steps import Claimed, Ending, Topic
from tasks import once
from tasks.commands import Asker, cancel_job, retry_job
from tasks.cron import reconcile
from tasks.deps import Deps
from tasks.ending import settle_error
from tasks.pipeline import PIPELINES
from tasks.step import Delivery, deliver
from tasks.watch import Watcher
from tests.conftest import eventually
from tests.integration.stage import (
    Died,
    Fate,
    at_once,
    change,
    claim,
    everything,
    held,
    job,
    lose_worker,
    make_due,
    mortal,
    one,
    put_job,
    rows,
    together,
    told,
    types,
)

NAMES = [step.name for step in PIPELINES["course"].steps]
PROGRESS = Event("step_progress", {"step": "skeleton", "stepIndex": 0, "totalSteps": 6, "message": "", "progress": 5})


def ending(step: str = "skeleton", next_step: str | None = "fill", *, go_on: bool = False, at: float = 10) -> Ending:
    return Ending(step, {"did": step}, 0.1, [PROGRESS], at, "Did it", next_step, 1, go_on, 60)


def finish(deps: Deps, lease: Lease, what: Ending | None = None) -> Lease | None:
    with deps.db.statement() as tx:
        return steps.finish(tx, lease, what or ending())


@pytest.fixture
def job_id(deps: Deps, asker: Asker) -> UUID:
    return put_job(deps, asker.organization_id)


# --- claiming ---------------------------------------------------------------------------------------------------


def test_a_claim_takes_the_lease_tells_it_and_shows_the_job(deps: Deps, job_id: UUID) -> None:
    claimed = held(deps, job_id)
    row = job(deps, job_id)
    assert (row.status, row.due_at, row.sent_at, row.lease_token) == ("processing", None, None, claimed.lease.token)
    assert row.started_at is not None
    assert claimed.payload["subject"] == "Addition"
    assert types(deps, job_id) == ["job_created", "step_started"]
    assert one(deps, "SELECT holder FROM job_leases") == "test"


@pytest.mark.parametrize(
    "wrong",
    [
        "due_at = clock_timestamp() + interval '1 minute'",
        "due_at = NULL",
        "run = 2",
        "current_step = 'fill'",
        "status = 'cancelled'",
        "status = 'stale'",
        "status = 'failed'",
        "status = 'dead_letter'",
        "status = 'done'",
    ],
)
def test_a_step_is_claimed_only_when_it_is_due_in_its_run_at_its_turn(deps: Deps, job_id: UUID, wrong: str) -> None:
    change(deps, f"UPDATE jobs SET {wrong} WHERE id = :id", id=job_id)
    before = everything(deps, job_id)
    assert steps.claim(deps.db, job_id, 1, "skeleton", 0, "test", [PROGRESS], "", 60) is None
    assert everything(deps, job_id) == before


def test_of_many_claims_at_once_one_wins(deps: Deps, job_id: UUID) -> None:
    answers = at_once(16, lambda: claim(deps, job_id))
    [winner] = [answer for answer in answers if answer is not None]
    assert isinstance(winner, Claimed)
    assert types(deps, job_id) == ["job_created", "step_started"]


def test_every_lease_has_a_token_of_its_own(deps: Deps, job_id: UUID) -> None:
    tokens = []
    for _ in range(3):
        claimed = held(deps, job_id)
        tokens.append(claimed.lease.token)
        assert leases.hand_back(deps.db, claimed.lease)
    assert tokens == sorted(set(tokens))


def test_checkpoints_of_parts_and_steps_come_with_the_claim(deps: Deps, job_id: UUID) -> None:
    first = held(deps, job_id)
    keep = ("skeleton", "group:1", {"items": [1, "ü"]}, 0.2)
    assert steps.tell(deps.db, first.lease, [PROGRESS], progress=5, message="", keep=keep)
    assert leases.hand_back(deps.db, first.lease)
    second = held(deps, job_id)
    assert second.checkpoints == {("skeleton", "group:1"): {"items": [1, "ü"]}}
    assert finish(deps, second.lease) is not None
    third = held(deps, job_id)
    assert third.checkpoints["skeleton", ""] == {"did": "skeleton"}
    assert third.formats == {steps.CHECKPOINT_FORMAT}


def test_a_part_may_take_the_place_of_others(deps: Deps, job_id: UUID) -> None:
    lease = held(deps, job_id).lease
    for part in ("lesson:1", "lesson:2", "lesson:3"):
        assert steps.tell(deps.db, lease, [PROGRESS], progress=5, message="", keep=("skeleton", part, {}, 0.1))
    whole, places = ("skeleton", "topic", {}, 0.2), ["lesson:1", "lesson:3", "lesson:9"]
    stranger = replace(lease, token=lease.token + 1)
    assert not steps.tell(deps.db, stranger, [PROGRESS], progress=5, message="", keep=whole, in_place_of=places)
    assert len(rows(deps, "SELECT 1 FROM job_steps")) == 3, "who holds it no more takes nothing away"
    assert steps.tell(deps.db, lease, [PROGRESS], progress=5, message="", keep=whole, in_place_of=places)
    assert {row.part for row in rows(deps, "SELECT part FROM job_steps")} == {"lesson:2", "topic"}


# --- the fence --------------------------------------------------------------------------------------------------

WRITES: dict[str, Callable[[Deps, Lease], Any]] = {
    "finish": finish,
    "finish and go on": lambda deps, lease: finish(deps, lease, ending(go_on=True)),
    "finish the last": lambda deps, lease: finish(deps, lease, ending(next_step=None)),
    "tell": lambda deps, lease: steps.tell(deps.db, lease, [PROGRESS], progress=9, message=""),
    "keep": lambda deps, lease: steps.tell(
        deps.db, lease, [PROGRESS], progress=9, message="", keep=("skeleton", "part", {}, 0.1)
    ),
    "hand back": lambda deps, lease: leases.hand_back(deps.db, lease),
    "fail": lambda deps, lease: settle_error(deps, lease, "skeleton", Permanent("It broke.")),
    "try again": lambda deps, lease: settle_error(deps, lease, "skeleton", Transient("It is away.")),
}
TAKEN: dict[str, str] = {
    "another run": "run = run + 1",
    "another token": "lease_token = lease_token + 1",
    "cancelled": "status = 'cancelled'",
    "stale": "status = 'stale'",
    "taken up again": "status = 'pending', due_at = clock_timestamp()",
    "ended and due": "due_at = clock_timestamp()",
}


@pytest.mark.parametrize("write", WRITES)
def test_who_lost_the_job_writes_nothing(deps: Deps, asker: Asker, write: str) -> None:
    for why, taken in TAKEN.items():
        job_id = put_job(deps, asker.organization_id)
        lease = held(deps, job_id).lease
        change(deps, f"UPDATE jobs SET {taken} WHERE id = :id", id=job_id)
        before = everything(deps, job_id)
        assert not WRITES[write](deps, lease), why
        assert everything(deps, job_id) == before, why


@pytest.mark.parametrize("write", WRITES)
def test_who_holds_the_job_may_write(deps: Deps, job_id: UUID, write: str) -> None:
    before = everything(deps, job_id)
    assert WRITES[write](deps, held(deps, job_id).lease)
    assert everything(deps, job_id) != before


def test_a_stopped_holder_whose_lease_went_to_a_twin_of_its_run_writes_nothing(deps: Deps, job_id: UUID) -> None:
    sleeper = held(deps, job_id).lease
    change(deps, "UPDATE jobs SET due_at = clock_timestamp(), status = 'pending' WHERE id = :id", id=job_id)
    twin = held(deps, job_id).lease
    assert twin.run == sleeper.run
    before = everything(deps, job_id)
    assert not any(write(deps, sleeper) for write in WRITES.values())
    assert leases.still_held(deps.db, [sleeper, twin]) == {job_id}
    assert leases.beat(deps.db, [sleeper], [0]) == set()
    assert everything(deps, job_id) == before
    assert finish(deps, twin) is not None


def test_an_ended_step_is_not_ended_twice(deps: Deps, job_id: UUID) -> None:
    lease = held(deps, job_id).lease
    answers = at_once(8, lambda: finish(deps, lease, ending(go_on=True)))
    [renewed] = [answer for answer in answers if answer is not None]
    assert isinstance(renewed, Lease)
    assert renewed.token == lease.token + 1
    assert types(deps, job_id) == ["job_created", "step_started", "step_progress"]


def test_a_reconciler_a_person_and_the_holder_never_all_win(deps: Deps, asker: Asker) -> None:
    for _ in range(12):
        job_id = put_job(deps, asker.organization_id)
        lease = held(deps, job_id).lease
        lose_worker(deps, job_id)
        deeds: list[Callable[[], Any]] = [
            lambda lease=lease: finish(deps, lease, ending(next_step=None)),  # type: ignore[misc]
            lambda: reconcile(deps),
            lambda job_id=job_id: cancel_job(deps, asker, job_id, ""),  # type: ignore[misc]
        ]
        finished = together(deeds)[0]
        row = job(deps, job_id)
        assert (row.status == "done") == isinstance(finished, Lease)
        assert row.status in ("done", "cancelled", "pending")
        assert (row.due_at is not None) == (row.status == "pending")
        assert one(deps, "SELECT count(*) FROM job_leases WHERE job_id = :id", id=job_id) == 0
        assert one(deps, "SELECT count(*) FROM job_steps WHERE job_id = :id", id=job_id) == (row.status == "done")
        told(deps, job_id)


# --- events and progress ----------------------------------------------------------------------------------------


def test_twelve_writers_number_their_events_without_a_gap_for_a_follower(deps: Deps, job_id: UUID) -> None:
    lease = held(deps, job_id).lease
    organization = job(deps, job_id).organization_id
    stop = threading.Event()
    seen: list[int] = []

    def follow() -> None:
        while not (stop.is_set() and len(seen) == job(deps, job_id).last_seq):
            last = seen[-1] if seen else 0
            seen.extend(event["seq"] for event in events.after(deps.db, organization, job_id, last))

    def append() -> None:
        for _ in range(15):
            with deps.db.transaction() as tx:
                events.append(tx, job_id, [PROGRESS, PROGRESS])

    def tell() -> None:
        for _ in range(15):
            assert steps.tell(deps.db, lease, [PROGRESS], progress=5, message="")

    follower = threading.Thread(target=follow)
    follower.start()
    assert together([append, tell] * 6) == [None] * 12
    stop.set()
    follower.join(20)
    assert seen == list(range(1, 2 + 6 * 15 * 3 + 1))
    told(deps, job_id)


def test_progress_never_goes_backwards_while_a_step_is_told_about(deps: Deps, job_id: UUID) -> None:
    lease = held(deps, job_id).lease
    shown = []
    for progress in (5, 3, 8, 0, 8.5):
        topic = Topic("Oceans", 2, 3)
        assert steps.tell(deps.db, lease, [PROGRESS], progress=progress, message="", topic=topic)
        shown.append(job(deps, job_id).progress)
    assert shown == [5, 5, 8, 8, 8.5]
    row = job(deps, job_id)
    assert (row.current_topic, row.current_topic_index, row.total_topics) == ("Oceans", 2, 3)
    assert finish(deps, lease) is not None
    assert job(deps, job_id).current_topic is None


# --- whole deliveries -------------------------------------------------------------------------------------------


def completed(deps: Deps, job_id: UUID) -> list[str]:
    return [event["step"] for event in told(deps, job_id) if event["type"] == "step_completed"]


def assert_made_once(deps: Deps, job_id: UUID) -> None:
    """Done, with each step ended once and never begun after that, one revision, one catalog entry, one file."""
    row = job(deps, job_id)
    assert (row.status, row.progress, row.due_at) == ("done", 100, None)
    assert completed(deps, job_id) == NAMES
    ended: set[str] = set()
    for event in told(deps, job_id):
        if event["type"] == "step_started":
            assert event["step"] not in ended
        elif event["type"] == "step_completed":
            ended.add(event["step"])
    assert told(deps, job_id)[-1]["type"] == "job_completed"
    values = {"id": row.course_id}
    assert one(deps, "SELECT count(*) FROM document_revisions WHERE document_id = :id", **values) == 1
    assert one(deps, "SELECT array_agg(action) FROM catalog_updates WHERE course_id = :id", **values) == ["added"]
    assert one(deps, "SELECT count(*) FROM job_leases WHERE job_id = :id", id=job_id) == 0
    current = documents.current(deps.db, row.organization_id, "course", row.course_id)
    assert current is not None
    key = f"{row.organization_id}/{row.course_id}/course.json"
    stored = deps.objects.stored(deps.settings.s3.courses_bucket, key)
    assert stored is not None
    assert stored.number == current.revision == 1


@pytest.mark.parametrize("turn", [0.0, 60.0], ids=["a message a step", "one turn"])
def test_every_message_delivered_twice_makes_the_course_once(
    deps: Deps, asker: Asker, empty_store: None, turn: float
) -> None:
    job_id = put_job(deps, asker.organization_id, course_id="twice")
    verdicts: list[str] = []
    for name in NAMES:
        answers = at_once(2, lambda name=name: deliver(deps, job_id, 1, name, turn))  # type: ignore[misc]
        verdicts += [answer.verdict for answer in answers if isinstance(answer, Delivery)]
    assert_made_once(deps, job_id)
    assert verdicts.count("stopped:not_due") == (6 if turn == 0 else 11)


def test_a_course_that_dies_at_any_moment_is_made_once_all_the_same(
    deps: Deps, asker: Asker, empty_store: None
) -> None:
    deaths = []
    for moment in count(1):
        job_id = put_job(deps, asker.organization_id, course_id=f"moment-{moment}")
        fate = Fate(moment)
        try:
            deliver(mortal(deps, fate), job_id, 1, "skeleton", 60)
        except Died as death:
            deaths.append(str(death))
            before = completed(deps, job_id)
            if job(deps, job_id).status == "processing":
                lose_worker(deps, job_id)
            reconcile(deps)
            once.run_due(deps)
            assert completed(deps, job_id)[: len(before)] == before
            assert_made_once(deps, job_id)
        else:
            assert_made_once(deps, job_id)
            break
    assert len(deaths) > 20
    assert {"before upload", "after upload", "before commit", "after commit"} <= set(deaths)


@pytest.mark.parametrize("error", [Transient("The store is away.", retry_after=0), RuntimeError("A bug of ours")])
def test_a_step_that_fails_anywhere_goes_on_from_its_checkpoints(
    deps: Deps, asker: Asker, empty_store: None, error: Exception
) -> None:
    for moment in count(2):  # the first is before the claim
        job_id = put_job(deps, asker.organization_id, course_id=f"{type(error).__name__}-{moment}".lower())
        verdict = deliver(mortal(deps, Fate(moment, error)), job_id, 1, "skeleton", 60).verdict
        if verdict == "done":
            break
        before = completed(deps, job_id)
        if isinstance(error, Transient):
            assert verdict == "stopped:tries_again"
        else:
            assert verdict == "stopped:failed"
            assert job(deps, job_id).error["code"] == "internal_error"
            retry_job(deps, asker, job_id)
        once.run_due(deps)
        assert job(deps, job_id).run == 2
        assert completed(deps, job_id)[: len(before)] == before
        assert_made_once(deps, job_id)
    assert moment > 10


def test_a_cancel_in_the_middle_keeps_checkpoint_events_and_file_of_later_steps_from_landing(
    deps: Deps, asker: Asker, empty_store: None
) -> None:
    job_id = put_job(deps, asker.organization_id, course_id="cancelled")
    arrived, go_on = threading.Event(), threading.Event()

    class AtTheDoor(Fate):
        def moment(self, name: str) -> None:
            if name == "before upload":
                arrived.set()
                assert go_on.wait(20)

    answers: list[Delivery] = []
    worker = threading.Thread(
        target=lambda: answers.append(deliver(mortal(deps, AtTheDoor(0)), job_id, 1, "skeleton", 60))
    )
    worker.start()
    assert arrived.wait(20)
    cancel_job(deps, asker, job_id, "Changed my mind")
    go_on.set()
    worker.join(20)
    assert [answer.verdict for answer in answers] == ["stopped:not_ours"]
    assert job(deps, job_id).status == "cancelled"
    assert told(deps, job_id)[-1]["type"] == "job_cancelled"
    assert completed(deps, job_id) == ["skeleton", "fill", "validate"]
    assert rows(deps, "SELECT * FROM catalog_updates") == []
    retry_job(deps, asker, job_id)
    once.run_due(deps)
    assert_made_once(deps, job_id)


def test_a_job_cancelled_between_two_steps_stays_where_it_is(deps: Deps, asker: Asker, job_id: UUID) -> None:
    assert deliver(deps, job_id, 1, "skeleton", 0).pass_on
    cancel_job(deps, asker, job_id, "")
    assert deliver(deps, job_id, 1, "fill", 0).verdict == "stopped:not_due"
    assert completed(deps, job_id) == ["skeleton"]


def test_a_checkpoint_of_newer_code_is_handed_back_for_later_and_nothing_is_counted(
    deps: Deps, job_id: UUID, empty_store: None
) -> None:
    assert deliver(deps, job_id, 1, "skeleton", 0).pass_on
    change(deps, "UPDATE job_steps SET format = 2")
    for _ in range(5):
        make_due(deps, job_id)
        row = job(deps, job_id)
        assert deliver(deps, job_id, row.run, "fill", 60).verdict == "stopped:unknown_checkpoint_format"
    row = job(deps, job_id)
    assert (row.status, row.retry_count, row.error) == ("pending", 0, None)
    assert row.due_at > rows(deps, "SELECT clock_timestamp() AS now")[0].now
    change(deps, "UPDATE job_steps SET format = 1")
    make_due(deps, job_id)
    once.run_due(deps)
    assert job(deps, job_id).status == "done"


# --- shutdown ---------------------------------------------------------------------------------------------------


def test_a_worker_told_to_stop_claims_nothing(deps: Deps, job_id: UUID) -> None:
    deps.watcher.shut_down()
    before = everything(deps, job_id)
    assert deliver(deps, job_id, 1, "skeleton").verdict == "stopped:shutting_down"
    assert everything(deps, job_id) == before


def test_a_worker_told_to_stop_hands_its_job_back_and_no_retry_is_counted(
    deps: Deps, asker: Asker, empty_store: None
) -> None:
    job_id = put_job(deps, asker.organization_id, course_id="handed-back")

    class Stopping(Fate):
        def moment(self, name: str) -> None:
            if name == "before upload":
                stopped.watcher.shut_down()

    stopped = mortal(deps, Stopping(0))
    stopped.watcher = Watcher(deps.db, heartbeat_seconds=10)
    assert deliver(stopped, job_id, 1, "skeleton", 60).verdict == "stopped:handed_back"
    row = job(deps, job_id)
    assert (row.status, row.run, row.retry_count, row.current_step) == ("pending", 1, 0, "persist")
    assert eventually(lambda: once.run_due(deps).turns) == 1
    assert_made_once(deps, job_id)


def test_what_a_twin_kept_is_not_asked_for_by_the_run_after(deps: Deps, job_id: UUID) -> None:
    lease = held(deps, job_id).lease
    keep = ("skeleton", "group:1", {"by": "first"}, 0.1)
    assert steps.tell(deps.db, lease, [PROGRESS], progress=5, message="", keep=keep)
    other = replace(lease, token=lease.token + 1)
    keep = ("skeleton", "group:1", {"by": "twin"}, 0.1)
    assert not steps.tell(deps.db, other, [PROGRESS], progress=5, message="", keep=keep)
    assert one(deps, "SELECT result->>'by' FROM job_steps") == "first"
