"""Each check of the chaos run, on a made-up world in which all is well, and with one thing gone wrong in it."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.chaos.checks import CHECKS
from tests.chaos.evidence import Evidence, Job, Row, Saved, Told
from tests.chaos.faults import Done
from tests.chaos.ledger import Asked, Ledger
from tests.chaos.model import Call
from tests.chaos.model_checks import ModelCalls

AT = datetime(2026, 1, 1, tzinfo=UTC)
ORG = "00000000-0000-4000-8000-000000000001"
STEPS = ("skeleton", "fill", "validate", "persist", "catalog", "media")


class World:
    """One course by a model with one picture, all done."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.asked = Asked(1, "model with pictures", "key", {"courseId": "c", "language": "en-j000001"})
        self.ledger.add(self.asked)
        self.ledger.accept(self.asked, "parent")
        self.evidence = Evidence(ORG)
        course = Job("parent", "course", "done", 1, 9, "c", None, 0, 1, 0, None, "org")
        picture = Job("picture", "media", "done", 1, 4, "c", "parent", 0, 0, 0, None, "org")
        self.evidence.jobs = {"parent": course, "picture": picture}
        self._tell("parent", "job_created", *STEPS, "job_completed", "media_completed", "media_settled")
        self._tell("picture", "job_created", "picture", "attach", "job_completed")
        self.evidence.revisions = [Saved("c", 1, "parent", "persist"), Saved("c", 2, "picture", "attach")]
        self.evidence.current = {"c": (2, {"contentVersion": "v2"})}
        self.evidence.catalogs = {ORG: (2, 2), self.evidence.public: (0, 0)}
        self.evidence.changes[ORG] = [(1, "c"), (2, "c")]
        self.evidence.listed = {"c": 2}
        self.evidence.parts = {("parent", "First steps"): "group:group-1"}
        self.evidence.checkpoints |= {("parent", "fill", "group:group-1"): AT + timedelta(seconds=5)}
        self.store(2)

    def _tell(self, job_id: str, *kinds: str) -> None:
        for kind in kinds:
            is_step = kind in (*STEPS, "picture", "attach")
            told = Told(
                len(self.evidence.events[job_id]) + 1,
                "step_completed" if is_step else kind,
                {"step": kind} if is_step else {},
                AT,
            )
            self.evidence.events[job_id].append(told)
            if is_step:
                self.evidence.checkpoints[job_id, kind, ""] = AT + timedelta(seconds=9)
        job = self.evidence.jobs[job_id]
        self.evidence.jobs[job_id] = replace(job, last_seq=len(self.evidence.events[job_id]))

    def tell(self, job_id: str, kind: str, **body: Any) -> None:
        """One event more."""
        self._tell(job_id, kind)
        self.evidence.events[job_id][-1].body.update(body)

    def change(self, job_id: str, **changes: Any) -> None:
        self.evidence.jobs[job_id] = replace(self.evidence.jobs[job_id], **changes)

    def store(self, revision: int) -> None:
        """What the store shows of the course and of its catalog."""
        entry = {"id": "c", "contentVersion": f"v{revision}"}
        self.evidence.files = {
            f"{ORG}/c/course.json": json.dumps({"contentVersion": f"v{revision}"}).encode(),
            f"{ORG}/catalog.json": json.dumps({"version": revision, "courses": [entry]}).encode(),
        }

    def broken(self) -> set[str]:
        return {name for name, check in CHECKS.items() if list(check(self.evidence, self.ledger))}


def test_all_is_well() -> None:
    assert World().broken() == set()


def _lost(world: World) -> None:
    del world.evidence.jobs["parent"], world.evidence.jobs["picture"]
    world.evidence.events.clear()
    world.evidence.checkpoints.clear()


def _not_asked_for(world: World) -> None:
    world.evidence.jobs["other"] = replace(
        world.evidence.jobs["parent"], job_id="other", course_id="c", status="failed"
    )
    world.evidence.events["other"] = [
        Told(1, "job_created", {}, AT),
        Told(2, "job_failed", {"error": {"code": "x"}}, AT),
    ]
    world.change("other", last_seq=2)


