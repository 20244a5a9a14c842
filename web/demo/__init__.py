"""``coursewright demo``: the whole way once, over HTTP as any client would go it, with nothing left running."""

from __future__ import annotations

import json
import os
import secrets
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import FrameType
from typing import IO, Any

import click
from rich.console import Console

from storage.processes import end_with_parent
from web.demo.courses import Client, DemoFailed, report, requests, watch
from web.demo.wall import check_wall

#: How long everything may take to come up, in seconds.
UP_WITHIN = 90
ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-c", "from web.cli import main; main()")


class NotStarted(Exception):
    """Everything together refused to start. The message is the line it said, and it names what to change."""


#: What the schools beside the demo school are called.
SCHOOLS = ("Lakeside School", "Hill School", "Harbour School", "Forest School")


def run(home: Path, schools: int = 1) -> int:
    """Bring everything up, order for so many schools side by side, watch, check, stop. Returns the exit code."""
    console = Console(highlight=False, soft_wrap=True)
    began = time.monotonic()
    token = secrets.token_urlsafe(24)
    ending = Ending()
    for number in _ENDINGS:
        signal.signal(number, ending)
    system = _System(home, token)
    try:
        ready = system.wait_ready()
        console.print(
            f"Everything is up after {time.monotonic() - began:.1f} s: {', '.join(sorted(ready['processes']))}"
        )
        clients = [Client(ready["url"], token, ready["organizationId"], ending.check)]
        for name in SCHOOLS[: schools - 1]:
            clients.append(Client(ready["url"], token, system.make_organization(name), ending.check, name))
        with_model = bool(os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL"))
        ordered = watch(console, clients, requests(with_model))
        courses = [(order, report(console, order)) for order in ordered]
        if schools > 1:
            check_wall(console, clients, courses)
        for client in clients:
            client.http.clear()  # the web waits some seconds for whoever keeps a connection
    except NotStarted as error:
        click.echo(str(error), err=True)
        return 2
    except DemoFailed as error:
        console.print(f"The demo failed: {error}", style="bold red")
        return 1
    finally:
        system.stop()
    ending.check()
    console.print(f"All is well, and everything is stopped again, after {time.monotonic() - began:.1f} s.")
    return 0


#: Signals that ask a command to end.
_ENDINGS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Ending:
    """Ends by way of ``finally``, as a shell's command would: 130 after Ctrl-C, 143 after SIGTERM. What stops
    everything then is not to be interrupted again.

    A signal may come while an object is being finalized, and what is raised there Python prints and forgets. So it is
    remembered that the end was asked for."""

    def __init__(self) -> None:
        self.code: int | None = None

    def __call__(self, number: int, _frame: FrameType | None) -> None:
        for each in _ENDINGS:
            signal.signal(each, signal.SIG_IGN)
        self.code = 128 + number
        self.check()

    def check(self) -> None:
        """Raise ``SystemExit`` when the end was asked for."""
        if self.code is not None:
            raise SystemExit(self.code)


class _System:
    """``coursewright up`` as a child."""

    def __init__(self, home: Path, token: str) -> None:
        environment = {**os.environ, "COURSEWRIGHT_HOME": str(home), "AGENT_TOKEN": token}
        environment["PYTHONPATH"] = str(ROOT)
        # The demo must work beside whatever else runs here, so it takes any free ports unless told otherwise.
        environment.setdefault("PORT", "0")
        environment.setdefault("FLOWER_PORT", "0")
        self.environment = environment
        # In a process group of its own Ctrl-C doesn't reach it: we stop it. When we are killed, the kernel does.
        self.child = subprocess.Popen(
            [*COMMAND, "up", "--json"],
            env=environment,
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            process_group=0,
            preexec_fn=end_with_parent,
        )
        self.words: list[str] = []
        self.listener = threading.Thread(target=self._listen, args=(self.child.stderr,), daemon=True)
        self.listener.start()

    def _listen(self, stderr: IO[str] | None) -> None:
        for line in stderr or ():
            self.words.append(line.strip())

    def wait_ready(self) -> dict[str, Any]:
        """Where everything is. Raises ``NotStarted`` when it refuses to start, ``DemoFailed`` when that takes long."""
        timer = threading.Timer(UP_WITHIN, self.child.terminate)
        timer.daemon = True
        until = time.monotonic() + UP_WITHIN
        timer.start()
        try:
            line = self.child.stdout.readline() if self.child.stdout else ""
        finally:
            timer.cancel()
        if not line:
            code = self.child.wait()
            self.listener.join(2)  # the last words may still be on their way through the pipe
            refusals = [line for line in self.words if line.startswith("coursewright: ")]
            if code == 2 and refusals:
                raise NotStarted(refusals[-1])
            if time.monotonic() >= until:
                raise DemoFailed(f"Everything together did not come up within {UP_WITHIN} s.")
            raise DemoFailed(" ".join(self.words[-3:]) or f"It ended with code {code}.")
        ready: dict[str, Any] = json.loads(line)
        return ready

    def make_organization(self, name: str) -> str:
        """Make one as an operator does, unless an earlier demo has. Returns its id. Raises ``DemoFailed``."""
        known = json.loads(self._command("org", "list", "--json"))
        ids = [one["id"] for one in known if one["name"] == name]
        return ids[0] if ids else self._command("org", "create", name).strip()

    def _command(self, *words: str) -> str:
        said = subprocess.run(
            [*COMMAND, *words], env=self.environment, cwd=ROOT, capture_output=True, text=True, check=False
        )
        if said.returncode != 0:
            raise DemoFailed(f"coursewright {' '.join(words)}: {said.stderr.strip()[-300:]}")
        return said.stdout

    def stop(self) -> None:
        """Stop everything, also when asked to end meanwhile: that is done first."""
        try:
            self._stop()
        except SystemExit:
            self._stop()
            raise

    def _stop(self) -> None:
        if self.child.poll() is None:
            self.child.send_signal(signal.SIGTERM)
        try:
            self.child.wait(25)
        except subprocess.TimeoutExpired:
            self.child.kill()  # its children are bound to it and end with it
            self.child.wait()
