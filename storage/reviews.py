"""Which courses wait for a review, and which were approved in one.

A row is about a course's current revision and the pictures attached to it since. A course without a row needed no
review. The course's document must be locked by whoever writes here.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from schema.clock import iso
from storage.db import Database, Transaction


@dataclass(frozen=True)
class Review:
    """``revision`` is what a job saved, or what was approved. ``approved_at`` is none while the course waits;
    ``approved_by`` is the user who approved, none also where only an agent's token was given."""

    revision: int
    job_id: UUID | None
    waiting_since: datetime
    approved_by: str | None
    approved_at: datetime | None

    @property
    def waits(self) -> bool:
        return self.approved_at is None

    def as_shown(self) -> dict[str, Any]:
        """As the API shows it beside a course."""
        return {
            "status": "waiting" if self.waits else "approved",
            "waitingSince": iso(self.waiting_since),
            "jobId": str(self.job_id) if self.job_id else None,
            "approvedAt": iso(self.approved_at),
            "approvedBy": self.approved_by,
        }


def read_in(tx: Transaction, organization_id: UUID, course_id: str) -> Review | None:
    """How the review of a course stands; none where none is needed."""
    row = tx.run(
        """SELECT revision, job_id, waiting_since, approved_by, approved_at FROM course_reviews
        WHERE organization_id = :org AND course_id = :id""",
        {"org": organization_id, "id": course_id},
    ).one_or_none()
    if row is None:
        return None
    return Review(row.revision, row.job_id, row.waiting_since, row.approved_by, row.approved_at)


def read(db: Database, organization_id: UUID, course_id: str) -> Review | None:
    """The same, on its own. What was read of the course itself before this is no newer than the answer."""
    with db.statement() as tx:
        return read_in(tx, organization_id, course_id)


def waits_in(tx: Transaction, organization_id: UUID, course_id: str) -> bool:
    """Whether a course waits for a review."""
    review = read_in(tx, organization_id, course_id)
    return review is not None and review.waits


def waits(db: Database, organization_id: UUID, course_id: str) -> bool:
    """The same, on its own."""
    with db.statement() as tx:
        return waits_in(tx, organization_id, course_id)


def wait(tx: Transaction, organization_id: UUID, course_id: str, revision: int) -> None:
    """From now on this revision of a course waits, whatever was approved before."""
    tx.run(
        """INSERT INTO course_reviews (organization_id, course_id, revision, job_id)
        SELECT organization_id, document_id, revision, job_id FROM document_revisions
        WHERE organization_id = :org AND kind = 'course' AND document_id = :id AND revision = :revision
        ON CONFLICT (organization_id, course_id) DO UPDATE SET revision = EXCLUDED.revision, job_id = EXCLUDED.job_id,
          waiting_since = clock_timestamp(), approved_by = NULL, approved_at = NULL""",
        {"org": organization_id, "id": course_id, "revision": revision},
    )


def approve(tx: Transaction, organization_id: UUID, course_id: str, revision: int, approved_by: str | None) -> None:
    """This revision may be shown. Changes nothing for a course that does not wait."""
    tx.run(
        """UPDATE course_reviews SET revision = :revision, approved_by = :by, approved_at = clock_timestamp()
        WHERE organization_id = :org AND course_id = :id AND approved_at IS NULL""",
        {"org": organization_id, "id": course_id, "revision": revision, "by": approved_by},
    )


def forget(tx: Transaction, organization_id: UUID, course_id: str) -> None:
    """What waited or was approved is no longer the current revision, and that one needs no review."""
    tx.run(
        "DELETE FROM course_reviews WHERE organization_id = :org AND course_id = :id",
        {"org": organization_id, "id": course_id},
    )


def waiting(
    db: Database, organization_id: UUID, after: tuple[datetime, UUID] | None, limit: int
) -> list[dict[str, Any]]:
    """The organization's courses that wait, oldest first, each with its current revision and its ``_position``; those
    after a position."""
    with db.statement() as tx:
        rows = tx.run(
            """SELECT waiting.*, r.content->>'title' AS title FROM (
              SELECT w.organization_id, w.course_id, w.waiting_since, w.job_id, d.revision, m.place
              FROM course_reviews w
              -- Orders those that came in the same moment.
              CROSS JOIN LATERAL (SELECT CAST(md5(w.course_id) AS uuid) AS place) m
              JOIN documents d ON d.organization_id = w.organization_id AND d.kind = 'course'
                AND d.document_id = w.course_id AND d.archived_at IS NULL
              WHERE w.organization_id = :org AND w.approved_at IS NULL AND (CAST(:at AS timestamptz) IS NULL
                OR (w.waiting_since, m.place) > (CAST(:at AS timestamptz), CAST(:place AS uuid)))
              ORDER BY w.waiting_since, m.place LIMIT :limit
            ) AS waiting
            JOIN document_revisions r ON r.organization_id = waiting.organization_id AND r.kind = 'course'
              AND r.document_id = waiting.course_id AND r.revision = waiting.revision
            ORDER BY waiting.waiting_since, waiting.place""",
            {
                "org": organization_id,
                "at": after[0] if after else None,
                "place": after[1] if after else None,
                "limit": limit,
            },
        ).all()
    return [
        {
            "courseId": row.course_id,
            "title": row.title,
            "revision": row.revision,
            "waitingSince": iso(row.waiting_since),
            "jobId": str(row.job_id) if row.job_id else None,
            "_position": (row.waiting_since, row.place),
        }
        for row in rows
    ]
