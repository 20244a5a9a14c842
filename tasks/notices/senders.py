"""The threads that send what is due, beside the clock's ticks: a receiver that is slow keeps no tick waiting.

A tick only says "look". One thread looks; when it finds something it says "look" to the next before it begins to send,
so that as many work as there is work for, and an idle system makes one query a second for each kind.
"""

from __future__ import annotations

import os
import threading

import structlog

from schema.errors import Unavailable
from storage.background import keep_running
from tasks.deps import Deps
from tasks.notices import mails, webhooks

log = structlog.get_logger(__name__)

#: Threads of a process for each kind. Several for webhooks, which go everywhere; two for the one mail server.
THREADS = {"webhooks": 12, "mails": 2}
_SENDING = {"webhooks": webhooks.send_next, "mails": mails.send_next}


class _Senders:
    """The sending threads of one kind."""

    def __init__(self, deps: Deps, kind: str) -> None:
        self.deps = deps
        self._kind = kind
        self._wanted = threading.Event()
        self._turn = threading.Lock()
        for number in range(THREADS[kind]):
            keep_running(f"{kind}-{number}", self._run)

    def look(self) -> None:
        self._wanted.set()

    def _run(self) -> None:
        while True:
            with self._turn:  # only one waits for the word; the others wait for their turn
                self._wanted.wait()
                self._wanted.clear()
            try:
                while not self.deps.watcher.stopping() and _SENDING[self._kind](self.deps, self._wanted):
                    pass
            except Unavailable as error:
                log.warning("notices_wait", kind=self._kind, reason=error.code)


_senders: dict[tuple[int, str], _Senders] = {}
_lock = threading.Lock()


def look(deps: Deps) -> None:
    """Send what is due, from the background. Returns at once and never raises."""
    with _lock:
        for kind in THREADS:
            key = os.getpid(), kind
            senders = _senders.get(key)
            if senders is None or senders.deps is not deps:
                senders = _senders[key] = _Senders(deps, kind)
            senders.look()
