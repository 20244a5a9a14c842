"""What a webhook is: who is told of what, in which words, and how a receiver knows that it was us.

The signature is that of the Standard Webhooks specification (standardwebhooks.com), so that receivers may use its
libraries: HMAC-SHA256 over ``id.timestamp.body``, with the id of the delivery and the second it was sent.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from marshmallow import ValidationError, fields, validate

from schema.clock import iso
from schema.fields import Flag, Line, StrictSchema, Text, Whole
from schema.targets import read_url

#: The ends of a job that are told, by the type of the event that ends it. A failure that is a dead letter has its own.
EVENTS = ("job.completed", "job.failed", "job.cancelled", "job.dead_letter")
#: What the test button sends.
TEST_EVENT = "test"
STATUSES = ("pending", "delivered", "failed")
#: The most webhooks of one organization.
MOST_WEBHOOKS = 20
#: So much of an answer is kept, in characters.
ANSWER_LIMIT = 500

#: How a secret begins, so that one that got somewhere it should not be is recognized.
_PREFIX = "whsec_"


# --- signing --------------------------------------------------------------------------------------------------------


def secret_of(key: bytes) -> str:
    """A key of random bytes as receivers are given it."""
    return _PREFIX + base64.b64encode(key).decode()


def signed_headers(secret: str, delivery_id: str, at: datetime, body: bytes) -> dict[str, str]:
    """The three headers by which a receiver knows who sent this body, and when. ``delivery_id`` stays the same however
    often a delivery is tried; whoever has seen it before has seen the delivery before."""
    timestamp = str(math.floor(at.timestamp()))
    key = base64.b64decode(secret.removeprefix(_PREFIX))
    digest = hmac.new(key, f"{delivery_id}.{timestamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "webhook-id": delivery_id,
        "webhook-timestamp": timestamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


def written(
    delivery_id: str, event: str, created_at: datetime, job: Mapping[str, Any] | None, public_url: str | None
) -> bytes:
    """The body of a delivery, the same bytes at every try. A test has no job."""
    shown = None
    if job is not None:
        base = public_url or ""
        course = f"{base}/api/courses/{job['courseId']}" if job["courseId"] else None
        shown = {**job, "links": {"job": f"{base}/api/jobs/{job['jobId']}", "course": course}}
    body = {"id": delivery_id, "event": event, "createdAt": iso(created_at), "job": shown}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


# --- what is sent to make and change one, and what is shown ---------------------------------------------------------


def _sendable(url: str) -> None:
    try:
        read_url(url)
    except ValueError as error:
        raise ValidationError(str(error)) from None


def _once(events: list[str]) -> None:
    if len(set(events)) < len(events):
        raise ValidationError("Names an event twice.")


def _events(**more: Any) -> fields.List[str]:
    one = Text(validate=validate.OneOf(EVENTS, error=f"Use: {', '.join(EVENTS)}."))
    few = validate.Length(min=1, error="Name one event at least.")
    return fields.List(one, validate=[few, _once], **more)


class NewWebhookSchema(StrictSchema):
    """``POST /api/webhooks``."""

    url = Text(required=True, validate=_sendable)
    events = _events(load_default=lambda: list(EVENTS))
    description = Line(load_default="", validate=validate.Length(max=200))
    paused = Flag(load_default=False)


class WebhookChangesSchema(StrictSchema):
    """``PATCH /api/webhooks/{webhookId}``: what is left out stays."""

    url = Text(validate=_sendable)
    events = _events()
    description = Line(validate=validate.Length(max=200))
    paused = Flag()


class WebhookSchema(StrictSchema):
    """A webhook, as shown."""

    webhookId = fields.UUID(required=True)
    url = Text(required=True)
    events = fields.List(Text(validate=validate.OneOf(EVENTS)), required=True)
    description = Text(required=True)
    paused = Flag(required=True)
    createdBy = Text(required=True, allow_none=True)
    createdAt = fields.DateTime(required=True)
    updatedAt = fields.DateTime(required=True)


class WebhookWithSecretSchema(WebhookSchema):
    """The only answers that tell the secret: to whoever makes or changes it."""

    secret = Text(required=True)


class DeliverySchema(StrictSchema):
    """One delivery, as the log shows it."""

    deliveryId = fields.UUID(required=True)
    webhookId = fields.UUID(required=True)
    event = Text(required=True, validate=validate.OneOf([*EVENTS, TEST_EVENT]))
    jobId = fields.UUID(required=True, allow_none=True)
    status = Text(required=True, validate=validate.OneOf(STATUSES))
    attempts = Whole(required=True)
    createdAt = fields.DateTime(required=True)
    attemptedAt = fields.DateTime(required=True, allow_none=True)
    deliveredAt = fields.DateTime(required=True, allow_none=True)
    nextAttemptAt = fields.DateTime(required=True, allow_none=True)
    responseStatus = Whole(required=True, allow_none=True)
    responseStart = Text(required=True, allow_none=True)
    seconds = fields.Float(required=True, allow_none=True)
    error = Text(required=True, allow_none=True)
