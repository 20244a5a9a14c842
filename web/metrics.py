"""Figures as Prometheus sees them. docs/operations.md explains each, and a test compares the names."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from schema.clock import utc_now
from schema.errors import Unavailable
from schema.version import VERSION
from storage.engine.corrections import KINDS
from storage.figures import metrics as rows
from storage.figures.metrics import Figures, Notices, Queue
from storage.health import broker_lengths, reading_postgres, reason
from storage.postgres.schema_version import head
from storage.spending.brakes import Brake
from tasks.deps import Deps
from tasks.dispatch import QUEUES
from tasks.pipeline import PIPELINES
from web import traffic

#: Scrapes within this time, in seconds, are answered from one reading.
KEPT_SECONDS = 5.0
_ALL_QUEUES = [*QUEUES, "control"]
_LIVING = ("pending", "processing", "stale", "dead_letter")
_ENDED = ("done", "failed", "cancelled", "dead_letter")

Rows = Iterable[tuple[Iterable[str], float]]

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Reading:
    """What one look found: whether each server was ``reached``, and its figures. None: they could not be read."""

    reached: Mapping[str, bool]
    figures: Figures | None
    broker: Mapping[str, int] | None


class Kept:
    """The newest reading of this process, used again for a few seconds; however many ask, one reads."""

    def __init__(self, deps: Deps, seconds: float = KEPT_SECONDS) -> None:
        self._deps = deps
        self._seconds = seconds
        self._lock = threading.Lock()
        self._reading: Reading | None = None
        self._read_at = 0.0
        self._refused = False

    def get(self) -> Reading:
        """A reading at most a few seconds old."""
        with self._lock:
            if self._reading is None or time.monotonic() - self._read_at > self._seconds:
                self._reading = self._read()
                self._read_at = time.monotonic()
            return self._reading

    def _read(self) -> Reading:
        """What is away is shown as ``coursewright_dependency_up`` 0; the rest is told all the same."""
        database, figures = self._figures()
        try:
            broker = broker_lengths(self._deps.bus, _ALL_QUEUES)
        except Unavailable:
            broker = None
        reached = {"database": database, "redis": broker is not None, "objects": self._deps.objects.alive()}
        return Reading(reached, figures, broker)

    def _figures(self) -> tuple[bool, Figures | None]:
        """Whether the database was reached, and what its rows tell. It may be there and refuse: when this code is newer
        than the tables, until they are brought up."""
        try:
            with reading_postgres():
                found = rows.read(self._deps.db, stale_after_seconds=self._deps.settings.jobs.stale_after_seconds)
        except Unavailable as error:
            refused = error.code != "database_away"
            if refused and not self._refused:
                log.warning("figures_not_read", reason=reason(error))
            self._refused = refused
            return refused, None
        self._refused = False
        return True, found


def shown(reading: Reading) -> bytes:
    """The text format: a reading, and the requests that were counted."""
    of_rows = CollectorRegistry()
    of_rows.register(_Families(reading))
    return generate_latest(of_rows) + generate_latest(traffic.registry())


class _Families(Collector):
    def __init__(self, reading: Reading) -> None:
        self.reading = reading

    def collect(self) -> Iterator[Metric]:
        figures, broker = self.reading.figures, self.reading.broker
        about = {"version": VERSION, "migration": head()}
        yield InfoMetricFamily("coursewright_build", "What runs here.", value=about)
        up = [((name,), int(reached)) for name, reached in self.reading.reached.items()]
        yield _gauge("dependency_up", "Whether a server was reached: 1 or 0.", ["dependency"], up)
        if broker is not None:
            lengths = [((queue,), broker.get(queue, 0)) for queue in _ALL_QUEUES]
            yield _gauge("broker_messages", "Messages that no worker has taken yet.", ["queue"], lengths)
        if figures is not None:
            yield from _jobs(figures)
            yield from _movement(figures)
            yield from _model(figures)
            yield from _upkeep(figures)
            yield from _notices(figures)


def _jobs(figures: Figures) -> Iterator[Metric]:
    labels = ["status", "job_type"]
    yield _gauge("jobs", "Jobs that live or wait for a person.", labels, _each(_LIVING, figures.living))
    ended = _each(_ENDED, figures.ended)
    yield _gauge("jobs_ended_last_five_minutes", "Jobs that ended in the last five minutes.", labels, ended)
    yield _gauge("retries", "Retries that the living jobs have behind them.", [], [((), figures.retries)])
    queues = [((name,), figures.queues.get(name, Queue(0, 0, 0))) for name in QUEUES]
    yield _gauge("queue_depth", "Jobs due and not begun.", ["queue"], [(key, one.due) for key, one in queues])
    yield _gauge("queue_later", "Jobs that wait for their time.", ["queue"], [(key, one.later) for key, one in queues])
    oldest = [(key, one.oldest) for key, one in queues]
    yield _gauge("oldest_waiting_seconds", "How long the oldest job that is due has waited.", ["queue"], oldest)


def _each(statuses: Iterable[str], counts: Mapping[tuple[str, str], int]) -> Rows:
    """Every status of every kind, also those with 0: a series that appears can't be seen to rise."""
    return [((status, kind), counts.get((status, kind), 0)) for status in statuses for kind in PIPELINES]


