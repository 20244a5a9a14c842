"""The only place where times and ids are made. Everything else receives them as arguments."""

from __future__ import annotations

import secrets
import uuid
from datetime import UTC, datetime

_SLUG_ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # no l, o, 0, 1: ids are read aloud


def utc_now() -> datetime:
    """The present moment, timezone-aware, in UTC."""
    return datetime.now(UTC)


def new_id() -> uuid.UUID:
    """A fresh random id (version 4)."""
    return uuid.uuid4()


def short_code(length: int = 6) -> str:
    """Random characters for the end of a readable id: lowercase letters and digits that can't be confused."""
    return "".join(secrets.choice(_SLUG_ALPHABET) for _ in range(length))


def iso(moment: datetime | None) -> str | None:
    """ISO-8601 in UTC with milliseconds and ``Z``, the form every output uses."""
    if moment is None:
        return None
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
