"""The use cases of exams: made, replaced whole, and archived."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import structlog

from schema.audit import Deed
from schema.clock import new_id
from schema.errors import Conflict, NotFound
from schema.exam import Exam, questions_hash
from schema.exam_request import NewExam, numbered
from storage import audit, exams, jobs, organization_settings
from storage.db import Transaction
from storage.exams import Content
from tasks.commands import Asker
from tasks.deps import Deps

log = structlog.get_logger(__name__)


def make_exam(deps: Deps, asker: Asker, new: NewExam) -> Exam:
    """Make an exam. Raises ``Invalid``."""
    content = _content(new, _language(deps, asker, new), frozenset(), 0)
    exam_id = new_id()
    with deps.db.transaction() as tx:
        exams.insert(tx, asker.organization_id, exam_id, content, asker.user)
        made = _read(tx, asker, exam_id)
        _note(tx, asker, "exam.made", exam_id, questions=len(content.questions))
    log.info("exam_made", exam=str(exam_id), questions=len(content.questions))
    return made


def replace_exam(deps: Deps, asker: Asker, exam_id: UUID, new: NewExam) -> Exam:
    """Put ``new`` in the place of all an exam says. Jobs at work on it go on with the questions they took.

    Raises ``NotFound``, ``Invalid`` and, when ``new`` is based on an older revision, ``Conflict`` (``conflict``)."""
    language = _language(deps, asker, new)
    with deps.db.transaction() as tx:
        standing = exams.lock(tx, asker.organization_id, exam_id)
        if standing is None:
            raise NotFound("There is no such exam.")
        if new.base is not None and new.base != standing.revision:
            raise _conflict(_read(tx, asker, exam_id), new.base)
        content = _content(new, language, standing.question_ids, standing.questions_made)
        exams.replace(tx, asker.organization_id, exam_id, content)
        saved = _read(tx, asker, exam_id)
        _note(tx, asker, "exam.saved", exam_id, questions=len(content.questions), revision=saved["revision"])
        return saved


def archive_exam(deps: Deps, asker: Asker, exam_id: UUID) -> None:
    """Show an exam no more. Courses made from it stay.

    Raises ``NotFound``, and ``Conflict`` (``active_job_exists``) while a job is at work on it."""
    with deps.db.transaction() as tx:
        if exams.lock(tx, asker.organization_id, exam_id) is None:
            raise NotFound("There is no such exam.")
        active = jobs.active_on(tx, asker.organization_id, f"exam:{exam_id}")
        if active is not None:
            words = f"Job {active.job_id} is at work on this exam. Wait for it or cancel it."
            raise Conflict(words, code="active_job_exists", details={"jobId": str(active.job_id)})
        exams.archive(tx, exam_id)
        _note(tx, asker, "exam.removed", exam_id)
    log.info("exam_archived", exam=str(exam_id))


def _note(tx: Transaction, asker: Asker, action: str, exam_id: UUID, **details: int) -> None:
    audit.note(tx, Deed(asker.organization_id, action, "exam", str(exam_id), details))


def _language(deps: Deps, asker: Asker, new: NewExam) -> str:
    return new.language or organization_settings.read(deps.db, asker.organization_id).language


def _content(new: NewExam, language: str, known: frozenset[str], made: int) -> Content:
    questions, made = numbered(new.drafts, known, made)
    return Content(
        title=new.title,
        subject=new.subject,
        grade_band=new.grade_band,
        language=language,
        context=new.context,
        questions=questions,
        questions_hash=questions_hash(questions),
        questions_made=made,
    )


def _read(tx: Transaction, asker: Asker, exam_id: UUID) -> Exam:
    exam = exams.read_in(tx, asker.organization_id, exam_id)
    if exam is None:
        raise LookupError("The exam is gone within its own transaction.")
    return exam


def _conflict(latest: Mapping[str, Any], base: int) -> Conflict:
    words = (
        f"Somebody saved revision {latest['revision']} meanwhile, and yours is based on {base}. Take theirs up first."
    )
    return Conflict(words, details={"conflict": True, "latest": {"revision": latest["revision"], "exam": latest}})
