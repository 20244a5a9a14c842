"""Checks of the run as a whole, its processes and servers, on systems that stand in for a real one."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from tests.chaos import server_checks
from tests.chaos.connections import Connected, of_postgres, of_valkey
from tests.chaos.evidence import Evidence, Told
from tests.chaos.faults import Attack, Done
from tests.chaos.ledger import Asked, Ledger
from tests.chaos.load import Client
from tests.chaos.plan import KINDS, LONG, SHORT, Fault
from tests.chaos.plan_checks import carried_out
from tests.chaos.recovery import come_back_in_time, recoveries, undisturbed
from tests.chaos.run import unsettled
from tests.chaos.server_checks import POOL
from tests.chaos.system import System, halt
from tests.chaos.twice import Doubler, doubling
from tests.chaos.world import AT, disturbed


class StandIn:
    """Answers as a system would. ``told`` is what a query brings, ``waiting`` how many messages each queue has."""

    def __init__(self, home: Path, told: list[tuple[Any, ...]] | None = None, waiting: int = 0) -> None:
        self.home = home
        self.told = told or []
        self.waiting = waiting
        self.redis = self
        self.keeper = self
        self.settings = self
        self.database_url = self.redis_url = "x://127.0.0.1:1"
        self.not_running: list[str] = []

    def rows(self, _: str) -> list[tuple[Any, ...]]:
        return self.told

    def llen(self, _: str) -> int:
        return self.waiting

    def client_list(self) -> list[dict[str, str]]:
        return [{"name": name, "addr": f"127.0.0.1:{port}"} for name, port in self.told]

    def down(self) -> list[str]:
        return self.not_running

    def close(self) -> None:
        """There is nothing to close."""


_SLEEPER = (sys.executable, "-c", "import time; time.sleep(60)")
Server = tuple[StandIn, socket.socket]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    """A stand-in whose servers have an address, and a connection of this process to it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        system = StandIn(tmp_path)
        system.database_url = system.redis_url = f"x://127.0.0.1:{listening.getsockname()[1]}"
        with socket.create_connection(listening.getsockname()) as ours:
            yield system, ours


def found(check: Callable[..., Iterator[str]], system: StandIn) -> list[str]:
    return list(check(cast(System, system), patience=0))


def test_every_check_of_servers_can_fail(tmp_path: Path) -> None:
    system = StandIn(tmp_path)
    for name, check in server_checks.CHECKS.items():
        assert not found(check, system), name
    system.waiting, system.not_running = 1, ["worker2"]
    stranger = [("somebody", 1)]
    idle = [("somebody", 1, None, "UPDATE jobs")]
    wrongs: dict[Callable[..., Iterator[str]], list[tuple[Any, ...]]] = {
        server_checks.everything_runs: [],
        server_checks.queues_are_empty: [],
        server_checks.database_connections_are_ours: stranger,
        server_checks.broker_connections_are_ours: stranger,
        server_checks.nobody_sits_in_a_transaction: idle,
    }
    assert wrongs.keys() == set(server_checks.CHECKS.values())
    for check, told in wrongs.items():
        system.told = told
        assert found(check, system), check


def test_a_connection_is_its_process(server: Server) -> None:
    system, ours = server
    port = ours.getsockname()[1]
    system.told = [("web", port), ("web", 1)]
    expected = [Connected("web", os.getpid(), True), Connected("web", None, False)]
    assert of_postgres(cast(System, system)) == of_valkey(cast(System, system)) == expected
    system.told = [("web", port)] * POOL
    assert not found(server_checks.database_connections_are_ours, system)
    system.told = [("web", port)] * (POOL + 1)
    assert found(server_checks.database_connections_are_ours, system)


def test_a_connection_of_a_process_that_is_not_ours(server: Server) -> None:
    system, ours = server
    system.told = [("web", ours.getsockname()[1])]
    stranger = subprocess.Popen([*_SLEEPER], pass_fds=[ours.fileno()])
    try:
        ours.close()
        assert of_postgres(cast(System, system)) == [Connected("web", stranger.pid, False)]
    finally:
        stranger.kill()
        stranger.wait()


def test_what_is_not_at_rest_is_told(tmp_path: Path) -> None:
    assert unsettled(cast(System, StandIn(tmp_path, [("course 1: pending",)]))) == ["course 1: pending"]


@pytest.mark.parametrize(
    ("ends_with", "left", "wrong"), [(0, False, ""), (3, False, "code 3"), (0, True, "left runni")]
)
def test_what_goes_wrong_when_it_stops(tmp_path: Path, ends_with: int, left: bool, wrong: str) -> None:
    system = StandIn(tmp_path)
    program = (
        f"import signal, sys; signal.signal(15, lambda *_: sys.exit({ends_with})); print(flush=True); signal.pause()"
    )
    up = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert up.stdout is not None
    up.stdout.readline()
    system.up = up  # type: ignore[attr-defined]
    other = subprocess.Popen([*_SLEEPER], env=os.environ | {"COURSEWRIGHT_HOME": str(tmp_path)}) if left else None
    try:
        words = halt(cast(System, system))
    finally:
        if other is not None:
            other.kill()
            other.wait()
    assert (wrong in words[0]) if wrong else words == []


