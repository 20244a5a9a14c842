"""The web's side of ``tasks.tracing``: requests as traces, and crashes outside of a view to Sentry."""

from __future__ import annotations

from typing import Any

from flask import Flask

from schema.settings import Settings
from tasks import tracing

#: Asked for all the time, or, a login link, with a secret in the address.
_LEFT_OUT = r"^\w+://[^/?#]+/(healthz|readyz|metrics)(\?|$),^\w+://[^/?#]+/+login/"


def follow(app: Flask, settings: Settings) -> None:
    """Begin what the settings ask for. Raises ``SettingsError`` when a package is missing."""
    if settings.sentry_dsn is None:
        tracing.start(settings, "web")
    else:
        tracing.start(settings, "web", _integrations())
    if settings.otel_endpoint is not None:
        from opentelemetry.instrumentation.flask import FlaskInstrumentor  # noqa: PLC0415

        watch = FlaskInstrumentor().instrument_app
        watch(app, excluded_urls=_LEFT_OUT, response_hook=_without_secrets)  # type: ignore[no-untyped-call]


def _integrations() -> list[Any]:
    try:
        from sentry_sdk.integrations.flask import FlaskIntegration  # noqa: PLC0415
    except ImportError:
        return []  # tasks.tracing says what is missing
    return [FlaskIntegration()]


def _without_secrets(span: Any, _status: str, _headers: object) -> None:
    """A query may hold the token of a stream, and an address tells who asks. When the answer begins all is known."""
    if not span.is_recording():
        return
    for name in ("http.target", "http.url"):
        if name in span.attributes:
            span.set_attribute(name, str(span.attributes[name]).partition("?")[0])
    for name in ("url.query", "net.peer.ip", "client.address"):
        if name in span.attributes:
            span.set_attribute(name, "")
