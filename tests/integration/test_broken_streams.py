"""A program that follows a job, over a server that breaks, is in trouble, or is another one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from schema.event_samples import SAMPLES
from storage.processes import free_port
from web.client import Api, Away, Following, Refused


class Breaking(ThreadingHTTPServer):
    """Streams by a script: each connection gets the next part, a status or bytes after which it breaks off."""

    daemon_threads = True
    kind = "text/event-stream; charset=utf-8"

    def __init__(self, *script: int | bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script = list(script)
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Breaking

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self.server.asked.append(self.headers.get("Last-Event-ID"))
        part = self.server.script.pop(0) if self.server.script else 503
        self.send_response(part if isinstance(part, int) else 200)
        self.send_header("Content-Type", self.server.kind)
        if part == 302:
            self.send_header("Location", "/elsewhere")
        self.end_headers()
        if isinstance(part, bytes):
            self.wfile.write(part)
        self.close_connection = True


def block(number: int, type_: str = "step_progress", **body: Any) -> bytes:
    event = {"type": type_, "jobId": "j", "seq": number, "timestamp": "t", **body}
    return f"id: {number}\nevent: {type_}\ndata: {json.dumps(event)}\n\n".encode()


@contextmanager
def serving(*script: int | bytes) -> Iterator[Breaking]:
    server = Breaking(*script)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def broken(*script: int | bytes, polled: list[list[dict[str, Any]]] | None = None, **more: Any) -> Any:
    """Follow a job over such a server. Time passes only in pauses. Returns events, pauses and what was asked with."""
    clock, pauses = [0.0], []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        clock[0] += seconds

    def poll(_after: int) -> list[dict[str, Any]]:
        return polled.pop(0) if polled else []

    def look() -> dict[str, Any]:
        return {"status": "processing", "mediaPending": 0}

    given: dict[str, Any] = {"look": look, "poll": poll, **more}
    with serving(*script) as server:
        following = Following(server.url, {}, pause=pause, now=lambda: clock[0], **given)
        return [event.get("seq") for event in following.events()], pauses, server.asked


DONE = {"courseId": "c", "totalDuration": 1.0, "mediaPending": 0}


def test_it_comes_back_with_what_it_saw_last_and_gets_nothing_twice() -> None:
    half = block(4)[:-9]  # breaks off within an event, which comes again whole
    seen, _, asked = broken(
        b"retry: 2000\n\n" + block(1) + block(2),
        block(2) + b": heartbeat\n\n" + block(3) + half,
        block(4).replace(b"\n", b"\r\n") + block(5, "job_completed", **DONE),
    )
    assert seen == [1, 2, 3, 4, 5]
    assert asked == ["0", "2", "3"]


def test_it_waits_longer_and_longer_and_begins_anew_when_it_hears_something() -> None:
    seen, pauses, _ = broken(*[503] * 6, block(1), 502, block(2, "job_cancelled", reason="", cancelledAt=""))
    assert seen == [1, 2]
    assert [sum(pauses[:2]), sum(pauses[:6]), sum(pauses[:14]), sum(pauses[:30])] == [2, 6, 14, 30]
    assert sum(pauses) == 2 + 4 + 8 + 16 + 30 + 30 + 2 + 4


def test_meanwhile_it_asks_every_second() -> None:
    progress = [{"type": "step_progress", "seq": number} for number in (1, 2, 3)]
    seen, pauses, asked = broken(503, block(3) + block(4, "job_failed"), polled=[progress[:2], progress[2:]])
    assert (seen, pauses, asked) == ([1, 2, 3, 4], [1, 1], ["0", "3"])


def test_what_is_told_while_it_asks_whether_the_job_is_over_is_not_missed() -> None:
    """Nothing new; then the job ends; then it is looked at, and is over."""
    polled: list[list[dict[str, Any]]] = [[], [{"type": "job_completed", "seq": 1, **DONE}], []]
    seen, _, _ = broken(503, polled=polled, look=lambda: {"status": "done", "mediaPending": 0})
    assert seen == [1]


def test_what_can_not_be_read_counts_as_broken() -> None:
    garbage = b"id: 2\nevent: step_progress\ndata: <html>\n\n"
    seen, _, asked = broken(block(1) + garbage, block(2, "job_completed", **DONE))
    assert (seen, asked) == ([1, 2], ["0", "1"])


def test_events_that_were_asked_for_do_not_make_it_open_streams_more_often() -> None:
    progress = [[{"type": "step_progress", "seq": number}] for number in range(1, 15)]
    seen, pauses, asked = broken(503, 503, 503, block(15, "job_failed"), polled=progress)
    assert (seen, len(pauses), asked) == (list(range(1, 16)), 14, ["0", "2", "6", "14"])


def test_a_snapshot_and_its_number_stand_for_events_that_are_gone() -> None:
    job_ = {"status": "done", "mediaPending": 0, "progress": 100.0}
    shot = json.dumps({"type": "job_snapshot", "jobId": "j", "timestamp": "t", "job": job_})
    seen, pauses, asked = broken(f"event: job_snapshot\ndata: {shot}\n\nid: 40\n\n".encode())
    assert (seen, pauses, asked) == ([None], [], ["0"])


def test_a_retried_job_is_followed_past_its_old_end() -> None:
    retried = SAMPLES["job_retrying"]
    stream = block(1, "job_failed", deadLetter=False) + block(2, "job_retrying", error=retried["error"])
    seen, _, asked = broken(stream, block(3, "job_completed", **{**DONE, "mediaPending": 1}), block(4, "media_settled"))
    assert (seen, asked) == ([1, 2, 3, 4], ["0", "2", "3"])


def test_when_nothing_ever_answers_it_gives_up() -> None:
    def away(*_: Any) -> Any:
        raise Away("Nobody is there.")

    with pytest.raises(Away):
        broken(*[503] * 99, poll=away, look=away)


def test_when_it_may_not_ask_it_says_so() -> None:
    def refuse(_after: int) -> Any:
        raise Refused(404, {"code": "not_found", "detail": "There is no such job."})

    with pytest.raises(Refused, match="There is no such job"):
        broken(404, poll=refuse)


def test_how_it_ended_is_asked_until_somebody_answers() -> None:
    looks = iter([Away("Stopping."), Away("Stopping."), {"status": "done"}])
    pauses: list[float] = []

    def look() -> dict[str, Any]:
        found = next(looks)
        if isinstance(found, Away):
            raise found
        return found

    following = Following("", {}, look, lambda _: [], pause=pauses.append, now=lambda: 0.0)
    assert (following.outcome(), pauses) == ({"status": "done"}, [1, 1])


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
def test_who_can_not_answer_just_now_is_asked_again_later(status: int) -> None:
    with serving(status) as server, pytest.raises(Away, match=f"HTTP {status}"):
        Api(server.url, {}).job("x")


@pytest.mark.parametrize("answer", [302, b"<!doctype html>Sign in", b"[1]"])
def test_an_address_where_something_else_answers_is_said_to_be_wrong(answer: int | bytes) -> None:
    with serving(answer) as server, pytest.raises(Refused, match="Check the address"):
        Api(server.url, {}).job("x")


def test_no_server_at_all_is_said_in_words() -> None:
    with pytest.raises(Away, match="does not answer"):
        Api(f"http://127.0.0.1:{free_port()}", {}).job("x")
