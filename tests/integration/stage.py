"""What the stories have in common: asking for work, looking at rows, many at once, and dying at a chosen moment."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any, TypeVar
from uuid import UUID

from schema.clock import new_id
from schema.events import EVENT_TYPES, Event
from schema.fields import load
from schema.job import NewJob, load_new_job
from storage import events, jobs, organizations, steps
from storage.db import Database, Transaction
from storage.jobs import NewRow
from storage.objects import ObjectStore
from storage.organizations import Organization
from storage.steps import Claimed
from tasks.commands import Asker, start_job
from tasks.deps import Deps
from tasks.pipeline import PIPELINES

T = TypeVar("T")

# --- rows -------------------------------------------------------------------------------------------------------


def rows(deps: Deps, statement: str, **values: Any) -> list[Any]:
    with deps.db.statement() as tx:
        return list(tx.run(statement, values).all())


def one(deps: Deps, statement: str, **values: Any) -> Any:
    """The only value of the only row."""
    [[value]] = rows(deps, statement, **values)
    return value


def change(deps: Deps, statement: str, **values: Any) -> int:
    """Rewrite history: make a heartbeat old, a due time past. Returns how many rows were changed."""
    with deps.db.statement() as tx:
        return tx.run(statement, values).rowcount


def job(deps: Deps, job_id: UUID) -> Any:
    [row] = rows(deps, "SELECT * FROM jobs WHERE id = :id", id=job_id)
    return row


def everything(deps: Deps, job_id: UUID) -> list[Any]:
    """All that is kept of a job, for seeing that nothing was written."""
    tables = ("job_payloads", "job_leases", "job_steps", "job_events")
    kept = [
        rows(deps, f"SELECT to_jsonb(t) AS row FROM {table} t WHERE job_id = :id ORDER BY 1", id=job_id)
        for table in tables
    ]
    return [rows(deps, "SELECT to_jsonb(j) AS row FROM jobs j WHERE id = :id", id=job_id), *kept]


def told(deps: Deps, job_id: UUID) -> list[dict[str, Any]]:
    """A job's events, each checked against its shape, their numbers without a gap, their times in order, their progress
    rising within each run."""
    found = events.after(deps.db, job(deps, job_id).organization_id, job_id, 0)
    assert [event["seq"] for event in found] == list(range(1, len(found) + 1))
    assert job(deps, job_id).last_seq == len(found)
    assert all(before["timestamp"] <= after["timestamp"] for before, after in pairwise(found))
    for event in found:
        body = {key: value for key, value in event.items() if key not in ("type", "jobId", "seq", "timestamp")}
        load(EVENT_TYPES[event["type"]](), body)
    assert _rises(found)
    return found


def _rises(found: list[dict[str, Any]]) -> bool:
    reached = 0.0
    for event in found:
        if event["type"] == "job_retrying":
            reached = 0.0  # a run of its own, which may have lost what made the one before fail
        if not reached <= event.get("progress", reached) <= 100:
            return False
        reached = event.get("progress", reached)
        if event["type"] == "job_completed" and reached != 100:
            return False
    return True


def types(deps: Deps, job_id: UUID) -> list[str]:
    return [event["type"] for event in told(deps, job_id)]


# --- asking -----------------------------------------------------------------------------------------------------

#: A request that is served in milliseconds, by no model.
SUMS: dict[str, Any] = {
    "subject": "Addition",
    "gradeBand": "2",
    "mode": "numeric",
    "itemsPerGroup": 4,
    "studyTextsCount": 1,
}
WATER: dict[str, Any] = {"subject": "The water cycle", "gradeBand": "4", "mode": "options", "itemsPerGroup": 6}


def request(**payload: Any) -> NewJob:
    return load_new_job({"jobType": "course", "payload": {**SUMS, **payload}})


def start(deps: Deps, asker: Asker, key: str | None = None, **payload: Any) -> UUID:
    return start_job(deps, asker, request(**payload), key).job_id


def put_job(deps: Deps, organization_id: UUID, **changes: Any) -> UUID:
    """A job's row alone: nobody is nudged to send it."""
    pipeline = PIPELINES[changes.get("job_type", "course")]
    given: dict[str, Any] = {
        "job_id": new_id(),
        "organization_id": organization_id,
        "job_type": pipeline.job_type,
        "queue": pipeline.queue,
        "payload": request().payload,
        "first_step": pipeline.steps[0].name,
        "total_steps": len(pipeline.steps),
        "max_retries": 3,
        "created_by": None,
        "course_id": f"course-{new_id().hex[:8]}",
    }
    given |= changes
    if given["job_type"] == "course":  # whoever starts one fills that in
        given["payload"] = {"language": "en", **given["payload"]}
    row = NewRow(**given)
    with deps.db.transaction() as tx:
        assert jobs.insert(tx, row, Event("job_created", {"estimatedDuration": None}))
    return row.job_id


