"""What a job is: its kinds, its requests, its statuses and the one table of allowed moves."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, get_args

from marshmallow import ValidationError, fields, validate, validates_schema
from slugify import slugify

from schema.fields import LANGUAGE_TAG, Flag, Line, Lines, StrictSchema, Text, Whole, load

Status = Literal["pending", "processing", "done", "failed", "cancelled", "stale", "dead_letter"]
STATUSES: tuple[Status, ...] = get_args(Status)

#: Every move a job may make. Nothing else moves a job; ``storage.engine.moves`` builds its guards from this table.
MOVES: dict[Status, frozenset[Status]] = {
    "pending": frozenset({"processing", "cancelled"}),
    "processing": frozenset({"done", "failed", "pending", "dead_letter", "cancelled", "stale"}),
    "stale": frozenset({"pending", "done", "dead_letter", "cancelled"}),
    "failed": frozenset({"pending", "dead_letter"}),
    "cancelled": frozenset({"pending"}),
    "dead_letter": frozenset({"pending"}),
    "done": frozenset(),
}
#: A job in one of these still owns its target (one active job per course or exam).
ACTIVE: frozenset[Status] = frozenset({"pending", "processing", "stale"})
#: A person may ask for these to be taken up again.
RETRYABLE: frozenset[Status] = frozenset({"failed", "cancelled", "stale", "dead_letter"})

#: Of an organization's jobs the lower number goes first: those a person asked for one by one, then those of a batch.
SINGLE_PRIORITY, BATCH_PRIORITY = 5, 9

JobType = Literal["course", "exam_course", "media"]
#: The names older clients use.
OLDER_JOB_TYPES = {"ai_course_generate": "course", "ai_media_generate": "media"}
#: What ``POST /api/jobs`` takes. Media jobs are made by the course they belong to.
REQUESTABLE: tuple[str, ...] = ("course", "exam_course")


def sources_of(after: Status) -> tuple[Status, ...]:
    """The statuses from which ``after`` can be reached, for a ``WHERE status IN (...)`` guard."""
    return tuple(before for before in STATUSES if after in MOVES[before])


class CourseRequest(TypedDict, total=False):
    """The payload of a ``course`` job after loading; every key but the optional ones is present."""

    courseId: str
    subject: str
    title: str
    gradeBand: str
    grade: str
    mode: Literal["options", "numeric"]
    itemsPerGroup: int
    levelsCount: int
    studyTextsCount: int
    notes: str
    language: str
    visibility: Literal["private", "org", "public"]
    tags: list[str]
    generateStudyTextImages: bool


def _not_blank(value: str) -> None:
    if not value.strip():
        raise ValidationError("Must not be empty.")


COURSE_ID = re.compile(r"[A-Za-z0-9-]{1,64}\Z")
#: How the id of a job, a batch or an exam is written (a UUID).
AN_ID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\Z")


def _course_id() -> Text:
    return Text(validate=validate.Regexp(COURSE_ID, error="Use 1 to 64 letters, digits and hyphens."))


class CourseRequestSchema(StrictSchema):
    """The payload of a ``course`` job (limits from the public contract)."""

    courseId = _course_id()
    subject = Line(required=True, validate=[validate.Length(max=200), _not_blank])
    title = Line(validate=[validate.Length(max=120), _not_blank])
    gradeBand = Line(required=True, validate=[validate.Length(max=50), _not_blank])
    grade = Line(validate=[validate.Length(max=50), _not_blank])
    mode = Text(required=True, validate=validate.OneOf(["options", "numeric"]))
    itemsPerGroup = Whole(load_default=12, validate=validate.Range(1, 100))
    levelsCount = Whole(load_default=3, validate=validate.Range(1, 10))
    studyTextsCount = Whole(load_default=2, validate=validate.Range(1, 12))
    notes = Lines(load_default="", validate=validate.Length(max=5000))
    # Where none is named, the organization's counts.
    language = Text(validate=LANGUAGE_TAG)
    visibility = Text(load_default="org", validate=validate.OneOf(["private", "org", "public"]))
    tags = fields.List(
        Line(validate=[validate.Length(max=50), _not_blank]), load_default=list, validate=validate.Length(max=20)
    )
    generateStudyTextImages = Flag(load_default=False)


class ExamCourseRequest(TypedDict, total=False):
    """The payload of an ``exam_course`` job after loading; every key but ``courseId`` is present."""

    examId: str
    courseId: str
    lessonsPerTopic: int


class ExamCourseRequestSchema(StrictSchema):
    """The payload of an ``exam_course`` job. What else the course needs, its exam says."""

    examId = Text(required=True, validate=validate.Regexp(AN_ID, error="Not the id of an exam."))
    courseId = _course_id()
    lessonsPerTopic = Whole(load_default=3, validate=validate.Range(1, 10))


# Whole words: a course on photosynthesis is no wish for photos, nor are picturesque villages.
_PICTURES = r"(?:pictures?|images?|illustrat(?:e|ed|ions?)|drawings?|diagrams?|photo(?:s|graphs?)?)\b"
_WISH = re.compile(rf"\b{_PICTURES}", re.IGNORECASE)
_NO_WISH = re.compile(
    rf"\b(?:no|without|(?:don['’]?t|do\s+not|never)\s+\w+|(?:avoid|skip)(?:\s+\w+ing)?)\s+(?:any\s+|the\s+)?{_PICTURES}"
    rf"(?:(?:\s*,\s*|\s+)(?:(?:or|and|nor)\s+)?{_PICTURES})*",
    re.IGNORECASE,
)


def wishes_pictures(notes: str) -> bool:
    """Whether an author's notes ask for pictures ("with diagrams please"), and don't ask for none."""
    return bool(_WISH.search(_NO_WISH.sub("", notes)))


class NewJobSchema(StrictSchema):
    """``POST /api/jobs``: which kind of work, and what it needs."""

    jobType = Text(required=True)
    payload = fields.Dict(required=True)

    @validates_schema(skip_on_field_errors=True)
    def _known_type(self, given: dict[str, Any], **_: Any) -> None:
        if OLDER_JOB_TYPES.get(given["jobType"], given["jobType"]) not in REQUESTABLE:
            raise ValidationError(f"Not a job type. Use one of: {', '.join(REQUESTABLE)}.", field_name="jobType")


@dataclass(frozen=True)
class NewJob:
    """A job that was asked for, checked: its kind and its payload with every default filled in, but for the keys that
    depend on the organization. Once those are there too, they are named in ``filled_in``."""

    job_type: JobType
    payload: dict[str, Any]
    filled_in: frozenset[str] = frozenset()


def load_new_job(given: Any, under: str = "") -> NewJob:
    """Check the body of ``POST /api/jobs``, or a part of another with its path. Raises ``Invalid`` naming every faulty
    field."""
    body = load(NewJobSchema(), given, under)
    path = f"{under}.payload" if under else "payload"
    if OLDER_JOB_TYPES.get(body["jobType"], body["jobType"]) == "exam_course":
        payload = load(ExamCourseRequestSchema(), body["payload"], path)
        payload["examId"] = payload["examId"].lower()
        return NewJob("exam_course", payload)
    payload = load(CourseRequestSchema(), body["payload"], path)
    if wishes_pictures(payload["notes"]):
        payload["generateStudyTextImages"] = True
    return NewJob("course", payload)


def course_slug(named: str, code: str) -> str:
    """An id for a new course: a slug of its subject, or of its exam's title, and ``code``, at most 64 characters."""
    stem = slugify(named, max_length=64 - len(code) - 1, word_boundary=True, save_order=True) or "course"
    return f"{stem}-{code}"


