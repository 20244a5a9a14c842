"""Handing due jobs to the broker. Their rows are marked and committed first, then the messages go out."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import structlog
from kombu.exceptions import OperationalError

from schema.errors import Unavailable
from schema.settings import JobSettings
from storage.bus import reaching_redis
from storage.engine import corrections
from storage.engine.admission import Limits, anything_waits, take_for_sending
from storage.engine.queue import Sending
from tasks.deps import Deps
from tasks.pipeline import MEDIA_QUEUE, PIPELINES, carrying

log = structlog.get_logger(__name__)

#: Every queue that carries steps.
QUEUES = sorted({pipeline.queue for pipeline in PIPELINES.values()})


def limits_of(jobs: JobSettings) -> Limits:
    """The limits by which jobs are admitted.

    A job holds a place of its organization from the sending on. So that pictures nobody has begun leave places for
    courses, also when no worker makes pictures, at most a quarter of all wait so."""
    most = jobs.organization_max_active
    shares = {queue: max(1, most // 4) if queue == MEDIA_QUEUE else most for queue in QUEUES}
    return Limits(most, shares, jobs.dispatch_window, jobs.resend_after_seconds)


def dispatch(deps: Deps) -> int:
    """Send what is due, up to the window of each queue, or have somebody send it who can see it. Returns how many
    messages went out from here.

    Never raises: a message that can't be sent now is sent again by a later sweep, because its row still says "due"."""
    jobs = deps.settings.jobs
    sent = 0
    try:
        if deps.ask_dispatch is not None:
            _reach_broker(deps.ask_dispatch)
            return 0
        if not anything_waits(deps.db, QUEUES, jobs.resend_after_seconds):
            return 0
        sendings = take_for_sending(deps.db, limits_of(jobs))
        known = [sending for sending in sendings if _is_known(sending)]
        for sending in known:
            _reach_broker(partial(deps.send, sending))
            sent += 1
        if again := sum(sending.again for sending in known):
            corrections.count(deps.db, "sent_again", again)
    except Unavailable as error:
        cause = type(error.__cause__).__name__ if error.__cause__ else None
        log.warning("dispatch_waits", reason=error.code, error=cause)
    return sent


def _is_known(sending: Sending) -> bool:
    """Whether this code knows where the job goes on. One it doesn't know stays due, and marked as sent, like one whose
    message was lost: it is taken again ever later, by whoever comes first, until that is newer code."""
    if carrying(sending.job_type, sending.step):
        return True
    log.warning("unknown_kind_of_job", job=str(sending.job_id), kind=sending.job_type, step=sending.step)
    return False


def _reach_broker(send: Callable[[], None]) -> None:
    try:
        with reaching_redis():
            send()
    except (OperationalError, OSError) as error:
        raise Unavailable("The broker can't be reached just now.", code="broker_away") from error
