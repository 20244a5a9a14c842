"""Flower, to look at and nothing else. Whatever it could do to workers and tasks is closed: it would leave no entry in
the audit log, and its one password names nobody. ``/metrics`` is closed too, because it ignores that password; the web
app's own has those figures.

Options come from ``FLOWER_*`` in the environment; without ``FLOWER_BASIC_AUTH`` it doesn't start, because then every
page of it would be open.
"""

from __future__ import annotations

import sys

from flower.api import control, tasks
from flower.urls import handlers

from schema.settings import settings
from tasks.app import app

#: What sends and aborts tasks; all that steers is in ``control``.
_DEEDS = {tasks.TaskApply, tasks.TaskAsyncApply, tasks.TaskSend, tasks.TaskAbort}


def is_shown(route: object) -> bool:
    """Whether a route of Flower's is served here."""
    if not isinstance(route, tuple):
        return True  # a page
    pattern, handler = route[:2]
    return pattern != "/metrics" and handler not in _DEEDS and handler.__module__ != control.__name__


def main() -> None:
    """Run Flower until it is stopped."""
    if settings().flower_basic_auth is None:
        sys.exit("FLOWER_BASIC_AUTH is not set. It needs user:password; without it every page of Flower is open.")
    handlers[:] = filter(is_shown, handlers)
    # To Flower's server :: is IPv6 alone, and no address at all is both, as :: is for the web.
    host = "" if settings().host == "::" else settings().host
    app.start(["flower", f"--address={host}", "--max_tasks=10000"])


if __name__ == "__main__":
    main()
