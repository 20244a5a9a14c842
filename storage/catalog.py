"""Catalogs: dense versions that become visible in order, because each is taken under its catalog's row lock.

The lock is the last one a transaction takes and is held until it commits, so whoever has seen version N has been able
to see everything before it. A sequence could not promise that: numbers taken from it commit in any order.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from schema.catalog import PUBLIC_CATALOG_ID, CatalogEntry, catalog_as_file, entry_of
from schema.clock import iso
from schema.course import Course
from storage.catalog_changes import changes as changes
from storage.catalog_changes import timed_changes as timed_changes
from storage.db import Database, Transaction

PUBLIC = UUID(PUBLIC_CATALOG_ID)


@dataclass(frozen=True)
class Listing:
    """A course as it enters its catalogs: whose, which revision, and its document."""

    organization_id: UUID
    organization_slug: str
    revision: int
    course: Course


def _bump(
    tx: Transaction,
    catalog_id: UUID,
    organization_id: UUID,
    course_id: str,
    action: str,
    entry: Any,
    for_viewers: str | None = None,
) -> int:
    """Append a change to a catalog. It gets the catalog's next number (the trigger ``next_catalog_version``), and the
    catalog stays locked until the transaction ends."""
    return int(
        tx.run(
            """INSERT INTO catalog_updates (catalog_id, organization_id, course_id, action, entry, for_viewers)
            VALUES (:id, :org, :course, :action, CAST(:entry AS jsonb), :for_viewers) RETURNING version""",
            {
                "id": catalog_id,
                "org": organization_id,
                "course": course_id,
                "action": action,
                "entry": json.dumps(entry) if entry is not None else None,
                "for_viewers": for_viewers,
            },
        ).scalar_one()
    )


_REVISED_AT = """SELECT created_at FROM document_revisions
WHERE organization_id = :org AND kind = 'course' AND document_id = :id AND revision = :revision"""


def list_course(tx: Transaction, listing: Listing, changed: Callable[[UUID], None] = lambda _catalog_id: None) -> int:
    """Put a course's revision into its organization's catalog, and into the public one when it is public. ``changed``
    is called with the id of each catalog that gets a version; once it has committed, whoever follows it should know.

    The document (or its job) must be locked. Listing the same revision again changes nothing. Returns the version
    of the organization's catalog that shows it."""
    course, org = listing.course, listing.organization_id
    before = tx.run(
        "SELECT revision, visibility, catalog_version FROM course_metadata"
        " WHERE organization_id = :org AND course_id = :id FOR NO KEY UPDATE",
        {"org": org, "id": course["id"]},
    ).one_or_none()
    if before is not None and before.revision >= listing.revision:
        return int(before.catalog_version)
    # Of the revision itself, so that the course and its entries name the same time.
    at = iso(tx.run(_REVISED_AT, {"org": org, "id": course["id"], "revision": listing.revision}).scalar_one()) or ""
    entry = entry_of(course, content_path(course["id"], course["contentVersion"]), at)
    was_public = before is not None and before.visibility == "public"
    is_public = course["visibility"] == "public"
    _upsert(tx, listing, entry)
    # Catalog rows are locked in the order of their ids; the public one's nil id comes first.
    if is_public or was_public:
        public_path = content_path(course["id"], course["contentVersion"], listing.organization_slug)
        public_action = "deleted" if not is_public else "updated" if was_public else "added"
        public_entry = entry_of(course, public_path, at) if is_public else None
        _bump(tx, PUBLIC, org, course["id"], public_action, public_entry)
        changed(PUBLIC)
    shown = _for_viewers(before.visibility if before else None, course["visibility"])
    version = _bump(tx, org, org, course["id"], "updated" if before else "added", entry, shown)
    changed(org)
    tx.run(
        "UPDATE course_metadata SET catalog_version = :version WHERE organization_id = :org AND course_id = :id",
        {"version": version, "org": org, "id": course["id"]},
    )
    return version


def _for_viewers(before: str | None, now: str) -> str | None:
    """What viewers are told of a change, who don't see private courses: all of it (none), that the course is gone, or
    nothing of it."""
    if now != "private":
        return None
    return "nothing" if before in (None, "private") else "gone"


def listed_revision(tx: Transaction, organization_id: UUID, course_id: str) -> int:
    """Which revision of a course its catalog shows; 0 when it is in none."""
    row = tx.run(
        "SELECT revision FROM course_metadata WHERE organization_id = :org AND course_id = :id",
        {"org": organization_id, "id": course_id},
    ).one_or_none()
    return row.revision if row else 0


def unlist_course(
    tx: Transaction, organization_id: UUID, course_id: str, changed: Callable[[UUID], None] = lambda _catalog_id: None
) -> bool:
    """Take a course out of every catalog it is in. Its document must be locked. ``changed`` as for ``list_course``.
    False when it was in none."""
    listed = tx.run(
        "DELETE FROM course_metadata WHERE organization_id = :org AND course_id = :id RETURNING visibility",
        {"org": organization_id, "id": course_id},
    ).one_or_none()
    if listed is None:
        return False
    # In the same order as when it is listed.
    for catalog_id in (PUBLIC, organization_id) if listed.visibility == "public" else (organization_id,):
        shown = "nothing" if listed.visibility == "private" else None
        _bump(tx, catalog_id, organization_id, course_id, "deleted", None, shown)
        changed(catalog_id)
    return True