def _doubled_persist(world: World) -> None:
    world.evidence.revisions.append(Saved("c", 3, "parent", "persist"))
    world.evidence.current["c"] = (3, {"contentVersion": "v3"})
    world.evidence.listed["c"] = 3
    world.evidence.catalogs[ORG] = (3, 3)
    world.evidence.changes[ORG].append((3, "c"))
    world.store(3)


def _given_up(world: World) -> None:
    world.asked.kind = "pack"
    world.change("parent", status="dead_letter", error_code="worker_lost")


#: What goes wrong, and which check must see it.
WRONGS: dict[str, tuple[Callable[[World], object], str]] = {
    "an accepted job is gone": (_lost, "every accepted job exists, and no other"),
    "a job nobody asked for": (_not_asked_for, "every accepted job exists, and no other"),
    "a job still runs": (lambda w: w.change("picture", status="processing"), "every job is final; no lease is left"),
    "a lease is left": (lambda w: w.evidence.leases.append("parent"), "every job is final; no lease is left"),
    "a picture is awaited": (lambda w: w.change("parent", media_pending=1), "every job is final; no lease is left"),
    "a pack was given up": (_given_up, "jobs that need no model are done"),
    "a crash": (
        lambda w: w.tell("parent", "job_retrying", error={"code": "internal_error"}),
        "no job failed by a fault of ours",
    ),
    "done after a cancel": (lambda w: w.tell("parent", "job_cancelled"), "cancelled jobs stay cancelled"),
    "an event is missing": (lambda w: w.evidence.events["parent"].pop(2), "events are numbered 1 to n"),
    "an event came later": (lambda w: w.change("parent", last_seq=12), "events are numbered 1 to n"),
    "two ends": (lambda w: w.tell("parent", "job_completed"), "one end a run, and it is where the job stands"),
    "an end that is not told": (
        lambda w: w.change("parent", status="failed"),
        "one end a run, and it is where the job stands",
    ),
    "a run that is not told": (
        lambda w: w.change("parent", run=2),
        "one end a run, and it is where the job stands",
    ),
    "a step twice": (lambda w: w.tell("parent", "fill"), "no step ended twice"),
    "a step without a checkpoint": (
        lambda w: w.evidence.checkpoints.pop(("parent", "validate", "")),
        "no step ended twice",
    ),
    "persist saved twice": (_doubled_persist, "one revision a save, none twice"),
    "nothing was saved": (lambda w: w.evidence.revisions.pop(), "one revision a save, none twice"),
    "a picture is not counted": (
        lambda w: w.change("parent", media_completed=0),
        "pictures are counted once",
    ),
    "a picture told twice": (lambda w: w.tell("parent", "media_completed"), "pictures are counted once"),
    "bytes are gone": (
        lambda w: w.evidence.missing_assets.append("key"),
        "every asset's bytes are in the store",
    ),
    "an old course.json": (lambda w: w.store(1), "course.json is the current revision"),
    "no course.json": (lambda w: w.evidence.files.clear(), "course.json is the current revision"),
    "listed as it was": (
        lambda w: w.evidence.listed.update(c=1),
        "done courses are in the catalogs and their files",
    ),
    "an old catalog.json": (lambda w: w.store(1), "done courses are in the catalogs and their files"),
    "not in the public catalog": (
        lambda w: w.change("parent", visibility="public"),
        "done courses are in the catalogs and their files",
    ),
    "a gap in the versions": (lambda w: w.evidence.changes[ORG].pop(0), "catalog versions are dense"),
    "a broken promise": (lambda w: w.ledger.broken("a 500"), "what the client saw was kept"),
    "a key that brought two jobs": (
        lambda w: w.ledger.accept(w.asked, "another"),
        "what the client saw was kept",
    ),
}


@pytest.mark.parametrize("wrong", WRONGS)
def test_what_goes_wrong_is_seen(wrong: str) -> None:
    world = World()
    break_it, check = WRONGS[wrong]
    break_it(world)
    assert check in world.broken()


def test_every_check_can_fail() -> None:
    assert {check for _, check in WRONGS.values()} == set(CHECKS)


# --- calls to the model -----------------------------------------------------------------------------------------


