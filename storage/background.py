"""Threads that work beside everything else and must not die silently."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextvars import Context

import structlog

log = structlog.get_logger(__name__)

_PAUSE_SECONDS = 1.0


def keep_running(name: str, loop: Callable[[], None]) -> threading.Thread:
    """Run ``loop`` on a daemon thread until it returns. A fault in it is logged, and it begins again a second later:
    a process whose watcher is gone would look healthy while all its jobs go stale.

    It serves everybody, so it is in no organization (``storage.wall``), whoever begins it."""

    def run() -> None:
        while True:
            try:
                loop()
            except Exception:
                log.exception("background_thread_crashed", thread=name)
                time.sleep(_PAUSE_SECONDS)
            else:
                return

    thread = threading.Thread(target=Context().run, args=(run,), name=name, daemon=True)
    thread.start()
    return thread
