"""Our worker of gunicorn when it stops."""

from __future__ import annotations

import selectors
import socket
import time
from collections import deque
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from gunicorn.workers.gthread import TConn

from web.gunicorn_worker import Worker


@pytest.fixture
def silent() -> Iterator[tuple[Worker, socket.socket]]:
    """A worker with one connection that never said a word, and the other end of it."""
    ours, theirs = socket.socketpair()
    worker = Worker.__new__(Worker)
    conn = TConn(SimpleNamespace(), ours, None, None)
    conn.timeout = time.monotonic() + 60
    worker.alive, worker.nr_conns, worker.pending_conns = True, 1, deque([conn])
    worker.poller = selectors.DefaultSelector()
    worker.poller.register(ours, selectors.EVENT_READ)
    with worker.poller, ours, theirs:
        theirs.setblocking(False)
        yield worker, theirs


def test_a_silent_connection_is_kept_for_its_time(silent: tuple[Worker, socket.socket]) -> None:
    worker, theirs = silent
    worker.murder_pending()
    assert worker.nr_conns == 1
    with pytest.raises(BlockingIOError):
        theirs.recv(1)


def test_a_silent_connection_holds_up_no_stop(silent: tuple[Worker, socket.socket]) -> None:
    worker, theirs = silent
    worker.alive = False
    worker.murder_pending()
    assert (worker.nr_conns, theirs.recv(1)) == (0, b"")
