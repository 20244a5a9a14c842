"""Events: facts about a job, numbered within it, told in the past tense. One shape per type (public contract 3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from marshmallow import INCLUDE, Schema, fields

from schema.clock import iso
from schema.fields import Flag, StrictSchema, Text, Whole
from schema.job import JobSchema


@dataclass(frozen=True)
class Event:
    """A fact before it has its number: ``type`` and the fields that type carries."""

    type: str
    body: dict[str, Any] = field(default_factory=dict)


class _Step(StrictSchema):
    step = Text(required=True)
    stepIndex = Whole(required=True)
    totalSteps = Whole(required=True)
    message = Text(required=True)
    progress = fields.Float(required=True)


class _StepCompleted(_Step):
    duration = fields.Float(required=True)


class _Topic(StrictSchema):
    topicName = Text(required=True)
    topicIndex = Whole(required=True)
    totalTopics = Whole(required=True)
    progress = fields.Float(required=True)


class _TopicProgress(_Topic):
    itemsGenerated = Whole()
    lessonsGenerated = Whole()


class _TopicCompleted(_TopicProgress):
    duration = fields.Float(required=True)


class _ErrorBody(StrictSchema):
    code = Text(required=True)
    message = Text(required=True)


class _Created(StrictSchema):
    estimatedDuration = fields.Float(required=True, allow_none=True)


class _Media(StrictSchema):
    mediaJobId = Text(required=True)
    targetRef = fields.Dict(required=True)


class _MediaCompleted(_Media):
    url = Text(required=True)
    revision = Whole(required=True)


class _MediaFailed(_Media):
    error = fields.Nested(_ErrorBody, required=True)


class _MediaSettled(StrictSchema):
    completed = Whole(required=True)
    failed = Whole(required=True)


class _Retrying(StrictSchema):
    step = Text(required=True, allow_none=True)
    # The attempt that comes; ``run`` is the one that ended. A person's retry has none, nothing failed.
    attempt = Whole(required=True)
    run = Whole()
    nextRunAt = Text(required=True)
    error = fields.Nested(_ErrorBody, required=True, allow_none=True)


class _Completed(StrictSchema):
    courseId = Text()
    lectureId = Text()
    totalDuration = fields.Float(required=True)
    mediaPending = Whole(required=True)


class _Failed(StrictSchema):
    # The attempt and the run that failed. Neither where an operator gave a job up that had failed before.
    attempt = Whole()
    run = Whole()
    error = fields.Nested(_ErrorBody, required=True)
    failedStep = Text(required=True, allow_none=True)
    canResume = Flag(required=True)
    deadLetter = Flag(required=True)


class _Cancelled(StrictSchema):
    reason = Text(required=True)
    cancelledAt = Text(required=True)


#: Every type there is, and what it carries beside ``type, jobId, seq, timestamp``.
EVENT_TYPES: dict[str, type[Schema]] = {
    "job_created": _Created,
    "step_started": _Step,
    "step_progress": _Step,
    "step_completed": _StepCompleted,
    "topic_started": _Topic,
    "topic_progress": _TopicProgress,
    "topic_completed": _TopicCompleted,
    "media_completed": _MediaCompleted,
    "media_failed": _MediaFailed,
    "media_settled": _MediaSettled,
    "job_retrying": _Retrying,
    "job_completed": _Completed,
    "job_failed": _Failed,
    "job_cancelled": _Cancelled,
}


class _Unnumbered(StrictSchema):
    type = Text(required=True)
    jobId = fields.UUID(required=True)
    timestamp = Text(required=True)


class _Delta(_Unnumbered):
    step = Text(required=True)
    # As in the step's checkpoints: the group, study text or topic that is being written.
    part = Text(required=True)
    text = Text(required=True)


class _Snapshot(_Unnumbered):
    job = fields.Nested(JobSchema, required=True)


#: What streams send besides: no facts, so neither numbered nor kept, and the whole of each is here.
UNNUMBERED_TYPES: dict[str, type[Schema]] = {"content_delta": _Delta, "job_snapshot": _Snapshot}


class EventSchema(Schema):
    """An event as shown; the other fields depend on ``type``."""

    class Meta:
        unknown = INCLUDE

    type = fields.String(required=True)
    jobId = fields.String(required=True)
    seq = fields.Integer(required=True)
    timestamp = fields.String(required=True)


def as_shown(job_id: str, seq: int, at: datetime, type_: str, body: dict[str, Any]) -> dict[str, Any]:
    """An event as clients see it."""
    return {"type": type_, "jobId": job_id, "seq": seq, "timestamp": iso(at), **body}


def error_body(error: dict[str, Any]) -> dict[str, str]:
    """The two fields of an error that events carry; the details stay with the job."""
    return {"code": error["code"], "message": error["message"]}
