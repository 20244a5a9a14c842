"""Sentry and OpenTelemetry, with their real libraries, real processes that fork, and a sink for what they send."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import urllib3

from schema.settings import DEMO_ORGANIZATION_ID
from storage.processes import free_port
from tasks.deps import Deps
from tests.conftest import eventually
from tests.fakes.sink import Sink
from tests.integration.stage import change, job, put_job

ROOT = Path(__file__).parents[2]
ORG = UUID(DEMO_ORGANIZATION_ID)


@pytest.fixture
def sink() -> Iterator[Sink]:
    with Sink() as made:
        yield made


@contextmanager
def process(environ: dict[str, str], tmp_path: Path, *argv: str) -> Iterator[Path]:
    """A process of ours; gives its log. It ends with the block."""
    log = tmp_path / "process.log"
    with log.open("w") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", *argv],
            cwd=ROOT,
            env={**os.environ, **environ, "PYTHONPATH": str(ROOT)},
            stdout=out,
            stderr=out,
        )
    try:
        yield log
    finally:
        child.send_signal(signal.SIGTERM)
        child.wait(30)


def watched(environ: dict[str, str], sink: Sink, **more: str) -> dict[str, str]:
    return {**environ, "SENTRY_DSN": sink.dsn, "OTEL_EXPORTER_OTLP_ENDPOINT": sink.collector, **more}


def test_every_process_of_the_web_tells_of_its_crashes_and_requests(
    environ: dict[str, str], deps: Deps, sink: Sink, tmp_path: Path
) -> None:
    port = free_port()
    given = watched(environ, sink, PORT=str(port), OTEL_BSP_SCHEDULE_DELAY="200")
    command = ("gunicorn", "--config", "web/gunicorn_settings.py", "tests.fakes.crashing_app:create()")
    with process(given, tmp_path, *command) as log, urllib3.PoolManager(retries=False) as http:

        def ask(path: str) -> int:
            try:
                return http.request("GET", f"http://127.0.0.1:{port}{path}", headers={"Connection": "close"}).status
            except urllib3.exceptions.HTTPError:
                return 0

        eventually(lambda: ask("/healthz") == 200, 30, log.read_text())
        pids = set[str]()

        def crash_and_look() -> bool:
            assert ask("/crash?token=a-secret-of-somebody") == 500
            pids.update(event["exception"]["values"][-1]["value"] for event in sink.events)
            return len(pids) >= 2

        eventually(crash_and_look, 30, "a crash in both processes")
        eventually(lambda: [span for span in sink.spans if span["name"] == "GET /crash"], 10, "a span")
        for path in ("/readyz", "/metrics", "/login/a-secret-of-somebody"):
            ask(path)
        assert ask("/api/admin/metrics") == 401
        ask("/api/openapi.json")
        spans = eventually(lambda: [one for one in sink.spans if "openapi" in one["name"]], 10, "a span of the page")
    assert {span["service"] for span in spans} == {"coursewright-web"}
    # Anywhere else those words stand in an address like others.
    paths = {span["more"]["http.target"] for span in sink.spans if "http.target" in span["more"]}
    assert "/api/admin/metrics" in paths and not [
        one for one in paths if re.match("/(healthz|readyz|metrics|login)", one)
    ]
    event = sink.events[0]
    assert event["release"] == "coursewright@0.1.0"
    assert event["tags"]["process"] == "web" and event["tags"]["line"] == "request_crashed"
    assert event["tags"]["request"]
    assert "request" not in event and "user" not in event
    crashes = [span["more"] for span in sink.spans if span["name"] == "GET /crash"]
    assert {one["http.target"] for one in crashes} == {"/crash"} and not any(one["net.peer.ip"] for one in crashes)
    assert not [sent for sent in sink.raw if "a-secret-of-somebody" in sent]


def test_a_worker_tells_of_a_crashed_step_and_traces_its_jobs(
    environ: dict[str, str], deps: Deps, sink: Sink, tmp_path: Path
) -> None:
    sound, broken = put_job(deps, ORG), put_job(deps, ORG)
    change(deps, "UPDATE job_payloads SET payload = '{}' WHERE job_id = :job", job=broken)
    given = watched(environ, sink, OTEL_BSP_SCHEDULE_DELAY="200")
    # With a beat inside, because its ticks are what must not be traced; and they send the jobs.
    command = "celery --app tasks.app worker --beat --queues course,control --pool threads --concurrency 4"
    with process(given, tmp_path, *command.split(), "--hostname", "worker@here") as log:
        eventually(lambda: job(deps, sound).status == "done", 40, f"the job; {log.read_text()}")
        eventually(lambda: job(deps, broken).status == "failed", 30, "the broken job")
        event: dict[str, Any] = eventually(lambda: sink.events, 10, "an event")[0]
        spans = eventually(lambda: [one for one in sink.spans if one["name"].startswith("run/")], 10, "a span")
        statements = eventually(lambda: [one for one in sink.spans if one["more"].get("db.system")], 10, "a statement")
    assert {span["service"] for span in spans} == {"coursewright-worker"}
    assert {span["trace"] for span in statements} <= {span["trace"] for span in sink.spans if "run/" in span["name"]}
    assert not [span for span in sink.spans if "cron" in span["name"]]
    assert event["tags"]["line"] == "step_crashed" and event["tags"]["process"] == "worker"
    assert (event["tags"]["job"], event["tags"]["run"]) == (str(broken), "1")


def test_the_sampler_of_the_environment_decides_about_what_is_worth_it(
    environ: dict[str, str], sink: Sink, tmp_path: Path
) -> None:
    """One trace begun here, one asked for by a caller who is traced, and a tick; each in a process of its own, because
    a process has one provider."""
    kept = {}
    for sampler in ("", "always_on", "always_off", "traceidratio", "parentbased_traceidratio"):
        given = {"OTEL_TRACES_SAMPLER": sampler, "OTEL_TRACES_SAMPLER_ARG": "0"} if sampler else {}
        ended = subprocess.run(
            [sys.executable, "-c", _THREE_TRACES],
            cwd=ROOT,
            env={**os.environ, **watched(environ, sink), **given},
            capture_output=True,
            text=True,
            check=True,
        )
        kept[sampler] = ended.stdout.split()
    assert kept == {
        "": ["here", "there", "statement"],
        "always_on": ["here", "there", "statement"],
        "always_off": [],
        "traceidratio": [],
        "parentbased_traceidratio": ["there", "statement"],
    }


_THREE_TRACES = """
from opentelemetry import trace
from opentelemetry.propagate import extract
from opentelemetry.trace import SpanKind, set_span_in_context
from schema.settings import settings
from tasks import tracing

