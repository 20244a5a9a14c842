"""The job table in memory: what every write does to a job's rows, and nothing else.

It takes its decisions from the product (the table of moves, the pipelines, ``decide``) and repeats what the SQL does,
so that millions of interleavings can be tried without a server. That it repeats it truly is a test of its own, which
drives this and Postgres side by side (``tests/integration/test_job_table.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from schema.errors import CoursewrightError, Permanent, Transient, Unavailable
from schema.job import ACTIVE, MOVES, RETRYABLE, Status
from tasks.pipeline import PIPELINES
from tasks.retry import Again, decide

STEPS = [step.name for step in PIPELINES["course"].steps]
MAX_RETRIES = 2
STALE_AFTER = 60.0
#: Both, with a few silences and jumps of the machine's clock in any sum, are reached by a wide margin or not at all.
PATIENCE = 62.5
TIMEOUT = 22.5

#: What a step may meet. The waits are exact, so that two tables can be compared.
Fault = Literal["slow down", "refused", "database away"]
FAULTS: dict[Fault, Callable[[], CoursewrightError]] = {
    "slow down": lambda: Transient("Slow down.", code="model_rate_limited", retry_after=35),
    "refused": lambda: Permanent("No.", code="model_refused"),
    "database away": lambda: Unavailable("Away.", code="database_away"),
}


@dataclass(frozen=True)
class Grant:
    """A lease as its holder knows it: for which job and step, by which run and token."""

    job: int
    run: int
    token: int
    step: str


@dataclass
class Row:
    """A job with its lease, checkpoints and events. Times are seconds of the table's own clock."""

    status: Status = "pending"
    run: int = 1
    token: int = 0
    step: str = STEPS[0]
    due_at: float | None = 0.0
    retry_count: int = 0
    worked: float = 0.0
    working_since: float | None = None
    beaten_at: float | None = None  # none: there is no lease
    moved_at: float = 0.0
    checkpoints: dict[tuple[str, str], int] = field(default_factory=dict)
    events: list[str] = field(default_factory=lambda: ["job_created"])


@dataclass(frozen=True)
class View:
    """What can be compared between two tables."""

    status: str
    run: int
    token: int
    step: str
    due_in: float | None
    retry_count: int
    worked: float
    leased: bool
    checkpoints: tuple[tuple[str, str, int], ...]
    events: tuple[str, ...]


