"""The shared brake: one row for each model of an endpoint that ever gave trouble, for all workers on all machines.

Two things stand in a row. *Closed*: the provider asked for fewer calls (HTTP 429), and nobody calls before the moment
it named. *Open*, as a circuit breaker is: the endpoint failed several times in a row, so nobody calls during a pause,
and after it one call at a time tries; a failed trial makes the next pause longer, a success ends it all. Every
decision is one statement on that one row, and every time is the database's. A model that never gave trouble has no row.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal
from urllib.parse import urlsplit

from storage.db import Database
from storage.engine.leases import FENCE, Lease

#: So many failures in a row, of all processes together, open the breaker. A healthy provider fails one call in a
#: hundred now and then; five in a row by chance is one in ten thousand million, and jobs try several times anyway.
FAILURES_TO_OPEN = 5
#: The pause after opening doubles with each failed trial: a hiccup costs seconds, an outage two calls a minute, and
#: nobody waits for longer than half a minute once it is over.
PAUSE_SECONDS = 5.0
LONGEST_PAUSE_SECONDS = 30.0

State = Literal["free", "closed", "open"]

_ROW = "endpoint = :endpoint AND model = :model"
#: A trial that ends gives its claim back, but only its own: it may have overslept, and another be trying by now.
_TRIAL_ENDS = "trial_at = NULLIF(b.trial_at, CAST(:trial AS timestamptz))"


def endpoint_of(address: str) -> str:
    """An endpoint's address as rows and logs may show it: without user, password and query."""
    parts = urlsplit(address)
    host = parts.netloc.rpartition("@")[2].lower()
    return f"{parts.scheme}://{host}{parts.path.rstrip('/')}"


@dataclass(frozen=True)
class Seen:
    """What the look before a call found. ``ours``: the job is still the asker's. ``closed_seconds``: for how long
    nobody may call; 0 when one may. ``trial``: this call is the one that may try, and its claim. ``failures``: how many
    in a row are known; with enough of them and no ``trial``, somebody else is trying."""

    ours: bool
    closed_seconds: float
    reason: str
    failures: int
    trial: datetime | None

    @property
    def others_try(self) -> bool:
        return self.failures >= FAILURES_TO_OPEN and self.trial is None


def look(db: Database, endpoint: str, model: str, lease: Lease | None, trial_seconds: float) -> Seen:
    """Ask, right before a call, whether its job is still held and whether the model may be called; take the trial when
    it is free. A trial lapses ``trial_seconds`` after it was taken or last renewed, so that one whose process died
    frees itself. Writes nothing unless it takes a trial."""
    mine = f"EXISTS (SELECT 1 FROM jobs WHERE {FENCE})" if lease else "true"
    with db.statement() as tx:
        row = tx.run(
            f"""WITH brake AS (
              SELECT failures, reason, CAST(EXTRACT(epoch FROM closed_until - clock_timestamp()) AS float8) AS seconds
              FROM model_brakes WHERE {_ROW}
            ), trial AS (
              UPDATE model_brakes SET trial_at = clock_timestamp(), updated_at = clock_timestamp()
              WHERE {_ROW} AND failures >= :enough AND COALESCE(closed_until <= clock_timestamp(), true)
                AND (trial_at IS NULL OR updated_at <= clock_timestamp() - make_interval(secs => :trial_seconds))
                AND {mine}
              RETURNING trial_at
            )
            SELECT {mine} AS ours, brake.*, trial.trial_at
            FROM (VALUES (1)) AS one LEFT JOIN brake ON true LEFT JOIN trial ON true""",
            {
                "endpoint": endpoint,
                "model": model,
                "enough": FAILURES_TO_OPEN,
                "trial_seconds": trial_seconds,
                **(lease.fence() if lease else {}),
            },
        ).one()
    closed = 0.0 if row.trial_at is not None else max(0.0, row.seconds or 0.0)
    return Seen(row.ours, closed, row.reason or "", row.failures or 0, row.trial_at)


def close(db: Database, endpoint: str, model: str, seconds: float, trial: datetime | None = None) -> None:
    """The provider asked for fewer calls: nobody calls for ``seconds`` from now. Never shortens what is closed for
    longer. ``trial`` is the claim of the call that was told so, if it had one."""
    with db.statement() as tx:
        tx.run(
            f"""INSERT INTO model_brakes AS b (endpoint, model, closed_until, reason)
            VALUES (:endpoint, :model, clock_timestamp() + make_interval(secs => :seconds), 'rate_limited')
            ON CONFLICT (endpoint, model) DO UPDATE SET closed_until = GREATEST(b.closed_until, EXCLUDED.closed_until),
              reason = EXCLUDED.reason, {_TRIAL_ENDS}, updated_at = clock_timestamp()""",
            {"endpoint": endpoint, "model": model, "seconds": seconds, "trial": trial},
        )


