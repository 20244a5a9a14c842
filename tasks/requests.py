"""What a request for a course comes down to: after what the course is named, what only one job may work on, and who can
serve it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import cast
from uuid import UUID

from schema.errors import FieldError, Invalid, ModelNotConfigured
from schema.job import CourseRequest, NewJob
from storage import exams, organization_settings
from storage.db import Database, Transaction
from tasks.strategies import choose


def completed(db: Database, organization_id: UUID, asked: Sequence[NewJob]) -> list[NewJob]:
    """The requests with what the organization's settings say where they say nothing: the language of a course."""
    if all("language" in new.payload for new in asked if new.job_type == "course"):
        return list(asked)
    language = organization_settings.read(db, organization_id).language
    return [
        replace(new, payload={**new.payload, "language": language}, filled_in=frozenset({"language"}))
        if new.job_type == "course" and "language" not in new.payload
        else new
        for new in asked
    ]


def exam_titles(db: Database, organization_id: UUID, asked: Sequence[NewJob]) -> dict[str, str]:
    """The titles of the exams these requests name, by id. An exam the organization doesn't have is not among them."""
    named = {UUID(new.payload["examId"]) for new in asked if new.job_type == "exam_course"}
    return exams.titles(db, organization_id, sorted(named)) if named else {}


def named_after(new: NewJob, titles: Mapping[str, str]) -> str:
    """What a new course gets its id from: its subject, or the title of its exam."""
    if new.job_type == "exam_course":
        return titles.get(new.payload["examId"], "")
    return str(new.payload["subject"])


def target_of(new: NewJob, course_id: str) -> str:
    """What only one active job may work on."""
    return f"exam:{new.payload['examId']}" if new.job_type == "exam_course" else f"course:{course_id}"


def target_field(new: NewJob) -> str:
    """The field of the payload by which a request names its target."""
    return "examId" if new.job_type == "exam_course" else "courseId"


def check_model(new: NewJob, configured: bool) -> None:
    """Raise ``ModelNotConfigured`` when the request needs a model and there is none."""
    if new.job_type != "exam_course":
        choose(cast(CourseRequest, new.payload), configured)
    elif not configured:
        raise ModelNotConfigured(
            "Lessons for an exam are written by a model, and none is configured. Set OPENAI_API_KEY or OPENAI_BASE_URL."
        )


def unknown_exam(under: str = "payload") -> FieldError:
    """The fault of a request for an exam that the organization doesn't have."""
    return FieldError(f"{under}.examId", "unknown_exam", "There is no such exam.")


def hold_exam(tx: Transaction, organization_id: UUID, new: NewJob) -> None:
    """Keep the exam of a request as it is until the transaction ends. Raises ``Invalid`` (``unknown_exam``)."""
    if new.job_type == "exam_course" and not exams.hold(tx, organization_id, UUID(new.payload["examId"])):
        raise Invalid([unknown_exam()])
