"""Where a request came from. Without ``TRUSTED_PROXIES`` nobody is believed about that: the headers ``Forwarded`` and
``X-Forwarded-...`` are as anybody wrote them, and are not looked at."""

from __future__ import annotations

from flask import Flask, request
from werkzeug.middleware.proxy_fix import ProxyFix

from web.refusals import group_of
from web.wiring import deps

_LONGEST = 64


def register(app: Flask, trusted: int) -> None:
    """Take address and scheme from the headers that so many proxies have added to; further values are the caller's own
    words. The host is not taken: a proxy that leaves that header alone would let the caller choose it."""
    if trusted:
        fixed = ProxyFix(app.wsgi_app, x_for=trusted, x_proto=trusted, x_host=0, x_port=0, x_prefix=0)
        app.wsgi_app = fixed  # type: ignore[method-assign]


def is_https() -> bool:
    """Whether people reach this by https: a trusted proxy says so, or ``PUBLIC_URL`` does, whoever may be in front."""
    return request.is_secure or (deps().settings.notices.public_url or "").startswith("https://")


def caller() -> str:
    """Who asks, as far as the network can tell: an IPv4 address, or the network of an IPv6 one; what a proxy writes in
    the place of an address, as it is."""
    given = request.remote_addr or ""
    found = group_of(given)
    return given[:_LONGEST] if found == "unknown" else found
