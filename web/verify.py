"""``coursewright verify URL``: goes through a deployment from outside, as a program that uses it would.

It always asks for the same course, so that repeated runs make revisions of one and don't fill the catalog.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import click
import urllib3
from urllib3.exceptions import HTTPError

from schema.clock import new_id

COURSE_ID = "coursewright-verify"
#: Served by a pack in a second, without a model.
PAYLOAD = {
    "courseId": COURSE_ID,
    "subject": "The water cycle",
    "title": "A course made by coursewright verify",
    "gradeBand": "3-5",
    "grade": "4",
    "mode": "options",
    "visibility": "private",
    "tags": ["verify"],
}
_LOOK_EVERY = 0.25
#: Only a system started with ``coursewright up`` has the demo school, which is asked for unless told otherwise.
_WHOSE = "Give --organization ID. A machine of the deployment shows the ids with: coursewright org list"
#: What every stream begins with.
_FIRST_WORDS = b"retry: 2000\n\n"
_PROXY = "docs/deploy.md, In front of it"


class Failed(Exception):
    """A check did not hold; the message says what was seen instead."""


@dataclass
class Deployment:
    """The system looked at, and what earlier checks learned about it."""

    url: str
    headers: dict[str, str]
    within: float
    http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False, timeout=15))
    before: int = 0
    job_id: str = ""
    course: dict[str, Any] = field(default_factory=dict)
    waits: bool = False

    def ask(self, method: str, path: str, body: Any = None, **headers: str) -> urllib3.BaseHTTPResponse:
        """Call it. Raises ``Failed`` when it can't be reached."""
        try:
            return self.http.request(method, self.url + path, json=body, headers={**self.headers, **headers})
        except HTTPError as error:
            raise Failed(f"{method} {path}: no answer ({type(error).__name__})") from error

    def read(self, path: str) -> tuple[Any, str]:
        """JSON that must be there, and its ETag."""
        answer = self.ask("GET", path)
        if answer.status != 200:
            raise Failed(f"GET {path} answered {answer.status}: {_words(answer)}")
        return answer.json(), answer.headers.get("ETag", "")


def _words(answer: urllib3.BaseHTTPResponse) -> str:
    try:
        told = answer.json()
    except ValueError:
        return answer.data[:100].decode("utf-8", "replace")
    if not isinstance(told, dict):
        return str(told)
    mend = f" {_WHOSE}" if told.get("code") == "unknown_organization" else ""
    return str(told.get("detail") or told.get("dependencies") or told) + mend


def _holds(condition: bool, otherwise: str) -> None:
    if not condition:
        raise Failed(otherwise)


# --- the checks, each a sentence when it holds -----------------------------------------------------------------


def alive(at: Deployment) -> str:
    at.read("/healthz")
    return "The web answers."


def ready(at: Deployment) -> str:
    told, _ = at.read("/readyz")
    return ", ".join(f"{name} {state}" for name, state in told["dependencies"].items()) + "."


def described(at: Deployment) -> str:
    told, _ = at.read("/api/openapi.json")
    _holds(str(told.get("openapi", "")).startswith("3.1") and "/api/jobs" in told["paths"], "That is no OpenAPI 3.1.")
    return f"OpenAPI {told['openapi']}, {len(told['paths'])} paths, version {told['info']['version']}."


def let_in(at: Deployment) -> str:
    told, _ = at.read("/api/catalog")
    at.before = told["version"]
    return f"The catalog is at version {at.before} with {len(told['courses'])} courses."


def streamed(at: Deployment) -> str:
    """A stream that is open says its first words at once, unless something on the way keeps them back."""
    where = f"{at.url}/api/catalog/stream?lastEventId={at.before}"
    try:
        answer = at.http.request("GET", where, headers=at.headers, preload_content=False)
        _holds(answer.status == 200, f"GET /api/catalog/stream answered {answer.status}.")
        words = answer.read(len(_FIRST_WORDS))
        answer.close()
    except HTTPError as error:
        raise Failed(
            f"A stream says nothing ({type(error).__name__}). Does a proxy buffer it? See {_PROXY}."
        ) from error
    _holds(words == _FIRST_WORDS, f"A stream began with {words!r:.60}.")
    return "A stream opens and says its first words at once."


def accepted(at: Deployment) -> str:
    key = str(new_id())
    body = {"jobType": "course", "payload": PAYLOAD}
    first = at.ask("POST", "/api/jobs", body, **{"Idempotency-Key": key})
    _holds(first.status in (200, 202), f"POST /api/jobs answered {first.status}: {_words(first)}")
    at.job_id = first.json()["jobId"]
    again = at.ask("POST", "/api/jobs", body, **{"Idempotency-Key": key})
    same = again.status == 200 and again.json()["jobId"] == at.job_id
    _holds(same, f"The same Idempotency-Key gave {again.status} and another job.")
    return f"Job {at.job_id}; asked for again with the same key, the same."


