"""``coursewright demo`` when somebody ends it early: nothing of it is left, and nothing is in the way of the next."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
import pytest

from tests.acceptance.conftest import COMMAND, ROOT, environment_for
from tests.conftest import eventually


@pytest.fixture
def home() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="coursewright-demo-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def begun(home: Path, *words: str) -> Iterator[subprocess.Popen[str]]:
    """A command, once its first processes run. All it started is gone when the block ends."""
    with (home / "said.txt").open("a") as said:
        child = subprocess.Popen(
            [*COMMAND, *words], cwd=ROOT, env=environment_for(home), stdout=said, stderr=said, text=True
        )
    try:
        eventually(lambda: child.poll() is not None or running_from(home) > 3, within=60, what="the first processes")
        yield child
    finally:
        child.kill()
        child.wait()
        eventually(lambda: not running_from(home), within=30, what="the end of all processes")


def running_from(home: Path) -> int:
    """How many processes of this home folder there are."""
    found = 0
    for process in psutil.process_iter():
        try:
            found += process.environ().get("COURSEWRIGHT_HOME") == str(home)
        except psutil.Error:
            continue
    return found


def test_ctrl_c_while_it_starts_ends_it_also_when_pressed_again(home: Path) -> None:
    with begun(home, "demo") as child:
        child.send_signal(signal.SIGINT)
        with suppress(subprocess.TimeoutExpired):
            child.wait(0.3)  # meanwhile it stops what it started
        child.send_signal(signal.SIGINT)
        assert child.wait(40) == 130
        assert running_from(home) == 0
    said = (home / "said.txt").read_text()
    assert "Traceback" not in said and "Aborted" not in said


def test_sigterm_ends_it_with_all_it_started(home: Path) -> None:
    with begun(home, "demo") as child:
        eventually(lambda: "Everything is up" in (home / "said.txt").read_text(), within=90)
        child.send_signal(signal.SIGTERM)
        assert child.wait(40) == 143
        assert running_from(home) == 0


def test_a_killed_one_takes_everything_along_and_the_next_waits_for_that(home: Path) -> None:
    with begun(home, "demo") as child:
        table, lock = home / "run" / "processes.json", home / "run" / "supervisor.lock"
        eventually(lambda: "valkey" in table.read_text() if table.exists() else False, what="the servers")
        slow = json.loads(table.read_text())["valkey"]
        stopping = lock.read_text()
        os.kill(slow, signal.SIGSTOP)  # so that the end takes a while
        child.kill()
        child.wait()
        eventually(lambda: lock.read_text() != stopping, within=60, what="the word that it is stopping")
        with begun(home, "up", "--json") as again:
            waits = f"The one that ran here before (pid {stopping}) is still stopping; waiting for it."
            eventually(lambda: waits in (home / "said.txt").read_text(), within=60, what="the next one's word")
            os.kill(slow, signal.SIGCONT)
            eventually(lambda: lock.read_text() == str(again.pid), within=60, what="the next one's turn")
            refused = subprocess.run(
                [*COMMAND, "up"], cwd=ROOT, env=environment_for(home), capture_output=True, text=True, timeout=60
            )
            assert refused.returncode == 2
            assert f"already running from {home} (pid {again.pid})" in refused.stderr
            os.kill(again.pid, signal.SIGTERM)
            assert again.wait(40) == 0
