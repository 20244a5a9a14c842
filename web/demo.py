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
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import IO, Any

import click
import urllib3
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from schema.problem import errors_of
from schema.rules import check
from storage.processes import end_with_parent

#: How long everything may take to come up, and one course to be made, in seconds.
UP_WITHIN, COURSE_WITHIN = 90, 300


class DemoFailed(Exception):
    """Something did not go as it should; the message says what."""


class NotStarted(Exception):
    """Everything together refused to start. The message is the line it said, and it names what to change."""


@dataclass
class Ordered:
    """One course that was asked for."""

    name: str
    job_id: str
    bar: TaskID
    began: float
    seconds: float = 0.0


class Client:
    """A program that calls the API for one organization. ``before`` is called before each call."""

    def __init__(self, url: str, token: str, organization_id: str, before: Callable[[], None]) -> None:
        self.url = url
        self.before = before
        self.organization_id = organization_id
        self.headers = {"X-Agent-Token": token, "X-Organization-Id": organization_id}
        self.http = urllib3.PoolManager(retries=urllib3.Retry(2), timeout=urllib3.Timeout(10))

    def call(self, method: str, path: str, body: Any | None = None) -> Any:
        """Call the API and return its JSON. Raises ``DemoFailed`` with the problem's words on any error."""
        self.before()
        answer = self.http.request(method, self.url + path, headers=self.headers, json=body)
        if answer.status >= 400:
            detail = answer.json().get("detail", "") if answer.data else ""
            raise DemoFailed(f"{method} {path} answered {answer.status}: {detail}")
        return answer.json()


def requests(with_model: bool) -> dict[str, dict[str, Any]]:
    """What is asked for: a pack, arithmetic, a pack with pictures, and a model's course when there is a model."""
    asked: dict[str, dict[str, Any]] = {
        "From a pack": {"subject": "The water cycle", "gradeBand": "3-5", "grade": "4", "mode": "options"},
        "Arithmetic": {"subject": "Multiplication and division", "gradeBand": "3-5", "grade": "4", "mode": "numeric"},
        "A pack with pictures": {
            "subject": "Photosynthesis",
            "gradeBand": "6-8",
            "grade": "6",
            "mode": "options",
            "generateStudyTextImages": True,
            "visibility": "public",
        },
    }
    if with_model:
        asked["By a model"] = {
            "subject": "Volcanoes",
            "gradeBand": "3-5",
            "grade": "5",
            "mode": "options",
            "itemsPerGroup": 4,
            "notes": "Use examples from Iceland.",
        }
    return asked


def run(home: Path) -> int:
    """Bring everything up, order, watch, check, stop. Returns the exit code."""
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
        client = Client(ready["url"], token, ready["organizationId"], ending.check)
        with_model = bool(os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL"))
        ordered = _watch(console, client, requests(with_model))
        for order in ordered:
            _report(console, client, order)
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
        root = str(Path(__file__).parent.parent)
        environment["PYTHONPATH"] = root
        # The demo must work beside whatever else runs here, so it takes any free ports unless told otherwise.
        environment.setdefault("PORT", "0")
        environment.setdefault("FLOWER_PORT", "0")
        # In a process group of its own Ctrl-C doesn't reach it: we stop it. When we are killed, the kernel does.
        self.child = subprocess.Popen(
            [sys.executable, "-c", "from web.cli import main; main()", "up", "--json"],
            env=environment,
            cwd=root,
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


def _watch(console: Console, client: Client, asked: dict[str, dict[str, Any]]) -> list[Ordered]:
    """Order everything at once and show each with a bar of its own until all are done, pictures included."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[doing]}"),
    )
    with Progress(*columns, console=console) as bars:
        ordered = []
        for name, payload in asked.items():
            started = client.call("POST", "/api/jobs", {"jobType": "course", "payload": payload})
            bar = bars.add_task(f"{name:<20}", total=100, doing="")
            ordered.append(Ordered(name, started["jobId"], bar, time.monotonic()))
        until = time.monotonic() + COURSE_WITHIN
        open_ = list(ordered)
        while open_:
            if time.monotonic() > until:
                raise DemoFailed(f"{open_[0].name} was not done within {COURSE_WITHIN} s (job {open_[0].job_id}).")
            open_ = [order for order in open_ if not _look(bars, client, order)]
            time.sleep(0.1)
    return ordered


def _look(bars: Progress, client: Client, order: Ordered) -> bool:
    """Draw where a job stands. True when nothing of it is left to wait for."""
    job = client.call("GET", f"/api/jobs/{order.job_id}")["job"]
    doing = job["progressMessage"]
    if job["status"] == "done" and job["mediaPending"]:
        doing = f"{job['mediaPending']} pictures on the way"
    bars.update(order.bar, completed=job["progress"], doing=doing)
    if job["status"] in {"failed", "dead_letter", "cancelled"}:
        raise DemoFailed(f"{order.name}: job {order.job_id} is {job['status']}: {(job['error'] or {}).get('message')}")
    if job["status"] != "done" or job["mediaPending"]:
        return False
    order.seconds = time.monotonic() - order.began
    return True


def _report(console: Console, client: Client, order: Ordered) -> None:
    """Read the course back over HTTP in both ways there are, check it, and say what came of it."""
    job = client.call("GET", f"/api/jobs/{order.job_id}")["job"]
    course_id = job["courseId"]
    read = client.call("GET", f"/api/courses/{course_id}")
    course = read["course"]
    if client.call("GET", f"/content/courses/{course_id}/course.json") != course:
        raise DemoFailed(f"{order.name}: the file and the API disagree about {course_id}.")
    faults = errors_of(check(course))
    if faults:
        raise DemoFailed(f"{order.name}: {course_id} has errors: {faults[0].path}: {faults[0].message}")
    changes = client.call("GET", "/api/catalog/changes?since=0")["changes"]
    mine = [change for change in changes if change["courseId"] == course_id]
    pictures = sum(text["content"].count("![") for text in course["studyTexts"])
    events = client.call("GET", f"/api/jobs/{order.job_id}/events?after=0")["events"]
    if [event["seq"] for event in events] != list(range(1, len(events) + 1)):
        raise DemoFailed(f"{order.name}: its events have a gap.")
    listed = "waiting for review" if read["review"]["status"] == "waiting" else f"catalog version {mine[-1]['version']}"
    console.print(
        f"{order.name}: job {order.job_id}\n"
        f"    {course['title']!r} in {order.seconds:.1f} s: {len(course['items'])} items, "
        f"{len(course['studyTexts'])} study texts, {pictures} pictures, revision {read['revision']}\n"
        f"    object courses/{client.organization_id}/{job['resultPath']}, {listed}"
    )
