"""Private courses: those of an organization that its viewers don't see. The rules for courses, jobs and schedules."""

from __future__ import annotations

from collections.abc import Collection
from uuid import UUID

from storage.db import Database

#: Whether a job, ``j``, makes or made a private course: one that was asked for as such, or is one now. Of one that was
#: purged nobody knows any more what was asked for, so it counts as private unless its course is listed for viewers.
IS_PRIVATE_JOB = """(EXISTS (SELECT 1 FROM job_payloads asked
    WHERE asked.job_id = j.id AND asked.payload->>'visibility' = 'private')
  OR EXISTS (SELECT 1 FROM course_metadata listed WHERE listed.organization_id = j.organization_id
    AND listed.course_id = j.course_id AND listed.visibility = 'private')
  OR (j.purged_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM course_metadata listed
    WHERE listed.organization_id = j.organization_id AND listed.course_id = j.course_id)))"""

#: Whether a schedule asks for a private course: as such, or one that is now.
IS_PRIVATE_SCHEDULE = """(COALESCE(schedules.request->'payload'->>'visibility', '') = 'private'
  OR EXISTS (SELECT 1 FROM course_metadata listed WHERE listed.organization_id = schedules.organization_id
    AND listed.course_id = schedules.request->'payload'->>'courseId' AND listed.visibility = 'private'))"""

_COURSE = """SELECT 1 FROM documents d JOIN document_revisions r ON r.organization_id = d.organization_id
  AND r.kind = d.kind AND r.document_id = d.document_id AND r.revision = d.revision
WHERE d.organization_id = :org AND d.kind = 'course' AND d.document_id = :id AND r.content->>'visibility' = 'private'"""


def hides_course(db: Database, organization_id: UUID, course_id: str) -> bool:
    """Whether a course of the organization is private, as its current revision says."""
    if "\x00" in course_id:
        return False
    with db.statement() as tx:
        return tx.run(_COURSE, {"org": organization_id, "id": course_id}).first() is not None


def hides_job(db: Database, organization_id: UUID, job_id: str) -> bool:
    """Whether a job of the organization is one of a private course."""
    return bool(hidden_jobs(db, organization_id, [UUID(job_id)]))


def hidden_jobs(db: Database, organization_id: UUID, job_ids: Collection[UUID]) -> set[UUID]:
    """Of these jobs those that are the organization's, and of a private course."""
    asked = f"""SELECT j.id FROM jobs j WHERE j.organization_id = :org AND j.id = ANY(CAST(:ids AS uuid[]))
      AND {IS_PRIVATE_JOB}"""
    with db.statement() as tx:
        return set(tx.run(asked, {"org": organization_id, "ids": [str(one) for one in job_ids]}).scalars())
