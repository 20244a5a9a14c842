"""Child processes that never outlive their parent: start, watch for readiness, stop.

Each child is asked by the kernel to end when the thread that started it dies (``PR_SET_PDEATHSIG``), so killing a
parent with -9 leaves nothing behind. Start children from a thread that lives as long as they should.
"""

from __future__ import annotations

import ctypes
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


class StartFailed(RuntimeError):
    """A process did not become ready. The message says what to look at."""


@dataclass(frozen=True)
class Spec:
    """How one child is started, known to be ready, and stopped. ``prepare`` is called before each start, and may take a
    while. ``grace`` is in seconds."""

    name: str
    argv: list[str]
    log: Path
    env: dict[str, str] = field(default_factory=dict, repr=False)
    #: Which variables of this process's environment it gets besides ``env``; all unless told.
    inherits: frozenset[str] | None = None
    user: int | None = None
    cwd: Path | None = None
    prepare: Callable[[], None] | None = None
    ready: Callable[[], bool] = lambda: True
    ready_within: float = 30.0
    stop_signal: signal.Signals = signal.SIGTERM
    grace: float = 10.0


#: What a server needs of the environment. Not the settings: a server that is another user's, as Postgres is under root,
#: would show them to whatever else that user runs.
SERVERS_INHERIT = frozenset({"PATH", "HOME", "LANG", "LC_ALL", "TZ", "TMPDIR", "LD_LIBRARY_PATH", "COURSEWRIGHT_HOME"})


def inherited(names: frozenset[str] | None) -> dict[str, str]:
    """The environment of this process, or these of it."""
    return {name: value for name, value in os.environ.items() if names is None or name in names}


def end_with_parent(stop_signal: signal.Signals = signal.SIGTERM) -> None:
    """Ask the kernel to send this process ``stop_signal`` when its parent dies. For forked children of children."""
    if _libc is not None:
        _libc.prctl(_PR_SET_PDEATHSIG, stop_signal)


def _bind_to_parent(stop_signal: signal.Signals, parent: int) -> Callable[[], None]:
    def before_exec() -> None:
        end_with_parent(stop_signal)
        if os.getppid() != parent:  # it died between fork and prctl
            os._exit(1)

    return before_exec


def start(spec: Spec) -> subprocess.Popen[bytes]:
    """Start the child in a process group of its own (Ctrl-C reaches only the parent, which stops it in order). Raises
    ``StartFailed`` when it can't be prepared."""
    if spec.prepare is not None:
        spec.prepare()
    spec.log.parent.mkdir(parents=True, exist_ok=True)
    with spec.log.open("ab") as log:
        return subprocess.Popen(
            spec.argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**inherited(spec.inherits), **spec.env},
            cwd=spec.cwd,
            user=spec.user,
            extra_groups=[] if spec.user is not None else None,
            process_group=0,
            preexec_fn=_bind_to_parent(spec.stop_signal, os.getpid()),
        )


def last_words(spec: Spec, lines: int = 3) -> str:
    """The end of a child's log, for an error message."""
    if not spec.log.exists():
        return ""
    with spec.log.open("rb") as log:
        log.seek(max(0, spec.log.stat().st_size - 4096))
        text = log.read().decode("utf-8", "replace")
    return " | ".join(line.strip() for line in text.splitlines()[-lines:] if line.strip())


def wait_ready(spec: Spec, child: subprocess.Popen[bytes]) -> None:
    """Wait until ``spec.ready()``. Raises ``StartFailed`` with the end of its log when it dies or takes too long."""
    until = time.monotonic() + spec.ready_within
    while not spec.ready():
        if child.poll() is not None:
            raise StartFailed(f"{spec.name} ended with code {child.returncode}: {last_words(spec)} (log: {spec.log})")
        if time.monotonic() > until:
            raise StartFailed(f"{spec.name} was not ready within {spec.ready_within:.0f} s (log: {spec.log})")
        time.sleep(0.03)


def stop(spec: Spec, child: subprocess.Popen[bytes], grace: float | None = None) -> None:
    """Ask the child to end, wait its grace, then kill it. Always reaps it."""
    ask(spec, child)
    reap(spec, child, time.monotonic() + (spec.grace if grace is None else grace))


def ask(spec: Spec, child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.send_signal(spec.stop_signal)


def reap(spec: Spec, child: subprocess.Popen[bytes], until: float) -> bool:
    """Wait for an asked child until then (monotonic seconds), and kill its group after. False when it was killed."""
    try:
        child.wait(max(0.0, until - time.monotonic()))
    except subprocess.TimeoutExpired:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        return False
    return True


def answers(port: int, host: str = "127.0.0.1") -> bool:
    """Whether something accepts connections on the port."""
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


#: Ports this process has given out. One that nobody listens on yet must not be given twice.
_given: set[int] = set()
_LOWEST = 20_000
#: From here on, unless the kernel says otherwise, any outgoing connection may take a port for its own end.
_OUTGOING = 32_768


def free_port(preferred: int = 0, host: str = "127.0.0.1") -> int:
    """``preferred`` when nobody listens there, else a free one, another one each time.

    It is chosen below the ports of outgoing connections: while a server restarts, one of those could take its port,
    even the very connection that looks whether it is back."""
    below = range(_LOWEST, max(_LOWEST + 1, _first_outgoing()))
    first = [preferred] if preferred else []
    for candidate in (*first, *random.sample(below, min(200, len(below))), *[0] * 100):
        port = _bindable(host, candidate)
        if port is not None and (_reserved(port) if port == preferred else port not in _given):
            _given.add(port)
            return port
    raise StartFailed("No free port could be found on this machine.")


def _bindable(host: str, port: int) -> int | None:
    """The port, or the one the kernel picks for 0; none when it is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return None
        found: int = probe.getsockname()[1]
        return found


def _first_outgoing() -> int:
    told = Path("/proc/sys/net/ipv4/ip_local_port_range")
    return int(told.read_text("ascii").split()[0]) if told.exists() else _OUTGOING


def _reserved(port: int) -> bool:
    """Take a preferred port for as long as this process lives. Of two systems that start side by side both would find
    it free, because a server listens only seconds later."""
    if port in _given or sys.platform != "linux":
        return True
    name = socket.socket(socket.AF_UNIX)
    try:
        name.bind(f"\0coursewright-port-{port}")
    except OSError:
        name.close()
        return False
    name.detach()  # open until the process ends
    return True
