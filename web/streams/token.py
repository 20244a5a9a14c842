"""A signed pass to the stream of one job, for those who can't send headers, as a browser's ``EventSource`` can't.

It names the job, and what the access of whoever was given it rests on: a session, a token, a membership. It opens
nothing once that has ended. How long it is good otherwise is read from the job's row: while the job lives, and a day
longer. A job that is taken up again lives again, and so do its tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from uuid import UUID

from itsdangerous import BadSignature, URLSafeSerializer

from schema.errors import Unauthenticated
from storage.people.grounds import Grounds, from_json

#: How long a token outlives its job.
GOOD_AFTER_END = timedelta(days=1)
_SALT = "coursewright.stream"


@dataclass(frozen=True)
class Pass:
    """What a token lets somebody see, and on what grounds."""

    job_id: str
    grounds: Grounds


def make(signing_keys: Sequence[str], grounds: Grounds, job_id: UUID) -> str:
    """A token for the stream of a job. The last key signs. A user's own token ends sooner than a job may; the stream
    goes on for as long as they belong to the organization."""
    kept = replace(grounds, until=None).as_json()
    return str(URLSafeSerializer(list(signing_keys), salt=_SALT).dumps([str(job_id), kept]))


def read(signing_keys: Sequence[str], given: str) -> Pass:
    """What a token is for. Raises ``Unauthenticated`` (``invalid_stream_token``) when it was not made here."""
    try:
        job_id, kept = URLSafeSerializer(list(signing_keys), salt=_SALT).loads(given)
        return Pass(job_id, from_json(kept))
    except (BadSignature, ValueError, TypeError, KeyError):
        words = "This stream token is not valid. Ask for the job again; its streamUrl has a good one."
        raise Unauthenticated(words, code="invalid_stream_token") from None


def check_age(ended_at: datetime | None, now: datetime) -> None:
    """Raise ``Unauthenticated`` (``stream_token_expired``) for a job that ended more than a day ago."""
    if ended_at is not None and now - ended_at > GOOD_AFTER_END:
        words = "The job ended more than a day ago, and its stream token with it. Ask for the job itself."
        raise Unauthenticated(words, code="stream_token_expired")
