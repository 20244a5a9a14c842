"""Parents that wait for another number of children than live."""

from __future__ import annotations

from collections.abc import Iterator

import structlog

from schema.events import Event
from storage import events
from storage.engine import children, moves
from tasks.deps import Deps

log = structlog.get_logger(__name__)


def mend_counts(deps: Deps) -> Iterator[str]:
    """Count a parent's children anew, and tell ``media_settled`` where none is left to wait for."""
    for parent_id in children.miscounted(deps.db):
        with deps.db.transaction() as tx:
            standing = moves.lock(tx, parent_id)
            counted = children.recount(tx, parent_id) if standing is not None else None
            if standing is None or counted is None:
                continue
            pending, completed, failed = counted
            if pending == 0:
                settled = Event("media_settled", {"completed": completed, "failed": failed})
                events.append(tx, parent_id, [settled])
        deps.bus.wake(parent_id)
        log.warning(
            "job_corrected", kind="recounted", job=str(parent_id), before=standing.media_pending, pending=pending
        )
        yield "recounted"
