"""Courses that were saved and that no job lists any more: listed by the reconciler, unless somebody said no to them."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from schema.errors import CoursewrightError, Permanent, Transient
from storage import catalog
from tasks import once
from tasks.commands import Asker, cancel_job, retry_job
from tasks.cron import reconcile
from tasks.deps import Deps
from tasks.ending import settle_error
from tasks.publish import course_key, publish_catalogs
from tasks.step import deliver
from tests.conftest import make_deps
from tests.integration.stage import at_once, change, held, job, start
from tests.integration.test_reconcile_rows import counted, sums
from tests.integration.test_reconcile_store import current, in_store, made, unseen

pytestmark = pytest.mark.usefixtures("empty_store")


def saved(deps: Deps, asker: Asker, course_id: str = "sums", **payload: Any) -> UUID:
    """A job that has saved its course and not listed it yet."""
    job_id = start(deps, asker, courseId=course_id, **payload)
    for step in ("skeleton", "fill", "validate", "persist"):
        assert deliver(deps, job_id, 1, step, 0).pass_on
    return job_id


def end(deps: Deps, asker: Asker, job_id: UUID, status: str) -> None:
    if status == "cancelled":
        cancel_job(deps, asker, job_id, "")
        return
    error: CoursewrightError = Permanent("No.", code="internal_error")
    if status == "dead_letter":
        change(deps, "UPDATE jobs SET max_retries = 0 WHERE id = :id", id=job_id)
        error = Transient("Its worker was lost.", code="worker_lost")
    assert settle_error(deps, held(deps, job_id).lease, "catalog", error) == status


def shown(deps: Deps, asker: Asker) -> dict[str, str]:
    return {entry["id"]: entry["contentVersion"] for entry in catalog.whole(deps.db, asker.organization_id)["courses"]}


@pytest.mark.parametrize("status", ["failed", "dead_letter"])
def test_a_course_whose_job_failed_after_saving_it_is_listed(deps: Deps, asker: Asker, status: str) -> None:
    job_id = saved(deps, asker)
    assert reconcile(deps) == {}, "its job is at work and will list it"
    end(deps, asker, job_id, status)
    unseen(deps, "documents")
    assert sums(at_once(3, lambda: reconcile(deps))) == counted(deps) == {"course_unlisted": 1}
    assert shown(deps, asker) == {"sums": "v1"}
    assert (job(deps, job_id).status, publish_catalogs(deps)) == (status, 1)
    unseen(deps, "documents")
    assert reconcile(deps) == {}
    retry_job(deps, asker, job_id)
    once.run_due(deps)
    assert (job(deps, job_id).status, shown(deps, asker)) == ("done", {"sums": "v1"})
    assert catalog.version(deps.db, asker.organization_id) == 1, "listed once"


@pytest.mark.parametrize("forgotten", [False, True])
def test_a_new_course_whose_making_was_cancelled_stays_out_of_the_catalog(
    deps: Deps, asker: Asker, forgotten: bool
) -> None:
    job_id = saved(deps, asker, visibility="public")
    end(deps, asker, job_id, "cancelled")
    if forgotten:
        change(deps, "DELETE FROM jobs")
    assert reconcile(deps) == {}
    assert [shown(deps, asker), current(deps, asker, "sums").revision] == [{}, 1]
    if not forgotten:
        retry_job(deps, asker, job_id)
        once.run_due(deps)
    else:
        made(deps, asker)
    assert shown(deps, asker) == {"sums": f"v{current(deps, asker, 'sums').revision}"}


@pytest.mark.parametrize("status", ["failed", "dead_letter", "cancelled"])
def test_a_listed_course_is_listed_as_its_file_is(deps: Deps, asker: Asker, status: str) -> None:
    made(deps, asker)
    end(deps, asker, saved(deps, asker, itemsPerGroup=5), status)
    assert reconcile(deps) == {"course_unlisted": 1}
    assert shown(deps, asker) == {"sums": "v2"}
    file = in_store(deps, course_key(asker.organization_id, "sums"))
    assert file is not None and json.loads(file)["contentVersion"] == "v2"


def test_a_course_is_listed_when_it_is_in_the_store_and_not_before(deps: Deps, asker: Asker) -> None:
    made(deps, asker)
    job_id = start(deps, asker, courseId="sums", itemsPerGroup=5)
    for step in ("skeleton", "fill", "validate"):
        assert deliver(deps, job_id, 1, step, 0).pass_on
    nowhere = replace(deps.settings.s3, endpoint_url="http://127.0.0.1:9")
    away = make_deps(replace(deps.settings, s3=nowhere), deps.send)  # type: ignore[arg-type]
    assert deliver(away, job_id, 1, "persist", 0).verdict == "stopped:tries_again"
    end(deps, asker, job_id, "cancelled")
    change(deps, "UPDATE documents SET updated_at = updated_at - interval '1 minute'")
    assert reconcile(away) == {}
    assert shown(deps, asker) == {"sums": "v1"}
    unseen(deps, "documents")
    assert reconcile(deps) == {"document_unwritten": 1, "course_unlisted": 1}
    assert shown(deps, asker) == {"sums": "v2"}
    away.close()


def test_an_archived_course_is_not_listed(deps: Deps, asker: Asker) -> None:
    end(deps, asker, saved(deps, asker), "failed")
    change(deps, "UPDATE documents SET archived_at = clock_timestamp()")
    assert reconcile(deps) == {}
    assert shown(deps, asker) == {}
