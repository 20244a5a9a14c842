"""The doctor's look at the work: does anybody carry it out, does it move, is anything left lying."""

from __future__ import annotations

import time
from collections.abc import Iterator

from schema.clock import utc_now
from schema.errors import Unavailable
from storage import health
from storage.figures import metrics
from storage.figures.metrics import Figures
from storage.spending.brakes import Brake
from tasks.deps import Deps
from tasks.roll_call import ticks_done
from web.doctor.finding import Finding, fault, ok, warning

#: Each of these has a queue of its own, and without one its queue waits.
WORKERS = ("worker", "media", "control")
#: Between two looks at the clock's work, in seconds: it ticks every second.
BETWEEN_LOOKS = 2.5
#: A job due for longer than this while nothing moves is a fault.
LONG_SECONDS = 60


def workers() -> Iterator[Finding]:
    """Who answers, and whether beat's ticks are carried out: two looks, a moment apart. Takes about five seconds."""
    try:
        before = ticks_done()
        time.sleep(BETWEEN_LOOKS)
        after = ticks_done()
    except Unavailable as error:
        yield fault("workers", f"They can't be asked: {error.message}", "See redis above.")
        return
    names = sorted(after)
    missing = [kind for kind in WORKERS if not any(name.startswith(f"{kind}@") for name in names)]
    if missing:
        words = f"Nobody answers as {', '.join(missing)}; there are {', '.join(names) or 'none'}."
        yield fault("workers", words, f"Start {missing[0]} with its line of the Procfile, and look at its log.")
    else:
        yield ok("workers", f"They answer: {', '.join(names)}.")
    done = sum(after.values()) - sum(before.get(name, 0) for name in after)
    if done > 0:
        yield ok("beat", f"{done} ticks were carried out in {BETWEEN_LOOKS:.1f} s.")
    else:
        words = f"No tick was carried out in {BETWEEN_LOOKS:.1f} s: due jobs wait, lost ones stay lost."
        yield fault("beat", words, "Start beat with its line of the Procfile. If it runs, look at the log of control.")


def movement(deps: Deps) -> Iterator[Finding]:
    """What the rows tell: leases, what is due, what waits for somebody, files that are behind, brakes."""
    try:
        with health.reading_postgres():
            figures = metrics.read(deps.db, stale_after_seconds=deps.settings.jobs.stale_after_seconds)
    except Unavailable as error:
        words = f"Its figures can't be read: {health.reason(error)}."
        yield fault("work", words, "See database, rights and migrations above.")
        return
    yield _leases(figures, deps.settings.jobs.stale_after_seconds)
    yield _due(figures)
    yield _left_lying(figures)
    yield _files(figures)
    yield _brakes(figures)


def _leases(figures: Figures, stale_after: float) -> Finding:
    leases = figures.leases
    # Right after a process died its leases are silent, until the reconciler has looked: every five seconds.
    if leases.oldest_heartbeat > stale_after + LONG_SECONDS:
        words = f"A lease has had no heartbeat for {leases.oldest_heartbeat:.0f} s, and nobody took its job up."
        return fault("leases", words, "Beat and control do that: see both above.")
    if leases.silent or leases.stuck:
        words = f"{leases.silent} leases without heartbeat, {leases.stuck} without progress, of {leases.count}."
        return warning("leases", words, "Nothing yet: their jobs get a new run within seconds. Ask again in a minute.")
    return ok("leases", f"{leases.count} steps at work, oldest heartbeat {leases.oldest_heartbeat:.0f} s ago.")


def _due(figures: Figures) -> Finding:
    due = sum(queue.due for queue in figures.queues.values())
    oldest = max((queue.oldest for queue in figures.queues.values()), default=0.0)
    moved = sum(five for _, five in figures.moved.values())
    words = f"{due} jobs due, the oldest for {oldest:.0f} s; {moved} checkpoints in the last five minutes."
    if oldest > LONG_SECONDS and not moved:
        return fault("queue", words, "Nothing moves. See workers and beat above, then the logs of worker and control.")
    if oldest > LONG_SECONDS:
        mend = "Work moves, more slowly than it comes: add workers, or wait. ORG_MAX_ACTIVE_JOBS also makes jobs wait."
        return warning("queue", words, mend)
    return ok("queue", words)


def _left_lying(figures: Figures) -> Finding:
    dead = sum(count for (status, _), count in figures.living.items() if status == "dead_letter")
    stale = sum(count for (status, _), count in figures.living.items() if status == "stale")
    if dead:
        mend = (
            "coursewright jobs list --status dead_letter --all-organizations; mend the cause, then requeue or delete."
        )
        return warning("dead letters", f"{dead} jobs used up their retries. {stale} others are stale.", mend)
    return ok("dead letters", f"None; {stale} jobs are stale.")


def _files(figures: Figures) -> Finding:
    behind = f"{figures.documents_behind} courses and {figures.catalogs_behind} catalogs"
    words = f"Not in the store as they are for over a minute: {behind}."
    if figures.documents_behind > 100 or figures.catalogs_behind > 10:
        return warning("files", words, "See the buckets above. control writes 20 courses every 5 s once it can.")
    return ok("files", words)


def _brakes(figures: Figures) -> Finding:
    on = [one for one in figures.brakes if one.state != "free"]
    if not on:
        return ok("brakes", "No model is braked.")
    worst = max(on, key=lambda one: (one.state == "open", _blocked_for(one)))
    left = _blocked_for(worst)
    why = f"failed {worst.failures} times in a row" if worst.state == "open" else "is to be called less often"
    until = f"nobody calls it for {left:.0f} s more" if left else "one call at a time tries whether it is back"
    others = f" Braked too: {len(on) - 1} more." if len(on) > 1 else ""
    mend = "Jobs wait, and go on by themselves once it answers. See docs/operations.md, CoursewrightModelBraked."
    return warning("brakes", f"{worst.model} at {worst.endpoint} {why}; {until}.{others}", mend)


def _blocked_for(brake: Brake) -> float:
    """For how many seconds from now nobody calls the model."""
    return max(0.0, (brake.closed_until - utc_now()).total_seconds()) if brake.closed_until else 0.0
