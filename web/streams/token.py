"""A signed pass to the stream of one job, for those who can't send headers, as a browser's ``EventSource`` can't.

It names the job and its organization and nothing else. How long it is good is read from the job's row: while the job
lives, and a day longer. A job that is taken up again lives again, and so do its tokens.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from itsdangerous import BadSignature, URLSafeSerializer

from schema.errors import Unauthenticated

#: How long a token outlives its job.
GOOD_AFTER_END = timedelta(days=1)
_SALT = "coursewright.stream"


@dataclass(frozen=True)
class Pass:
    """What a token lets somebody see."""

    job_id: str
    organization_id: UUID


def make(secret_key: str, organization_id: UUID, job_id: UUID) -> str:
    """A token for the stream of a job."""
    return str(URLSafeSerializer(secret_key, salt=_SALT).dumps([str(job_id), str(organization_id)]))


def read(secret_key: str, given: str) -> Pass:
    """What a token is for. Raises ``Unauthenticated`` (``invalid_stream_token``) when it was not made here."""
    try:
        job_id, organization_id = URLSafeSerializer(secret_key, salt=_SALT).loads(given)
    except BadSignature:
        words = "This stream token is not valid. Ask for the job again; its streamUrl has a good one."
        raise Unauthenticated(words, code="invalid_stream_token") from None
    return Pass(job_id, UUID(organization_id))


def check_age(ended_at: datetime | None, now: datetime) -> None:
    """Raise ``Unauthenticated`` (``stream_token_expired``) for a job that ended more than a day ago."""
    if ended_at is not None and now - ended_at > GOOD_AFTER_END:
        words = "The job ended more than a day ago, and its stream token with it. Ask for the job itself."
        raise Unauthenticated(words, code="stream_token_expired")
