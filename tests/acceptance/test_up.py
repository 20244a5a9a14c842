"""``coursewright up``: what it prints, what it looks after, and how it stops."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import time
from base64 import b64encode
from pathlib import Path

import psutil
import pytest

from tests.acceptance.conftest import COMMAND, ROOT, System, environment_for, launch, running
from tests.conftest import eventually

PROCESSES = {"web", "worker", "media", "control", "beat", "flower", "postgres", "valkey", "s3"}


def test_the_one_line_says_where_everything_is(system: System) -> None:
    assert set(system.ready["processes"]) == PROCESSES
    assert system.ready["pid"] == system.child.pid
    assert system.pids().keys() == PROCESSES
    for pid in system.ready["processes"].values():
        assert psutil.pid_exists(pid)
    assert system.call("GET", "/healthz").json() == {"status": "alive"}
    ready = system.call("GET", "/readyz")
    assert ready.status == 200, ready.data
    assert set(ready.json()["dependencies"].values()) == {"ready", "not configured"}


def test_a_login_link_works_once(system: System) -> None:
    link = system.ready["loginUrl"]
    first = system.http.request("GET", link, redirect=False)
    assert first.status == 302
    cookie = first.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    kept = {"Cookie": cookie.split(";")[0]}
    assert first.headers["Location"] == "/"
    assert system.http.request("GET", system.url + "/", headers=kept).headers["Location"] == "/catalog"
    page = system.http.request("GET", system.url + "/catalog", headers=kept)
    assert page.status == 200
    assert b"Courses" in page.data
    assert system.http.request("GET", system.url + "/api/catalog", headers=kept).status == 200
    again = system.http.request("GET", link, redirect=False)
    assert again.status == 403
    assert again.json()["code"] == "login_link_spent"
    seen = system.http.request("GET", link, redirect=False, headers={"Accept": "text/html,*/*;q=0.8"})
    assert (seen.status, seen.headers["Content-Type"]) == (403, "text/html; charset=utf-8")
    assert b"login_link_spent" in seen.data and b"fresh one" in seen.data
    elsewhere = kept | {"Origin": "https://evil.example", "Content-Type": "application/json"}
    forged = system.http.request("POST", system.url + "/api/jobs", headers=elsewhere, body=b"{}")
    assert forged.status == 403
    assert forged.json()["code"] == "cross_site"


def test_flower_asks_for_a_password_and_its_metrics_are_closed(system: System) -> None:
    url = system.ready["flowerUrl"]
    assert system.http.request("GET", url + "/").status == 401
    assert system.http.request("GET", url + "/metrics").status in {401, 404}
    secrets = json.loads((system.home / "secrets.json").read_text())
    basic = b64encode(f"coursewright:{secrets['flower']}".encode()).decode()
    known = {"Authorization": f"Basic {basic}"}
    assert system.http.request("GET", url + "/workers", headers=known).status == 200
    assert system.http.request("GET", url + "/metrics", headers=known).status == 404


def test_requests_are_counted_over_all_processes_of_the_web(system: System) -> None:
    def counted() -> float:
        text = system.http.request("GET", system.url + "/metrics").data.decode()
        [line] = [line for line in text.splitlines() if line.startswith("coursewright_http_requests_total{") and (
            'blueprint="system",method="GET",status="200"' in line
        )]  # fmt: skip
        return float(line.rpartition(" ")[2])

    before = counted()
    for _ in range(40):
        system.http.request("GET", system.url + "/healthz", headers={"Connection": "close"})
    assert counted() >= before + 40


def test_metrics_and_the_api_description_are_served(system: System) -> None:
    system.finished(system.start_course())
    metrics = system.http.request("GET", system.url + "/metrics").data.decode()
    assert 'coursewright_jobs_ended_last_five_minutes{job_type="course",status="done"}' in metrics
    document = system.http.request("GET", system.url + "/api/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert "/api/jobs/{job_id}/cancel" in document["paths"]
    page = system.http.request("GET", system.url + "/docs")
    assert page.status == 200
    assert system.http.request("GET", system.url + "/docs/assets/swagger-ui-bundle.js").status == 200


def test_a_second_one_from_the_same_folder_is_refused_with_one_line(system: System) -> None:
    second = subprocess.run(
        [*COMMAND, "up"], cwd=ROOT, env=environment_for(system.home), capture_output=True, text=True, timeout=60
    )
    assert second.returncode == 2
    assert second.stderr.count("\n") == 1
    assert str(system.child.pid) in second.stderr


def test_a_busy_port_asked_for_by_number_is_one_line(system: System) -> None:
    port = system.url.rsplit(":", 1)[1]
    home = system.home / "another"
    home.mkdir(exist_ok=True)
    refused = subprocess.run(
        [*COMMAND, "up"], cwd=ROOT, env=environment_for(home, PORT=port), capture_output=True, text=True, timeout=60
    )
    assert refused.returncode == 2
    assert refused.stderr.strip() == (
        f"coursewright: Port {port} is in use. Set PORT to another one, or to 0 for any free one."
    )


def command(home: Path, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *words], cwd=ROOT, env=environment_for(home, **more), capture_output=True, text=True, timeout=60
    )


@pytest.mark.parametrize("words", [("up",), ("demo",)], ids=["up", "demo"])
def test_a_faulty_setting_is_one_line_before_anything_is_made(tmp_path: Path, words: tuple[str]) -> None:
    refused = command(tmp_path, *words, LOG_LEVEL="LOUD", WEB_CONCURRENCY="0")
    assert (refused.returncode, refused.stdout, refused.stderr.count("\n")) == (2, "", 1), refused
    assert refused.stderr.startswith("coursewright: ")
    assert "LOG_LEVEL is 'LOUD'" in refused.stderr and "WEB_CONCURRENCY is '0'" in refused.stderr
    assert not (tmp_path / "postgres").exists() and not (tmp_path / "secrets.json").exists()


@pytest.mark.parametrize("words", [("up",), ("db", "upgrade"), ("jobs", "list")], ids=" ".join)
def test_a_database_out_of_reach_is_one_line(tmp_path: Path, words: tuple[str, ...]) -> None:
    away = {"DATABASE_URL": "postgresql://somebody:secret@127.0.0.1:1/nowhere"}
    if words[0] != "up":
        away |= {"REDIS_URL": "redis://127.0.0.1:1", "S3_ENDPOINT_URL": "http://127.0.0.1:1"}
        away |= {"S3_ACCESS_KEY": "key", "S3_SECRET_KEY": "secret", "SECRET_KEY": "secret"}
    refused = command(tmp_path, *words, **away)
    said = [line for line in refused.stderr.splitlines() if not line.startswith(("Starting ", "Stopping "))]
    assert (refused.returncode, refused.stdout, len(said)) == (2, "", 1), refused
    assert said[0].startswith("coursewright: The database") and "secret" not in said[0]


@pytest.mark.parametrize("name", ["web", "beat", "valkey", "postgres"])
def test_a_process_that_dies_is_started_again(model_system: System, name: str) -> None:
    system = model_system
    before = system.pids()[name]
    orphans = psutil.Process(before).children(recursive=True)
    os.kill(before, signal.SIGKILL)
    eventually(lambda: system.pids().get(name, before) != before, what=f"a new {name}")
    # They still answer for a moment, and then hang up.
    eventually(lambda: not any(child.is_running() for child in orphans), what="the end of what it had started")
    eventually(lambda: _ready(system), what="everything being ready again")
    system.finished(system.start_course())


def _ready(system: System) -> bool:
    try:
        return system.call("GET", "/readyz").status == 200
    except OSError:
        return False
    except Exception as error:
        if type(error).__module__.startswith("urllib3"):
            return False
        raise


def test_a_killed_one_takes_everything_along_and_the_next_waits_for_that_and_starts_where_it_is_told() -> None:
    with running() as system:
        job = system.finished(system.start_course())
        family = psutil.Process(system.child.pid).children(recursive=True)
        lock = system.home / "run" / "supervisor.lock"
        killed, kept = str(system.child.pid), lock.read_text()
        system.child.kill()
        system.child.wait()
        if system.child.stdout is not None:
            system.child.stdout.close()
        again = launch(system.home, HOST="127.0.0.2")
        system.__dict__.update(again.__dict__)
        assert not [process for process in family if process.is_running()]
        assert kept == killed and lock.read_text() == str(system.child.pid)
        assert system.url.startswith("http://127.0.0.2:")
        assert system.ready["loginUrl"].startswith(system.url + "/login/")
        assert system.ready["flowerUrl"].startswith("http://127.0.0.2:")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", int(system.url.rsplit(":", 1)[1])), timeout=2)
        link = command(system.home, "login-link", PORT="", FLOWER_PORT="")
        assert link.stdout.startswith(system.url + "/login/"), link
        assert system.call("GET", f"/api/courses/{job['courseId']}").status == 200
        system.finished(system.start_course())
        began = time.monotonic()
        system.child.send_signal(signal.SIGINT)
        assert system.child.wait(15) == 0
        assert time.monotonic() - began < 15
        assert command(system.home, "jobs", "list").stderr.startswith("coursewright: Nothing is running from ")
