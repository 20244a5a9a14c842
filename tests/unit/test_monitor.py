"""What of Flower is served here: what shows something, and nothing that does something."""

from __future__ import annotations

import inspect

from flower.urls import handlers

from tasks.monitor import is_shown


def routes(*, shown: bool) -> dict[str, type]:
    """The handlers behind Flower's addresses."""
    found = {}
    for route in handlers:
        pattern, handler = route[:2] if isinstance(route, tuple) else (route.regex.pattern, route.handler_class)
        if is_shown(route) is shown:
            found[pattern] = handler
    return found


def takes_writes(handler: type) -> bool:
    names = {name for name, _ in inspect.getmembers(handler) if name in ("post", "put", "patch", "delete")}
    unsupported = inspect.getmro(handler)[-2]
    return any(getattr(handler, name) is not getattr(unsupported, name) for name in names)


def test_nothing_that_is_served_changes_anything() -> None:
    # A table of the page asks for its lines by POST, and what isn't there isn't there for a POST either.
    changing = {pattern for pattern, handler in routes(shown=True).items() if takes_writes(handler)}
    assert changing <= {"/tasks/datatable$", ".*"}


def test_what_shows_something_is_served() -> None:
    assert {"/api/workers", "/api/tasks", "/healthcheck"} <= routes(shown=True).keys()
    closed = routes(shown=False).keys()
    assert "/metrics" in closed and len(closed) == 15