def done(at: Deployment) -> str:
    until = time.monotonic() + at.within
    while True:
        job = at.read(f"/api/jobs/{at.job_id}")[0]["job"]
        if job["status"] == "done":
            break
        ended = job["status"] in {"failed", "dead_letter", "cancelled"}
        _holds(not ended, f"It is {job['status']}: {(job['error'] or {}).get('message')}")
        _holds(time.monotonic() < until, f"Still {job['status']} ({job['progressMessage']}) after {at.within:.0f} s.")
        time.sleep(_LOOK_EVERY)
    events = at.read(f"/api/jobs/{at.job_id}/events?after=0")[0]["events"]
    _holds([event["seq"] for event in events] == list(range(1, len(events) + 1)), "Its events have a gap.")
    return f"Done, with {len(events)} events, none missing."


def readable(at: Deployment) -> str:
    told, tag = at.read(f"/api/courses/{COURSE_ID}")
    at.course, at.waits = told["course"], told["review"]["status"] == "waiting"
    _unchanged(at, f"/api/courses/{COURSE_ID}", tag)
    return f"Revision {told['revision']} with {len(at.course['items'])} items; asked for again with its ETag, 304."


def served(at: Deployment) -> str:
    told, tag = at.read(f"/content/courses/{COURSE_ID}/course.json")
    _holds(told == at.course, "The file is not the course that the API gives.")
    _unchanged(at, f"/content/courses/{COURSE_ID}/course.json", tag)
    return "The file is the same course; with its ETag, 304."


def _unchanged(at: Deployment, path: str, tag: str) -> None:
    _holds(bool(tag), f"GET {path} has no ETag.")
    answer = at.ask("GET", path, **{"If-None-Match": tag})
    _holds(answer.status == 304, f"GET {path} with its ETag answered {answer.status}, not 304.")


def listed(at: Deployment) -> str:
    if at.waits:  # the organization wants every course approved, this one too
        answer = at.ask("POST", f"/api/courses/{COURSE_ID}/approve")
        _holds(answer.status == 200, f"Approving it answered {answer.status}: {_words(answer)}")
    told, _ = at.read("/api/catalog")
    entries = {entry["id"]: entry for entry in told["courses"]}
    _holds(COURSE_ID in entries, "The catalog does not list it.")
    _holds(told["version"] > at.before, f"The catalog stayed at version {at.before}.")
    return f"The catalog lists it, at version {told['version']}."


def changed(at: Deployment) -> str:
    told, _ = at.read(f"/api/catalog/changes?since={at.before}")
    mine = [change["version"] for change in told["changes"] if change["courseId"] == COURSE_ID]
    _holds(bool(mine), f"No change after version {at.before} tells of it.")
    return f"Version {mine[-1]} tells of it."


#: The first three say what they can by themselves; from then on each needs the one before.
CHECKS: dict[str, Callable[[Deployment], str]] = {
    "healthz": alive,
    "readyz": ready,
    "openapi": described,
    "identity": let_in,
    "stream": streamed,
    "accepted": accepted,
    "done": done,
    "course": readable,
    "content": served,
    "catalog": listed,
    "changes": changed,
}
_ALONE = {"healthz", "readyz", "openapi"}


def run(url: str, token: str, organization: str, *, within: float, as_json: bool) -> int:
    """Go through all checks and print each with its time. Returns 0 when all hold, else 1."""
    at = Deployment(url.rstrip("/"), {"X-Agent-Token": token, "X-Organization-Id": organization}, within)
    results: list[dict[str, Any]] = []
    broken = False
    for name, check in CHECKS.items():
        began = time.monotonic()
        state, words = "skipped", "An earlier one failed."
        if not broken:
            try:
                state, words = "ok", check(at)
            except Failed as error:
                state, words = "failed", str(error)
                broken = name not in _ALONE
            except (KeyError, TypeError, ValueError) as error:
                state, words = "failed", f"The answer has another shape than Coursewright's ({error!r:.80})."
                broken = name not in _ALONE
        seconds = time.monotonic() - began
        results.append({"name": name, "state": state, "seconds": round(seconds, 3), "message": words})
        if not as_json:
            click.echo(f"{state:<8} {seconds:7.3f} s  {name:<9} {words}")
    held = all(result["state"] == "ok" for result in results)
    if as_json:
        click.echo(json.dumps({"state": "ok" if held else "failed", "checks": results}))
    return 0 if held else 1
