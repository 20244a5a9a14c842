"""Reading a JSON body strictly, and cursors of lists."""

from __future__ import annotations

import base64
import binascii
import json
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from flask import request

from schema.errors import BadRequest, FieldError, Invalid
from web.guarding.shapes import DEEPEST, MOST_KEYS, check_depth, check_parts, too_complex

#: The most that is read of a body nobody wants.
_DISCARD_BYTES, _DISCARD_SECONDS = 16_000_000, 2.0


def json_body() -> Any:
    """The request's JSON. Raises ``BadRequest`` (``malformed_json``) for anything a strict reader refuses."""
    raw = request.get_data()
    if raw and not request.is_json:
        raise BadRequest("Send JSON, with Content-Type: application/json.", code="not_json")
    return strict_json(raw)


def strict_json(raw: bytes) -> Any:
    """The JSON in ``raw``. Raises ``BadRequest``: ``malformed_json`` for anything a strict reader refuses,
    ``body_too_complex`` for what nests too deep or has too many parts."""
    check_parts(raw)
    try:
        read = json.loads(raw.decode("utf-8"), parse_constant=_no_constant, object_pairs_hook=_Objects())
    except RecursionError:  # its first thousand levels were read
        raise too_complex(f"It nests deeper than {DEEPEST} levels.") from None
    except ValueError as error:
        reason = str(error) if isinstance(error, _Refused) else "It isn't valid JSON."
        raise BadRequest(f"The body can't be read. {reason}", code="malformed_json") from None
    check_depth(read)
    return read


def optional_body() -> Any:
    """The request's JSON, or an empty object when nothing was sent."""
    return json_body() if request.get_data() else {}


class _Refused(ValueError):
    pass


def _no_constant(name: str) -> Any:
    raise _Refused(f"{name} is not JSON.")


class _Objects:
    """Makes the objects of a body, and counts their keys."""

    def __init__(self) -> None:
        self._keys = 0

    def __call__(self, pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        read = dict(pairs)
        if len(read) != len(pairs):
            raise _Refused("An object has the same key twice.")
        self._keys += len(pairs)
        if self._keys > MOST_KEYS:
            raise too_complex(f"Its objects have more than {MOST_KEYS} keys.")
        return read


def discard_body() -> None:
    """Read what is left of the request's body and drop it, within bounds.

    A simple client sends all of its body before it listens. An answer that comes earlier, on a connection that is then
    closed, is lost to it: it sees a broken pipe."""
    connection = request.environ.get("gunicorn.socket")
    body = request.environ["wsgi.input"]
    until, left = time.monotonic() + _DISCARD_SECONDS, _DISCARD_BYTES
    patience = None if connection is None else connection.gettimeout()
    with suppress(OSError):  # it has gone, or stalls
        while left > 0 and (seconds := until - time.monotonic()) > 0:
            if connection is not None:
                connection.settimeout(seconds)
            read = len(body.read(min(left, 65_536)))
            if read == 0:
                break
            left -= read
    if connection is not None:
        with suppress(OSError):
            connection.settimeout(patience)


def only_arguments(known: Iterable[str]) -> None:
    """Refuse a query string with other parameters than these, or one of them twice. Raises ``Invalid`` naming each.

    A filter that is misspelt must not look like one that holds for everything, nor one of two like both."""
    allowed = sorted(known)
    advice = f"There is no such parameter. Use: {', '.join(allowed)}."
    faults = [FieldError(name, "unknown_field", advice) for name in sorted(set(request.args) - set(allowed))]
    twice = [name for name in allowed if len(request.args.getlist(name)) > 1]
    faults += [FieldError(name, "invalid_value", "It is given more than once. Give it once.") for name in twice]
    if faults:
        raise Invalid(faults)


def whole_argument(name: str, default: int, low: int, high: int) -> int:
    """A whole number from the query string. Raises ``Invalid`` naming it."""
    raw = request.args.get(name)
    if raw is None:
        return default
    if not raw.isascii() or not raw.isdigit() or len(raw) > 18 or not low <= int(raw) <= high:
        raise Invalid([FieldError(name, "invalid_value", f"Use a whole number from {low} to {high}.")])
    return int(raw)


def write_cursor(position: tuple[datetime, UUID]) -> str:
    """An opaque place in a list that goes from new to old."""
    return base64.urlsafe_b64encode(f"{position[0].isoformat()}|{position[1]}".encode()).decode().rstrip("=")


def read_cursor() -> tuple[datetime, UUID] | None:
    """The place the caller wants to go on from; none for the beginning. Raises ``Invalid``."""
    given = request.args.get("cursor")
    if given is None:
        return None
    try:
        moment, job_id = base64.urlsafe_b64decode(given + "=" * (-len(given) % 4)).decode("ascii").split("|")
        at = datetime.fromisoformat(moment)
        if at.tzinfo is None:
            raise ValueError("naive")
        # In UTC here already: a time near the year 1 or 9999 may have no such form.
        return at.astimezone(UTC), UUID(job_id)
    except (ValueError, OverflowError, binascii.Error):
        raise Invalid([FieldError("cursor", "invalid_value", "Use the nextCursor of the page before.")]) from None


def page(found: list[dict[str, Any]], limit: int) -> tuple[list[dict[str, Any]], str | None]:
    """A page of at most ``limit``, and the cursor of the next one if there is more. ``found`` is one longer then, and
    each of it carries its ``_position``, which is taken off."""
    positions = [one.pop("_position") for one in found]
    return found[:limit], write_cursor(positions[limit - 1]) if len(found) > limit else None
