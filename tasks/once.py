"""A worker without a broker: runs what is due, straight from the rows, and ends."""

from __future__ import annotations

from storage.queue import next_due
from tasks.deps import Deps
from tasks.dispatch import QUEUES
from tasks.publish import publish_catalogs
from tasks.step import deliver


def run_due(deps: Deps) -> int:
    """Carry out everything due now, each job as far as it goes in one turn. Returns how many turns there were."""
    turns = 0
    while (sending := next_due(deps.db, QUEUES)) is not None:
        deliver(deps, sending.job_id, sending.run, sending.step, turn_seconds=float("inf"))
        turns += 1
    publish_catalogs(deps)
    return turns
