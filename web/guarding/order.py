"""In which order the guards stand."""

from __future__ import annotations

from flask import Flask

from web.guarding import bodies, cors, headers, proxies, rates
from web.wiring import deps


def before_identity(app: Flask) -> None:
    """What comes before it is known who asks. What it adds to answers is added last."""
    guards = deps().settings.guards
    proxies.register(app, guards.trusted_proxies)
    headers.register(app, guards.frame_ancestors)
    cors.register(app, guards.cors_origins)
    rates.watch_guesses(app)
    bodies.register(app)


def after_identity(app: Flask) -> None:
    """What comes once it is known who asks."""
    rates.register(app)
