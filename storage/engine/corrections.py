"""How often the reconciler had to correct what. One row a kind, kept for ever: a drift that comes back is a fault of
somebody's, and this is where it shows.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from storage.db import Database

#: Every kind there is. docs/operations.md has a row for each.
KINDS = (
    *("stale", "requeued", "dead_letter", "overdue", "sent_again", "completed", "recounted", "call_left_open"),
    *("document_unwritten", "document_lost", "course_unlisted", "catalog_lost", "picture_ordered", "picture_missing"),
    *("orphan_document", "orphan_asset", "orphan_catalog"),
)


@dataclass(frozen=True)
class Correction:
    """A kind of correction: how often it was made in all, and when last."""

    kind: str
    count: int
    last_at: datetime


def count(db: Database, kind: str, number: int = 1) -> None:
    """Add corrections of a kind."""
    with db.statement() as tx:
        tx.run(
            """INSERT INTO corrections AS made (kind, count, last_at) VALUES (:kind, :number, clock_timestamp())
            ON CONFLICT (kind) DO UPDATE SET count = made.count + EXCLUDED.count, last_at = clock_timestamp()""",
            {"kind": kind, "number": number},
        )


def read(db: Database) -> list[Correction]:
    """Every kind there has been, by name."""
    with db.statement() as tx:
        rows = tx.run("SELECT kind, count AS number, last_at FROM corrections ORDER BY kind").all()
    return [Correction(row.kind, row.number, row.last_at) for row in rows]
