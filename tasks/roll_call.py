"""Which workers answer, and whether the clock's work is carried out: asked through Celery, for operators."""

from __future__ import annotations

from kombu.exceptions import OperationalError

from schema.errors import Unavailable
from storage.bus import reaching_redis
from tasks.app import app

_TICKS = "coursewright.cron."


def ticks_done(within: float = 1.0) -> dict[str, int]:
    """Every worker that answers within that time (seconds), by name, with the number of ticks it has carried out since
    its start. Takes that long. Raises ``Unavailable`` when the broker is away."""
    try:
        with reaching_redis():
            answers = app.control.inspect(timeout=within).stats() or {}
    except (OperationalError, OSError) as error:
        raise Unavailable("The broker can't be reached just now.", code="broker_away") from error
    return {
        worker: sum(count for task, count in answer.get("total", {}).items() if task.startswith(_TICKS))
        for worker, answer in answers.items()
    }
