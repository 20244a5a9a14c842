"""Streams under load: how long an event takes to all who watch, what a stream costs in memory, how fast everybody is
back after a storm, and that nobody misses anything while the web is dead.

Embedded servers, the web as the Procfile starts it, an emitter in a process of its own, and this process as all
clients, each a plain socket on one asyncio loop. An event's time runs from right before its transaction to its arrival.

    python -m bench.streams [--clients 500] [--jobs 100] [--rate 200] [--seconds 20] [--killed-under 200]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import psutil
import urllib3

from bench.engine import ORGANIZATION, fresh_home, running
from schema.clock import new_id
from schema.events import Event
from storage import embedded, events, jobs, organizations
from storage.db import Database, make_engine
from storage.embedded import read_secrets
from storage.jobs import NewRow
from storage.organizations import Organization
from storage.postgres.schema_version import upgrade
from storage.processes import Spec, free_port, start, stop, wait_ready

AGENT_TOKEN = "agent-token-of-the-benchmark"
#: How long the web is dead, and how fast events go on meanwhile, in seconds and events a second.
DEAD_SECONDS, DEAD_RATE = 5.0, 50
_BLOCK = re.compile(rb'id: (\d+)\nevent: (\w+)\n(?:.*"message": "(\d+)")?')


class Bench:
    """The servers, the web, and the rows behind it."""

    def __init__(self, home: Path) -> None:
        self.home = home
        keys = read_secrets(home)
        postgres, database_url = embedded.postgres(home, keys)
        valkey, redis_url = embedded.valkey(home, keys)
        self.servers = [postgres, valkey]
        self.port = free_port()
        self.environment = {
            "DATABASE_URL": database_url,
            **embedded.role_urls(database_url, keys),
            "REDIS_URL": redis_url,
            "S3_ENDPOINT_URL": "http://127.0.0.1:1",
            "S3_ACCESS_KEY": "unused",
            "S3_SECRET_KEY": "unused",
            "SECRET_KEY": keys.secret_key,
            "AGENT_TOKEN": AGENT_TOKEN,
            "COURSEWRIGHT_HOME": str(home),
            "PORT": str(self.port),
            "LOG_LEVEL": "ERROR",
            "RATE_LIMIT_PER_MINUTE": "1000000",
            "STREAMS_PER_IDENTITY": "100000",
        }

    def prepare(self, count: int) -> None:
        """Tables, the organization, and jobs to follow."""
        os.environ.update(self.environment)
        self.db = Database(make_engine(self.environment["DATABASE_URL"], name="bench", pool_size=4))
        upgrade(self.db.engine)
        organizations.ensure(self.db, Organization(ORGANIZATION, "bench", "Bench"))
        self.jobs = [new_id() for _ in range(count)]
        for job_id in self.jobs:
            row = NewRow(job_id, ORGANIZATION, "course", "course", {}, "skeleton", 6, 3, None)
            with self.db.transaction() as tx:
                jobs.insert(tx, row, Event("job_created", {"estimatedDuration": None}))

    def last(self) -> dict[UUID, int]:
        """The number of each job's last event."""
        with self.db.statement() as tx:
            return {row.id: row.last_seq for row in tx.run("SELECT id, last_seq FROM jobs").all()}

    def web(self) -> Spec:
        argv = [sys.executable, "-m", "gunicorn", "--config", "web/gunicorn_settings.py", "web.app:create_app()"]
        return Spec("web", argv, self.home / "logs" / "web.log", self.environment, ready=self.answers)

    def answers(self) -> bool:
        try:
            url = f"http://127.0.0.1:{self.port}/healthz"
            return bool(urllib3.request("GET", url, retries=False, timeout=1).status == 200)
        except urllib3.exceptions.HTTPError:
            return False

    @contextmanager
    def telling(self, rate: float) -> Iterator[None]:
        """Events at a steady rate, as long as the block lasts."""
        command = [sys.executable, "-m", "bench.stream_emitter"]
        child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert child.stdin is not None
        child.stdin.write(json.dumps({"jobs": [str(job) for job in self.jobs], "rate": rate}) + "\n")
        child.stdin.flush()
        try:
            yield
        finally:
            child.communicate(timeout=60)

    def tell_once(self) -> None:
        """One more event for each job."""
        body = {"step": "fill", "stepIndex": 1, "totalSteps": 6, "progress": 20, "message": "once"}
        for job_id in self.jobs:
            with self.db.transaction() as tx:
                events.append(tx, job_id, [Event("step_progress", body)])


