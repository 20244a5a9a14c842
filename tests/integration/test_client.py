"""Following a job from the command line and from a program: over a real web server, and over one that breaks."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from schema.clock import new_id
from schema.event_samples import SAMPLES
from schema.settings import Settings
from storage.processes import free_port
from tasks import deps as wiring
from tasks import once
from tasks.commands import Asker, cancel_job
from tasks.deps import Deps
from tests.conftest import Outbox, eventually, make_deps
from tests.integration.stage import SUMS, one, put_job, school, start, told
from tests.integration.web_process import AGENT, ORG, Web, halt, serve
from web.cli import cli
from web.client import Api, Away, Following, Refused

pytestmark = pytest.mark.usefixtures("empty_store")


@pytest.fixture
def web(settings: Settings, outbox: Outbox, environ: dict[str, str], tmp_path: Path) -> Iterator[Web]:
    """A web server, and deps that know where it is, as commands on its machine do."""
    port = free_port()
    made = make_deps(replace(settings, port=port), outbox)
    wiring.use(made)
    running = serve(made, environ, tmp_path / "web.log", port)
    yield running
    halt(running)
    made.close()


@pytest.fixture
def alone(settings: Settings, outbox: Outbox) -> Iterator[Deps]:
    """Deps of a machine whose web server is away."""
    made = make_deps(replace(settings, port=1), outbox)
    wiring.use(made)
    yield made
    made.close()


def run(deps: Deps, *words: str) -> Result:
    return CliRunner().invoke(cli, words, env={"DATABASE_URL": deps.settings.database_url, "AGENT_TOKEN": ""})


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.stdout.splitlines()]


@contextmanager
def working(deps: Deps) -> Iterator[None]:
    """A worker that takes up what is due."""
    enough = threading.Event()

    def work() -> None:
        while not enough.wait(0.05):
            once.run_due(deps)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        enough.set()
        thread.join(60)


def test_jobs_are_followed_on_this_machine_and_over_the_api(web: Web, asker: Asker) -> None:
    with working(web.deps):
        job_id = asked_for_and_followed(web)
    refused_with_words(web, job_id)
    failed_or_cancelled(web, asker)


REMOTE = ["--token", AGENT["X-Agent-Token"], "--organization", str(ORG), "--url"]


def asked_for_and_followed(web: Web) -> UUID:
    here = run(web.deps, "generate", "Addition", "--grade-band", "2", "--mode", "numeric", "--items", "4", "--json")
    assert here.exit_code == 0, here.output
    found = lines(here)
    assert [event["seq"] for event in found] == list(range(1, len(found) + 1))
    assert (found[0]["type"], found[-1]["type"]) == ("job_created", "job_completed")
    job_id = UUID(found[0]["jobId"])
    assert found == told(web.deps, job_id)
    assert one(web.deps, "SELECT payload->>'itemsPerGroup' FROM job_payloads WHERE job_id = :id", id=job_id) == "4"
    there = run(web.deps, "generate", "The water cycle", "--grade-band", "4", "--pictures", *REMOTE, web.url)
    assert there.exit_code == 0, there.output
    assert "Planning the course" in there.stdout and "A picture is made" in there.stdout
    assert there.stdout.splitlines()[-1].startswith("Done: course the-water-cycle-")
    again = run(web.deps, "watch", str(job_id), *REMOTE, web.url, "--json")
    assert (again.exit_code, lines(again)) == (0, found), "what is over can be seen again"
    return job_id


def refused_with_words(web: Web, job_id: UUID) -> None:
    for words, said in (
        (["generate", "Fish", "--grade-band", "6", *REMOTE, web.url], "model"),
        (["generate", "Fish", "--grade-band", "6"], "model"),
        (["watch", str(new_id()), *REMOTE, web.url], "There is no such job."),
        (["watch", str(new_id())], "There is no such job."),
        (["watch", str(job_id), "--url", web.url, "--token", "wrong"], "agent token"),
        (["watch", str(job_id), "--url", "courses.example.org", "--token", "x"], "is not an address"),
        (["watch", str(job_id), "--url", web.url], "No token"),
        (["generate", "Addition", "--mode", "numeric"], "gradeBand"),
        (["generate"], "Name either a subject or --exam"),
    ):
        outcome = run(web.deps, *words)
        assert (outcome.exit_code, outcome.stdout) == (2, ""), (words, outcome.output)
        assert said in outcome.stderr, (words, outcome.output)


def failed_or_cancelled(web: Web, asker: Asker) -> None:
    failing = put_job(web.deps, ORG, payload=FAULTY)
    once.run_due(web.deps)
    seen = run(web.deps, "watch", str(failing))
    assert seen.exit_code == 1, seen.output
    assert f"coursewright jobs retry {failing}" in seen.stdout

    waiting = start(web.deps, asker)
    outcome: list[Result] = []
    watching = threading.Thread(target=lambda: outcome.append(run(web.deps, "watch", str(waiting), "--json")))
    watching.start()
    eventually(lambda: web.metric('coursewright_http_streams_open{kind="job"}') >= 1, 30, "a watcher")
    cancel_job(web.deps, asker, waiting, "Wrong grade")
    watching.join(60)
    [result] = outcome
    assert result.exit_code == 1
    assert [event["type"] for event in lines(result)] == ["job_created", "job_cancelled"]


#: Nobody serves this, which the step finds out.
FAULTY = {**SUMS, "subject": "Fish", "levelsCount": 3, "notes": "", "language": "en", "visibility": "org", "tags": []}


def test_without_a_stream_events_are_asked_for(alone: Deps, asker: Asker) -> None:
    job_id = start(alone, asker)
    once.run_due(alone)
    seen = run(alone, "watch", str(job_id), "--json")
    assert (seen.exit_code, lines(seen)) == (0, told(alone, job_id))


def test_a_stranger_sees_nothing(alone: Deps, asker: Asker) -> None:
    job_id = start(alone, asker)
    outcome = run(alone, "watch", str(job_id), "--organization", str(school(alone).organization_id))
    assert (outcome.exit_code, "There is no such job." in outcome.stderr) == (2, True)


# --- a server that breaks ---------------------------------------------------------------------------------------


class Breaking(ThreadingHTTPServer):
    """Streams by a script: each connection gets the next part, a status or bytes after which it breaks off."""

    daemon_threads = True

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
        self.send_header("Content-Type", "text/event-stream; charset=utf-8")
        self.end_headers()
        if isinstance(part, bytes):
            self.wfile.write(part)
        self.close_connection = True


def block(number: int, type_: str = "step_progress", **body: Any) -> bytes:
    event = {"type": type_, "jobId": "j", "seq": number, "timestamp": "t", **body}
    return f"id: {number}\nevent: {type_}\ndata: {json.dumps(event)}\n\n".encode()


def broken(*script: int | bytes, polled: list[list[dict[str, Any]]] | None = None, **more: Any) -> Any:
    """Follow a job over such a server. Time passes only in pauses. Returns events, pauses and what was asked with."""
    server = Breaking(*script)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    clock, pauses = [0.0], []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        clock[0] += seconds

    def poll(_after: int) -> list[dict[str, Any]]:
        return polled.pop(0) if polled else []

    def look() -> dict[str, Any]:
        return {"status": "processing", "mediaPending": 0}

    given: dict[str, Any] = {"look": look, "poll": poll, **more}
    following = Following(server.url, {}, pause=pause, now=lambda: clock[0], **given)
    try:
        return [event.get("seq") for event in following.events()], pauses, server.asked
    finally:
        server.shutdown()
        server.server_close()


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


def test_no_server_at_all_is_said_in_words() -> None:
    with pytest.raises(Away, match="does not answer"):
        Api(f"http://127.0.0.1:{free_port()}", {}).job("x")
