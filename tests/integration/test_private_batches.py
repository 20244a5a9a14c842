"""Of a batch a viewer learns what its jobs of courses that they see are like; of one of private courses, nothing."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from flask.testing import FlaskClient

from schema.clock import new_id
from schema.settings import DEMO_ORGANIZATION_ID
from storage import retention
from tasks.batches import start_batch
from tasks.commands import Asker, cancel_job
from tasks.deps import Deps
from tests.integration.signed_in import sign_in
from tests.integration.stage import change, request
from tests.integration.test_private_courses import keep

ORG = UUID(DEMO_ORGANIZATION_ID)


def ask(deps: Deps, asker: Asker, *visibilities: str) -> tuple[str, list[UUID]]:
    started = start_batch(deps, asker, [request(visibility=one) for one in visibilities])
    return str(started.batch_id), list(started.job_ids)


def seen(client: FlaskClient, deps: Deps, role: str, batch_id: str) -> Any:
    """A batch as a role is shown it, the same alone and in the list; none when it is in neither."""
    sign_in(client, deps, ORG, role)  # type: ignore[arg-type]
    answer = client.get(f"/api/batches/{batch_id}")
    [*listed] = [one for one in client.get("/api/batches").get_json()["batches"] if one["batchId"] == batch_id]
    if answer.status_code == 404:
        assert listed == []
        return None
    assert listed == [answer.get_json()["batch"]]
    return answer.get_json()


def test_the_sums_are_of_the_jobs_one_sees(client: FlaskClient, deps: Deps, asker: Asker) -> None:
    batch_id, (plain, hidden, also_plain, turned) = ask(deps, asker, "org", "private", "public", "org")
    change(deps, "UPDATE jobs SET course_id = 'turned' WHERE id = :id", id=turned)
    keep(deps, "turned", "private")
    change(deps, "UPDATE jobs SET status = 'processing', progress = 50 WHERE id = :id", id=plain)
    change(deps, "UPDATE jobs SET status = 'failed', progress = 10 WHERE id = :id", id=hidden)
    change(deps, "UPDATE jobs SET status = 'dead_letter' WHERE id = :id", id=turned)
    change(
        deps,
        """INSERT INTO model_calls (id, organization_id, job_id, purpose, model, input_tokens, output_tokens, seconds,
          outcome, cost_usd)
        SELECT gen_random_uuid(), organization_id, id, 'plan', 'm', 10, 2, 1, 'ok', 0.25 FROM jobs WHERE id <> :id""",
        id=also_plain,
    )
    everything = seen(client, deps, "author", batch_id)
    assert (everything["batch"]["total"], everything["batch"]["failed"], len(everything["jobs"])) == (4, 2, 4)
    assert everything["batch"]["usage"]["calls"] == 3
    part = seen(client, deps, "viewer", batch_id)
    assert [one["jobId"] for one in part["jobs"]] == [str(plain), str(also_plain)]
    assert {name: count for name, count in part["batch"]["byStatus"].items() if count} == {
        "processing": 1,
        "pending": 1,
    }
    shown = {name: part["batch"][name] for name in ("total", "done", "failed", "progress", "finished", "usage")}
    assert shown == {
        "total": 2,
        "done": 0,
        "failed": 0,
        "progress": 25.0,
        "finished": False,
        "usage": {"calls": 1, "inputTokens": 10, "outputTokens": 2, "costUsd": 0.25},
    }
    change(deps, "UPDATE jobs SET status = 'done' WHERE id IN (:one, :two)", one=plain, two=also_plain)
    change(deps, "UPDATE jobs SET status = 'processing' WHERE id = :id", id=hidden)
    assert seen(client, deps, "viewer", batch_id)["batch"]["finished"]
    assert not seen(client, deps, "author", batch_id)["batch"]["finished"]


def test_a_batch_of_private_jobs_alone_is_not_there(client: FlaskClient, deps: Deps, asker: Asker) -> None:
    batch_id, _ = ask(deps, asker, "private", "private")
    assert seen(client, deps, "author", batch_id)["batch"]["total"] == 2
    assert seen(client, deps, "viewer", batch_id) is None
    hidden, missing = (client.get(f"/api/batches/{one}") for one in (batch_id, new_id()))
    assert {**hidden.get_json(), "requestId": ""} == {**missing.get_json(), "requestId": ""}


def test_pages_are_as_if_it_never_was(client: FlaskClient, deps: Deps, asker: Asker) -> None:
    made = {
        name: ask(deps, asker, *name.split())[0] for name in ("private", "org", "private private", "public private")
    }
    shown = [made["public private"], made["org"]]
    sign_in(client, deps, ORG, "viewer")
    found, path = [], "/api/batches?limit=1"
    for _ in range(2):
        page = client.get(path).get_json()
        found += [one["batchId"] for one in page["batches"]]
        path = f"/api/batches?limit=1&cursor={page['nextCursor']}"
    assert (found, page["nextCursor"]) == (shown, None)
    sign_in(client, deps, ORG, "author")
    assert [one["batchId"] for one in client.get("/api/batches").get_json()["batches"]] == list(made.values())[::-1]


def test_nor_does_it_come_to_light_when_its_jobs_are_purged(client: FlaskClient, deps: Deps, asker: Asker) -> None:
    """What was asked for is gone then."""
    hidden_id, (hidden,) = ask(deps, asker, "private")
    mixed_id, (also_hidden, plain) = ask(deps, asker, "private", "org")
    change(deps, "UPDATE jobs SET course_id = 'plain' WHERE id = :id", id=plain)
    keep(deps, "plain", "org")
    for job_id in (hidden, also_hidden, plain):
        cancel_job(deps, asker, job_id, "")
    change(deps, "UPDATE jobs SET cancelled_at = now() - interval '9 days', updated_at = now() - interval '9 days'")
    retention.purge(deps.db, jobs_hours=1, events_hours=1)
    assert change(deps, "UPDATE jobs SET purged_at = purged_at WHERE purged_at IS NOT NULL") == 3
    assert seen(client, deps, "author", hidden_id)["batch"]["total"] == 1
    assert seen(client, deps, "viewer", hidden_id) is None
    assert seen(client, deps, "viewer", mixed_id)["batch"]["total"] == 1
    assert [client.get(f"/api/jobs/{one}").status_code for one in (hidden, plain)] == [404, 200]