def whole_plan() -> list[Done]:
    return [Done(list(KINDS)[at % len(KINDS)], 1.0, 2.0, held=["job"]) for at in range(LONG.least)]


def test_a_plan_that_was_carried_out() -> None:
    assert not list(carried_out(LONG, whole_plan(), Counter(course=1), 2000))


def _unlike(kind: str, **change: Any) -> list[Done]:
    return [replace(done, **change) if done.kind == kind else done for done in whole_plan()]


@pytest.mark.parametrize(
    ("faults", "doubled", "accepted", "words"),
    [
        (whole_plan()[1:], 1, 2000, "99 faults"),
        (_unlike("beat killed", skipped="too late"), 1, 2000, "beat killed: never happened"),
        (_unlike("beat killed", broken="KeyError"), 1, 2000, "beat killed: KeyError"),
        (_unlike("worker killed", held=[]), 1, 2000, "worker killed: none"),
        (_unlike("worker stopped", held=[]), 1, 2000, "worker stopped: none"),
        (_unlike("web killed before send", held=[]), 1, 2000, "web killed before send: none"),
        (whole_plan(), 0, 2000, "no message"),
        (whole_plan(), 1, 1999, "1999 jobs"),
    ],
)
def test_a_plan_that_was_not_carried_out(faults: list[Done], doubled: int, accepted: int, words: str) -> None:
    assert any(words in told for told in carried_out(LONG, faults, Counter(course=doubled), accepted))


def test_a_short_plan_must_be_carried_out_for_the_most_part() -> None:
    few = whole_plan()[: SHORT.least]
    assert not list(carried_out(SHORT, few, Counter(), SHORT.jobs))
    assert list(carried_out(SHORT, few[1:], Counter(), SHORT.jobs))


def test_a_fault_that_breaks_is_seen() -> None:
    attack = Attack(cast(Any, None), cast(Any, None), cast(Any, None))  # nothing is there to be attacked
    attack._do(Fault(0.0, "beat killed", 0.0, 0.5))
    assert attack.done[0].broken.startswith("AttributeError")
    assert not attack.done[0].happened
    assert attack.done[0].ended


def test_a_doubler_that_breaks_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(_: Doubler) -> None:
        raise KeyError("properties")

    monkeypatch.setattr(Doubler, "_watch", breaks)
    with pytest.raises(KeyError, match="properties"), doubling("redis://127.0.0.1:1"):
        pass


def way_back(lost: float, begun: float, job: str = "job") -> Evidence:
    evidence = Evidence("org")
    body = {"error": {"code": "worker_lost"}}
    for at, kind in ((0.1, "step_started"), (lost, "job_retrying"), (begun, "step_started")):
        told = Told(1, kind, body if kind == "job_retrying" else {}, AT + timedelta(seconds=at))
        evidence.events[job].append(told)
    return evidence


@pytest.mark.parametrize(
    ("other", "is_disturbed"),
    [
        (disturbed("postgres killed", 3, 4), True),
        (disturbed("store stopped", -9, 1), True),
        (disturbed("worker killed", 8, 8), True),
        (disturbed("postgres killed", 9, 10), False),
        (disturbed("postgres killed", -2, -1), False),
        (disturbed("media killed", 3, 3), False),
    ],
)
def test_a_way_back_begins_when_the_loss_was_told(other: Done, is_disturbed: bool) -> None:
    kill = disturbed("worker killed", 0, 0, "job", "a job that was not lost")
    (way,) = recoveries([kill, other], way_back(7.0, 8.5))
    assert (round(way.told, 3), round(way.begun, 3)) == (7.0, 8.5)
    assert bool(way.disturbed) == is_disturbed
    assert undisturbed([way]) == ([] if is_disturbed else [way])


def test_jobs_that_are_not_back_in_time() -> None:
    (way,) = recoveries([disturbed("worker killed", 0, 0, "job")], way_back(7.0, 10.5))
    assert list(come_back_in_time([way] * 10, 5))
    assert not list(come_back_in_time([way] * 9, 5)), "too few to go by"
    assert not list(come_back_in_time([replace(way, disturbed="postgres killed")] * 10, 5))
    assert not list(come_back_in_time([way] * 10, 6))


class Answering(Client):
    """A client that gets these answers, one after the other."""

    def __init__(self, *answers: int) -> None:
        super().__init__(cast(Any, None), Ledger(), 1)
        self.answers = list(answers)

    def call(self, method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, Any]:
        return self.answers.pop(0), None


@pytest.mark.parametrize(
    ("answers", "cancelled", "retried", "broken"),
    [
        ((200, 202), True, True, 0),
        ((0, 503, 200, 500, 202), True, True, 0),
        ((0, 409, 0, 409), False, False, 0),
        ((404, 404), False, False, 2),
        ((200, 422), True, False, 1),
    ],
)
def test_what_the_client_was_told(answers: tuple[int, ...], cancelled: bool, retried: bool, broken: int) -> None:
    client, asked = Answering(*answers), Asked(1, "pack", "key", {}, "job")
    client._cancel(asked, retried=True)
    assert (asked.cancel_told_at is not None, asked.retry_told) == (cancelled, retried)
    assert len(client.ledger.faults) == broken
    assert not client.answers
