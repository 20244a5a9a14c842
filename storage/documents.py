"""Documents and their revisions. A revision is immutable; a document's number moves by one under its row lock."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from storage.db import Database, Transaction
from storage.engine.statuses import IS_ACTIVE


@dataclass(frozen=True)
class Revision:
    """One numbered saving of a document."""

    organization_id: UUID
    kind: str
    document_id: str
    revision: int
    content: dict[str, Any]
    source: str
    created_by: str | None
    created_at: datetime


@dataclass(frozen=True)
class Author:
    """Who made a revision: a person (``app``), a job's step (``workflow``) or the system."""

    source: str
    created_by: str | None
    job_id: UUID | None = None
    step: str | None = None


def lock(tx: Transaction, organization_id: UUID, kind: str, document_id: str) -> int:
    """Lock a document, making it when missing, and return its current revision (0 when it has none yet)."""
    values = {"org": organization_id, "kind": kind, "id": document_id}
    tx.run(
        """INSERT INTO documents (organization_id, kind, document_id) VALUES (:org, :kind, :id)
        ON CONFLICT DO NOTHING""",
        values,
    )
    return int(
        tx.run(
            """SELECT revision FROM documents WHERE organization_id = :org AND kind = :kind AND document_id = :id
            FOR NO KEY UPDATE""",
            values,
        ).scalar_one()
    )


def revision_of_step(
    tx: Transaction, organization_id: UUID, kind: str, document_id: str, job_id: UUID, step: str
) -> int | None:
    """The revision this step of this job has made already; none when it hasn't. The document must be locked."""
    revision: int | None = tx.run(
        """SELECT revision FROM document_revisions WHERE organization_id = :org AND kind = :kind AND document_id = :id
          AND job_id = :job AND step = :step""",
        {"org": organization_id, "kind": kind, "id": document_id, "job": job_id, "step": step},
    ).scalar_one_or_none()
    return revision


def save(
    tx: Transaction,
    organization_id: UUID,
    kind: str,
    document_id: str,
    content: Mapping[str, Any],
    author: Author,
    change: str,
) -> int:
    """Append the next revision of a locked document and return its number. ``change`` says what was done to it:
    ``generated``, ``attached`` (only assets), ``edited``, ``restored``."""
    values = {"org": organization_id, "kind": kind, "id": document_id}
    revision = int(
        tx.run(
            """UPDATE documents SET revision = revision + 1, updated_at = clock_timestamp()
            WHERE organization_id = :org AND kind = :kind AND document_id = :id RETURNING revision""",
            values,
        ).scalar_one()
    )
    tx.run(
        """INSERT INTO document_revisions
          (organization_id, kind, document_id, revision, content, source, change, created_by, job_id, step)
        VALUES (:org, :kind, :id, :revision, CAST(:content AS jsonb), :source, :change, :by, :job, :step)""",
        {
            **values,
            "revision": revision,
            "content": json.dumps(dict(content)),
            "source": author.source,
            "change": change,
            "by": author.created_by,
            "job": author.job_id,
            "step": author.step,
        },
    )
    return revision


_CURRENT = """SELECT r.* FROM documents d JOIN document_revisions r
  ON r.organization_id = d.organization_id AND r.kind = d.kind AND r.document_id = d.document_id
  AND r.revision = d.revision
WHERE d.organization_id = :org AND d.kind = :kind AND d.document_id = :id AND d.archived_at IS NULL"""


def _revision(row: Any) -> Revision:
    return Revision(
        organization_id=row.organization_id,
        kind=row.kind,
        document_id=row.document_id,
        revision=row.revision,
        content=row.content,
        source=row.source,
        created_by=row.created_by,
        created_at=row.created_at,
    )


def current_in(tx: Transaction, organization_id: UUID, kind: str, document_id: str) -> Revision | None:
    """A document's current revision, within a transaction."""
    row = tx.run(_CURRENT, {"org": organization_id, "kind": kind, "id": document_id}).one_or_none()
    return _revision(row) if row else None


def current(db: Database, organization_id: UUID, kind: str, document_id: str) -> Revision | None:
    """A document's current revision; none when the organization has no such document (or has archived it)."""
    with db.statement() as tx:
        return current_in(tx, organization_id, kind, document_id)


def unstored(db: Database, older_than_seconds: float, limit: int = 20) -> list[Revision]:
    """Current revisions that are not known to be in the object store yet, those waiting longest first."""
    with db.statement() as tx:
        rows = tx.run(
            """SELECT r.* FROM documents d JOIN document_revisions r
              ON r.organization_id = d.organization_id AND r.kind = d.kind AND r.document_id = d.document_id
              AND r.revision = d.revision
            WHERE d.stored_revision < d.revision
              AND d.updated_at < clock_timestamp() - make_interval(secs => :age)
            ORDER BY d.updated_at LIMIT :limit""",
            {"age": older_than_seconds, "limit": limit},
        ).all()
    return [_revision(row) for row in rows]