def _upsert(tx: Transaction, listing: Listing, entry: CatalogEntry) -> None:
    course = listing.course
    tx.run(
        """INSERT INTO course_metadata (organization_id, course_id, title, description, subject, grade_band, grade,
          language, visibility, tags, item_count, has_study_texts, content_version, revision, catalog_version,
          updated_at)
        VALUES (:org, :id, :title, :description, :subject, :grade_band, :grade, :language, :visibility, :tags,
          :items, :texts, :content_version, :revision, 0, CAST(:at AS timestamptz))
        ON CONFLICT (organization_id, course_id) DO UPDATE SET title = EXCLUDED.title,
          description = EXCLUDED.description, subject = EXCLUDED.subject, grade_band = EXCLUDED.grade_band,
          grade = EXCLUDED.grade, language = EXCLUDED.language, visibility = EXCLUDED.visibility,
          tags = EXCLUDED.tags, item_count = EXCLUDED.item_count, has_study_texts = EXCLUDED.has_study_texts,
          content_version = EXCLUDED.content_version, revision = EXCLUDED.revision, updated_at = EXCLUDED.updated_at""",
        {
            "org": listing.organization_id,
            "id": course["id"],
            "title": course["title"],
            "description": course["description"],
            "subject": course["subject"],
            "grade_band": course["gradeBand"],
            "grade": course["grade"],
            "language": course["language"],
            "visibility": course["visibility"],
            "tags": course["tags"],
            "items": entry["itemCount"],
            "texts": entry["hasStudyTexts"],
            "content_version": course["contentVersion"],
            "revision": listing.revision,
            "at": entry["updatedAt"],
        },
    )


#: One statement, so that the version and the courses come from the same moment.
_WHOLE = """SELECT c.version, c.updated_at AS changed_at, m.*
FROM catalogs c
LEFT JOIN course_metadata m ON m.catalog_version > 0 AND m.organization_id = c.id
WHERE c.id = :id ORDER BY lower(m.title), m.course_id"""
_PUBLIC_WHOLE = """SELECT c.version, c.updated_at AS changed_at, o.slug, m.*
FROM catalogs c
LEFT JOIN course_metadata m ON m.catalog_version > 0 AND m.visibility = 'public'
LEFT JOIN public_organizations(NULL) o ON o.id = m.organization_id
WHERE c.id = :id ORDER BY lower(m.title), m.course_id"""


def whole(db: Database, catalog_id: UUID, *, private: bool = True) -> dict[str, Any]:
    """A catalog, whole and current: ``{version, lastUpdated, courses}``, with or without private courses."""
    with db.statement() as tx:
        rows = tx.run(_PUBLIC_WHOLE if catalog_id == PUBLIC else _WHOLE, {"id": catalog_id}).all()
    listed = [row for row in rows if row.course_id is not None and (private or row.visibility != "private")]
    courses = [_entry_of_row(row, public=catalog_id == PUBLIC) for row in listed]
    return catalog_as_file(rows[0].version, iso(rows[0].changed_at) if rows[0].version else None, courses)


def _entry_of_row(row: Any, *, public: bool) -> CatalogEntry:
    return {
        "id": row.course_id,
        "title": row.title,
        "description": row.description,
        "subject": row.subject,
        "grade": row.grade or "All Grades",
        "gradeBand": row.grade_band,
        "language": row.language,
        "tags": row.tags,
        "itemCount": row.item_count,
        "hasStudyTexts": row.has_study_texts,
        "contentVersion": row.content_version,
        "url": content_path(row.course_id, row.content_version, row.slug if public else None),
        "updatedAt": iso(row.updated_at) or "",
    }


def content_path(course_id: str, content_version: str, public_slug: str | None = None) -> str:
    """Where readers get a course's document; with ``public_slug`` the way that needs no identity."""
    folder = f"/content/public/{public_slug}" if public_slug else "/content/courses"
    return f"{folder}/{course_id}/course.json?v={content_version}"


def version(db: Database, catalog_id: UUID) -> int:
    """The current version, for answering "unchanged" without reading the rest."""
    with db.statement() as tx:
        return int(tx.run("SELECT version FROM catalogs WHERE id = :id", {"id": catalog_id}).scalar_one())


# --- the file ---------------------------------------------------------------------------------------------------


def claim_behind(db: Database, seconds: float) -> list[UUID]:
    """Catalogs whose file is behind, claimed for ``seconds`` so that one publisher folds all that waits."""
    with db.statement() as tx:
        rows = tx.run(
            """UPDATE catalogs SET claimed_until = clock_timestamp() + make_interval(secs => :seconds)
            WHERE id IN (SELECT id FROM catalogs WHERE file_version < version
              AND (claimed_until IS NULL OR claimed_until < clock_timestamp()) FOR NO KEY UPDATE SKIP LOCKED)
            RETURNING id""",
            {"seconds": seconds},
        ).all()
    return [row.id for row in rows]


def file_written(db: Database, catalog_id: UUID, version: int) -> None:
    """Note which version ``catalog.json`` shows, and let the next publisher in."""
    with db.statement() as tx:
        tx.run(
            """UPDATE catalogs SET file_version = GREATEST(file_version, :version), file_writes = file_writes + 1,
              claimed_until = NULL WHERE id = :id""",
            {"id": catalog_id, "version": version},
        )


def give_back(db: Database, catalog_ids: list[UUID]) -> None:
    """Let the next publisher in at once, because this one could not write."""
    with db.statement() as tx:
        tx.run("UPDATE catalogs SET claimed_until = NULL WHERE id = ANY(:ids)", {"ids": catalog_ids})


def with_file(db: Database) -> list[UUID]:
    """Every catalog that has a ``catalog.json``."""
    with db.statement() as tx:
        return [row.id for row in tx.run("SELECT id FROM catalogs WHERE file_version > 0 ORDER BY id").all()]


def file_version(db: Database, catalog_id: UUID) -> int:
    """The version that ``catalog.json`` is known to show."""
    with db.statement() as tx:
        return int(tx.run("SELECT file_version FROM catalogs WHERE id = :id", {"id": catalog_id}).scalar_one())
