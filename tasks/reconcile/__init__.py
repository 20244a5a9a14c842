"""The reconciler: finds where rows, workers and the store have drifted apart, and mends it.

Beat starts it every few seconds, an operator whenever he likes. Each kind of drift has a mend of its own, which looks
for a few cases, and yields a word for each one it has corrected. Mends that need only rows come first, so that a store
that hangs keeps nobody waiting for a lost job.

Two at once do no harm, and no lock keeps them apart: one held over a whole round would need a transaction open all the
while, over calls to the store. Instead each correction stands alone. It looks again under the row's lock, or is a write
on the condition that nothing has changed since; whoever comes second finds nothing left to do, and counts nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import datetime
from functools import partial

import structlog

from schema.errors import Transient, Unavailable
from storage.engine import corrections
from storage.spending import calls
from tasks.deps import Deps
from tasks.reconcile.counts import mend_counts
from tasks.reconcile.files import mend_catalogs, mend_documents, write_unstored
from tasks.reconcile.lost import mend_lost, mend_overdue, take_up_stale
from tasks.reconcile.pictures import mend_pictures

log = structlog.get_logger(__name__)

#: Yields the kind of each correction it made.
Mend = Callable[[Deps], Iterator[str]]


def _in_rows(awake: datetime | None) -> dict[str, Mend]:
    return {
        "overdue": mend_overdue,
        "lost": partial(mend_lost, awake=awake),
        "stale": take_up_stale,
        "counts": mend_counts,
        "calls": _close_calls,
    }


def _close_calls(deps: Deps) -> Iterator[str]:
    """Calls to a model that were going on when their process died: how they ended is not known."""
    longest = deps.settings.model.timeout_seconds + deps.settings.jobs.stale_after_seconds
    for call in calls.close_left_open(deps.db, longest):
        log.warning("job_corrected", kind="call_left_open", job=str(call.job_id), step=call.step, model=call.model)
        yield "call_left_open"


_IN_STORE: dict[str, Mend] = {
    "unstored": write_unstored,
    "documents": mend_documents,
    "catalogs": mend_catalogs,
    "pictures": mend_pictures,
}


def reconcile(deps: Deps, awake: datetime | None = None, *, rows: bool = True, store: bool = True) -> dict[str, int]:
    """Mend what has drifted: among the rows, and between rows and store. Returns how often each kind was corrected,
    without those that were not.

    Nobody's silence counts from before ``awake``, the moment the database came back."""
    mends = (_in_rows(awake) if rows else {}) | (_IN_STORE if store else {})
    corrected: Counter[str] = Counter()
    for name, mend in mends.items():
        here: Counter[str] = Counter()
        try:
            for kind in mend(deps):
                here[kind] += 1
        except (Unavailable, Transient) as error:
            log.warning("reconciler_waits", mend=name, reason=error.code)
        except Exception:
            # An outer door: a fault in one mend must not keep the others from theirs, round after round.
            log.exception("reconciler_crashed", mend=name)
        _count(deps, here)
        corrected += here
    if corrected:
        log.warning("reconciled", **corrected)
    return dict(corrected)


def _count(deps: Deps, corrected: Counter[str]) -> None:
    try:
        for kind, number in corrected.items():
            corrections.count(deps.db, kind, number)
    except Unavailable as error:
        log.warning("corrections_not_counted", reason=error.code, **corrected)
