"""How long a job will take, told when it is asked for. Past jobs are looked at once a minute, not for each new one."""

from __future__ import annotations

import time
from collections.abc import Callable
from uuid import UUID
from weakref import WeakKeyDictionary

from storage.db import Database
from storage.statistics import expected_seconds
from tasks.deps import Deps

KEPT_SECONDS = 60.0
#: Of so many organizations and types together the answers are kept; then they are asked for anew.
_MOST = 10_000

#: Of each database: whose jobs, of which type; until when the answer holds, and the answer.
_known: WeakKeyDictionary[Database, dict[tuple[UUID, str], tuple[float, float | None]]] = WeakKeyDictionary()


def estimated_seconds(
    deps: Deps, organization_id: UUID, job_type: str, now: Callable[[], float] = time.monotonic
) -> float | None:
    """What half of the past jobs like it took at most; none when there are too few. Not to be called within a
    transaction: it may need a connection of its own."""
    known = _known.setdefault(deps.db, {})
    holds_until, seconds = known.get((organization_id, job_type), (0.0, None))
    if now() < holds_until:
        return seconds
    expected = expected_seconds(deps.db, organization_id, job_type)
    seconds = round(expected.p50, 1) if expected else None
    if len(known) >= _MOST:
        known.clear()
    known[organization_id, job_type] = now() + KEPT_SECONDS, seconds
    return seconds