class CancelSchema(StrictSchema):
    """``POST /api/jobs/{jobId}/cancel``."""

    reason = Lines(load_default="", validate=validate.Length(max=500))


def is_id(text: str) -> bool:
    """Whether ``text`` can be the id of a job or a batch (a UUID)."""
    return AN_ID.match(text) is not None


class UsageSchema(StrictSchema):
    calls = Whole()
    inputTokens = Whole()
    outputTokens = Whole()
    costUsd = fields.Float(allow_none=True)


class JobErrorSchema(StrictSchema):
    code = Text()
    message = Text()
    step = Text(allow_none=True)
    details = fields.Dict()


class JobSchema(StrictSchema):
    """A job, as shown (public contract 2.2)."""

    jobId = fields.UUID()
    jobType = Text()
    status = Text(validate=validate.OneOf(STATUSES))
    runNumber = Whole()
    payload = fields.Dict()
    courseId = Text(allow_none=True)
    lectureId = Text(allow_none=True)
    examId = Text(allow_none=True)
    batchId = fields.UUID(allow_none=True)
    parentJobId = fields.UUID(allow_none=True)
    currentStep = Text(allow_none=True)
    currentStepIndex = Whole()
    totalSteps = Whole()
    currentTopic = Text(allow_none=True)
    currentTopicIndex = Whole(allow_none=True)
    totalTopics = Whole(allow_none=True)
    progress = fields.Float()
    progressMessage = Text()
    estimatedSecondsLeft = fields.Float(allow_none=True)
    retryCount = Whole()
    maxRetries = Whole()
    nextRunAt = fields.DateTime(allow_none=True)
    startedAt = fields.DateTime(allow_none=True)
    completedAt = fields.DateTime(allow_none=True)
    lastHeartbeat = fields.DateTime(allow_none=True)
    resultPath = Text(allow_none=True)
    mediaPending = Whole()
    error = fields.Nested(JobErrorSchema, allow_none=True)
    cancelledAt = fields.DateTime(allow_none=True)
    cancellationReason = Text(allow_none=True)
    createdBy = Text(allow_none=True)
    createdAt = fields.DateTime()
    updatedAt = fields.DateTime()
    usage = fields.Nested(UsageSchema)
