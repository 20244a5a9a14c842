"""One watcher thread a process: renews the leases of all steps that run here, and sees when one is no longer ours.

Steps finish in milliseconds or in minutes; the thread sleeps while nothing runs, and asks once for all of them. A job
that was cancelled or taken over has its ``stop`` event set, which abandons an open model call at once. A second thread
guards against steps that nobody can stop. It asks nobody, so a database that is silent does not hold it up.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from math import inf
from uuid import UUID

import structlog

from schema.errors import Unavailable
from storage.background import keep_running
from storage.db import Database
from storage.engine import leases
from storage.engine.leases import Lease

log = structlog.get_logger(__name__)

#: How often, in seconds, running jobs are looked at: a cancel is seen within this time.
LOOK_EVERY = 0.3
#: How long, in seconds, a step that was told to stop may go on before it counts as hanging: longer than its last
#: request to a store that doesn't answer takes.
HANGS_AFTER = 60.0
#: How long a shutdown waits for steps that don't end. Whoever stops a process gives it 15 s.
LONGEST_SHUTDOWN = 12.0


@dataclass(eq=False)
class Held:
    """A step running in this process. ``renewing`` is held while a step ends: between its commit and the new lease
    here, the row and this disagree, and that doesn't mean that the job was lost. Times are monotonic seconds."""

    lease: Lease
    deadline: float = inf
    stop: threading.Event = field(default_factory=threading.Event)
    renewing: threading.Lock = field(default_factory=threading.Lock)
    beaten_at: float = field(default_factory=time.monotonic)
    moved_at: float = field(default_factory=time.monotonic)
    stopped_at: float | None = None
    overdue: bool = False

    def move(self) -> None:
        """Say that the step got on. One that doesn't for too long loses its lease, however alive its process is."""
        self.moved_at = time.monotonic()

    def end(self) -> None:
        """Stop the step: it must not go on."""
        if self.stopped_at is None:
            self.stopped_at = time.monotonic()
        self.stop.set()


