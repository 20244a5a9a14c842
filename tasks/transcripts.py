"""What was said to a text model and what it answered, kept beside a job's other debug files.

They are written one after another: when the store is slow they wait here, and of the threads that write down model
calls at least one stays free for the rows a step waits for.
"""

from __future__ import annotations

import threading
import weakref
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import structlog

from tasks.publish import keep_debug

if TYPE_CHECKING:
    from tasks.clients.record import CallRecord
    from tasks.work import Work

log = structlog.get_logger(__name__)

#: With a store that is away, what comes beyond these is given up: memory is worth more.
MOST_WAITING = 500


class _Line:
    """The conversations that wait to be written in one process."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Any, ...]] = deque()
        self._lock = threading.Lock()
        self._moving = False

    def join(self, writers: ThreadPoolExecutor, *write: Any) -> bool:
        """Wait to be written with ``keep_debug(*write)``; says whether there was room."""
        with self._lock:
            if len(self._waiting) >= MOST_WAITING:
                return False
            self._waiting.append(write)
            if not self._moving:
                self._moving = True
                writers.submit(self._move)
        return True

    def _move(self) -> None:
        try:
            while (write := self._first()) is not None:
                keep_debug(*write)
        except BaseException:
            log.exception("transcript_crashed")
            self._moving = False
            raise

    def _first(self) -> tuple[Any, ...] | None:
        with self._lock:
            self._moving = bool(self._waiting)
            return self._waiting.popleft() if self._waiting else None


# A line lives as long as the threads it uses. Only the loop's thread looks in here.
_lines: weakref.WeakKeyDictionary[ThreadPoolExecutor, _Line] = weakref.WeakKeyDictionary()


def keep_transcript(work: Work, record: CallRecord) -> None:
    """Have a call's conversation written as ``llm/<run>-<step>-<token>-<number>-<purpose>.json``. Returns at once, and
    a job never fails for it. The lease's token is in the name because a job that was handed back begins its step once
    more within the same run."""
    said = record.conversation
    if said is None:
        return
    lease, number = work.claimed.lease, next(work.numbers)
    name = f"llm/{lease.run}-{work.step}-{lease.token}-{number:03d}-{record.purpose}.json"
    document = {
        "purpose": record.purpose,
        "promptVersion": record.prompt_version,
        "model": record.model,
        "outcome": record.outcome,
        "errorCode": record.error_code,
        "system": said.system,
        "user": said.user,
        "answer": said.answer,
    }
    line = _lines.setdefault(work.deps.writers, _Line())
    if not line.join(work.deps.writers, work.deps, work.organization_id, work.job_id, name, document):
        log.warning("debug_file_not_kept", key=name, reason="too_many_waiting")
