"""One watcher thread a process: renews the leases of all steps that run here, and sees when one is no longer ours.

Steps finish in milliseconds or in minutes; the thread sleeps while nothing runs, and asks once for all of them. A job
that was cancelled or taken over has its ``stop`` event set, which abandons an open model call at once.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from schema.errors import Unavailable
from storage import steps
from storage.background import keep_running
from storage.db import Database
from storage.steps import Lease

log = structlog.get_logger(__name__)

#: How often, in seconds, running jobs are looked at: a cancel is seen within this time.
LOOK_EVERY = 0.5


@dataclass
class Held:
    """A step running in this process. ``renewing`` is held while a step ends: between its commit and the new lease
    here, the row and this disagree, and that doesn't mean that the job was lost."""

    lease: Lease
    stop: threading.Event = field(default_factory=threading.Event)
    renewing: threading.Lock = field(default_factory=threading.Lock)
    since: float = field(default_factory=time.monotonic)


class Watcher:
    """Keeps the leases of one process. ``shut_down`` makes every step give its job back."""

    def __init__(self, db: Database, heartbeat_seconds: float) -> None:
        self._db = db
        self._heartbeat = heartbeat_seconds
        self._held: dict[UUID, Held] = {}
        self._lock = threading.Lock()
        self._busy = threading.Event()
        self._thread: threading.Thread | None = None
        self.shutting_down = threading.Event()
        self._asked_to_stop: Callable[[], bool] = lambda: False

    def follow(self, asked_to_stop: Callable[[], bool]) -> None:
        """Shut down, too, when this says so: how a pool's child learns of a stop that only its parent was told of."""
        self._asked_to_stop = asked_to_stop

    def stopping(self) -> bool:
        """Whether nothing new may begin here."""
        if not self.shutting_down.is_set() and self._asked_to_stop():
            self.shut_down()
        return self.shutting_down.is_set()

    def hold(self, lease: Lease) -> Held:
        """Watch over a lease until ``release``."""
        held = Held(lease)
        with self._lock:
            if (older := self._held.get(lease.job_id)) is not None:
                older.stop.set()  # it slept until its lease lapsed, and the job came back to this very process
            self._held[lease.job_id] = held
            if self._thread is None:
                self._thread = keep_running("watcher", self._look)
        self._busy.set()
        if self.stopping():
            held.stop.set()
        return held

    def release(self, held: Held) -> None:
        with self._lock:
            if self._held.get(held.lease.job_id) is held:
                del self._held[held.lease.job_id]
            if not self._held:
                self._busy.clear()

    def shut_down(self) -> None:
        """Stop claiming, and stop every running step so that it hands its job back."""
        self.shutting_down.set()
        with self._lock:
            for held in self._held.values():
                held.stop.set()

    def _look(self) -> None:
        beaten = time.monotonic()
        while True:
            self._busy.wait()
            time.sleep(LOOK_EVERY)
            self.stopping()
            with self._lock:
                running = [held for held in self._held.values() if time.monotonic() - held.since >= LOOK_EVERY]
            if not running:
                continue
            leases = [held.lease for held in running]
            try:
                if time.monotonic() - beaten >= self._heartbeat:
                    steps.beat(self._db, leases)
                    beaten = time.monotonic()
                ours = steps.still_held(self._db, leases)
            except Unavailable as error:
                # Nothing to decide while the database is away; the leases live on for a while without a beat.
                log.warning("watcher_blind", error=error.code)
                continue
            for held, lease in zip(running, leases, strict=True):
                if lease.job_id not in ours:
                    _stop_if_lost(held, lease)


def _stop_if_lost(held: Held, lease: Lease) -> None:
    """Stop a step whose lease the row doesn't know any more, unless it is being renewed or was just now."""
    if held.renewing.acquire(blocking=False):
        try:
            if held.lease is lease:
                held.stop.set()
        finally:
            held.renewing.release()
