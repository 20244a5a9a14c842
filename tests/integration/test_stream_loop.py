"""The loop of a process, with its pace quickened: without Redis, without the database, with clients that don't read,
and when it stops."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from schema.errors import Unavailable
from schema.events import Event
from storage import embedded, events, jobs
from storage.bus import JOB_CHANNEL
from storage.db import Database
from storage.embedded import read_secrets
from storage.processes import free_port, start, stop, wait_ready
from tasks.commands import Asker
from tasks.deps import Deps
from tests.conftest import eventually
from tests.integration.stage import put_job
from web.streams.connection import Connection, Pace, Start
from web.streams.feeds import JobFeed
from web.streams.hub import Hub
from web.streams.loop import Streams

HEAD = b"HTTP/1.1 200 OK\r\n\r\n"
QUICK = Pace(look=0.4, heartbeat=0.3, slow=0.6)
#: As in production: what comes sooner came by a wake.
PATIENT = Pace()
BIG = Event("step_progress", {"step": "fill", "stepIndex": 1, "totalSteps": 6, "message": "x" * 20_000, "progress": 1})


class Rig:
    """Streams of a process, and clients on the other end of socket pairs."""

    def __init__(self, deps: Deps, redis_url: str, pace: Pace, limit: int = 100) -> None:
        self.deps = deps
        self.streams = Streams(redis_url, limit, pace)
        self.clients: list[socket.socket] = []

    def open(self, asker: Asker, job_id: UUID, position: int = 0, db: Database | None = None) -> socket.socket:
        db = db or self.deps.db
        ours, theirs = socket.socketpair()
        theirs.settimeout(20)
        self.clients.append(theirs)
        feed = JobFeed(db, asker.organization_id, job_id, lambda: jobs.read_numbered(db, asker.organization_id, job_id))
        self.streams.take(ours, HEAD, Start(feed, position, resumed=False))
        return theirs

    def close(self) -> None:
        self.streams.stop()
        self.streams.wait(10)
        for client in self.clients:
            client.close()


@pytest.fixture
def rig(deps: Deps) -> Iterator[Callable[..., Rig]]:
    made: list[Rig] = []

    def make(pace: Pace, redis_url: str | None = None, **more: Any) -> Rig:
        made.append(Rig(deps, redis_url or deps.settings.redis_url, pace, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()


def tell(deps: Deps, job_id: UUID, *told: Event) -> int:
    with deps.db.transaction() as tx:
        return events.append(tx, job_id, told)


def read_until(client: socket.socket, wanted: bytes) -> bytes:
    """What comes, up to something. Fails when the connection ends before."""
    read = b""
    while wanted not in read:
        got = client.recv(65536)
        assert got, read[-200:]
        read += got
    return read


def read_to_end(client: socket.socket) -> bytes:
    read = b""
    try:
        while got := client.recv(65536):
            read += got
    except ConnectionResetError:
        pass
    return read


def test_a_wake_brings_an_event_and_without_redis_a_look_does(
    deps: Deps, asker: Asker, rig: Callable[..., Rig]
) -> None:
    job_id = put_job(deps, asker.organization_id)
    woken = rig(PATIENT).open(asker, job_id)
    looking = rig(QUICK, f"redis://127.0.0.1:{free_port()}/0").open(asker, job_id)
    for client in (woken, looking):
        read_until(client, b"id: 1\n")
    ears = lambda: dict(deps.bus.client.pubsub_numsub(JOB_CHANNEL))[JOB_CHANNEL.encode()]  # noqa: E731
    eventually(ears, what="the subscription")
    tell(deps, job_id, Event("job_cancelled", {"reason": "", "cancelledAt": "t"}))
    deps.bus.wake(job_id)
    for client in (woken, looking):
        read_until(client, b"id: 2\n")


def test_events_told_while_redis_was_down_come_with_its_return(
    deps: Deps, asker: Asker, tmp_path: Path, rig: Callable[..., Rig]
) -> None:
    spec, url = embedded.valkey(tmp_path, read_secrets(tmp_path))
    job_id = put_job(deps, asker.organization_id)
    client = rig(PATIENT, url).open(asker, job_id)
    read_until(client, b"id: 1\n")
    tell(deps, job_id, BIG)
    child = start(spec)
    try:
        wait_ready(spec, child)
        began = time.monotonic()
        read_until(client, b"id: 2\n")
        assert time.monotonic() - began < 10, "by the subscription, not by the look that comes after fifteen seconds"
    finally:
        stop(spec, child)


def test_what_nobody_of_us_said_makes_no_process_deaf(deps: Deps, asker: Asker, rig: Callable[..., Rig]) -> None:
    job_id = put_job(deps, asker.organization_id)
    client = rig(PATIENT).open(asker, job_id)
    read_until(client, b"id: 1\n")
    eventually(lambda: deps.bus.client.publish(JOB_CHANNEL, "rubbish"), what="a process that hears it")
    tell(deps, job_id, BIG)
    began = time.monotonic()
    read_until(client, b"id: 2\n")
    assert time.monotonic() - began < 10


def test_a_heartbeat_comes_while_nothing_happens(deps: Deps, asker: Asker, rig: Callable[..., Rig]) -> None:
    client = rig(QUICK).open(asker, put_job(deps, asker.organization_id))
    assert read_until(client, b": heartbeat\n\n: heartbeat\n\n").startswith(HEAD + b"retry: 2000\n\n")


def test_who_does_not_read_is_dropped_and_others_are_served(deps: Deps, asker: Asker, rig: Callable[..., Rig]) -> None:
    job_id = put_job(deps, asker.organization_id)
    running = rig(QUICK)
    idle, quick = running.open(asker, job_id), running.open(asker, job_id)
    last = tell(deps, job_id, *[BIG] * 100)
    began = time.monotonic()
    whole = read_until(quick, f"id: {last}\n".encode())
    assert whole.count(b"id: ") >= last
    eventually(lambda: len(running.streams._connections) == 1, what="the idle one's end")
    assert time.monotonic() - began > QUICK.slow / 2
    got = read_to_end(idle)
    assert b"id: 1\n" in got and f"id: {last}\n".encode() not in got, "not all of it waited in memory"
    seen = int(got.rpartition(b"\nevent: ")[0].rpartition(b"id: ")[2])
    again = read_until(running.open(asker, job_id, seen), f"id: {last}\n".encode())
    assert f"id: {seen}\n".encode() not in again and f"id: {seen + 1}\n".encode() in again


def test_who_reads_slowly_but_reads_gets_everything_in_order(deps: Deps, asker: Asker, rig: Callable[..., Rig]) -> None:
    job_id = put_job(deps, asker.organization_id)
    client = rig(QUICK).open(asker, job_id)
    last = tell(deps, job_id, *[BIG] * 100)
    read = b""
    while f"id: {last}\n".encode() not in read:
        got = client.recv(16_384)
        assert got
        read += got
    numbers = [int(line[4:]) for line in read.split(b"\n") if line.startswith(b"id: ")]
    assert numbers == list(range(1, last + 1))


def test_a_database_that_is_away_ends_no_stream(deps: Deps, asker: Asker, rig: Callable[..., Rig]) -> None:
    class Flaky(Database):
        away = False

        def statement(self) -> Any:
            if self.away:
                raise Unavailable("It is away.", code="database_away")
            return super().statement()

    db = Flaky(deps.db.engine)
    job_id = put_job(deps, asker.organization_id)
    with capture_logs() as lines:
        client = rig(QUICK).open(asker, job_id, db=db)
        read_until(client, b"id: 1\n")
        db.away = True
        eventually(lambda: [line for line in lines if line["event"] == "streams_wait"], what="the line of the log")
        tell(deps, job_id, BIG)
        read_until(client, b": heartbeat")
        db.away = False
        read_until(client, b"id: 2\n")
    waits = [line for line in lines if line["event"] == "streams_wait"]
    assert [(line["log_level"], line["error"]) for line in waits] == [("warning", "database_away")]


def test_there_is_room_for_so_many_and_no_more(deps: Deps, asker: Asker, rig: Callable[..., Rig]) -> None:
    running = rig(PATIENT, limit=2)
    job_id = put_job(deps, asker.organization_id)
    clients = []
    for _ in range(2):
        running.streams.check_room()
        clients.append(running.open(asker, job_id))
        read_until(clients[-1], b"id: 1\n")
    with pytest.raises(Unavailable) as caught:
        running.streams.check_room()
    assert caught.value.code == "too_many_streams"
    clients[0].close()
    eventually(lambda: len(running.streams._connections) == 1)
    running.streams.check_room()


def test_when_the_process_stops_all_are_told_to_come_back_and_not_at_once(
    deps: Deps, asker: Asker, rig: Callable[..., Rig]
) -> None:
    running = rig(PATIENT)
    job_id = put_job(deps, asker.organization_id)
    clients = [running.open(asker, job_id) for _ in range(40)]
    for client in clients:
        read_until(client, b"id: 1\n")
    began = time.monotonic()
    running.streams.stop()
    with pytest.raises(Unavailable) as caught:
        running.streams.check_room()
    assert caught.value.code == "server_stopping"
    waits = set()
    for client in clients:
        ended = read_to_end(client)
        waits.add(int(ended.rpartition(b"retry: ")[2].split(b"\n")[0]))
    running.streams.wait(5)
    assert time.monotonic() - began < 5
    assert all(1000 <= wait <= 4000 for wait in waits) and len(waits) > 20
    assert not running.streams._thread.is_alive()
    assert read_to_end(running.open(asker, job_id)) == b""


def test_who_connects_while_the_process_stops_is_told_too_and_holds_nothing_up(
    deps: Deps, asker: Asker, rig: Callable[..., Rig]
) -> None:
    running = rig(PATIENT)
    job_id = put_job(deps, asker.organization_id)
    read_until(running.open(asker, job_id), b"id: 1\n")
    made = []

    def stop_when_one_is_taken() -> None:
        """On the loop: after a connection is known to it, and before asyncio has told the connection of its socket."""
        made.append(running.open(asker, job_id))
        running.streams._loop.call_soon(running.streams.stop)

    running.streams._loop.call_soon_threadsafe(stop_when_one_is_taken)
    eventually(lambda: made)
    assert read_to_end(running.clients[0]).rpartition(b"retry: ")[1]
    ended = read_to_end(made[0])
    assert ended == b"" or 1000 <= int(ended.rpartition(b"retry: ")[2]) <= 4000
    running.streams.wait(10)
    assert not running.streams._thread.is_alive()


def test_one_that_ends_before_its_socket_is_there_says_when_to_come_back(deps: Deps, asker: Asker) -> None:
    ours, theirs = socket.socketpair()
    theirs.settimeout(20)
    feed = JobFeed(deps.db, asker.organization_id, put_job(deps, asker.organization_id), lambda: None)
    closed: list[Connection] = []

    async def accept() -> None:
        async def never(*_: Any) -> Any:
            raise AssertionError("nobody follows anything")

        hub = Hub(never, never, look_seconds=1)
        connection = Connection(hub, Start(feed, 0, resumed=False), HEAD, PATIENT, closed.append)
        connection.end("stopping")
        await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, ours)
        async with asyncio.timeout(20):
            while not closed:
                await asyncio.sleep(0.01)
        assert closed == [connection]

    with theirs:
        asyncio.run(accept())
        got = read_to_end(theirs)
    assert got.startswith(HEAD + b"retry: 2000\n\nretry: ") and got.endswith(b"\n\n")
    assert 1000 <= int(got.rpartition(b"retry: ")[2]) <= 4000
