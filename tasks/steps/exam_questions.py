"""Second step of an exam course: the exam as it is now. Whoever edits it from here on changes nothing for this job."""

from __future__ import annotations

from uuid import UUID

from schema.errors import Permanent
from storage import exams
from tasks.work import Outcome, Work


def run(work: Work) -> Outcome:
    """Keep the exam. The checkpoint is ``{"exam": Exam}``. Raises ``Permanent`` (``exam_gone``)."""
    exam = exams.read(work.deps.db, work.organization_id, UUID(work.payload["examId"]))
    if exam is None:
        raise Permanent("The exam was removed before its questions were read.", code="exam_gone")
    count = len(exam["questions"])
    return Outcome({"exam": exam}, message=f"Read {count} question{'' if count == 1 else 's'}")
