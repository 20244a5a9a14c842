"""Everything on this machine under one parent: start in order, watch, start again what dies, stop in order.

One supervisor a home folder (a file lock says so). What a killed one left behind is found by the process table it kept
and ended before anything starts.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TextIO

import psutil

from storage.processes import Spec, StartFailed, ask, last_words, reap, start, wait_ready

#: How long a supervisor that is stopping is waited for: somewhat longer than the graces of all it stops.
_PATIENCE_SECONDS = 20.0
#: What a supervisor adds to its pid in the lock's file when it has begun to stop.
_STOPPING = " stopping"
#: How much of a dead process's last line is repeated.
_LAST_WORDS = 200
#: A process that lived this long came up and is not in a crash loop; its next restart waits the shortest time again.
_STEADY_SECONDS = 5.0
_LONGEST_WAIT = 15.0


@dataclass
class Child:
    """One supervised process. ``again_at`` is when a dead one is started again (monotonic seconds)."""

    spec: Spec
    process: subprocess.Popen[bytes]
    started: float
    deaths: int = 0
    again_at: float | None = None


class Supervisor:
    """Use as a context manager; leaving it stops everything."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.children: dict[str, Child] = {}
        self.stopping = False
        self._lock: TextIO | None = None
        self._written = ""

    def __enter__(self) -> Supervisor:
        run = self.home / "run"
        run.mkdir(parents=True, exist_ok=True)
        lock = (run / "supervisor.lock").open("a+")
        try:
            self._take(lock)
        except BaseException:
            lock.close()
            raise
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        self._lock = lock
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop_asked)
        self._end_leftovers()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        if self._lock is not None:
            self._lock.close()

    def _take(self, lock: TextIO) -> None:
        """Lock it. Who runs keeps it, who is stopping is waited for. Raises ``StartFailed``."""
        until = time.monotonic() + _PATIENCE_SECONDS
        waits = False
        while True:
            try:
                return fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                holder, ends, _ = (lock.read() or "unknown").partition(_STOPPING)
            if not ends or time.monotonic() > until:
                raise StartFailed(
                    f"Coursewright is already running from {self.home} (pid {holder}). Stop it first "
                    f"(Ctrl-C there, or kill {holder}), or set COURSEWRIGHT_HOME to another folder."
                )
            if not waits:
                _log(f"The one that ran here before (pid {holder}) is still stopping; waiting for it.")
                waits = True
            time.sleep(0.1)

    def _stop_asked(self, _number: int, _frame: FrameType | None) -> None:
        self._begin_stop()

    def _begin_stop(self) -> None:
        if not self.stopping and self._lock is not None:
            os.write(self._lock.fileno(), _STOPPING.encode())
        self.stopping = True

    # --- starting -----------------------------------------------------------------------------------------------

    def start(self, specs: list[Spec]) -> None:
        """Start all, then wait until each is ready. Raises ``StartFailed``; what was started is stopped on leaving."""
        where = "" if self.children else f" Their logs are in {self.home / 'logs'}"
        _log(f"Starting {', '.join(spec.name for spec in specs)}.{where}")
        # What has to be prepared comes last: meanwhile the others are on their way.
        for spec in sorted(specs, key=lambda spec: spec.prepare is not None):
            self.children[spec.name] = Child(spec, start(spec), time.monotonic())
        self._write_table()
        for spec in specs:
            if self.stopping:
                return
            wait_ready(spec, self.children[spec.name].process)

    def pids(self) -> dict[str, int]:
        """The processes running now, by name."""
        return {name: child.process.pid for name, child in self.children.items() if child.process.poll() is None}

    def _end_leftovers(self) -> None:
        """End what a killed supervisor left running: those of its table that are still the very same processes."""
        table = self.home / "run" / "processes.json"
        born = self.home / "run" / "born.json"
        if not table.exists() or not born.exists():
            return
        times: Mapping[str, float] = json.loads(born.read_text("utf-8"))
        found = []
        for name, pid in json.loads(table.read_text("utf-8")).items():
            try:
                process = psutil.Process(pid)
                if abs(process.create_time() - times.get(name, 0)) < 1:
                    found += [process, *process.children(recursive=True)]
            except psutil.Error:
                continue
        for process in found:
            _quietly(process.terminate)
        _, stubborn = psutil.wait_procs(found, timeout=5)
        for process in stubborn:
            _quietly(process.kill)
        psutil.wait_procs(stubborn, timeout=5)

    # --- watching -----------------------------------------------------------------------------------------------

    def watch(self) -> None:
        """Look after everything until a stop is asked for."""
        while not self.stopping:
            for child in self.children.values():
                self._look_after(child)
            self._write_table()
            time.sleep(0.2)

    def _look_after(self, child: Child) -> None:
        now = time.monotonic()
        if child.process.poll() is None:
            return
        if child.again_at is None:
            child.deaths = 0 if now - child.started > _STEADY_SECONDS else child.deaths
            wait = min(_LONGEST_WAIT, 0.25 * 2**child.deaths)
            child.deaths += 1
            child.again_at = now + wait
            ended = f"{child.spec.name} ended with code {child.process.returncode}; starting it again in {wait:.1f} s."
            _log(f"{ended} {last_words(child.spec, 1)[:_LAST_WORDS]}".rstrip())
        elif now >= child.again_at:
            child.process = start(child.spec)
            child.started, child.again_at = now, None
            _log(f"{child.spec.name} is started again.")

    def _write_table(self) -> None:
        pids = self.pids()
        table = json.dumps(pids)
        if table == self._written:
            return
        births = {}
        for name, pid in pids.items():
            try:
                births[name] = psutil.Process(pid).create_time()
            except psutil.Error:
                continue
        for name, content in (("born.json", json.dumps(births)), ("processes.json", table)):
            fresh = self.home / "run" / f".{name}"
            fresh.write_text(content, "utf-8")
            fresh.replace(self.home / "run" / name)
        self._written = table

    # --- stopping -----------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Stop the app's processes together, then the servers they need, each within its grace."""
        self._begin_stop()
        if self.children:
            _log("Stopping everything.")
        servers = {"postgres", "valkey", "s3"}
        app = [child for name, child in self.children.items() if name not in servers]
        rest = [child for name, child in self.children.items() if name in servers]
        for together in (app, rest):
            for child in together:
                ask(child.spec, child.process)
            asked = time.monotonic()
            for child in together:
                if not reap(child.spec, child.process, asked + child.spec.grace):
                    _log(f"{child.spec.name} did not stop within {child.spec.grace:.0f} s and was killed.")
        self.children.clear()
        self._write_table()


def _log(words: str) -> None:
    """One line on stderr. Nobody may be left to read it: that must not keep anything from being stopped."""
    with contextlib.suppress(OSError):
        print(words, file=sys.stderr, flush=True)  # noqa: T201


def _quietly(action: Callable[[], None]) -> None:
    try:
        action()
    except psutil.Error:
        return
