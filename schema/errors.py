"""The one family of errors.

Every error of ours is a ``CoursewrightError`` with a code that programs can read, a sentence a person
understands, an HTTP status, and (in ``tasks/retry.py``) a decision whether trying again can help.
Foreign errors are translated into these at the door where they enter.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class FieldError:
    """One fault of one field of a request. ``path`` is dotted, e.g. ``payload.itemsPerGroup``."""

    path: str
    code: str
    message: str

    def as_json(self) -> dict[str, str]:
        return {"path": self.path, "code": self.code, "message": self.message}


class CoursewrightError(Exception):
    """Root of the family. Subclasses set ``status`` (HTTP) and a default ``code``."""

    status = 500
    code = "internal_error"
    title = "Something went wrong on our side"

    def __init__(self, message: str, *, code: str | None = None, details: dict[str, Any] | None = None) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        self.details = details or {}

    def as_json(self) -> dict[str, Any]:
        """The shape kept in a job's ``error`` and sent in ``job_failed``."""
        return {"code": self.code, "message": self.message, "details": self.details}


class SettingsError(CoursewrightError):
    """A setting is missing or malformed. The process stops and names it."""

    code = "bad_configuration"
    title = "The configuration is not usable"


# --- what a caller did -------------------------------------------------------------------------------------


class BadRequest(CoursewrightError):
    status = 400
    code = "bad_request"
    title = "The request can't be read"


class Unauthenticated(CoursewrightError):
    status = 401
    code = "unauthenticated"
    title = "Nobody is signed in"


class Forbidden(CoursewrightError):
    status = 403
    code = "forbidden"
    title = "That is not allowed"


class NotFound(CoursewrightError):
    status = 404
    code = "not_found"
    title = "There is no such thing"


class Conflict(CoursewrightError):
    status = 409
    code = "conflict"
    title = "That collides with what is there"


#: So many faults of a request are told: nobody reads more, and a request can be made to have very many.
MOST_FAULTS_TOLD = 1000


class Invalid(CoursewrightError):
    """Content that doesn't fit its schema: 422 with every field named, up to ``MOST_FAULTS_TOLD``."""

    status = 422
    code = "invalid"
    title = "Some fields are not right"

    def __init__(self, errors: list[FieldError], message: str | None = None) -> None:
        first = f"{errors[0].path}: {errors[0].message}" if errors else "The request does not fit."
        more = f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""
        super().__init__(message or first + more)
        self.errors = errors[:MOST_FAULTS_TOLD]


class TooMany(CoursewrightError):
    """Somebody asked for more than their share. ``retry_after``: in how many seconds asking again can succeed."""

    status = 429
    code = "too_many_requests"
    title = "That is more than your share for now"

    def __init__(
        self, message: str, *, retry_after: float, code: str | None = None, details: dict[str, Any] | None = None
    ) -> None:
        super().__init__(message, code=code, details=details)
        self.retry_after = retry_after


class ModelNotConfigured(CoursewrightError):
    """Work that needs a model was asked for, and no model is set up."""

    status = 422
    code = "model_not_configured"
    title = "No model is configured"


class Unavailable(CoursewrightError):
    """One of our own dependencies (database, broker, store) is away for the moment."""

    status = 503
    code = "unavailable"
    title = "A part of the system is away"


# --- what a step met ----------------------------------------------------------------------------------------


class Transient(CoursewrightError):
    """Trying again later can help. ``retry_after`` (seconds) is what the other side asked for, if it did."""

    code = "temporarily_unavailable"
    title = "Something outside is away for the moment"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        retry_after: float | None = None,
        details: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(message, code=code, details=details)
        self.retry_after = retry_after


class Permanent(CoursewrightError):
    """Trying again can't help; a person has to change something."""

    code = "permanent_failure"
    title = "The work can't be done as asked"


class ValidationFailed(Permanent):
    """The course still has errors after the bounded repair. ``details`` carries every problem."""

    code = "validation_failed"
