"""What changed in a catalog after a version; the reading side of ``storage.catalog``."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from schema.clock import iso
from storage.db import Database

#: No course has this id.
NOBODYS = ""


def changes(db: Database, catalog_id: UUID, since: int, limit: int = 1000, *, private: bool = True) -> dict[str, Any]:
    """What changed after version ``since``, oldest first; ``reset`` when that can't be told from there. Without
    ``private`` courses theirs is told as the removal of a course that isn't there (``NOBODYS``), or of the course when
    it was not private before: versions stay dense."""
    shown = timed_changes(db, catalog_id, since, limit, private=private)
    for change in shown.get("changes", ()):
        del change["at"]
    return shown


def timed_changes(
    db: Database, catalog_id: UUID, since: int, limit: int = 1000, *, private: bool = True
) -> dict[str, Any]:
    """The same, and of each change also ``at``, when it was made."""
    with db.statement() as tx:
        row = tx.run(
            """SELECT c.version, (SELECT min(version) FROM catalog_updates WHERE catalog_id = c.id) AS oldest,
              (SELECT jsonb_agg(jsonb_build_object('version', u.version, 'action', u.action, 'courseId', u.course_id,
                'entry', u.entry, 'at', u.created_at, 'forViewers', u.for_viewers) ORDER BY u.version)
               FROM (SELECT * FROM catalog_updates WHERE catalog_id = c.id AND version > :since
                     ORDER BY version LIMIT :limit) u) AS changes
            FROM catalogs c WHERE c.id = :id""",
            {"id": catalog_id, "since": since, "limit": limit},
        ).one()
    gone = since < row.version and (row.oldest is None or since + 1 < row.oldest)
    if since > row.version or gone:
        return {"version": row.version, "reset": True}
    found = [_change(change, private) for change in row.changes or []]
    shown: dict[str, Any] = {"version": row.version, "changes": found}
    if found and found[-1]["version"] < row.version:
        shown["more"] = True
    return shown


def _change(change: dict[str, Any], private: bool) -> dict[str, Any]:
    told_instead = change.pop("forViewers")
    shown = {**change, "at": iso(datetime.fromisoformat(change["at"]))}
    if private or told_instead is None:
        return shown
    named = change["courseId"] if told_instead == "gone" else NOBODYS
    return {**shown, "action": "deleted", "courseId": named, "entry": None}
