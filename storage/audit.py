"""The audit log: rows that are only ever added, and after a long time purged.

A deed that has a transaction is noted in it (``note``), so both commit or neither. Who is at work is known to whoever
let them in: the web for a request, the command line for a command, a tick for a schedule (``acting``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from schema.audit import By, Deed, small
from schema.clock import iso, new_id
from storage.db import Database, Transaction


@dataclass
class Page:
    """What one piece of work has noted so far. ``silent`` while its parts belong to one deed."""

    by: By
    noted: list[str] = field(default_factory=list)
    silent: bool = False


_SYSTEM = By()
_page: ContextVar[Page | None] = ContextVar("audit_page", default=None)


def enter(by: By) -> Page:
    """From here on everything noted in this thread was done by them, until ``leave``."""
    page = Page(by)
    _page.set(page)
    return page


def leave() -> None:
    """Nobody in particular is at work here any more."""
    _page.set(None)


@contextmanager
def acting(by: By) -> Iterator[Page]:
    """Everything noted inside was done by them."""
    before, page = _page.get(), enter(by)
    try:
        yield page
    finally:
        _page.set(before)


def by() -> By:
    """Who is at work here; the system itself where nobody said."""
    page = _page.get()
    return page.by if page else _SYSTEM


@contextmanager
def as_one() -> Iterator[None]:
    """What is done inside are parts of one deed, which whoever calls notes as a whole."""
    outer = _page.get()
    _page.set(Page(by(), silent=True))
    try:
        yield
    finally:
        _page.set(outer)


def note(tx: Transaction, deed: Deed) -> None:
    """Write a deed down in the transaction in which it is done."""
    page = _page.get()
    if page is not None and page.silent:
        return
    tx.run(_INSERT, _values(deed, deed.by or by()))
    if page is not None:
        tx.after_commit(lambda: page.noted.append(deed.action))


def note_alone(db: Database, deed: Deed) -> None:
    """Write down a deed that has no transaction of its own, right after it."""
    with db.statement() as tx:
        note(tx, deed)


_INSERT = """INSERT INTO audit_log
  (id, organization_id, actor, way, role, action, target_kind, target_id, address, request_id, details)
VALUES (:id, :organization, :actor, :way, :role, :action, :kind, :target, :address, :request,
  CAST(:details AS jsonb))"""


def _values(deed: Deed, who: By) -> dict[str, Any]:
    return {
        "id": new_id(),
        "organization": deed.organization_id,
        "actor": who.actor,
        "way": who.way,
        "role": who.role,
        "action": deed.action,
        "kind": deed.target_kind,
        "target": deed.target_id,
        "address": who.address,
        "request": who.request_id,
        "details": json.dumps(small({**deed.details, "credential": who.credential})),
    }


@dataclass(frozen=True)
class Filters:
    """Which entries are wanted; what is none is any. ``since`` is within, ``until`` is not."""

    actor: str | None = None
    action: str | None = None
    target: str | None = None
    since: datetime | None = None
    until: datetime | None = None


_READ = """SELECT id, at, actor, way, role, action, target_kind, target_id, address, request_id, details FROM audit_log
WHERE {whose}
  AND (CAST(:actor AS text) IS NULL OR actor = :actor) AND (CAST(:action AS text) IS NULL OR action = :action)
  AND (CAST(:target AS text) IS NULL OR target_id = :target)
  AND (CAST(:since AS timestamptz) IS NULL OR at >= :since) AND (CAST(:until AS timestamptz) IS NULL OR at < :until)
  AND (CAST(:before AS timestamptz) IS NULL OR (at, id) < (:before, CAST(:before_id AS uuid)))
ORDER BY at DESC, id DESC LIMIT :limit"""


def newest(
    db: Database, organization_id: UUID | None, filters: Filters, before: tuple[datetime, UUID] | None, limit: int
) -> list[dict[str, Any]]:
    """Entries of an organization, or those of none, newest first, as the API shows them, with their ``_position``."""
    at, entry_id = before or (None, None)
    values = {
        **({"org": organization_id} if organization_id else {}),
        **{"actor": filters.actor, "action": filters.action, "target": filters.target},
        **{"since": filters.since, "until": filters.until, "before": at, "before_id": entry_id, "limit": limit},
    }
    whose = "organization_id = :org" if organization_id else "organization_id IS NULL"
    with db.statement() as tx:
        return [_shown(row) for row in tx.run(_READ.format(whose=whose), values).all()]


def _shown(row: Any) -> dict[str, Any]:
    return {
        "id": str(row.id),
        "at": iso(row.at),
        "actor": row.actor,
        "way": row.way,
        "role": row.role,
        "action": row.action,
        "targetKind": row.target_kind,
        "targetId": row.target_id,
        "address": row.address,
        "requestId": row.request_id,
        "details": row.details,
        "_position": (row.at, row.id),
    }
