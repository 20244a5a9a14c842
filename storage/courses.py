"""Searching courses by what their documents say about themselves."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from schema.clock import iso
from storage.db import Database


def search(
    db: Database, organization_id: UUID, filters: Mapping[str, str], after: str, limit: int, *, private: bool = True
) -> list[Any]:
    """The organization's courses by id, those after ``after``, with or without private ones. ``q`` looks in title,
    description and subject."""
    where = ["organization_id = :org", "course_id > :after"]
    if not private:
        where.append("visibility <> 'private'")
    values: dict[str, Any] = {"org": organization_id, "after": after, "limit": limit}
    if "q" in filters:
        where.append("(title || ' ' || description || ' ' || subject) ILIKE :q ESCAPE '\\'")
        escaped = filters["q"].replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
        values["q"] = f"%{escaped}%"
    for name in ("subject", "grade_band", "visibility"):
        if name in filters:
            where.append(f"{name} = :{name}")
            values[name] = filters[name]
    if "tag" in filters:
        where.append(":tag = ANY(tags)")
        values["tag"] = filters["tag"]
    with db.statement() as tx:
        rows = tx.run(
            f"SELECT * FROM course_metadata WHERE {' AND '.join(where)} ORDER BY course_id LIMIT :limit", values
        ).all()
    return [
        {
            "id": row.course_id,
            "title": row.title,
            "description": row.description,
            "subject": row.subject,
            "gradeBand": row.grade_band,
            "grade": row.grade,
            "language": row.language,
            "visibility": row.visibility,
            "tags": row.tags,
            "itemCount": row.item_count,
            "hasStudyTexts": row.has_study_texts,
            "contentVersion": row.content_version,
            "revision": row.revision,
            "catalogVersion": row.catalog_version,
            "updatedAt": iso(row.updated_at),
        }
        for row in rows
    ]
