"""What the demo has made and how it is followed: courses ordered at once, a bar for each, and each read back."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import urllib3
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from schema.problem import errors_of
from schema.rules import check

#: How long one course may take to be made, in seconds.
COURSE_WITHIN = 300


class DemoFailed(Exception):
    """Something did not go as it should; the message says what."""


class Client:
    """A program that calls the API for one organization, called ``school``. ``before`` is called before each call."""

    def __init__(
        self, url: str, token: str, organization_id: str, before: Callable[[], None], school: str = "Demo school"
    ) -> None:
        self.url = url
        self.school = school
        self.before = before
        self.organization_id = organization_id
        self.headers = {"X-Agent-Token": token, "X-Organization-Id": organization_id}
        self.http = urllib3.PoolManager(retries=urllib3.Retry(2), timeout=urllib3.Timeout(10))

    def call(self, method: str, path: str, body: Any | None = None) -> Any:
        """Call the API and return its JSON. Raises ``DemoFailed`` with the problem's words on any error."""
        answer = self.ask(method, path, body)
        if answer.status >= 400:
            detail = answer.json().get("detail", "") if answer.data else ""
            raise DemoFailed(f"{method} {path} answered {answer.status}: {detail}")
        return answer.json()

    def ask(self, method: str, path: str, body: Any | None = None) -> urllib3.BaseHTTPResponse:
        """Call the API and return its answer, whatever it is."""
        self.before()
        return self.http.request(method, self.url + path, headers=self.headers, json=body)


@dataclass
class Ordered:
    """One course that was asked for, and by whom."""

    client: Client
    name: str
    job_id: str
    bar: TaskID
    began: float
    seconds: float = 0.0


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


def watch(console: Console, clients: Sequence[Client], asked: dict[str, dict[str, Any]]) -> list[Ordered]:
    """Order everything at once, for each school, and show each with a bar of its own until all are done, pictures
    included."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.percentage:>3.0f}%"),
        TimeElapsedColumn(),
        TextColumn("{task.fields[doing]}"),
    )
    with Progress(*columns, console=console) as bars:
        ordered = []
        for client in clients:
            for name, payload in asked.items():
                whose = name if len(clients) == 1 else f"{client.school}: {name}"
                started = client.call("POST", "/api/jobs", {"jobType": "course", "payload": payload})
                bar = bars.add_task(f"{whose:<20}", total=100, doing="")
                ordered.append(Ordered(client, whose, started["jobId"], bar, time.monotonic()))
        until = time.monotonic() + COURSE_WITHIN
        open_ = list(ordered)
        while open_:
            if time.monotonic() > until:
                raise DemoFailed(f"{open_[0].name} was not done within {COURSE_WITHIN} s (job {open_[0].job_id}).")
            open_ = [order for order in open_ if not _look(bars, order)]
            time.sleep(0.1)
    return ordered


def _look(bars: Progress, order: Ordered) -> bool:
    """Draw where a job stands. True when nothing of it is left to wait for."""
    job = order.client.call("GET", f"/api/jobs/{order.job_id}")["job"]
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


def report(console: Console, order: Ordered) -> str:
    """Read the course back over HTTP in both ways there are, check it, and say what came of it. Returns its id."""
    client = order.client
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
    waits = read["review"]["status"] == "waiting"
    listed = "waiting for review" if waits else f"catalog version {mine[-1]['version']}"
    console.print(
        f"{order.name}: job {order.job_id}\n"
        f"    {course['title']!r} in {order.seconds:.1f} s: {len(course['items'])} items, "
        f"{len(course['studyTexts'])} study texts, {pictures} pictures, revision {read['revision']}\n"
        f"    object courses/{client.organization_id}/{job['resultPath']}, {listed}"
    )
    return str(course_id)
