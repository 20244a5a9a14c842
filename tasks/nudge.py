"""Dispatching right after a commit, without making anybody wait for the broker.

One background thread a process sends what is due. Many nudges while it works become one more look. When the broker is
away the thread finds out, not a request; the one-second sweep sends again.
"""

from __future__ import annotations

import os
import threading
import time

from storage.background import keep_running
from tasks.deps import Deps
from tasks.dispatch import dispatch

#: Between two looks, so that a hundred jobs ending together cost a few looks instead of a hundred.
PAUSE_SECONDS = 0.02
#: The same where somebody else is asked to look, who is asked by many.
ASKING_PAUSE_SECONDS = 0.1


class _Nudge:
    def __init__(self, deps: Deps) -> None:
        self.deps = deps
        self._wanted = threading.Event()
        keep_running("nudge", self._run)

    def __call__(self) -> None:
        self._wanted.set()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            dispatch(self.deps)
            time.sleep(PAUSE_SECONDS if self.deps.ask_dispatch is None else ASKING_PAUSE_SECONDS)


_nudges: dict[int, _Nudge] = {}
_lock = threading.Lock()


def _of_this_process(deps: Deps) -> _Nudge:
    """The nudge of this process for these deps. A forked child has none of its parent's threads, and a process that
    was wired anew must not go on sending for the old wiring."""
    with _lock:
        nudge = _nudges.get(os.getpid())
        if nudge is None or nudge.deps is not deps:
            _nudges.clear()
            nudge = _nudges[os.getpid()] = _Nudge(deps)
        return nudge


def dispatch_soon(deps: Deps) -> None:
    """Send what is due, from the background. Returns at once and never raises."""
    _of_this_process(deps)()
