"""The whole system under attack: ``coursewright up`` with a second worker beside it, and ways to reach each process."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import psycopg2
from redis import Redis

from schema.settings import Settings, read_settings
from storage.processes import Spec, end_with_parent, start, stop
from tests.acceptance.conftest import COMMAND, ROOT, TOKEN, environment_for
from web.system_processes import app_processes

#: How long a fault waits for its victim to be up again, in seconds.
_VICTIM_WITHIN = 15.0


class Keeper:
    """Keeps processes of ours running beside the supervised ones. One thread starts them all, because they are bound
    to the thread that started them."""

    def __init__(self) -> None:
        self._wanted: dict[str, Spec] = {}
        self._running: dict[str, tuple[Spec, subprocess.Popen[bytes]]] = {}
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._look_after, name="keeper")
        self._thread.start()

    def keep(self, spec: Spec) -> None:
        with self._lock:
            self._wanted[spec.name] = spec

    def drop(self, name: str) -> None:
        with self._lock:
            self._wanted.pop(name, None)

    def pid(self, name: str) -> int | None:
        with self._lock:
            known = self._running.get(name)
            return known[1].pid if known and known[1].poll() is None else None

    def down(self) -> list[str]:
        """What is wanted and doesn't run now."""
        with self._lock:
            wanted = list(self._wanted)
        return [name for name in wanted if self.pid(name) is None]

    def close(self) -> None:
        """Stop everything, each within its grace."""
        with self._lock:
            self._wanted.clear()
        self._closing.set()
        self._thread.join()

    def _look_after(self) -> None:
        while not self._closing.wait(0.1):
            self._settle()
        self._settle()

    def _settle(self) -> None:
        with self._lock:
            for name, spec in self._wanted.items():
                if name not in self._running or self._running[name][1].poll() is not None:
                    self._running[name] = spec, start(spec)
            unwanted = [self._running.pop(name) for name in set(self._running) - set(self._wanted)]
        for spec, child in unwanted:
            stop(spec, child)


class System:
    """A running system. Anything of it may be away at any moment; what reads it says so by an error."""

    def __init__(self, home: Path, up: subprocess.Popen[str], ready: dict[str, Any], environ: dict[str, str]) -> None:
        self.home = home
        self.up = up
        self.url: str = ready["url"]
        self.organization: str = ready["organizationId"]
        kept = json.loads((home / "run" / "environment.json").read_text("utf-8"))
        self.environ = environ | kept
        self.settings: Settings = read_settings(self.environ)
        self.keeper = Keeper()
        self.headers = {"X-Agent-Token": TOKEN, "X-Organization-Id": self.organization}
        self.redis = Redis.from_url(self.settings.redis_url, socket_timeout=2, socket_connect_timeout=2)

    # --- processes ----------------------------------------------------------------------------------------------

    def process(self, name: str, within: float = _VICTIM_WITHIN) -> psutil.Process:
        """The process of this name, once it runs. Raises ``TimeoutError``."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            pid = self.keeper.pid(name) or self._supervised().get(name)
            try:
                if pid is not None and (found := psutil.Process(pid)).ppid() in (self.up.pid, os.getpid()):
                    return found
            except psutil.NoSuchProcess:
                pass
            time.sleep(0.05)
        raise TimeoutError(f"{name} did not run within {within:.0f} s")

    def _supervised(self) -> dict[str, int]:
        table: dict[str, int] = json.loads((self.home / "run" / "processes.json").read_text("utf-8"))
        return table

    def down(self) -> list[str]:
        """Processes that don't run now, though they should."""
        names = {"postgres", "valkey", "s3", *(spec.name for spec in app_processes(self.home, self.environ))}
        return sorted(names - set(self._supervised())) + self.keeper.down()

    def twin(self, name: str, alias: str) -> Spec:
        """How a second process of a kind is started, under a name of its own."""
        spec = next(spec for spec in app_processes(self.home, self.environ) if spec.name == name)
        argv = [word.replace(f"{name}@", f"{alias}@") for word in spec.argv]
        environ = dict(self.environ) | spec.env
        return replace(spec, name=alias, argv=argv, env=environ, log=self.home / "logs" / f"{alias}.log")

    # --- looking into it ----------------------------------------------------------------------------------------

    def rows(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Read from the database. Raises ``psycopg2.Error`` when it is away."""
        connection = psycopg2.connect(self.settings.database_url, connect_timeout=2, application_name="chaos")
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, values or None)
                return list(cursor.fetchall())
        finally:
            connection.close()

    def database_answers(self) -> bool:
        try:
            return self.rows("SELECT 1") == [(1,)]
        except psycopg2.Error:
            return False

    def words(self, log: str) -> list[str]:
        """The lines of a log."""
        path = self.home / log
        return path.read_text("utf-8", "replace").splitlines() if path.exists() else []


def until(look: Callable[[], Any], within: float) -> bool:
    """Wait for a condition, at most ``within`` seconds. Says whether it came true."""
    limit = time.monotonic() + within
    while not look():
        if time.monotonic() > limit:
            return False
        time.sleep(0.05)
    return True


def launch(home: Path, **settings: str) -> System:
    """Start a system with a second worker. It ends when the calling thread does."""
    environ = environment_for(home, **settings)
    with (home / "up.log").open("a") as log:
        up = subprocess.Popen(
            [*COMMAND, "up", "--json"],
            cwd=ROOT,
            env=environ,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            preexec_fn=end_with_parent,
        )
    assert up.stdout is not None
    line = up.stdout.readline()
    assert line, (home / "up.log").read_text()
    system = System(home, up, json.loads(line), environ)
    system.keeper.keep(system.twin("worker", "worker2"))
    return system


def halt(system: System, within: float = 40) -> list[str]:
    """Stop a system as an operator would. Returns what went wrong and what was left behind, in words."""
    wrong = []
    system.redis.close()
    system.keeper.close()
    system.up.send_signal(signal.SIGTERM)
    try:
        code = system.up.wait(within)
        if code != 0:
            wrong.append(f"up ended with code {code}")
    except subprocess.TimeoutExpired:
        wrong.append(f"up did not end within {within:.0f} s and was killed")
        system.up.kill()
        system.up.wait()
    if system.up.stdout is not None:
        system.up.stdout.close()
    until(lambda: not left_behind(system.home), 5)
    for process in left_behind(system.home):
        wrong.append(f"left running: {process.pid} {' '.join(process.cmdline())[:120]}")
        process.kill()
    return wrong


def left_behind(home: Path) -> list[psutil.Process]:
    """Processes that belong to a home folder, whoever their parent is by now."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid != os.getpid() and (
                process.environ().get("COURSEWRIGHT_HOME") == str(home)
                or any(str(home) in word for word in process.cmdline())
            ):
                found.append(process)
        except psutil.Error:
            continue
    return found


@contextmanager
def frozen(process: psutil.Process) -> Iterator[None]:
    """Stop a process, and let it go on in the end if it is still there."""
    process.suspend()
    try:
        yield
    finally:
        with suppress(psutil.NoSuchProcess):
            process.resume()