def asked_for(seconds: float, fault: str | None = None, *, hung_up: bool = False, tag: str = "en-j000001") -> Call:
    """A call for the one group, so many seconds after the beginning."""
    facts = json.dumps({"language": tag, "group": "First steps"})
    told = {
        "at": (AT + timedelta(seconds=seconds)).timestamp(),
        "purpose": "items",
        "fault": fault,
        "hungUp": hung_up,
        "status": None if hung_up else 200,
        "question": f"Write.\n```json\n{facts}\n```",
    }
    return Call(told)


def calls_of(world: World, calls: list[Call], faults: list[Done] | None = None) -> ModelCalls:
    return ModelCalls(world.evidence, world.ledger, calls, faults or [])


def disturbed(kind: str, begin: float, end: float) -> Done:
    return Done(kind, (AT + timedelta(seconds=begin)).timestamp(), (AT + timedelta(seconds=end)).timestamp())


def test_one_call_is_what_is_needed() -> None:
    calls = calls_of(World(), [asked_for(1)])
    assert [*calls.strangers(), *calls.none_for_what_is_kept(), *calls.repeats_have_a_cause()] == []
    assert list(calls.within_the_bill()) == []
    assert (calls.sums().calls, calls.sums().needed, calls.sums().allowed) == (1, 1, 1)


def test_a_call_nobody_asked_for() -> None:
    assert list(calls_of(World(), [asked_for(1, tag="en-j000099")]).strangers())


def test_a_call_for_what_is_kept() -> None:
    late = [asked_for(1), asked_for(7)]
    assert list(calls_of(World(), late).none_for_what_is_kept())
    woken = [disturbed("worker stopped", 2, 6)]
    assert not list(calls_of(World(), late, woken).none_for_what_is_kept()), "it was about to do so when it was stopped"


@pytest.mark.parametrize(
    ("first", "faults", "retried_at", "cause"),
    [
        (asked_for(1), [], None, "no cause"),
        (asked_for(1, "500"), [], None, "it met a fault"),
        (asked_for(1, hung_up=True), [], None, "it got no answer"),
        (asked_for(1), [disturbed("postgres killed", 2, 3)], None, "the database was away"),
        (asked_for(1), [disturbed("store stopped", 2, 3)], None, "no cause"),
        (asked_for(1), [], 2, "the job was tried again"),
        (asked_for(1), [], 6, "no cause"),
    ],
)
def test_a_repeated_call_needs_a_cause(first: Call, faults: list[Done], retried_at: float | None, cause: str) -> None:
    world = World()
    if retried_at is not None:
        world.evidence.events["parent"].append(Told(99, "job_retrying", {}, AT + timedelta(seconds=retried_at)))
    calls = calls_of(world, [first, asked_for(4)], faults)
    assert dict(calls.causes()) == {cause: 1}
    assert bool(list(calls.repeats_have_a_cause())) == (cause == "no cause")


def test_a_call_that_was_not_written_down() -> None:
    world = World()
    assert list(calls_of(world, [asked_for(1), asked_for(2)]).each_has_its_row())
    world.evidence.calls = [Row("parent", "items", "ok", AT), Row("parent", "items", "started", AT)]
    assert not list(calls_of(world, [asked_for(1), asked_for(2)]).each_has_its_row())


def test_a_picture_that_was_asked_for_again() -> None:
    world = World()
    first, again = (Row("picture", "picture", "ok", AT + timedelta(seconds=at)) for at in (1, 4))
    late = Row("picture", "picture", "ok", AT + timedelta(seconds=10))
    for rows, is_wrong in (([first], False), ([first, again], True), ([late], True)):
        world.evidence.calls = rows
        assert bool(list(calls_of(world, []).pictures_are_asked_for_once())) == is_wrong
    world.evidence.calls = [replace(first, outcome="abandoned"), again]
    assert not list(calls_of(world, []).pictures_are_asked_for_once())


def test_more_calls_than_the_bill_allows() -> None:
    three = [asked_for(1), asked_for(2), asked_for(3)]
    assert list(calls_of(World(), three).within_the_bill())
    assert list(calls_of(World(), three, [disturbed("worker killed", 1, 2)]).within_the_bill()), (
        "one was at risk, not two"
    )
    assert not list(calls_of(World(), three[:2], [disturbed("worker killed", 1, 2)]).within_the_bill())
