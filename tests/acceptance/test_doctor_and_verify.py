"""``coursewright doctor`` and ``coursewright verify`` on a running system."""

from __future__ import annotations

import json
import subprocess
from typing import Any

import pytest

from tests.acceptance.conftest import COMMAND, ROOT, TOKEN, System, environment_for


def command(system: System, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    environment = environment_for(system.home, **more)
    environment.pop("PORT")
    environment.pop("FLOWER_PORT")
    return subprocess.run(
        [*COMMAND, *words], cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=120
    )


def test_the_doctor_finds_a_running_system_well(system: System) -> None:
    ended = command(system, "doctor", "--json")
    told = json.loads(ended.stdout)
    found = {check["name"]: check for check in told["checks"]}
    faults = [check for check in told["checks"] if check["state"] == "fault"]
    assert (ended.returncode, faults) == (0, [])
    for name in ("settings", "processes", "migrations", "redis policy", "bucket courses", "workers", "beat", "queue"):
        assert found[name]["state"] == "ok", found[name]


def test_the_doctor_speaks_in_lines(system: System) -> None:
    ended = command(system, "doctor", "--no-ping")
    *lines, last = ended.stdout.splitlines()
    assert {line.split()[0] for line in lines} <= {"ok", "warning"}
    assert last == f"{len(lines)} checks: 0 faults, {sum(line.startswith('warning') for line in lines)} warnings."
    assert not [line for line in lines if line.split()[1] in ("workers", "beat")]


def catalog(system: System) -> dict[str, Any]:
    listed: dict[str, Any] = system.call("GET", "/api/catalog").json()
    return listed


def choose(system: System, **chosen: Any) -> None:
    assert system.call("PUT", "/api/settings", {"settings": chosen}).status == 200


def test_verify_goes_all_the_way_and_a_second_time_makes_no_second_course(system: System) -> None:
    for required in (False, True):
        choose(system, requireReview=required)  # whoever verifies approves the course he made for that
        ended = command(system, "verify", system.url, "--json", AGENT_TOKEN=TOKEN)
        told = json.loads(ended.stdout)
        assert (ended.returncode, told["state"]) == (0, "ok"), told
        assert "stream" in [check["name"] for check in told["checks"]]
        assert [check["name"] for check in told["checks"]][-3:] == ["content", "catalog", "changes"]
        mine = [entry for entry in catalog(system)["courses"] if entry["id"].startswith("coursewright-verify")]
        assert len(mine) == 1
    choose(system)
    assert system.call("GET", "/api/courses/coursewright-verify").json()["revision"] == 2


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--token", "wrong"], 1, "failed"),
        (["--organization", "00000000-0000-4000-8000-0000000000ff"], 1, "coursewright org list"),
        (["--organization", "nobody"], 2, "not an organization id"),
    ],
)
def test_verify_says_what_does_not_hold(system: System, words: list[str], code: int, said: str) -> None:
    ended = command(system, "verify", system.url, *words)
    assert ended.returncode == code
    assert said in (ended.stdout + ended.stderr).lower()
    if code == 1:
        assert ended.stdout.splitlines()[-1].startswith("skipped")


def test_verify_wants_an_address_and_a_token(system: System) -> None:
    assert command(system, "verify", "nonsense").returncode == 2
    assert command(system, "verify", system.url, AGENT_TOKEN="").returncode == 2
    assert command(system, "verify", "http://127.0.0.1:1").returncode == 1
