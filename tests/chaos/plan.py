"""Which faults come when: drawn from a seed, so that the same seed brings the same plan again."""

from __future__ import annotations

import random
from dataclasses import dataclass

#: Every kind of fault, with what it does.
KINDS = {
    "worker killed": "kill -9 of a worker, in the middle of a job when one can be caught there",
    "media killed": "kill -9 of the media worker's parent",
    "media child killed": "kill -9 of a child of the media worker's pool",
    "beat killed": "kill -9 of beat",
    "control killed": "kill -9 of the clock's worker",
    "web killed": "kill -9 of gunicorn and all its workers",
    "web worker killed": "kill -9 of one of gunicorn's workers",
    "web killed before send": "kill -9 of the web right after a 202, with the broker stopped so that nothing was sent",
    "worker stopped": "SIGSTOP of a worker for longer than its lease, then SIGCONT",
    "valkey killed": "kill -9 of Valkey; its append-only file is there when it starts again",
    "valkey emptied": "kill -9 of Valkey, and its files are gone when it starts again",
    "valkey flushed": "FLUSHALL",
    "messages doubled": "for a while every message is put on its queue a second time",
    "two beats": "a second beat for a while",
    "postgres killed": "kill -9 of the postmaster",
    "postgres restarted": "a fast shutdown of Postgres, and a start",
    "store killed": "kill -9 of the S3 server",
    "store stopped": "SIGSTOP of the S3 server for a while",
    "model stopped": "SIGSTOP of the model server for a while",
    "model faulty": "the model's next calls meet errors, hangs and broken answers",
}
#: Kinds with a course of their own in a long run: Postgres goes every 5 to 40 s.
_POSTGRES = ("postgres killed", "postgres restarted")
#: What lasts long is not drawn again and again; what shows how fast jobs come back is drawn more often.
_RARE = ("store stopped", "model stopped")
_FREQUENT = ("worker killed", "worker killed")


@dataclass(frozen=True)
class Form:
    """How a run is made. Times in seconds; ``faults`` is how many there are, and ``thinking`` how long the model takes
    for each answer: long enough to be caught at it. Of the faults ``least`` must have happened; ``long`` is a form that
    is long enough for every kind of them, and for recoveries to be measured."""

    seconds: float
    jobs: int
    faults: int
    stale_after: float
    model_timeout: float
    resend_after: float
    store_away: float
    model_away: float
    a_while: float
    thinking: float
    least: int
    long: bool = False


SHORT = Form(
    seconds=18,
    jobs=60,
    faults=20,
    stale_after=3,
    model_timeout=8,
    resend_after=2,
    store_away=4,
    model_away=3,
    a_while=6,
    thinking=0.3,
    least=15,
)
LONG = Form(
    seconds=600,
    jobs=2000,
    faults=115,
    stale_after=5,
    model_timeout=20,
    resend_after=5,
    store_away=60,
    model_away=60,
    a_while=30,
    thinking=0.6,
    least=100,
    long=True,
)


@dataclass(frozen=True)
class Fault:
    """One fault to come: ``at`` seconds after the start, for ``lasting`` seconds when it is one that lasts. ``luck``
    (0 to 1) chooses its victim where there are several."""

    at: float
    kind: str
    lasting: float
    luck: float


def faults(form: Form, seed: int) -> list[Fault]:
    """The plan of a run, in the order of time. Every kind occurs at least once."""
    draw = random.Random(f"faults {seed}")
    postgres = _moments_of_postgres(form, draw)
    kinds = [kind for kind in KINDS if kind not in _POSTGRES]
    often = [kind for kind in (*kinds, *_FREQUENT) if kind not in _RARE]
    kinds += [draw.choice(often) for _ in range(form.faults - len(kinds) - len(postgres))]
    draw.shuffle(kinds)
    # The first comes when work is under way, the last early enough to be a fault of this run and not of its end.
    pace = (form.seconds - 2.5) / len(kinds)
    moments = [1.0 + pace * (number + draw.random()) for number in range(len(kinds))]
    plan = [_fault(form, at, kind, draw) for at, kind in [*zip(moments, kinds, strict=True), *postgres]]
    return sorted(plan, key=lambda fault: fault.at)


def _moments_of_postgres(form: Form, draw: random.Random) -> list[tuple[float, str]]:
    kinds = list(_POSTGRES)
    draw.shuffle(kinds)
    moments: list[tuple[float, str]] = []
    at = draw.uniform(3, 8)
    while at < form.seconds - 1:
        moments.append((at, kinds[len(moments) % 2]))
        at += draw.uniform(5, 40) if form.seconds > 60 else draw.uniform(8, 10)
    return moments


def _fault(form: Form, at: float, kind: str, draw: random.Random) -> Fault:
    """What lasts begins early enough to be over in time."""
    lasting = {
        "worker stopped": form.stale_after + draw.uniform(1.5, 3),
        "store stopped": form.store_away,
        "model stopped": form.model_away,
        "messages doubled": 2 * form.a_while,
        "two beats": form.a_while,
    }.get(kind, 0.0)
    return Fault(max(0.5, min(at, form.seconds - lasting)), kind, lasting, draw.random())
