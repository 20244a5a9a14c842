"""Following a job from the command line, over a real web server and without one."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn
from uuid import UUID

import pytest
from click.testing import CliRunner, Result

from schema.clock import new_id
from schema.settings import Settings
from storage.processes import free_port
from tasks import once
from tasks.commands import Asker, cancel_job
from tasks.deps import Deps
from tests.conftest import Outbox, eventually, make_deps, use
from tests.integration.stage import SUMS, one, put_job, school, start, told
from tests.integration.web_process import AGENT, ORG, Web, halt, serve
from web.cli import cli
from web.cli.follow import _follow
from web.client import Api, Following

pytestmark = pytest.mark.usefixtures("empty_store")


@pytest.fixture
def web(settings: Settings, outbox: Outbox, environ: dict[str, str], tmp_path: Path) -> Iterator[Web]:
    """A web server, and deps that know where it is, as commands on its machine do."""
    port = free_port()
    made = make_deps(replace(settings, port=port), outbox)
    use(made)
    running = serve(made, environ, tmp_path / "web.log", port)
    yield running
    halt(running)
    made.close()


@pytest.fixture
def alone(settings: Settings, outbox: Outbox) -> Iterator[Deps]:
    """Deps of a machine whose web server is away."""
    made = make_deps(replace(settings, port=1), outbox)
    use(made)
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
        (["generate", "Addition", "--mode", "numeric", "--grade-band", "2", "--items", "0"], "itemsPerGroup"),
        (["generate"], "Name either a subject or --exam"),
        (["watch", str(job_id), "--token", "x", "--url", f"http://127.0.0.1:{free_port()}"], "does not answer"),
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


@pytest.mark.parametrize("as_json", [True, False])
def test_ctrl_c_leaves_the_job_alone_and_says_how_to_come_back(
    capsys: pytest.CaptureFixture[str], as_json: bool
) -> None:
    def interrupted(_after: int) -> NoReturn:
        raise KeyboardInterrupt

    with pytest.raises(SystemExit) as ended:
        _follow(Following("http://127.0.0.1:1", {}, dict, interrupted), "72062cdf", as_json)
    assert ended.value.code == 130
    assert "coursewright watch 72062cdf" in capsys.readouterr().err


def test_ctrl_c_before_an_answer_is_no_failed_job(deps: Deps, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: Any) -> NoReturn:
        raise KeyboardInterrupt

    monkeypatch.setattr(Api, "start", interrupted)
    outcome = run(deps, "generate", "Fish", "--grade-band", "6", *REMOTE, "http://127.0.0.1:1")
    assert (outcome.exit_code, "jobs list" in outcome.stderr) == (130, True)


def test_a_stranger_sees_nothing(alone: Deps, asker: Asker) -> None:
    job_id = start(alone, asker)
    outcome = run(alone, "watch", str(job_id), "--organization", str(school(alone).organization_id))
    assert (outcome.exit_code, "There is no such job." in outcome.stderr) == (2, True)
