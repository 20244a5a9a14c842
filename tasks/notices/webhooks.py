"""Delivering to webhooks: one delivery at a time, from its row to the receiver, and what came of it back."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPException, RemoteDisconnected
from uuid import UUID

import structlog

from schema import backoff
from schema.settings import NoticeSettings
from schema.targets import read_url
from schema.version import VERSION
from schema.webhook import signed_headers, written
from storage import deliveries
from storage.deliveries import Taken, Tried
from tasks.deps import Deps
from tasks.notices.post import Answer, Refused, addresses_of, post

log = structlog.get_logger(__name__)

#: So many deliveries of one organization are on their way from here at the same time, so that its slow receivers do not
#: hold up everybody's.
EACH_AT_ONCE = 3
#: A receiver that says so is gone for good (HTTP 410).
GONE = 410

_going = Counter[UUID]()
_lock = threading.Lock()


def send_next(deps: Deps, found: threading.Event | None = None) -> bool:
    """Send the delivery that has been due for longest. False when none is due. ``found`` is set as soon as one was
    taken: there may be more. Raises ``Unavailable``."""
    with _lock:
        busy = [organization for organization, count in _going.items() if count >= EACH_AT_ONCE]
    taken = deliveries.take(deps.db, busy)
    if taken is None:
        return False
    if found is not None:
        found.set()
    with _counted(taken.organization_id):
        _deliver(deps, taken)
    return True


@contextmanager
def _counted(organization_id: UUID) -> Iterator[None]:
    with _lock:
        _going[organization_id] += 1
    try:
        yield
    finally:
        with _lock:
            _going[organization_id] -= 1
            if not _going[organization_id]:
                del _going[organization_id]


def _deliver(deps: Deps, taken: Taken) -> None:
    began = time.monotonic()
    answer, wrong = _attempt(deps.settings.notices, taken)
    tried = Tried(
        seconds=time.monotonic() - began,
        status=answer.status if answer else None,
        start=answer.start if answer else None,
        error=wrong,
    )
    if wrong is None:
        deliveries.received(deps.db, taken, tried)
        return
    gone = answer is not None and answer.status == GONE
    wished = answer.retry_after if answer else None
    pause = None if gone else backoff.pause_after(taken.attempts, deps.luck(), wished)
    if pause is not None:
        deliveries.put_off(deps.db, taken, tried, pause)
        return
    with deps.db.transaction() as tx:
        # The webhook before its deliveries, as whoever pauses it locks them.
        paused = gone and deliveries.pause(tx, taken)
        deliveries.give_up(tx, taken, tried)
    told = {"webhook": str(taken.webhook_id), "delivery": str(taken.delivery_id), "error": wrong}
    log.warning("delivery_given_up", **told, attempts=taken.attempts, paused=paused)


def _attempt(settings: NoticeSettings, taken: Taken) -> tuple[Answer | None, str | None]:
    """Post a delivery. Returns the answer, if there was one, and a sentence about what was wrong, if anything was."""
    delivery_id = str(taken.delivery_id)
    body = written(delivery_id, taken.event, taken.created_at, taken.job, settings.public_url)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"Coursewright/{VERSION}",
        **signed_headers(taken.secret, delivery_id, taken.attempted_at, body),
    }
    try:
        target = read_url(taken.url)
        answer = post(target, addresses_of(target, settings.private_targets), headers, body)
    except (Refused, OSError, HTTPException, ValueError) as error:
        return None, _words_for(error)
    if 200 <= answer.status < 300:
        return answer, None
    if 300 <= answer.status < 400:
        return answer, f"It answered {answer.status}. Redirects are not followed; give the URL itself."
    return answer, f"It answered {answer.status}."


def _words_for(error: Exception) -> str:
    """What went wrong, for whoever reads the log of deliveries."""
    match error:
        case Refused():
            return error.message
        case TimeoutError():
            return "It did not answer in time."
        case RemoteDisconnected():
            return "It closed the connection without an answer."
        case ssl.SSLCertVerificationError():
            return f"Its certificate is not valid: {error.verify_message}."
        case ssl.SSLError():
            return "The encrypted connection could not be made."
        case socket.gaierror() | UnicodeError():
            return "Its name can't be resolved."
        case OSError():
            return f"The connection failed: {(error.strerror or type(error).__name__).lower()}."
        case HTTPException():
            return "What it answered is not HTTP."
        case _:
            return "Its URL can't be read."