def school(deps: Deps) -> Asker:
    """Somebody of another organization, made now."""
    code = new_id()
    organizations.ensure(deps.db, Organization(code, f"school-{code.hex[:8]}", "Another school"))
    return Asker(code, None)


def claim(deps: Deps, job_id: UUID, holder: str = "test", patience: float = 60) -> Claimed | None:
    """Claim the step a job stands at, in its present run."""
    row = job(deps, job_id)
    place = {"step": row.current_step, "stepIndex": row.current_step_index, "totalSteps": row.total_steps}
    event = Event("step_started", {**place, "message": "Begun", "progress": row.progress})
    return steps.claim(
        deps.db, job_id, row.run, row.current_step, row.current_step_index, holder, [event], "Begun", patience
    )


def held(deps: Deps, job_id: UUID) -> Claimed:
    claimed = claim(deps, job_id)
    assert claimed is not None
    return claimed


def lose_worker(deps: Deps, job_id: UUID, seconds: float = 120) -> None:
    """Its worker was last heard of ``seconds`` ago."""
    past = "clock_timestamp() - make_interval(secs => :seconds)"
    values = {"id": job_id, "seconds": seconds}
    assert change(deps, f"UPDATE job_leases SET heartbeat_at = {past} WHERE job_id = :id", **values) == 1
    change(deps, f"UPDATE jobs SET updated_at = {past} WHERE id = :id", **values)


def make_due(deps: Deps, job_id: UUID) -> None:
    """The time it was to wait is over."""
    assert change(deps, "UPDATE jobs SET due_at = clock_timestamp() WHERE id = :id AND due_at IS NOT NULL", id=job_id)


def lift_brakes(deps: Deps) -> None:
    """The times for which models were not to be called are over."""
    change(deps, "UPDATE model_brakes SET closed_until = clock_timestamp() WHERE closed_until > clock_timestamp()")


# --- many at once -----------------------------------------------------------------------------------------------


def together(actions: Sequence[Callable[[], T]]) -> list[T | BaseException]:
    """Do all at the same moment, each on a thread of its own. What one raises is its result."""
    results: list[Any] = [None] * len(actions)
    ready = threading.Barrier(len(actions))

    def act(at: int) -> None:
        ready.wait()
        try:
            results[at] = actions[at]()
        except BaseException as error:  # noqa: BLE001 - also a staged death
            results[at] = error

    threads = [threading.Thread(target=act, args=(at,)) for at in range(len(actions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "one of them hangs"
    return results


def at_once(count: int, action: Callable[[], T]) -> list[T | BaseException]:
    return together([action] * count)


# --- dying ------------------------------------------------------------------------------------------------------


class Died(BaseException):
    """The process was killed: nothing after this line runs, and nobody catches it."""


class Fate:
    """Kills this thread at its ``at``-th moment; a moment is before and after whatever leaves the process. With
    ``error`` it is not death that comes, but that error, and only before something."""

    def __init__(self, at: int, error: Exception | None = None) -> None:
        self.at = at
        self.moments: list[str] = []
        self._error = error
        self._thread = threading.get_ident()

    def moment(self, name: str) -> None:
        if threading.get_ident() == self._thread and (self._error is None or name.startswith("before")):
            self.moments.append(name)
            if len(self.moments) == self.at:
                raise self._error or Died(name)


class MortalDatabase(Database):
    """A database whose process may die before a transaction begins, before it commits, and after it did."""

    def __init__(self, db: Database, fate: Fate) -> None:
        super().__init__(db.engine)
        self._fate = fate

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        self._fate.moment("before begin")
        with super().transaction() as tx:
            yield tx
            self._fate.moment("before commit")
        self._fate.moment("after commit")

    @contextmanager
    def statement(self) -> Iterator[Transaction]:
        self._fate.moment("before statement")
        with super().statement() as tx:
            yield tx
        self._fate.moment("after statement")


class MortalStore(ObjectStore):
    """An object store whose writer may die before and after each write."""

    def __init__(self, store: ObjectStore, fate: Fate) -> None:
        super().__init__(store.settings)
        self._fate = fate

    def put(self, bucket: str, key: str, body: bytes, content_type: str, cache_control: str) -> None:
        self._fate.moment(f"before put {key.rsplit('/', 1)[-1]}")
        super().put(bucket, key, body, content_type, cache_control)
        self._fate.moment(f"after put {key.rsplit('/', 1)[-1]}")

    def _signed_put(self, bucket: str, key: str, body: bytes, headers: Mapping[str, str]) -> Any:
        self._fate.moment("before upload")
        response = super()._signed_put(bucket, key, body, headers)
        self._fate.moment("after upload")
        return response


def mortal(deps: Deps, fate: Fate) -> Deps:
    """The same process, about to die."""
    made = Deps(
        settings=deps.settings,
        db=MortalDatabase(deps.db, fate),
        bus=deps.bus,
        objects=MortalStore(deps.objects, fate),
        send=deps.send,
        holder=deps.holder,
    )
    made.watcher = deps.watcher
    return made
