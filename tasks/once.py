"""A worker without a broker: runs what is due, straight from the rows, and ends."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import UUID

from storage.engine.admission import take_next
from tasks.deps import Deps
from tasks.dispatch import QUEUES
from tasks.publish import publish_catalogs
from tasks.step import deliver


@dataclass
class Ran:
    """What was carried out: how many turns, and which jobs failed for good, each with the code of its error."""

    turns: int = 0
    failed: dict[UUID, str] = field(default_factory=dict)


def run_due(deps: Deps) -> Ran:
    """Carry out everything due now, each job as far as it goes in one turn."""
    ran = Ran()
    most = deps.settings.jobs.organization_max_active
    while not deps.watcher.stopping() and (sending := take_next(deps.db, QUEUES, most)) is not None:
        delivery = deliver(
            deps, sending.job_id, sending.run, sending.step, turn_seconds=float("inf"), job_type=sending.job_type
        )
        ran.turns += 1
        if delivery.failed is not None:
            ran.failed[sending.job_id] = delivery.failed
    publish_catalogs(deps)
    return ran
