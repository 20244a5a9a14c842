"""For which organization the work at hand is done. The database holds every transaction to it (decision 19).

A context variable says it: whoever answers a request, or carries out a job's step, enters its organization first. It
belongs to one thread, or one asyncio task, and to no thread that is begun there: a thread that works on for the same
organization is handed it (``carried``), one that serves everybody (``storage.background``) begins outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar, Token
from functools import wraps
from typing import ParamSpec, TypeVar
from uuid import UUID

P = ParamSpec("P")
T = TypeVar("T")

_organization: ContextVar[UUID | None] = ContextVar("organization", default=None)


def enter(organization_id: UUID | None) -> Token[UUID | None]:
    """From here on work for this organization, or with none for nobody. What is returned leads back (``leave``)."""
    return _organization.set(organization_id)


def leave(token: Token[UUID | None]) -> None:
    """Go back to where ``enter`` came from."""
    _organization.reset(token)


@contextmanager
def within(organization_id: UUID | None) -> Iterator[None]:
    """Work for this organization, or with none for nobody, until the block is left."""
    token = enter(organization_id)
    try:
        yield
    finally:
        leave(token)


def current() -> UUID | None:
    """The organization worked for; none outside of all."""
    return _organization.get()


def carried(work: Callable[P, T]) -> Callable[P, T]:
    """The same work, done for the organization of now wherever it is called: on a thread of a pool, say."""
    organization_id = current()

    @wraps(work)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        with within(organization_id):
            return work(*args, **kwargs)

    return call
