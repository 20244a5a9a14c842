"""A small client of the API: ask for work, and follow it until it is over.

``follow`` gives every event of a job once and in order, whatever happens to the connection: it comes back with the
number it saw last, after 2, 4, 8 s and so on, and asks for events once a second as long as the stream is not to be had.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

Event = dict[str, Any]

#: The first wait before a stream is opened anew, and the longest one, in seconds; each is twice the one before.
FIRST_WAIT, LONGEST_WAIT = 2.0, 30.0
#: How often events are asked for while there is no stream.
POLL_SECONDS = 1.0
#: A stream says something every 15 s. One that doesn't for so long is dead, or held back by a proxy.
SILENCE_SECONDS = 20.0
#: When nothing at all has answered for so long, there is no use in waiting on.
GIVE_UP_SECONDS = 600.0
_FINAL = frozenset({"done", "failed", "cancelled", "dead_letter"})


class Refused(Exception):
    """The API said no; the message is its sentence, with every field it named."""

    def __init__(self, status: int, problem: Mapping[str, Any]) -> None:
        faults = [f"{fault['path']}: {fault['message']}" for fault in problem.get("errors", [])]
        super().__init__("\n".join(faults) or str(problem.get("detail") or f"The server answered {status}."))
        self.status = status
        self.code = str(problem.get("code", ""))


class Away(Exception):
    """Nobody answered, or somebody who couldn't just now: a server that is in trouble or stopping, a proxy before one
    that is away, a limit that is reached. Asking again later may help."""


@dataclass
class Api:
    """The API at ``url``, asked with ``headers`` that say who asks."""

    url: str
    headers: Mapping[str, str]
    http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False, timeout=15))

    def call(self, method: str, path: str, body: Any = None) -> Any:
        """The JSON object of an answer. Raises ``Refused`` and ``Away``."""
        try:
            answer = self.http.request(method, self.url + path, json=body, headers=dict(self.headers))
        except HTTPError as error:
            raise Away(f"{self.url} does not answer ({type(error).__name__}).") from error
        try:
            read = answer.json()
        except ValueError:
            read = None
        if answer.status == 429 or (answer.status >= 500 and answer.status != 501):
            said = read.get("detail") if isinstance(read, dict) else None
            raise Away(str(said or f"{self.url} can't answer just now (HTTP {answer.status})."))
        if answer.status >= 400:
            raise Refused(answer.status, read if isinstance(read, dict) else {})
        if answer.status >= 300 or not isinstance(read, dict):
            words = f"{self.url} answers (HTTP {answer.status}), but not as Coursewright does. Check the address."
            raise Refused(answer.status, {"detail": words})
        return read

    def start(self, job_type: str, payload: Mapping[str, Any]) -> str:
        """Ask for work. Returns the job's id."""
        return str(self.call("POST", "/api/jobs", {"jobType": job_type, "payload": dict(payload)})["jobId"])

    def job(self, job_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.call("GET", f"/api/jobs/{job_id}")["job"]
        return found

    def events(self, job_id: str, after: int) -> list[Event]:
        found: list[Event] = self.call("GET", f"/api/jobs/{job_id}/events?after={after}")["events"]
        return found

    def following(self, job_id: str) -> Following:
        """A job of this API, to be followed."""
        stream = f"{self.url}/api/jobs/{job_id}/stream"
        return Following(stream, self.headers, lambda: self.job(job_id), lambda after: self.events(job_id, after))


@dataclass
class Following:
    """A job that is followed. ``look`` reads the job and ``poll`` its events after a number; both may raise ``Away``
    and ``Refused``. ``state`` is ``live`` while a stream brings the events, else ``polling``."""

    stream_url: str
    headers: Mapping[str, str]
    look: Callable[[], dict[str, Any]]
    poll: Callable[[int], list[Event]]
    seen: int = 0
    state: str = "connecting"
    pause: Callable[[float], None] = time.sleep
    now: Callable[[], float] = time.monotonic
    http: urllib3.PoolManager = field(default_factory=lambda: urllib3.PoolManager(retries=False))
    _over: bool = False
    _ended: bool = False
    _failures: int = 0
    _heard: float = 0.0

    def events(self) -> Iterator[Event]:
        """Every event after ``seen``, once and in order, and what streams send besides (``content_delta``,
        ``job_snapshot``), until the job and its pictures are over.

        Raises ``Refused`` when events may not be read, ``Away`` when nothing has answered for ten minutes."""
        self._heard = self.now()
        while not self._over:
            yield from self._streamed()
            if not self._over:
                self.state = "polling"
                yield from self._polled(min(FIRST_WAIT * 2**self._failures, LONGEST_WAIT))
                self._failures = min(self._failures + 1, 10)

    def outcome(self) -> dict[str, Any]:
        """The job, when its events have ended: asked for until somebody answers. Raises as they do."""
        while True:
            try:
                return self.look()
            except Away:
                if self.now() - self._heard > GIVE_UP_SECONDS:
                    raise
                self.pause(POLL_SECONDS)

    def _streamed(self) -> Iterator[Event]:
        """What one connection brings, until it ends or breaks."""
        wanted = {**self.headers, "Accept": "text/event-stream", "Last-Event-ID": str(self.seen)}
        timeout = urllib3.Timeout(connect=10, read=SILENCE_SECONDS)
        try:
            answer = self.http.request(
                "GET", self.stream_url, headers=wanted, timeout=timeout, preload_content=False, redirect=False
            )
        except HTTPError:
            return
        try:
            if answer.status == 204:
                self._over = True
            elif answer.status == 200 and answer.headers.get("Content-Type", "").startswith("text/event-stream"):
                self.state, self._heard = "live", self.now()
                for number, told in frames(iter(lambda: answer.read1(65_536), b"")):
                    yield from self._taken(told, number)
                self._over = self._ended
        except (HTTPError, ValueError):  # it broke, or brought what can't be read
            return
        finally:
            answer.close()

    def _polled(self, seconds: float) -> Iterator[Event]:
        """What asking brings, until it is time to try the stream again."""
        until = self.now() + seconds
        while not self._over and self.now() < until:
            try:
                found = self.poll(self.seen)
                if not found and _is_over(self.look()):
                    found = self.poll(self.seen)  # told between the two questions
                    self._over = not found
                for event in found:
                    yield from self._taken(event, event["seq"])
                self._heard = self.now()
            except Away:
                if self.now() - self._heard > GIVE_UP_SECONDS:
                    raise
            if not self._over:
                self.pause(min(POLL_SECONDS, max(until - self.now(), 0)))

    def _taken(self, event: Event | None, number: int | None) -> Iterator[Event]:
        if number is not None:
            if number <= self.seen:
                return
            self.seen = number
        self._heard = self.now()
        if event is None:
            return
        if self.state == "live":
            self._failures = 0
        self._ended = _ends(event, self._ended)
        yield event


def _is_over(job: Mapping[str, Any]) -> bool:
    return job["status"] in _FINAL and not job["mediaPending"]


def _ends(event: Event, ended: bool) -> bool:
    """Whether the job is over with this event, pictures included."""
    type_ = event["type"]
    if type_ == "job_snapshot":
        return _is_over(event["job"])
    if type_ in {"job_completed", "job_failed", "job_cancelled", "media_settled"}:
        return not event.get("mediaPending")
    return ended and (type_ == "content_delta" or type_.startswith("media_"))


def frames(chunks: Iterable[bytes]) -> Iterator[tuple[int | None, Event | None]]:
    """The events in a stream of Server-Sent Events, each with its number. A number alone has no event; one that is
    broken off is left out."""
    rest, number, data = b"", None, ""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            name, _, value = line.rstrip(b"\r").decode("utf-8", "replace").partition(":")
            value = value.removeprefix(" ")
            if name == "id" and value.isdigit():
                number = int(value)
            elif name == "data":
                data += value
            elif not name and not value and (data or number is not None):
                yield number, json.loads(data) if data else None
                number, data = None, ""
