"""Lists that go from new to old, a page at a time: each begins where the page before it ended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from storage.db import Database

#: Where a page begins: behind the row made at this moment, with this id.
Position = tuple[datetime, UUID]
_BEHIND = "AND ({of}created_at, {of}id) < (:before_at, :before_id)"


def newest(
    db: Database,
    rows: str,
    values: Mapping[str, Any],
    before: Position | None,
    limit: int,
    shown: Callable[[Any], Mapping[str, Any]],
    of: str = "",
) -> list[dict[str, Any]]:
    """The ``limit`` newest of some rows, newest first, those behind ``before``; each as ``shown``, with its
    ``_position``. ``rows`` is a SELECT up to and with a condition of its WHERE; ``of`` says which table's
    ``created_at`` and ``id`` count, as ``j.``."""
    behind = "" if before is None else _BEHIND.format(of=of)
    place = {} if before is None else {"before_at": before[0], "before_id": before[1]}
    with db.statement() as tx:
        found = tx.run(
            f"{rows} {behind} ORDER BY {of}created_at DESC, {of}id DESC LIMIT :limit",
            {**values, **place, "limit": limit},
        ).all()
    return [{**shown(row), "_position": (row.created_at, row.id)} for row in found]
