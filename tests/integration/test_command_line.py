"""What the command line refuses at once, each time with one line that says what to do."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from web.cli import cli
from web.cli.wiring import find_system


@pytest.fixture
def signals() -> Iterator[None]:
    """Puts back what ``coursewright up`` does about signals, which it does for its whole process."""
    asked_to_end = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    kept = {number: signal.getsignal(number) for number in asked_to_end}
    yield
    for number, action in kept.items():
        signal.signal(number, action)


def command(home: Path, *words: str, **environment: str) -> Result:
    ports = {"PORT": "0", "FLOWER_PORT": "0"}
    return CliRunner().invoke(cli, words, env={"COURSEWRIGHT_HOME": str(home), **ports, **environment})


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"LOG_LEVEL": "LOUD", "WEB_CONCURRENCY": "0"}, ["LOG_LEVEL is 'LOUD'", "WEB_CONCURRENCY is '0'"]),
        ({"S3_ENDPOINT_URL": "http://127.0.0.1:1"}, ["S3_ACCESS_KEY is not set", "S3_SECRET_KEY is not set"]),
        ({"PORT": "http"}, ["PORT is 'http'"]),
        ({"PORT": "9", "FLOWER_PORT": "9"}, ["PORT and FLOWER_PORT are both 9"]),
        ({"HOST": "192.0.2.1"}, ["HOST is '192.0.2.1'"]),
    ],
    ids=["settings", "half a store", "no port", "one port for two", "an address of elsewhere"],
)
def test_a_faulty_setting_is_one_line_before_anything_is_made(
    tmp_path: Path, changes: dict[str, str], said: list[str]
) -> None:
    refused = command(tmp_path, "up", **changes)
    assert (refused.exit_code, refused.stdout, refused.stderr.count("\n")) == (2, "", 1), refused.output
    assert refused.stderr.startswith("coursewright: ")
    assert all(words in refused.stderr for words in said), refused.stderr
    assert not (tmp_path / "postgres").exists() and not (tmp_path / "secrets.json").exists()


@pytest.mark.usefixtures("signals")
def test_a_home_that_can_not_be_used_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused = command(tmp_path / "file", "up")
    assert (refused.exit_code, refused.stdout, refused.stderr.count("\n")) == (2, "", 1), refused.output
    assert refused.stderr.startswith(f"coursewright: {tmp_path / 'file'} can't be used: ")


def test_a_command_without_a_system_says_how_to_start_one(tmp_path: Path) -> None:
    refused = command(tmp_path, "jobs", "list", DATABASE_URL="")
    assert refused.exit_code == 2
    assert refused.stderr == (
        f"coursewright: Nothing is running from {tmp_path}. Start it with: coursewright up "
        "(or set DATABASE_URL and the others, see README).\n"
    )


@pytest.mark.parametrize(("asked", "found"), [("0", "8123"), ("", "8123"), ("9000", "9000")])
def test_the_port_is_the_one_that_was_found_for_who_asked_for_any(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, asked: str, found: str
) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "environment.json").write_text('{"PORT": "8123", "SECRET_KEY": "kept"}')
    for name, value in {
        "COURSEWRIGHT_HOME": str(tmp_path),
        "DATABASE_URL": "",
        "PORT": asked,
        "SECRET_KEY": "0",
    }.items():
        monkeypatch.setenv(name, value)
    assert find_system()
    assert (os.environ["PORT"], os.environ["SECRET_KEY"]) == (found, "0")


@pytest.mark.parametrize("words", [("--limit", "0"), ("--limit", "201"), ("--status", "sleeping")])
def test_a_filter_of_jobs_that_makes_no_sense_is_bad_usage(tmp_path: Path, words: tuple[str, str]) -> None:
    refused = command(tmp_path, "jobs", "list", *words)
    assert refused.exit_code == 2
    assert words[0] in refused.stderr and "Traceback" not in refused.stderr
