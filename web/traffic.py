"""Requests and how long they took, counted where they are answered, by all processes of the web together.

gunicorn runs several processes, and a scrape reaches one of them. So each counts in a file of its own, in a folder they
share (prometheus_client's multiprocess mode; ``web/gunicorn_settings.py`` makes the folder), and whoever is asked adds
the files up. Without such a folder, in a test say, a process counts for itself.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, values
from prometheus_client.multiprocess import MultiProcessCollector

_own = CollectorRegistry()
_REQUESTS = Counter(
    "coursewright_http_requests",
    "HTTP requests answered, by part of the API, method and status.",
    ["blueprint", "method", "status"],
    registry=_own,
)
_SECONDS = Histogram(
    "coursewright_http_request_duration_seconds",
    "Time until the answer began; a stream's is the time until its first event could be sent.",
    ["blueprint"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=_own,
)
_STREAMS = Gauge(
    "coursewright_http_streams_open",
    "Streams that are open, by what they follow.",
    ["kind"],
    registry=_own,
    multiprocess_mode="livesum",
)
_BEGINNINGS = Gauge(
    "coursewright_http_streams_begun_seconds",
    "The moments at which the open streams began, in seconds since 1970, added up; by what they follow.",
    ["kind"],
    registry=_own,
    multiprocess_mode="livesum",
)
_CONNECTS = Counter(
    "coursewright_http_stream_connects",
    "Streams that were opened, by what they follow and whether the client came back with an id.",
    ["kind", "resumed"],
    registry=_own,
)
_ENDS = Counter(
    "coursewright_http_stream_ends",
    "Streams that ended, by what they followed and why.",
    ["kind", "reason"],
    registry=_own,
)
_AGES = Histogram(
    "coursewright_http_stream_duration_seconds",
    "How long a stream was open, by what it followed.",
    ["kind"],
    buckets=(0.1, 1, 5, 15, 60, 300, 1800, 3600, 14400, 86400),
    registry=_own,
)
#: What anybody can send as a method is not let into the labels.
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


def count(blueprint: str | None, method: str, status: int, seconds: float) -> None:
    """Count one answer."""
    place = blueprint or "none"
    _REQUESTS.labels(place, method if method in _METHODS else "other", str(status)).inc()
    _SECONDS.labels(place).observe(seconds)


def stream_began(kind: str, at: float, *, resumed: bool) -> None:
    """Count a stream that opens at a moment, in seconds since 1970."""
    _STREAMS.labels(kind).inc()
    _BEGINNINGS.labels(kind).inc(at)
    _CONNECTS.labels(kind, "yes" if resumed else "no").inc()


def stream_ended(kind: str, reason: str, at: float, seconds: float) -> None:
    """Count a stream that began at that moment and was open for so long."""
    _STREAMS.labels(kind).dec()
    _BEGINNINGS.labels(kind).dec(at)
    _ENDS.labels(kind, reason).inc()
    _AGES.labels(kind).observe(seconds)


def registry() -> CollectorRegistry:
    """The counts of all processes, to be shown."""
    if not values.ValueClass._multiprocess:
        return _own
    together = CollectorRegistry()
    MultiProcessCollector(together)  # type: ignore[no-untyped-call]
    return together