class Watcher:
    """Keeps the leases of one process, which writes as ``holder``. ``shut_down`` makes every step give its job back."""

    def __init__(self, db: Database, heartbeat_seconds: float, holder: str | None = None) -> None:
        self._db = db
        self._heartbeat = heartbeat_seconds
        self._holder = holder
        self._held: dict[UUID, Held] = {}
        #: All that have not ended, with those whose job has come back to this process meanwhile.
        self._running: set[Held] = set()
        self._lock = threading.Lock()
        self._busy = threading.Event()
        self._thread: threading.Thread | None = None
        self.shutting_down = threading.Event()
        #: When that began, in monotonic seconds.
        self._stopped_at = inf
        self._closed = threading.Event()
        self._asked_to_stop: Callable[[], bool] = lambda: False
        self._end_process: Callable[[], None] | None = None
        self._too_many = 1

    def may_end_process(self, end: Callable[[], None], hanging: int) -> None:
        """Let it call ``end`` when ``hanging`` steps hang, which nothing else can free, or one holds up a shutdown.
        Their jobs are in other hands by then, and a supervisor starts the process again."""
        self._end_process, self._too_many = end, hanging

    def follow(self, asked_to_stop: Callable[[], bool]) -> None:
        """Shut down, too, when this says so: how a pool's child learns of a stop that only its parent was told of."""
        self._asked_to_stop = asked_to_stop

    def stopping(self) -> bool:
        """Whether nothing new may begin here."""
        if not self.shutting_down.is_set() and self._asked_to_stop():
            self.shut_down()
        return self.shutting_down.is_set()

    def start(self) -> None:
        """Begin to look, as ``hold`` does; called before a claim, so that one whose answer is lost is found."""
        with self._lock:
            if self._thread is None:
                self._thread = keep_running("watcher", self._look)
                keep_running("guard", self._guard)

    def hold(self, lease: Lease, seconds_left: float = inf) -> Held:
        """Watch over a lease until ``release``; its step is stopped as overdue after ``seconds_left``."""
        held = Held(lease, deadline=time.monotonic() + seconds_left)
        with self._lock:
            if (older := self._held.get(lease.job_id)) is not None:
                older.end()  # it slept until its lease lapsed, and the job came back to this very process
            self._held[lease.job_id] = held
            self._running.add(held)
        self.start()
        self._busy.set()
        _stop_if_overdue([held])
        if self.stopping():
            held.end()
        return held

    def release(self, held: Held) -> None:
        with self._lock:
            self._running.discard(held)
            if self._held.get(held.lease.job_id) is held:
                del self._held[held.lease.job_id]
            if not self._running:
                self._busy.clear()

    def shut_down(self) -> None:
        """Stop claiming, and stop every running step so that it hands its job back."""
        if not self.shutting_down.is_set():
            self._stopped_at = time.monotonic()
        self.shutting_down.set()
        with self._lock:
            for held in self._held.values():
                held.end()

    def not_ending(self, seconds: float) -> int:
        """How many steps were told to stop longer ago than this and go on: they hang where nobody can stop them."""
        now = time.monotonic()
        with self._lock:
            return sum(held.stopped_at is not None and now - held.stopped_at > seconds for held in self._running)

    def running(self) -> int:
        """How many steps have not ended."""
        with self._lock:
            return len(self._running)

    def close(self) -> None:
        """Look no more."""
        self._closed.set()
        self._busy.set()

    def _look(self) -> None:
        beaten = time.monotonic()
        while True:
            # Also looks when nothing runs: a lease in its name may be one that it doesn't know of.
            self._busy.wait(self._heartbeat if self._holder else None)
            if self._closed.wait(LOOK_EVERY):
                return
            beats = time.monotonic() - beaten >= self._heartbeat
            try:
                self._look_once(beats)
            except Unavailable as error:
                # Nothing to decide while the database is away; the leases live on for a while without a beat.
                log.warning("watcher_blind", error=error.code)
                continue
            if beats:
                beaten = time.monotonic()

    def _guard(self) -> None:
        while True:
            self._busy.wait()
            if self._closed.wait(LOOK_EVERY):
                return
            self.stopping()
            self._end_if_hanging()

    def _end_if_hanging(self) -> None:
        if self._end_process is None:
            return
        running, hanging = self.running(), self.not_ending(HANGS_AFTER)
        if self.shutting_down.is_set():
            # Its time counts from its own beginning: a step that hung before takes nobody down who still hands back.
            if running and (running == hanging or time.monotonic() - self._stopped_at > LONGEST_SHUTDOWN):
                log.error("shutdown_does_not_wait", steps=running)
                self._end_process()
        elif hanging >= self._too_many:
            log.error("worker_hangs", steps=hanging)
            self.shut_down()

    def _look_once(self, beats: bool) -> None:
        with self._lock:
            running = list(self._held.values())
        held_leases = [held.lease for held in running]
        # What was cancelled comes first: people wait for that.
        ours = leases.still_held(self._db, held_leases) if running else set()
        for held, lease in zip(running, held_leases, strict=True):
            if lease.job_id not in ours:
                _stop_if_lost(held, lease)
        if beats:
            self._beat(running, held_leases)
        _stop_if_overdue(running)

    def _beat(self, running: list[Held], held_leases: list[Lease]) -> None:
        now = time.monotonic()
        if running:
            leases.beat(self._db, held_leases, [now - held.moved_at for held in running])
        for held in running:
            # A silence that long was an outage, or the machine slept: it is not working time in the row either.
            held.deadline += max(0.0, now - held.beaten_at - 2 * self._heartbeat)
            held.beaten_at = now
        if self._holder is not None:
            self._give_back_forgotten(self._holder, [lease.job_id for lease in held_leases])

    def _give_back_forgotten(self, holder: str, known: list[UUID]) -> None:
        """Let go of jobs that the rows say are ours and that nobody here works on: an answer of the database was lost.
        Without this they would count as lost by a dead worker, and use up a retry."""
        for lease in leases.forgotten(self._db, holder, known, older_than_seconds=2 * self._heartbeat):
            given = leases.hand_back(self._db, lease)
            log.warning("forgotten_lease_given_back", job=str(lease.job_id), given=given)


def _stop_if_overdue(running: list[Held]) -> None:
    """Stop the steps whose job has worked for as long as it may."""
    now = time.monotonic()
    for held in running:
        if now >= held.deadline and not held.stop.is_set():
            held.overdue = True
            held.end()


def _stop_if_lost(held: Held, lease: Lease) -> None:
    """Stop a step whose lease the row doesn't know any more, unless it is being renewed or was just now."""
    if held.renewing.acquire(blocking=False):
        try:
            if held.lease is lease:
                held.end()
        finally:
            held.renewing.release()
