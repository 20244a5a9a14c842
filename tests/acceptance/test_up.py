"""``coursewright up``: what it prints, what it looks after, and how it stops."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from base64 import b64encode

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
    page = system.http.request("GET", system.url + "/", headers=kept)
    assert page.status == 200
    assert b"Courses" in page.data
    assert system.http.request("GET", system.url + "/api/catalog", headers=kept).status == 200
    again = system.http.request("GET", link, redirect=False)
    assert again.status == 403
    assert again.json()["code"] == "login_link_spent"
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


def test_metrics_and_the_api_description_are_served(system: System) -> None:
    system.finished(system.start_course())
    metrics = system.http.request("GET", system.url + "/metrics").data.decode()
    assert 'coursewright_jobs{job_type="course",status="done"}' in metrics
    document = system.http.request("GET", system.url + "/api/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    assert "/api/jobs/{job_id}/cancel" in document["paths"]
    page = system.http.request("GET", system.url + "/docs")
    assert page.status == 200
    assert system.http.request("GET", system.url + "/docs/assets/swagger-ui-bundle.js").status == 200


def test_a_second_one_from_the_same_folder_is_refused_with_one_line(system: System) -> None:
    second = subprocess.run(
        [*COMMAND, "up"], cwd=ROOT, env=environment_for(system.home), capture_output=True, text=True, timeout=30
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


@pytest.mark.parametrize("name", ["web", "beat", "valkey", "postgres"])
def test_a_process_that_dies_is_started_again(model_system: System, name: str) -> None:
    system = model_system
    before = system.pids()[name]
    os.kill(before, signal.SIGKILL)
    eventually(lambda: system.pids().get(name, before) != before, what=f"a new {name}")
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


def test_a_killed_supervisor_leaves_nothing_and_the_next_start_works() -> None:
    with running() as system:
        job = system.finished(system.start_course())
        family = psutil.Process(system.child.pid).children(recursive=True)
        system.child.kill()
        system.child.wait()
        if system.child.stdout is not None:
            system.child.stdout.close()
        _, alive = psutil.wait_procs(family, timeout=20)
        assert not alive
        again = launch(system.home)
        system.__dict__.update(again.__dict__)
        assert system.call("GET", f"/api/courses/{job['courseId']}").status == 200
        system.finished(system.start_course())
        began = time.monotonic()
        system.child.send_signal(signal.SIGINT)
        assert system.child.wait(15) == 0
        assert time.monotonic() - began < 15
