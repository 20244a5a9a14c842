"""Jobs as people look for them: few facts, many rows. Pictures belong to their course and are not listed."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from schema.clock import iso
from storage.db import Database
from storage.engine.statuses import IS_ACTIVE
from storage.people.privacy import IS_PRIVATE_JOB


@dataclass(frozen=True)
class Listed:
    """A job in a list. ``title`` is the course's, or what was asked for while there is none; ``created_at`` is
    ISO-8601; ``is_active``: it has neither ended nor waits for a person."""

    job_id: UUID
    job_type: str
    status: str
    title: str
    progress: float
    message: str
    course_id: str | None
    created_at: str
    is_active: bool


_TITLE = "COALESCE(p.payload->>'title', m.title, e.title, p.payload->>'subject', j.course_id, j.job_type)"
_JOBS = """FROM jobs j LEFT JOIN job_payloads p ON p.job_id = j.id
LEFT JOIN course_metadata m ON m.organization_id = j.organization_id AND m.course_id = j.course_id
LEFT JOIN exams e ON e.organization_id = j.organization_id AND e.id::text = j.exam_id
WHERE j.organization_id = :org"""
_LISTED = f"""SELECT j.id, j.job_type, j.status, j.progress, j.progress_message, j.course_id, j.created_at,
  {IS_ACTIVE} AS is_active, {_TITLE} AS title
{_JOBS} AND j.parent_job_id IS NULL AND j.purged_at IS NULL AND (:private OR NOT {IS_PRIVATE_JOB})
ORDER BY j.created_at DESC, j.id DESC LIMIT :limit"""


def recent(db: Database, organization_id: UUID, limit: int, *, private: bool = True) -> list[Listed]:
    """The organization's newest jobs, newest first, with or without those of private courses."""
    with db.statement() as tx:
        rows = tx.run(_LISTED, {"org": organization_id, "limit": limit, "private": private}).all()
    return [
        Listed(
            job_id=row.id,
            job_type=row.job_type,
            status=row.status,
            title=row.title,
            progress=round(row.progress, 1),
            message=row.progress_message,
            course_id=row.course_id,
            created_at=iso(row.created_at) or "",
            is_active=row.is_active,
        )
        for row in rows
    ]


def title(db: Database, organization_id: UUID, job_id: UUID) -> str | None:
    """What a job's course is called, as in the list; none when the organization has no such job."""
    with db.statement() as tx:
        values = {"org": organization_id, "id": job_id}
        found: str | None = tx.run(f"SELECT {_TITLE} {_JOBS} AND j.id = :id", values).scalar_one_or_none()
    return found


def at_work(db: Database, organization_id: UUID, *, private: bool = True) -> int:
    """How many of the organization's jobs have neither ended nor wait for a person, with or without those of private
    courses."""
    with db.statement() as tx:
        return int(
            tx.run(
                f"""SELECT count(*) FROM jobs j WHERE organization_id = :org AND parent_job_id IS NULL AND {IS_ACTIVE}
                AND (:private OR NOT {IS_PRIVATE_JOB})""",
                {"org": organization_id, "private": private},
            ).scalar_one()
        )