def mark_stored(db: Database, revision: Revision) -> None:
    """Note that this revision, or a newer one, is in the object store."""
    with db.statement() as tx:
        tx.run(
            """UPDATE documents SET stored_revision = GREATEST(stored_revision, :revision)
            WHERE organization_id = :org AND kind = :kind AND document_id = :id""",
            {
                "org": revision.organization_id,
                "kind": revision.kind,
                "id": revision.document_id,
                "revision": revision.revision,
            },
        )


@dataclass(frozen=True)
class Kept:
    """A course, and the revision that should be in the store, or a newer one; 0 when nothing needs to be there: it is
    archived, or waits to be written. ``unlisted``: the catalog doesn't show that revision, and no job will list it."""

    organization_id: UUID
    document_id: str
    revision: int
    unlisted: bool


# What readers find in the catalog is behind what they get, no job is at work that would list it, and it does not wait
# for a review. A course that was never listed stays so when its making was cancelled, or when nobody knows any more how
# that ended.
_UNLISTED = f"""NOT EXISTS (SELECT 1 FROM jobs WHERE organization_id = d.organization_id
    AND course_id = d.document_id AND job_type <> 'media' AND {IS_ACTIVE})
  AND NOT EXISTS (SELECT 1 FROM course_reviews w WHERE w.organization_id = d.organization_id
    AND w.course_id = d.document_id AND w.approved_at IS NULL)
  AND CASE (SELECT m.revision < d.revision FROM course_metadata m
    WHERE m.organization_id = d.organization_id AND m.course_id = d.document_id)
    WHEN true THEN true WHEN false THEN false
    ELSE EXISTS (SELECT 1 FROM document_revisions r JOIN jobs j ON j.id = r.job_id
      WHERE r.organization_id = d.organization_id AND r.kind = 'course' AND r.document_id = d.document_id
        AND r.revision = d.revision AND j.status <> 'cancelled') END"""


def longest_unverified(db: Database, older_than_seconds: float, limit: int) -> list[Kept]:
    """Courses that were not seen in the store for so long, the longest unseen first."""
    with db.statement() as tx:
        # Of the first few, those that are due: to filter before the limit would read on to the end for nothing.
        rows = tx.run(
            f"""SELECT *, expected > 0 AND {_UNLISTED} AS unlisted FROM (
              SELECT organization_id, document_id, revision, verified_at,
                CASE WHEN archived_at IS NULL AND stored_revision >= revision THEN revision ELSE 0 END AS expected
              FROM documents WHERE kind = 'course' ORDER BY verified_at NULLS FIRST LIMIT :limit
            ) AS d WHERE verified_at IS NULL OR verified_at < clock_timestamp() - make_interval(secs => :age)""",
            {"age": older_than_seconds, "limit": limit},
        ).all()
    return [Kept(row.organization_id, row.document_id, row.expected, row.unlisted) for row in rows]


def is_unlisted(tx: Transaction, current: Revision) -> bool:
    """Whether a locked course's current revision is missing in the catalog, and no job will list it."""
    values = {"org": current.organization_id, "id": current.document_id}
    found = tx.run(
        f"""SELECT {_UNLISTED} FROM documents d
        WHERE d.organization_id = :org AND d.kind = 'course' AND d.document_id = :id""",
        values,
    )
    return bool(found.scalar_one())


def mark_verified(db: Database, seen: Sequence[Kept]) -> None:
    """Note that these were seen in the store just now. One that somebody works on at this moment is left for the next
    round."""
    with db.statement() as tx:
        tx.run(
            """WITH free AS (
              SELECT d.organization_id, d.kind, d.document_id
              FROM unnest(CAST(:orgs AS uuid[]), CAST(:ids AS text[])) AS seen(organization_id, document_id)
              JOIN documents d ON d.organization_id = seen.organization_id AND d.kind = 'course'
                AND d.document_id = seen.document_id
              FOR NO KEY UPDATE OF d SKIP LOCKED
            )
            UPDATE documents d SET verified_at = clock_timestamp() FROM free
            WHERE d.organization_id = free.organization_id AND d.kind = free.kind
              AND d.document_id = free.document_id""",
            {"orgs": [str(one.organization_id) for one in seen], "ids": [one.document_id for one in seen]},
        )