tracing.start(settings(), "test")
tracer = trace.get_tracer("test")
caller = extract({"traceparent": f"00-{'f' * 32}-{'1' * 16}-01"})
here, there = tracer.start_span("here"), tracer.start_span("there", caller, SpanKind.SERVER)
within = tracer.start_span("statement", set_span_in_context(there), SpanKind.CLIENT)
alone = tracer.start_span("alone", kind=SpanKind.CLIENT)
tick = tracer.start_span("run/coursewright.cron.tick", caller, SpanKind.CONSUMER)
for span in (here, there, within, alone, tick):
    if span.is_recording():
        print(span.name)
"""


@pytest.mark.parametrize("setting", ["SENTRY_DSN", "OTEL_EXPORTER_OTLP_ENDPOINT"])
def test_a_setting_without_its_package_stops_the_start_and_says_what_to_install(
    environ: dict[str, str], setting: str
) -> None:
    without = (
        "import sys, importlib.util as u; find = u.find_spec\n"
        "u.find_spec = lambda name, *rest: None if name.startswith(('sentry_sdk', 'opentelemetry')) else find(name)\n"
        "sys.modules['sentry_sdk.integrations.flask'] = None\n"
    )
    for command in ("from web.app import create_app; create_app()", _WORKER_STARTS):
        ended = subprocess.run(
            [sys.executable, "-c", without + command],
            cwd=ROOT,
            env={**environ, "PATH": "", setting: "http://key@127.0.0.1:1/1"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 1
        assert f"{setting} is set" in ended.stderr.splitlines()[-1]
        assert "pip install -r requirements-observability.txt" in ended.stderr.splitlines()[-1]


_WORKER_STARTS = "from tasks.app import app; app.start(['worker', '--pool', 'threads', '--queues', 'nobody'])"