@dataclass
class Client(asyncio.Protocol):
    """Follows one job for ever: comes back after 2, 4, 8 ... seconds with the last id it saw."""

    bench: Bench
    job_id: UUID
    taken: list[float]
    following: bool = True
    last_id: int = 0
    heard_at: float = 0.0
    faults: list[str] = field(default_factory=list)
    _left: bytes = b""
    _tries: int = 0
    _transport: asyncio.Transport | None = None

    async def connect(self) -> None:
        try:
            await asyncio.get_running_loop().create_connection(lambda: self, "127.0.0.1", self.bench.port)
        except OSError:
            self._come_back()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport, self._left = transport, b""
        transport.write(
            f"GET /api/jobs/{self.job_id}/stream HTTP/1.1\r\nHost: bench\r\nLast-Event-ID: {self.last_id}\r\n"
            f"X-Agent-Token: {AGENT_TOKEN}\r\nX-Organization-Id: {ORGANIZATION}\r\n\r\n".encode()
        )

    def data_received(self, data: bytes) -> None:
        now, self.heard_at = time.time(), time.monotonic()
        *blocks, self._left = (self._left + data).split(b"\n\n")
        for block in blocks:
            found = _BLOCK.match(block)
            if found:
                self._tries = 0
                number = int(found[1])
                if number != self.last_id + 1:
                    self.faults.append(f"{number} after {self.last_id}")
                self.last_id = number
                if found[3]:
                    self.taken.append(now - int(found[3]) / 1e9)

    def connection_lost(self, _: Exception | None) -> None:
        self._transport = None
        if self.following:
            self._come_back()

    def _come_back(self) -> None:
        if self.following:
            self._tries += 1
            seconds = min(30, 2**self._tries) * random.uniform(0.9, 1.1)
            asyncio.get_running_loop().call_later(seconds, lambda: asyncio.ensure_future(self.connect()))

    def go(self) -> None:
        self.following = False
        if self._transport is not None:
            self._transport.abort()


async def wait_for(done: Callable[[], bool], what: str, within: float = 120) -> float:
    """Wait, and return for how many seconds it took."""
    began = time.monotonic()
    while not done():
        if time.monotonic() - began > within:
            sys.exit(f"{what} did not happen within {within} s")
        await asyncio.sleep(0.002)
    return time.monotonic() - began


def memory(child: subprocess.Popen[bytes]) -> int:
    """Bytes that the web's processes have for themselves."""
    return sum(process.memory_full_info().uss for process in psutil.Process(child.pid).children())


def row(name: str, value: str) -> None:
    print(f"| {name} | {value} |", flush=True)


async def measure(bench: Bench, given: argparse.Namespace) -> None:
    spec = bench.web()
    child = start(spec)
    try:
        await asyncio.to_thread(wait_ready, spec, child)
        clients = [Client(bench, bench.jobs[at % given.jobs], []) for at in range(given.clients)]
        print("| figure | value |\n|---|---|")
        await _latency(bench, given, clients, child)
        await _storm(bench, clients)
        for client in clients[given.killed_under :]:
            client.go()
        child = await _killed(bench, clients[: given.killed_under], spec, child)
    finally:
        await asyncio.to_thread(stop, spec, child)


