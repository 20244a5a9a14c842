"""Flower, with the one page closed that it serves to anybody: ``/metrics`` ignores its basic auth.

Its figures are in the web app's own ``/metrics``. Options come from ``FLOWER_*`` in the environment; without
``FLOWER_BASIC_AUTH`` it doesn't start, because then every page of it would be open.
"""

from __future__ import annotations

import sys

from flower.urls import handlers

from schema.settings import settings
from tasks.app import app


def _pattern(route: object) -> str:
    return str(route[0]) if isinstance(route, tuple) else ""


def main() -> None:
    """Run Flower until it is stopped."""
    if settings().flower_basic_auth is None:
        sys.exit("FLOWER_BASIC_AUTH is not set. It needs user:password; without it every page of Flower is open.")
    handlers[:] = [route for route in handlers if _pattern(route) != "/metrics"]
    # To Flower's server :: is IPv6 alone, and no address at all is both, as :: is for the web.
    host = "" if settings().host == "::" else settings().host
    app.start(["flower", f"--address={host}", "--max_tasks=10000"])


if __name__ == "__main__":
    main()
