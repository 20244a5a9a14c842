"""Delivering to webhooks: one delivery at a time, from its row to the receiver, and what came of it back."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections import Counter
from http.client import HTTPException, RemoteDisconnected
from uuid import UUID

import structlog

from schema import backoff
from schema.settings import NoticeSettings
from schema.targets import read_url
from schema.version import VERSION
from schema.webhook import signed_headers, written
from storage import wall
from storage.notices import deliveries
from storage.notices.deliveries import Taken, Tried
from tasks.deps import Deps
from tasks.notices.post import Answer, Refused, addresses_of, post

log = structlog.get_logger(__name__)

#: So many deliveries of one organization are on their way from here at the same time, so that its slow receivers do not
#: hold up everybody's ...
EACH_AT_ONCE = 3
#: ... and only one as soon as so many are on their way in all. Who has none then still finds a free thread.
MANY = 8
#: A receiver that says so is gone for good (HTTP 410).
GONE = 410

_going = Counter[UUID]()
_lock = threading.Lock()
#: Held from the look at who has how many to the taking of one more.
_turn = threading.Lock()


def send_next(deps: Deps, found: threading.Event | None = None) -> bool:
    """Send the delivery that has been due for longest. False when none is due. ``found`` is set as soon as one was
    taken: there may be more. Raises ``Unavailable``."""
    with _turn:
        taken = _take(deps)
        if taken is None:
            return False
        with _lock:
            _going[taken.organization_id] += 1
    try:
        if found is not None:
            found.set()
        with wall.within(taken.organization_id):
            _deliver(deps, taken)
    finally:
        with _lock:
            _going[taken.organization_id] -= 1
            if not _going[taken.organization_id]:
                del _going[taken.organization_id]
    return True


def _take(deps: Deps) -> Taken | None:
    """The next delivery: of an organization of which none is on its way, as long as there is one. Else a long queue to
    a slow receiver would go before whatever came later."""
    with _lock:
        going = dict(_going)
    taken = deliveries.take(deps.db, list(going))
    if taken is not None or sum(going.values()) >= MANY:
        return taken
    busy = [organization for organization, count in going.items() if count >= EACH_AT_ONCE]
    return deliveries.take(deps.db, busy) if len(busy) < len(going) else None


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
    try:
        answer = _send(settings, taken)
    except (Refused, OSError, HTTPException, UnicodeError) as error:
        return None, _words_for(error)
    except Exception:
        # An outer door: what no receiver should be able to bring about is a try that failed. Without a word in its row
        # the delivery would be due again with every claim, for ever.
        log.exception("delivery_crashed", webhook=str(taken.webhook_id), delivery=str(taken.delivery_id))
        return None, "Something went wrong on our side."
    if 200 <= answer.status < 300:
        return answer, None
    if 300 <= answer.status < 400:
        return answer, f"It answered {answer.status}. Redirects are not followed; give the URL itself."
    return answer, f"It answered {answer.status}."


def _send(settings: NoticeSettings, taken: Taken) -> Answer:
    delivery_id = str(taken.delivery_id)
    body = written(delivery_id, taken.event, taken.created_at, taken.job, settings.public_url)
    headers = {
        "Content-Type": "application/json",
        "User-Agent": f"Coursewright/{VERSION}",
        **signed_headers(taken.secret, delivery_id, taken.attempted_at, body),
    }
    try:
        target = read_url(taken.url)
    except ValueError:  # it was checked when it was given, by this release or another
        raise Refused("Its URL can't be read.") from None
    return post(target, addresses_of(target, settings.private_targets), headers, body)


def _words_for(error: Refused | OSError | HTTPException | UnicodeError) -> str:
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
    return "What it answered is not HTTP."
