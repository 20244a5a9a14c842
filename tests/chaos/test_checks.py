"""Each check of jobs, documents and catalogs, on a made-up world in which all is well, and with one thing gone wrong in
it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.chaos.checks import CHECKS
from tests.chaos.evidence import Saved, Told
from tests.chaos.world import AT, ORG, World


def broken(world: World) -> set[str]:
    return {name for name, check in CHECKS.items() if list(check(world.evidence, world.ledger))}


def test_all_is_well() -> None:
    assert broken(World()) == set()


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


def _cancelled(world: World) -> None:
    """The cancel was answered, and nothing came of it."""
    world.asked.cancelled_at = world.asked.cancel_told_at = 1.0


def _retried(world: World) -> None:
    """Cancelled, and taken up again: so was it told, but no step began."""
    _cancelled(world)
    world.asked.retried_at, world.asked.retry_told = 2.0, True
    world.tell("parent", "job_cancelled")
    world.tell("parent", "job_retrying", error=None)


def _back(world: World) -> None:
    for progress in (50, 49):
        world.tell("parent", "step_progress", progress=progress)


def _picture_given_up_after_a_retry(world: World) -> None:
    world.asked.cancelled_at, world.asked.retried_at, world.asked.retry_told = 1.0, 2.0, True
    world.change("picture", status="failed", error_code="worker_lost")


_PICTURES = "every asset's bytes are in the store, and no others"
_FILES = "course.json is the current revision, and nothing else is there"
#: What goes wrong, and which check must see it.
WRONGS: dict[str, tuple[Callable[[World], object], str]] = {
    "an accepted job is gone": (_lost, "every accepted job exists, and no other"),
    "a job nobody asked for": (_not_asked_for, "every accepted job exists, and no other"),
    "a job still runs": (lambda w: w.change("picture", status="processing"), "every job is final; no lease is left"),
    "a lease is left": (lambda w: w.evidence.leases.append("parent"), "every job is final; no lease is left"),
    "a picture is awaited": (lambda w: w.change("parent", media_pending=1), "every job is final; no lease is left"),
    "a job was given up": (
        lambda w: w.change("parent", status="dead_letter", error_code="worker_lost"),
        "what nobody cancelled is done",
    ),
    "a picture was cancelled by nobody": (
        lambda w: w.change("picture", status="cancelled"),
        "what nobody cancelled is done",
    ),
    "a picture of a retried job was given up": (_picture_given_up_after_a_retry, "what nobody cancelled is done"),
    "a cancel was answered and forgotten": (_cancelled, "an answered cancel or retry was done"),
    "a retry was answered and forgotten": (_retried, "an answered cancel or retry was done"),
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
    "a bar that goes back": (_back, "progress never goes back within a run"),
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
    "bytes are gone": (lambda w: w.evidence.pictures.clear(), _PICTURES),
    "bytes without a row": (lambda w: w.evidence.assets.clear(), _PICTURES),
    "an old course.json": (lambda w: w.store(1), _FILES),
    "no course.json": (lambda w: w.evidence.files.clear(), _FILES),
    "a course.json without a revision": (lambda w: w.evidence.files.update({f"{ORG}/d/course.json": b"{}"}), _FILES),
    "a done course without a revision": (lambda w: w.change("parent", course_id="d"), _FILES),
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
    assert check in broken(world)


def test_every_check_can_fail() -> None:
    assert {check for _, check in WRONGS.values()} == set(CHECKS)