def failed(db: Database, endpoint: str, model: str, trial: datetime | None = None) -> int:
    """A call met a broken endpoint. While the breaker is open only the trial counts: calls that began before it opened
    say nothing new. Returns how many failures in a row there are now, 0 when this one didn't count."""
    with db.statement() as tx:
        row = tx.run(
            f"""INSERT INTO model_brakes AS b (endpoint, model, reason, failures)
            VALUES (:endpoint, :model, 'failing', 1)
            ON CONFLICT (endpoint, model) DO UPDATE SET failures = b.failures + 1,
              closed_until = CASE WHEN b.failures + 1 < :enough THEN b.closed_until ELSE
                GREATEST(b.closed_until, clock_timestamp() + make_interval(secs =>
                  LEAST(:longest, :pause * power(2, LEAST(b.failures + 1 - :enough, 20))))) END,
              -- What the provider asked for stays its wish: no success of ours may lift it early.
              reason = CASE WHEN b.reason = 'rate_limited' AND b.closed_until > clock_timestamp()
                THEN b.reason ELSE EXCLUDED.reason END,
              {_TRIAL_ENDS}, updated_at = clock_timestamp()
            WHERE b.failures < :enough OR b.trial_at = CAST(:trial AS timestamptz)
            RETURNING failures""",
            {
                "endpoint": endpoint,
                "model": model,
                "enough": FAILURES_TO_OPEN,
                "pause": PAUSE_SECONDS,
                "longest": LONGEST_PAUSE_SECONDS,
                "trial": trial,
            },
        ).one_or_none()
    return int(row.failures) if row else 0


def succeeded(db: Database, endpoint: str, model: str) -> None:
    """The endpoint answered: its failures are forgotten and the breaker closes. What the provider asked for stays."""
    with db.statement() as tx:
        tx.run(
            f"""UPDATE model_brakes SET failures = 0, trial_at = NULL, updated_at = clock_timestamp(),
              closed_until = CASE WHEN reason = 'failing' THEN NULL ELSE closed_until END
            WHERE {_ROW} AND failures > 0""",
            {"endpoint": endpoint, "model": model},
        )


def renew(db: Database, endpoint: str, model: str, trial: datetime) -> None:
    """A trial goes on: its call has not ended yet. One that has lapsed, and that another took, stays the other's."""
    with db.statement() as tx:
        tx.run(
            f"""UPDATE model_brakes SET updated_at = clock_timestamp()
            WHERE {_ROW} AND trial_at = CAST(:trial AS timestamptz)""",
            {"endpoint": endpoint, "model": model, "trial": trial},
        )


def let_go(db: Database, endpoint: str, model: str, trial: datetime) -> None:
    """A trial was given up before it showed anything: the next call may try."""
    with db.statement() as tx:
        tx.run(
            f"""UPDATE model_brakes b SET {_TRIAL_ENDS}, updated_at = clock_timestamp()
            WHERE {_ROW} AND trial_at = CAST(:trial AS timestamptz)""",
            {"endpoint": endpoint, "model": model, "trial": trial},
        )


@dataclass(frozen=True)
class Brake:
    """A model's brake as operators see it. ``closed_until`` may lie in the past; ``trying``: a trial is going on, or
    was begun by a process that died since."""

    endpoint: str
    model: str
    state: State
    closed_until: datetime | None
    reason: str
    failures: int
    trying: bool
    updated_at: datetime


def read_all(db: Database) -> list[Brake]:
    """Every model that ever gave trouble, by endpoint and name."""
    with db.statement() as tx:
        rows = tx.run(
            """SELECT *, CASE WHEN failures >= :enough THEN 'open'
              WHEN closed_until > clock_timestamp() THEN 'closed' ELSE 'free' END AS state
            FROM model_brakes ORDER BY endpoint, model""",
            {"enough": FAILURES_TO_OPEN},
        ).all()
    return [
        Brake(
            endpoint=row.endpoint,
            model=row.model,
            state=row.state,
            closed_until=row.closed_until,
            reason=row.reason,
            failures=row.failures,
            trying=row.trial_at is not None,
            updated_at=row.updated_at,
        )
        for row in rows
    ]
