"""Crashes to Sentry and traces to an OpenTelemetry collector: each off while its setting is unset.

Both are packages of their own (requirements-observability.txt), imported only when wanted. Both survive a fork: what a
master starts before its children are made goes on sending in each child.

What leaves says where and what kind, not who and what about: ids of job, run, step, organization and request; no
request, no local variable, and of an error's words only the first line, because those below repeat statements with
their values; a trace has none of them.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import structlog

from schema.errors import SettingsError
from schema.redaction import redacted
from schema.settings import Settings
from schema.version import VERSION
from tasks import logs

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.sdk.trace.sampling import Sampler
    from sentry_sdk.integrations import Integration

MEND = "pip install -r requirements-observability.txt -c constraints.txt"
_NAMED = ("job", "run", "step", "organization", "request", "tick")
#: How long a process that ends, or a full queue, waits for a collector that is away, in seconds.
_PATIENCE = 3


def start(settings: Settings, process: str, integrations: Sequence[Integration] = ()) -> None:
    """Begin, as ``process`` (web, worker, ...), what the settings ask for; ``integrations`` are more of Sentry's.

    Raises ``SettingsError`` when a setting is there and its package is not."""
    if settings.sentry_dsn is not None:
        _need("sentry_sdk", "SENTRY_DSN")
        _start_sentry(settings.sentry_dsn, process, integrations)
    if settings.otel_endpoint is not None:
        _need("opentelemetry.instrumentation", "OTEL_EXPORTER_OTLP_ENDPOINT")
        _start_traces(settings.otel_endpoint, process)


def _need(package: str, setting: str) -> None:
    if find_spec(package.partition(".")[0]) is None or find_spec(package) is None:
        raise SettingsError(f"{setting} is set, and the packages it needs are not installed. Run: {MEND}")


# --- Sentry -------------------------------------------------------------------------------------------------------


def _start_sentry(dsn: str, process: str, integrations: Sequence[Integration]) -> None:
    import sentry_sdk  # noqa: PLC0415
    from sentry_sdk.integrations.celery import CeleryIntegration  # noqa: PLC0415
    from sentry_sdk.integrations.dedupe import DedupeIntegration  # noqa: PLC0415

    sentry_sdk.init(
        dsn=dsn,
        release=f"coursewright@{VERSION}",
        default_integrations=False,
        auto_enabling_integrations=False,
        integrations=[DedupeIntegration(), CeleryIntegration(propagate_traces=False), *integrations],
        send_default_pii=False,
        include_local_variables=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        shutdown_timeout=_PATIENCE,
        before_send=_bare,
    )
    sentry_sdk.get_global_scope().set_tag("process", process)
    # Our outer doors catch everything, so no framework sees a crash; the log line they write tells of it.
    logs.crash_listeners[:] = [_crashed]


def _crashed(line: str, error: BaseException) -> None:
    import sentry_sdk  # noqa: PLC0415

    known = structlog.contextvars.get_contextvars()
    with sentry_sdk.new_scope() as scope:
        scope.set_tag("line", line)
        for name in _NAMED:
            if name in known:
                scope.set_tag(name, str(known[name]))
        scope.capture_exception(error)


def _bare(event: Any, _hint: Mapping[str, Any]) -> Any:
    for part in ("request", "user", "extra", "modules", "breadcrumbs"):
        event.pop(part, None)
    event.get("contexts", {}).pop("celery-job", None)
    for error in (event.get("exception") or {}).get("values", ()):
        error["value"] = redacted(str(error.get("value") or "").partition("\n")[0])[:200]
    return event


# --- OpenTelemetry ------------------------------------------------------------------------------------------------


def _start_traces(endpoint: str, process: str) -> None:
    from opentelemetry import trace  # noqa: PLC0415
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
    from opentelemetry.instrumentation.celery import CeleryInstrumentor  # noqa: PLC0415
    from opentelemetry.instrumentation.psycopg2 import Psycopg2Instrumentor  # noqa: PLC0415
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    about = {"service.name": f"coursewright-{process}", "service.version": VERSION}
    provider = TracerProvider(resource=Resource.create(about))
    provider.sampler = _sampler(provider.sampler)  # its own: as OTEL_TRACES_SAMPLER says
    exporter = OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", timeout=_PATIENCE)
    provider.add_span_processor(BatchSpanProcessor(_without_words(exporter)))
    trace.set_tracer_provider(provider)
    CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]
    Psycopg2Instrumentor().instrument()


def _without_words(exporter: SpanExporter) -> SpanExporter:
    """An exporter that tells of an error its kind alone: the words of one of the database quote the statement, and in
    that stand its values."""
    from opentelemetry.sdk.trace import Event as SpanEvent  # noqa: PLC0415
    from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult  # noqa: PLC0415
    from opentelemetry.trace import Status  # noqa: PLC0415

    def bare(span: ReadableSpan) -> ReadableSpan:
        kinds = [(one.name, (one.attributes or {}).get("exception.type"), one.timestamp) for one in span.events]
        return ReadableSpan(
            name=span.name,
            context=span.context,
            parent=span.parent,
            resource=span.resource,
            attributes=span.attributes,
            events=[SpanEvent(name, {"exception.type": str(kind)} if kind else {}, at) for name, kind, at in kinds],
            links=span.links,
            kind=span.kind,
            status=Status(span.status.status_code),
            start_time=span.start_time,
            end_time=span.end_time,
            instrumentation_scope=span.instrumentation_scope,
        )

    class Bare(SpanExporter):
        def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
            return exporter.export([bare(span) for span in spans])

        def shutdown(self) -> None:
            exporter.shutdown()

        def force_flush(self, timeout_millis: int = 30_000) -> bool:
            return exporter.force_flush(timeout_millis)

    return Bare()


@contextmanager
def own_trace() -> Iterator[None]:
    """What is sent in here begins a trace of its own: a job is not a part of the tick that happened to send it."""
    if "opentelemetry.sdk.trace" not in sys.modules:
        yield
        return
    from opentelemetry.context import Context, attach, detach  # noqa: PLC0415

    token = attach(Context())
    try:
        yield
    finally:
        detach(token)


def _sampler(chosen: Sampler) -> Sampler:
    """Of requests and of jobs what ``chosen`` takes, and those traces whole. The clock's ticks, three a second, and
    statements outside of any trace, such as heartbeats, would bury them."""
    from opentelemetry.sdk.trace.sampling import (  # noqa: PLC0415
        Decision,
        ParentBased,
        Sampler,
        SamplingResult,
    )
    from opentelemetry.trace import SpanKind  # noqa: PLC0415

    class Worthwhile(Sampler):
        def should_sample(self, parent_context: Any, trace_id: int, name: str, *rest: Any, **more: Any) -> Any:
            kind = more.get("kind") if "kind" in more else (rest[0] if rest else None)
            if kind == SpanKind.CLIENT or "coursewright.cron." in name:
                return SamplingResult(Decision.DROP)
            return chosen.should_sample(parent_context, trace_id, name, *rest, **more)

        def get_description(self) -> str:
            return f"requests and jobs, of them {chosen.get_description()}"

    worthwhile = Worthwhile()
    # What was decided elsewhere, as by who sent a job or a request, ``chosen`` follows or not.
    return ParentBased(worthwhile, remote_parent_sampled=worthwhile, remote_parent_not_sampled=worthwhile)
