"""The life of jobs under random interleavings, with no server at all."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.fakes.job_table import Grant, JobTable, Row
from tests.job_machine import JobMachine


def test_whatever_happens_in_whichever_order_every_job_ends_once() -> None:
    run_state_machine_as_test(
        JobMachine,
        settings=settings(
            max_examples=150, stateful_step_count=60, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


class Forgetful(JobTable):
    """Broken in one place, so that the machine shows it would notice."""


class FencesByRunAlone(Forgetful):
    def holds(self, grant: Grant) -> bool:
        row = self.jobs[grant.job]
        return row.status == "processing" and row.due_at is None and row.run == grant.run


class IgnoresCancel(Forgetful):
    def holds(self, grant: Grant) -> bool:
        row = self.jobs[grant.job]
        return (row.run, row.token) == (grant.run, grant.token) and row.beaten_at is not None

    def cancel(self, job: int) -> bool:
        lease = self.jobs[job].beaten_at
        cancelled = super().cancel(job)
        self.jobs[job].beaten_at = lease
        return cancelled


class LosesTheNextStep(Forgetful):
    def finish(self, grant: Grant, *, go_on: bool) -> Grant | None:
        followed = super().finish(grant, go_on=go_on)
        if followed is not None and not go_on:
            self.jobs[grant.job].due_at = None
        return followed


class CountsSleepAsWork(Forgetful):
    def _worked(self, row: Row) -> float:
        return row.worked + (0.0 if row.working_since is None else self.now - row.working_since)


class NeverLooksForTheDead(Forgetful):
    def reconcile(self) -> None:
        return


@pytest.mark.parametrize("broken", Forgetful.__subclasses__())
def test_a_table_that_breaks_a_promise_is_found_out(broken: type[JobTable]) -> None:
    class Machine(JobMachine):
        def make_table(self) -> JobTable:
            return broken()

    with pytest.raises(AssertionError):
        run_state_machine_as_test(
            Machine,
            settings=settings(
                max_examples=2000,
                stateful_step_count=40,
                deadline=None,
                database=None,
                print_blob=False,
                report_multiple_bugs=False,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
