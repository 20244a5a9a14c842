"""Dispatching right after a commit, without making anybody wait for the broker.

One background thread a process sends what is due. Many nudges while it works become one more look. When the broker is
away the thread finds out, not a request; the one-second sweep sends again.
"""

from __future__ import annotations

import os
import threading

from tasks.deps import Deps
from tasks.dispatch import dispatch


class _Nudge:
    def __init__(self, deps: Deps) -> None:
        self._deps = deps
        self._wanted = threading.Event()
        threading.Thread(target=self._run, name="nudge", daemon=True).start()

    def __call__(self) -> None:
        self._wanted.set()

    def _run(self) -> None:
        while True:
            self._wanted.wait()
            self._wanted.clear()
            dispatch(self._deps)


_nudges: dict[int, _Nudge] = {}
_lock = threading.Lock()


def dispatch_soon(deps: Deps) -> None:
    """Send what is due, from the background. Returns at once and never raises."""
    with _lock:
        if os.getpid() not in _nudges:
            _nudges.clear()
            _nudges[os.getpid()] = _Nudge(deps)
    _nudges[os.getpid()]()
