"""The parent of all processes: one for a home folder, and what it says on stderr."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.processes import Spec, StartFailed
from tests.conftest import eventually
from web.supervisor import Supervisor


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    """A supervisor takes the signals of its process; the tests want theirs back."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def lock_of(home: Path, words: str) -> int:
    """The lock as another supervisor holds it."""
    (home / "run").mkdir()
    held = os.open(home / "run" / "supervisor.lock", os.O_RDWR | os.O_CREAT)
    os.write(held, words.encode())
    fcntl.flock(held, fcntl.LOCK_EX)
    return held


def test_one_that_runs_is_not_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = lock_of(tmp_path, "4711")
    with (
        pytest.raises(StartFailed, match=r"already running from .* \(pid 4711\)\. .* kill 4711\)"),
        Supervisor(tmp_path),
    ):
        pass
    os.close(held)
    assert capsys.readouterr().err == ""


def test_one_that_stops_is_waited_for(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    held = lock_of(tmp_path, "4711 stopping")
    threading.Timer(0.5, os.close, (held,)).start()
    with Supervisor(tmp_path):
        assert (tmp_path / "run" / "supervisor.lock").read_text() == str(os.getpid())
    said = "The one that ran here before (pid 4711) is still stopping; waiting for it.\n"
    assert capsys.readouterr().err == said


def test_one_that_does_not_end_is_not_waited_for_for_ever(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("web.supervisor._PATIENCE_SECONDS", 0.3)
    held = lock_of(tmp_path, "4711 stopping")
    with pytest.raises(StartFailed, match="pid 4711"), Supervisor(tmp_path):
        pass
    os.close(held)


def test_whoever_asks_it_to_stop_others_can_see_it(tmp_path: Path) -> None:
    lock = tmp_path / "run" / "supervisor.lock"
    with Supervisor(tmp_path) as supervisor:
        os.kill(os.getpid(), signal.SIGTERM)
        eventually(lambda: supervisor.stopping, within=5)
        os.kill(os.getpid(), signal.SIGTERM)
        assert lock.read_text() == f"{os.getpid()} stopping"


def test_what_it_starts_and_starts_again_is_told_in_short_lines(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    again = tmp_path / "again"
    script = f"""
import pathlib, sys, time
again = pathlib.Path({str(again)!r})
if again.exists():
    again.write_text("running")
    time.sleep(60)
again.touch()
sys.exit("x" * 5000)
"""
    spec = Spec("fragile", [sys.executable, "-c", script], tmp_path / "logs" / "fragile.log")
    with Supervisor(tmp_path) as supervisor:
        supervisor.start([spec])

        def stop_when_it_runs_again() -> None:
            eventually(lambda: again.exists() and again.read_text() == "running", within=20)
            supervisor.stopping = True

        threading.Thread(target=stop_when_it_runs_again).start()
        supervisor.watch()
    started, ended, started_again, stopped = capsys.readouterr().err.splitlines()
    assert started == f"Starting fragile. Their logs are in {tmp_path / 'logs'}"
    assert ended == f"fragile ended with code 1; starting it again in 0.2 s. {'x' * 200}"
    assert (started_again, stopped) == ("fragile is started again.", "Stopping everything.")
