"""Whether a run was what it was meant to be: what did not happen proves nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from tests.chaos.faults import Done
from tests.chaos.plan import KINDS, Form


def carried_out(form: Form, faults: list[Done], doubled: Counter[str], accepted: int) -> Iterator[str]:
    """The faults happened, and to a system at work. Of a long form each kind did, and met what it is there for."""
    yield from (f"{done.kind}: {done.broken}" for done in faults if done.broken)
    happened = [done for done in faults if done.happened]
    if len(happened) < form.least:
        yield f"{len(happened)} faults happened, {form.least} must"
    if accepted < form.jobs:
        yield f"{accepted} jobs were accepted, {form.jobs} must be"
    if form.long:
        yield from _each_met_something(happened, doubled)


def _each_met_something(happened: list[Done], doubled: Counter[str]) -> Iterator[str]:
    counts = Counter(done.kind for done in happened)
    yield from (f"{kind}: never happened" for kind in KINDS if not counts[kind])
    if not doubled.total():
        yield "no message was doubled"
    for kind, what in (
        ("worker killed", "held a job"),
        ("worker stopped", "held a job"),
        ("web killed before send", "had answered with 202"),
    ):
        if not any(done.held for done in happened if done.kind == kind):
            yield f"{kind}: none of {counts[kind]} {what}"