class JobTable:
    """Jobs by number, and a clock that only ``advance`` moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.jobs: list[Row] = []

    def advance(self, seconds: float) -> None:
        self.now += seconds

    def start(self) -> int:
        self.jobs.append(Row(due_at=self.now))
        return len(self.jobs) - 1

    def view(self, job: int) -> View:
        row = self.jobs[job]
        return View(
            status=row.status,
            run=row.run,
            token=row.token,
            step=row.step,
            due_in=None if row.due_at is None else row.due_at - self.now,
            retry_count=row.retry_count,
            worked=row.worked,
            leased=row.beaten_at is not None,
            checkpoints=tuple(sorted((step, part, run) for (step, part), run in row.checkpoints.items())),
            events=tuple(row.events),
        )

    # --- a worker ---------------------------------------------------------------------------------------------

    def claim(self, job: int, run: int, step: str) -> Grant | None:
        row = self.jobs[job]
        due = row.due_at is not None and row.due_at <= self.now
        if not (due and row.run == run and row.step == step and row.status in ("pending", "processing")):
            return None
        row.status, row.due_at, row.token = "processing", None, row.token + 1
        row.working_since = row.beaten_at = row.moved_at = self.now
        row.events.append("step_started")
        return Grant(job, run, row.token, step)

    def holds(self, grant: Grant) -> bool:
        row = self.jobs[grant.job]
        at_work = row.status == "processing" and row.due_at is None
        return at_work and (row.run, row.token) == (grant.run, grant.token)

    def beat(self, grant: Grant, *, moves: bool) -> bool:
        """Renew a heartbeat. That alone needs the token only, as a lease's row knows nothing else."""
        row = self.jobs[grant.job]
        if row.beaten_at is None or row.token != grant.token:
            return False
        if self.now - row.beaten_at > PATIENCE:
            self._work_on(row)
        row.beaten_at = self.now
        if moves:
            row.moved_at = self.now
        return True

    def keep(self, grant: Grant, part: str) -> bool:
        if not self.holds(grant):
            return False
        row = self.jobs[grant.job]
        row.checkpoints[grant.step, part] = grant.run
        row.moved_at = self.now
        row.events.append("topic_completed")
        return True

    def finish(self, grant: Grant, *, go_on: bool) -> Grant | None:
        """End a step. The grant that comes back is only worth something with ``go_on`` and a following step."""
        if not self.holds(grant):
            return None
        row = self.jobs[grant.job]
        row.checkpoints[grant.step, ""] = grant.run
        row.events.append("step_completed")
        following = STEPS.index(grant.step) + 1
        if following == len(STEPS):
            self._rest(row)
            row.status = "done"
            row.events.append("job_completed")
            return Grant(grant.job, grant.run, grant.token, grant.step)
        row.step = STEPS[following]
        if not go_on:
            self._rest(row)
            row.due_at = self.now
            return Grant(grant.job, grant.run, grant.token, row.step)
        self._work_on(row)
        row.token += 1
        row.beaten_at = row.moved_at = self.now
        row.events.append("step_started")
        return Grant(grant.job, grant.run, row.token, row.step)

    def hand_back(self, grant: Grant) -> bool:
        if not self.holds(grant):
            return False
        row = self.jobs[grant.job]
        self._move(row, "pending")
        row.due_at = self.now
        return True

    def meet(self, grant: Grant, fault: Fault) -> bool:
        """A step meets a fault."""
        if not self.holds(grant):
            return False
        self._decide(self.jobs[grant.job], FAULTS[fault]())
        return True

    # --- people -----------------------------------------------------------------------------------------------

    def cancel(self, job: int) -> bool:
        row = self.jobs[job]
        if row.status not in ACTIVE:
            return False
        self._move(row, "cancelled")
        row.events.append("job_cancelled")
        return True

    def retry(self, job: int) -> bool:
        row = self.jobs[job]
        if row.status not in RETRYABLE:
            return False
        self._move(row, "pending")
        row.run, row.retry_count, row.worked = row.run + 1, 0, 0.0
        row.step = next((step for step in STEPS if (step, "") not in row.checkpoints), STEPS[-1])
        row.due_at = self.now
        row.events.append("job_retrying")
        return True

    def mark_stale(self, job: int) -> bool:
        """An operator takes a job out of the hands of whoever works on it."""
        row = self.jobs[job]
        if row.status != "processing":
            return False
        self._go_stale(row)
        return True

    # --- the reconciler ---------------------------------------------------------------------------------------

    def reconcile(self) -> None:
        for row in self.jobs:
            if row.status == "processing" and row.due_at is None:
                self._judge(row)
            if row.status == "stale":
                self._decide(row, Transient("Its worker was lost.", code="worker_lost", retry_after=0))

    def _judge(self, row: Row) -> None:
        assert row.beaten_at is not None and row.working_since is not None, "a job at work has a lease"
        if self._worked(row) > TIMEOUT + STALE_AFTER:
            self._decide(row, Permanent("Too long.", code="deadline_exceeded"))
        elif self.now - row.beaten_at > STALE_AFTER or self.now - row.moved_at > PATIENCE:
            self._go_stale(row)

    # --- how rows change --------------------------------------------------------------------------------------

    def _worked(self, row: Row) -> float:
        """Of a silence no more counts than a step may stand still."""
        if row.working_since is None or row.beaten_at is None:
            return row.worked
        return row.worked + max(min(self.now, row.beaten_at + PATIENCE) - row.working_since, 0.0)

    def _work_on(self, row: Row) -> None:
        row.worked, row.working_since = self._worked(row), self.now

    def _rest(self, row: Row) -> None:
        row.worked = self._worked(row)
        row.working_since = row.beaten_at = None

    def _go_stale(self, row: Row) -> None:
        """It worked until it was last heard of."""
        if row.beaten_at is not None and row.working_since is not None:
            row.worked += max(row.beaten_at - row.working_since, 0.0)
        row.working_since = None
        self._move(row, "stale")

    def _move(self, row: Row, status: Status) -> None:
        assert status in MOVES[row.status], f"{row.status} -> {status} is no move"
        self._rest(row)
        row.status, row.due_at = status, None

    def _decide(self, row: Row, error: CoursewrightError) -> None:
        decision = decide(error, row.retry_count, MAX_RETRIES, luck=0.0)
        if isinstance(decision, Again):
            self._move(row, "pending")
            row.due_at = self.now + decision.seconds
            row.run += 1
            row.retry_count += decision.counted
            row.events.append("job_retrying")
        else:
            self._move(row, "dead_letter" if decision.dead_letter else "failed")
            row.events.append("job_failed")
