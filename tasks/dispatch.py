"""Handing due jobs to the broker. Their rows are marked and committed first, then the messages go out."""

from __future__ import annotations

import structlog
from kombu.exceptions import OperationalError

from schema.errors import Unavailable
from storage.bus import reaching_redis
from storage.queue import Sending, take_for_sending, waiting_queues
from tasks.deps import Deps
from tasks.pipeline import PIPELINES

log = structlog.get_logger(__name__)

#: Every queue that carries steps.
QUEUES = sorted({pipeline.queue for pipeline in PIPELINES.values()})


def dispatch(deps: Deps) -> int:
    """Send what is due, up to the window of each queue. Returns how many messages went out.

    Never raises: a message that can't be sent now is sent again by a later sweep, because its row still says "due"."""
    sent = 0
    resend = deps.settings.jobs.resend_after_seconds
    try:
        queues = waiting_queues(deps.db, resend_after_seconds=resend)
    except Unavailable as error:
        log.warning("dispatch_waits", reason=error.code)
        return 0
    for queue in queues:
        try:
            sendings = take_for_sending(
                deps.db,
                queue,
                window=deps.settings.jobs.dispatch_window,
                resend_after_seconds=resend,
            )
            for sending in sendings:
                _send(deps, sending)
                sent += 1
        except Unavailable as error:
            cause = type(error.__cause__).__name__ if error.__cause__ else None
            log.warning("dispatch_waits", reason=error.code, error=cause, queue=queue)
    return sent


def _send(deps: Deps, sending: Sending) -> None:
    try:
        with reaching_redis():
            deps.send(sending)
    except (OperationalError, OSError) as error:
        raise Unavailable("The broker can't be reached just now.", code="broker_away") from error