def _movement(figures: Figures) -> Iterator[Metric]:
    steps = sorted({step.name for pipeline in PIPELINES.values() for step in pipeline.steps})
    moved = [((step,), figures.moved.get(step, (0, 0))) for step in steps]
    words = "Steps, and finished parts of steps, written down in the last"
    yield _gauge("checkpoints_last_minute", f"{words} minute.", ["step"], [(key, one) for key, (one, _) in moved])
    five = [(key, count) for key, (_, count) in moved]
    yield _gauge("checkpoints_last_five_minutes", f"{words} five minutes.", ["step"], five)
    leases = figures.leases
    for name, words, value in (
        ("leases", "Steps at work.", leases.count),
        ("leases_without_heartbeat", "Leases not renewed for STALE_AFTER_SECONDS.", leases.silent),
        ("leases_without_progress", "Leases whose step has not moved for longer than its patience.", leases.stuck),
        ("oldest_heartbeat_seconds", "Age of the oldest heartbeat of a lease.", leases.oldest_heartbeat),
        ("oldest_progress_seconds", "Age of the oldest progress of a lease.", leases.oldest_progress),
    ):
        yield _gauge(name, words, [], [((), value)])


def _model(figures: Figures) -> Iterator[Metric]:
    uses = figures.calls.items()
    labels = ["model", "outcome"]
    since = "since midnight UTC"
    calls = [(key, use.calls) for key, use in uses]
    yield _counter("model_calls", f"Calls to models that ended, {since}.", labels, calls)
    seconds = [(key, use.seconds) for key, use in uses]
    yield _counter("model_call_seconds", f"Time spent in calls to models {since}.", labels, seconds)
    tokens = [((*key, "input"), use.input_tokens) for key, use in uses]
    tokens += [((*key, "output"), use.output_tokens) for key, use in uses]
    yield _counter("model_tokens", f"Tokens {since}.", [*labels, "direction"], tokens)
    cost = [(key, use.cost_usd) for key, use in uses]
    yield _counter("model_cost_usd", f"Cost {since}, where the price is known.", labels, cost)
    models = sorted({model for model, _ in figures.calls} | figures.in_flight.keys())
    going_on = [((model,), figures.in_flight.get(model, 0)) for model in models]
    yield _gauge("model_calls_in_flight", "Calls to models that go on.", ["model"], going_on)
    braked = [((brake.endpoint, brake.model), brake) for brake in figures.brakes]
    closed = [(key, _closed_for(brake)) for key, brake in braked]
    labels = ["endpoint", "model"]
    yield _gauge("brake_closed_seconds", "For how long nobody calls a model.", labels, closed)
    failures = [(key, brake.failures) for key, brake in braked]
    yield _gauge("brake_failures", "Failures of a model in a row.", labels, failures)


def _closed_for(brake: Brake) -> float:
    return max(0.0, (brake.closed_until - utc_now()).total_seconds()) if brake.closed_until else 0.0


def _upkeep(figures: Figures) -> Iterator[Metric]:
    # Every kind, also those with 0; and what newer code may have counted.
    kinds = sorted({*KINDS, *figures.corrections})
    corrected = [((kind,), figures.corrections.get(kind, 0)) for kind in kinds]
    yield _counter("corrections", "What the reconciler put right.", ["kind"], corrected)
    for name, words, value in (
        ("catalogs_behind", "Catalogs whose file has been older for over a minute.", figures.catalogs_behind),
        ("documents_behind", "Documents whose file has been older for over a minute.", figures.documents_behind),
        ("database_connections", "Open connections to Postgres, everybody's.", figures.connections),
        ("database_connections_limit", "How many there may be.", figures.connections_limit),
    ):
        yield _gauge(name, words, [], [((), value)])


def _notices(figures: Figures) -> Iterator[Metric]:
    kinds = ("webhook", "mail")
    waiting = [((kind,), figures.notices.get(kind, Notices(0, 0))) for kind in kinds]
    pending = [(key, it.pending) for key, it in waiting]
    yield _gauge("notices_pending", "Not delivered and not given up.", ["kind"], pending)
    overdue = [(key, it.overdue) for key, it in waiting]
    yield _gauge("notices_overdue_seconds", "How long the oldest that is due waits to be tried.", ["kind"], overdue)
    outcomes = ("delivered", "pending", "failed")
    tried = [((kind, end), figures.told.get((kind, end), 0)) for kind in kinds for end in outcomes]
    words = "Webhooks and mails tried in the last five minutes, by how they stand."
    yield _gauge("notices_tried_last_five_minutes", words, ["kind", "outcome"], tried)
    came = [((end,), figures.schedules.get(end, 0)) for end in ("started", "refused", "skipped")]
    words = "Schedules whose time came in the last five minutes."
    yield _gauge("schedules_last_five_minutes", words, ["outcome"], came)
    words = "How long the oldest schedule that is due waits."
    yield _gauge("schedules_overdue_seconds", words, [], [((), figures.schedules_overdue)])


def _gauge(name: str, words: str, labels: list[str], values: Rows) -> Metric:
    return _filled(GaugeMetricFamily(f"coursewright_{name}", words, labels=labels), values)


def _counter(name: str, words: str, labels: list[str], values: Rows) -> Metric:
    return _filled(CounterMetricFamily(f"coursewright_{name}", words, labels=labels), values)


def _filled(family: Any, values: Rows) -> Metric:
    for labels, value in values:
        family.add_metric(list(labels), value)
    made: Metric = family
    return made
