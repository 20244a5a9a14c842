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
from rich.console import Console

from tests.acceptance.conftest import COMMAND, ROOT, TOKEN, System, environment_for
from tests.conftest import eventually
from web.demo.courses import Client, DemoFailed, Ordered, report, watch
from web.demo.wall import check_wall


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


# --- schools side by side, on a system that runs already ------------------------------------------------------------


def school(system: System, name: str) -> Client:
    """One more organization, made as the demo makes it."""
    made = subprocess.run(
        [*COMMAND, "org", "create", name],
        cwd=ROOT,
        env=environment_for(system.home),
        capture_output=True,
        text=True,
        check=True,
    )
    return Client(system.url, TOKEN, made.stdout.strip(), lambda: None, name)


SUMS = {"subject": "Addition", "gradeBand": "1-2", "grade": "2", "mode": "numeric", "itemsPerGroup": 4}


def test_two_schools_each_see_their_own_and_nothing_of_the_other(system: System) -> None:
    demo = Client(system.url, TOKEN, system.organization, lambda: None)
    lakeside = school(system, "Lakeside School")
    with (system.home / "schools.txt").open("w+") as said:
        console = Console(file=said, width=160, highlight=False)
        ordered = watch(console, [demo, lakeside], {"Sums": SUMS})
        assert [order.name for order in ordered] == ["Demo school: Sums", "Lakeside School: Sums"]
        courses = [(order, report(console, order)) for order in ordered]
        check_wall(console, [demo, lakeside], courses)
        said.seek(0)
        told = said.read()
    assert "Lakeside School sees its own 1 new courses. Of the others' 1 it is told:" in told
    for door in ("the job", "its events", "its stream", "to cancel it", "the course", "the course's file"):
        assert told.count(f"    {door:<34} 404") == 2, told
    # It can fail: who asks for its own things is not told 404, and the check says so.
    own = [(Ordered(lakeside, order.name, order.job_id, order.bar, 0), course) for order, course in courses[:1]]
    with pytest.raises(DemoFailed, match="does not find its own"):
        check_wall(console, [lakeside], own)
    with pytest.raises(DemoFailed, match=r"sees .* of another school"):
        check_wall(console, [demo], [(Ordered(lakeside, "", "", ordered[0].bar, 0), courses[0][1])])
    for client in (demo, lakeside):
        client.http.clear()


def test_the_demo_takes_the_number_of_schools() -> None:
    refused = subprocess.run(
        [*COMMAND, "demo", "--schools", "6"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert refused.returncode == 2 and "1<=x<=5" in refused.stderr
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert "coursewright demo $(if $(ORGS),--schools $(ORGS))" in makefile
