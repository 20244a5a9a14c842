"""The deps of a web process: the same as everywhere, with connections that are tried before they are used."""

from __future__ import annotations

from tasks.deps import Deps, wire


def deps() -> Deps:
    """What views work with."""
    return wire("web", ping=True)
