"""Documents: one number, one content; and a file that is never older than what it replaces."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from storage import documents
from storage.documents import Author, Revision
from tasks import once
from tasks.commands import Asker
from tasks.cron import reconcile
from tasks.deps import Deps
from tasks.publish import as_bytes, course_key, publish_document, publish_soon
from tasks.reconcile.files import write_unstored
from tasks.step import deliver
from tests.conftest import make_deps
from tests.integration.stage import (
    Died,
    Fate,
    at_once,
    change,
    job,
    lose_worker,
    make_due,
    mortal,
    one,
    put_job,
    rows,
    school,
    start,
    together,
)

pytestmark = pytest.mark.usefixtures("empty_store")

SOMEBODY = Author("app", "somebody")


def save(deps: Deps, organization_id: UUID, content: Any = None, author: Author = SOMEBODY) -> Revision:
    with deps.db.transaction() as tx:
        at = documents.lock(tx, organization_id, "course", "sums")
        documents.save(tx, organization_id, "course", "sums", content or {"number": at + 1}, author, "edited")
        current = documents.current_in(tx, organization_id, "course", "sums")
    assert current is not None
    return current


def sweep(deps: Deps, older_than_seconds: float) -> int:
    """How many files the reconciler writes of revisions that never got to the store."""
    return len(list(write_unstored(deps, older_than_seconds)))


def file_of(deps: Deps, organization_id: UUID, course_id: str = "sums") -> tuple[int, Any] | None:
    bucket, key = deps.settings.s3.courses_bucket, course_key(organization_id, course_id)
    stored, body = deps.objects.stored(bucket, key), deps.objects.read(bucket, key)
    return None if stored is None or body is None else (stored.number, json.loads(body))


# --- numbers ----------------------------------------------------------------------------------------------------


def test_savers_at_once_get_dense_numbers_and_lose_nothing(deps: Deps, asker: Asker) -> None:
    def save_five(by: int) -> None:
        for turn in range(5):
            save(deps, asker.organization_id, {"by": by, "turn": turn})

    assert together([lambda by=by: save_five(by) for by in range(12)]) == [None] * 12  # type: ignore[misc]
    found = rows(deps, "SELECT revision, content FROM document_revisions ORDER BY revision")
    assert [row.revision for row in found] == [*range(1, 61)]
    assert len({json.dumps(row.content, sort_keys=True) for row in found}) == 60
    assert one(deps, "SELECT revision FROM documents") == 60


def test_a_document_belongs_to_its_organization(deps: Deps, asker: Asker) -> None:
    other = school(deps).organization_id
    save(deps, asker.organization_id)
    assert save(deps, other).revision == 1
    assert documents.current(deps.db, school(deps).organization_id, "course", "sums") is None


def test_a_step_has_one_revision_of_a_document(deps: Deps, asker: Asker) -> None:
    job_id = put_job(deps, asker.organization_id)
    author = Author("workflow", None, job_id, "persist")

    def save_once() -> int:
        with deps.db.transaction() as tx:
            documents.lock(tx, asker.organization_id, "course", "sums")
            org = asker.organization_id
            made = documents.revision_of_step(tx, org, "course", "sums", job_id, "persist")
            return made or documents.save(tx, org, "course", "sums", {}, author, "generated")

    assert at_once(8, save_once) == [1] * 8
    with pytest.raises(Exception, match="uq_document_revisions_step"):
        save(deps, asker.organization_id, author=author)
    assert one(deps, "SELECT revision FROM documents") == 1, "the number is given back with the transaction"


def test_an_archived_document_is_not_current_and_fails_the_job_that_was_making_it(deps: Deps, asker: Asker) -> None:
    save(deps, asker.organization_id)
    change(deps, "UPDATE documents SET archived_at = clock_timestamp()")
    assert documents.current(deps.db, asker.organization_id, "course", "sums") is None
    job_id = start(deps, asker, courseId="sums")
    once.run_due(deps)
    assert (job(deps, job_id).status, job(deps, job_id).error["code"]) == ("failed", "course_archived")


# --- persist ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("moment", "stored"),
    [("before upload", 0), ("after upload", 0), ("after statement", 1)],
    ids=["between revision and file", "between file and its note", "between the note and the checkpoint"],
)
def test_persist_goes_on_where_it_was_killed(deps: Deps, asker: Asker, moment: str, stored: int) -> None:
    class Dying(Fate):
        def moment(self, name: str) -> None:
            self.moments.append(name)
            if name == moment and "before upload" in self.moments:
                raise Died(name)

    job_id = start(deps, asker, courseId="sums")
    with pytest.raises(Died):
        deliver(mortal(deps, Dying(0)), job_id, 1, "skeleton", 60)
    assert job(deps, job_id).current_step == "persist"
    assert one(deps, "SELECT stored_revision FROM documents") == stored
    lose_worker(deps, job_id)
    reconcile(deps)
    once.run_due(deps)
    assert job(deps, job_id).status == "done"
    [only] = rows(deps, "SELECT revision, content, job_id, step FROM document_revisions")
    assert (only.revision, only.job_id, only.step) == (1, job_id, "persist")
    assert file_of(deps, asker.organization_id) == (1, only.content)


def test_a_job_that_resumes_after_somebody_saved_never_puts_its_older_file_back(deps: Deps, asker: Asker) -> None:
    class Dying(Fate):
        def moment(self, name: str) -> None:
            if name == "before upload":
                raise Died(name)

    job_id = start(deps, asker, courseId="sums")
    with pytest.raises(Died):
        deliver(mortal(deps, Dying(0)), job_id, 1, "skeleton", 60)
    generated = documents.current(deps.db, asker.organization_id, "course", "sums")
    assert generated is not None
    edited = save(deps, asker.organization_id, {**generated.content, "title": "Mended by hand", "contentVersion": "v2"})
    publish_document(deps, edited)
    lose_worker(deps, job_id)
    reconcile(deps)
    once.run_due(deps)
    assert job(deps, job_id).status == "done"
    assert file_of(deps, asker.organization_id) == (2, edited.content)
    [listed] = rows(deps, "SELECT title, revision FROM course_metadata")
    assert (listed.title, listed.revision) == ("Mended by hand", 2)


# --- the file ---------------------------------------------------------------------------------------------------


def test_an_older_upload_never_lands_over_a_newer_one(deps: Deps, asker: Asker) -> None:
    first, second = save(deps, asker.organization_id), save(deps, asker.organization_id)
    publish_document(deps, second)
    publish_document(deps, first)
    assert file_of(deps, asker.organization_id) == (2, second.content)
    assert one(deps, "SELECT stored_revision FROM documents") == 2


def test_publishers_of_different_revisions_at_once_end_at_the_newest(deps: Deps, asker: Asker) -> None:
    revisions = [save(deps, asker.organization_id) for _ in range(5)]
    order = [*revisions, revisions[-1]]
    random.Random(3).shuffle(order)
    deeds: list[Callable[[], bool]] = [lambda one=revision: publish_document(deps, one) for revision in order]  # type: ignore[misc]
    assert set(map(str, together(deeds))) <= {"True", "False"}
    assert file_of(deps, asker.organization_id) == (5, revisions[-1].content)
    assert one(deps, "SELECT stored_revision FROM documents") == 5


@pytest.mark.parametrize("before", ["nothing", "an older file"])
def test_the_sweep_writes_a_file_that_is_missing_or_older(deps: Deps, asker: Asker, before: str) -> None:
    if before == "an older file":
        publish_document(deps, save(deps, asker.organization_id))
    newest = save(deps, asker.organization_id)
    assert sweep(deps, 60) == 0, "its own job may still be at it"
    assert sweep(deps, 0) == 1
    assert file_of(deps, asker.organization_id) == (newest.revision, newest.content)
    assert sweep(deps, 0) == 0


def test_of_sweeps_at_once_one_writes(deps: Deps, asker: Asker) -> None:
    newest = save(deps, asker.organization_id)
    answers = at_once(4, lambda: sweep(deps, 0))
    assert sorted(str(answer) for answer in answers) == ["0", "0", "0", "1"], "one of them wrote it"
    assert file_of(deps, asker.organization_id) == (1, newest.content)


def test_what_could_not_be_written_now_is_left_to_the_sweep(deps: Deps, asker: Asker) -> None:
    nowhere = replace(deps.settings.s3, endpoint_url="http://127.0.0.1:9")
    cut_off = make_deps(replace(deps.settings, s3=nowhere), deps.send)  # type: ignore[arg-type]
    revision = save(deps, asker.organization_id)
    publish_soon(cut_off, revision)
    cut_off.close()
    assert file_of(deps, asker.organization_id) is None
    assert sweep(deps, 0) == 1


def test_a_job_waits_for_the_store_and_is_done_when_it_is_back(deps: Deps, asker: Asker) -> None:
    nowhere = replace(deps.settings.s3, endpoint_url="http://127.0.0.1:9")
    cut_off = make_deps(replace(deps.settings, s3=nowhere), deps.send)  # type: ignore[arg-type]
    job_id = start(deps, asker, courseId="sums")
    for run in range(1, 7):
        step = job(deps, job_id).current_step
        assert deliver(cut_off, job_id, run, step, 60).verdict == "stopped:tries_again"
        make_due(deps, job_id)
    cut_off.close()
    row = job(deps, job_id)
    assert (row.status, row.current_step, row.error["code"]) == ("pending", "persist", "store_away")
    assert row.retry_count == 0, "an outage of our own is no fault of the job"
    once.run_due(deps)
    assert job(deps, job_id).status == "done"
    current = documents.current(deps.db, asker.organization_id, "course", "sums")
    assert current is not None
    assert current.revision == 1
    body = deps.objects.read(deps.settings.s3.courses_bucket, course_key(asker.organization_id, "sums"))
    assert body == as_bytes(current.content)