async def _latency(
    bench: Bench, given: argparse.Namespace, clients: list[Client], child: subprocess.Popen[bytes]
) -> None:
    # What a process needs for its first streams and requests, and what it no longer shares with its parent, is not a
    # stream's: only the second half tells what one costs.
    half = len(clients) // 2
    await _open(clients[:half])
    before = memory(child)
    seconds = await _open(clients[half:])
    row(f"{len(clients) - half} streams opened at once, beside {half}", f"{seconds:.2f} s")
    row("memory for each of them", f"{(memory(child) - before) / (len(clients) - half) / 1024:.0f} kB")
    row("memory of the web's processes with them", f"{memory(child) / 1e6:.0f} MB")
    with bench.telling(given.rate):
        await asyncio.sleep(given.seconds)
    await _complete(bench.last(), clients)
    taken = sorted(second for client in clients for second in client.taken)
    row(
        f"emit to receipt, {given.rate}/s over {given.jobs} jobs, {len(taken)} receipts",
        f"p50 {_of(taken, 0.5)}, p99 {_of(taken, 0.99)}, longest {taken[-1] * 1000:.0f} ms",
    )
    _check(clients)


async def _open(clients: list[Client]) -> float:
    began = time.monotonic()
    await asyncio.gather(*(client.connect() for client in clients))
    await wait_for(lambda: all(client.last_id for client in clients), "all streams")
    seconds = time.monotonic() - began
    await asyncio.sleep(1)
    return seconds


def _of(ordered: list[float], share: float) -> str:
    return f"{ordered[int(share * (len(ordered) - 1))] * 1000:.1f} ms"


async def _storm(bench: Bench, clients: list[Client]) -> None:
    times = []
    for _ in range(3):
        for client in clients:
            client.go()
        bench.tell_once()
        await asyncio.sleep(0.5)
        began = time.monotonic()
        for client in clients:
            client.following = True
        await asyncio.gather(*(client.connect() for client in clients))
        await _complete(bench.last(), clients)
        times.append(time.monotonic() - began)
    row(
        f"storm: {len(clients)} come back at once, until all have what they missed",
        f"median {statistics.median(times):.2f} s, longest {max(times):.2f} s of {len(times)}",
    )
    _check(clients)


async def _complete(last: dict[UUID, int], clients: list[Client]) -> None:
    await wait_for(lambda: all(client.last_id == last[client.job_id] for client in clients), "the last event")


async def _killed(
    bench: Bench, clients: list[Client], spec: Spec, child: subprocess.Popen[bytes]
) -> subprocess.Popen[bytes]:
    with bench.telling(DEAD_RATE):
        await asyncio.sleep(2)
        family = psutil.Process(child.pid).children()
        child.kill()
        for process in family:
            process.kill()
        await asyncio.to_thread(child.wait)
        await asyncio.sleep(DEAD_SECONDS)
        again = start(spec)
        await asyncio.to_thread(wait_ready, spec, again)
        back = time.monotonic()
        resumed = await wait_for(lambda: all(client.heard_at > back for client in clients), "everybody's return")
        await asyncio.sleep(1)
    await _complete(bench.last(), clients)
    row(
        f"web dead for {DEAD_SECONDS:.0f} s under {len(clients)}, who come back after 2, 4, 8 ... s",
        f"all back {resumed:.1f} s after it; none missed an event or got one twice",
    )
    _check(clients)
    for client in clients:
        client.go()
    return again


def _check(clients: list[Client]) -> None:
    faults = [fault for client in clients for fault in client.faults]
    if faults:
        sys.exit(f"{len(faults)} events missed or doubled: {faults[:5]}")


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--clients", type=int, default=500)
    options.add_argument("--jobs", type=int, default=100)
    options.add_argument("--rate", type=float, default=200)
    options.add_argument("--seconds", type=float, default=20)
    options.add_argument("--killed-under", type=int, default=200)
    given = options.parse_args()
    with ExitStack() as stack:
        bench = Bench(stack.enter_context(fresh_home()))
        stack.enter_context(running(bench.servers))
        bench.prepare(given.jobs)
        stack.callback(bench.db.dispose)
        asyncio.run(measure(bench, given))


if __name__ == "__main__":
    main()
