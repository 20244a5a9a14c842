"""The embedded servers: for this machine only, behind credentials, and none the worse for being killed."""

from __future__ import annotations

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict
from pathlib import Path
from urllib.parse import urlsplit

import psutil
import psycopg2
import pytest
import urllib3
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import AuthenticationError
from redis.retry import Retry

from schema.clock import new_id
from schema.errors import Unavailable
from schema.settings import S3Settings
from storage import embedded
from storage.bus import JOB_CHANNEL, Bus
from storage.db import Database, make_engine
from storage.embedded import make_home, read_secrets
from storage.embedded.s3 import remove_dead_sockets
from storage.objects import ObjectStore
from storage.processes import Spec, StartFailed, answers, free_port, start, stop, wait_ready
from tests.conftest import Servers, eventually
from tests.knocking import pid_listening, ports_of


@pytest.fixture
def home() -> Iterator[Path]:
    """A home folder that the user nobody may enter, too."""
    with tempfile.TemporaryDirectory(prefix="coursewright-embedded-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@contextmanager
def running(spec: Spec) -> Iterator[subprocess.Popen[bytes]]:
    child = start(spec)
    try:
        wait_ready(spec, child)
        yield child
    finally:
        stop(spec, child)


# --- doors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["DATABASE_URL", "REDIS_URL", "S3_ENDPOINT_URL"])
def test_every_port_is_open_to_this_machine_alone(servers: Servers, name: str) -> None:
    ports = ports_of(pid_listening(servers.environ[name]))
    assert {address for address, _ in ports} == {"127.0.0.1"}
    assert urlsplit(servers.environ[name]).port in {port for _, port in ports}


@pytest.mark.parametrize("password", ["", "wrong"])
def test_postgres_asks_for_its_password(servers: Servers, password: str) -> None:
    url = urlsplit(servers.environ["DATABASE_URL"])
    with pytest.raises(psycopg2.OperationalError, match="password"):
        psycopg2.connect(host=url.hostname, port=url.port, user="coursewright", password=password, dbname="postgres")


@pytest.mark.parametrize("password", [None, "wrong"])
def test_valkey_asks_for_its_password(servers: Servers, password: str | None) -> None:
    url = urlsplit(servers.environ["REDIS_URL"])
    client = Redis(host=str(url.hostname), port=url.port or 0, password=password, retry=Retry(NoBackoff(), 0))
    with closing(client), pytest.raises(AuthenticationError):
        client.ping()


def test_the_store_asks_for_a_signature(servers: Servers, template: str) -> None:
    endpoint = servers.environ["S3_ENDPOINT_URL"]
    http = urllib3.PoolManager(retries=False)
    assert http.request("GET", endpoint).status == 403
    for url in (f"{endpoint}/courses/", f"{endpoint}/courses/catalog.json"):
        for method in ("GET", "HEAD", "PUT", "DELETE"):
            assert http.request(method, url).status == 403, (method, url)
    http.clear()


def test_credentials_are_made_once_differ_and_are_for_their_owner_alone(home: Path) -> None:
    made = read_secrets(home)
    assert read_secrets(home) == made
    assert len(set(made.__dict__.values())) == len(made.__dict__)
    assert all(len(secret) >= 32 for secret in made.__dict__.values())
    assert stat.S_IMODE((home / "secrets.json").stat().st_mode) == 0o600
    assert list(home.glob("secrets*")) == [home / "secrets.json"]


def test_the_folders_are_for_their_owner_and_others_may_only_pass(home: Path) -> None:
    read_secrets(home)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in [home, *home.iterdir()]}
    assert modes.pop(home.name) == 0o711
    assert modes == {"secrets.json": 0o600, "s3": 0o700, "valkey": 0o700, "logs": 0o700, "run": 0o700}


def test_folders_of_an_earlier_version_are_shut_and_its_secrets_are_kept(home: Path) -> None:
    kept = asdict(read_secrets(home))
    (home / "secrets.json").write_text(json.dumps({**kept, "agent_token": "no longer used"}))
    for path in (home, home / "run", home / "secrets.json"):
        path.chmod(0o755)
    assert asdict(read_secrets(home)) == kept
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (home, home / "run", home / "secrets.json")]
    assert modes == [0o711, 0o700, 0o600]


def test_a_folder_that_held_other_things_before_keeps_its_mode(home: Path) -> None:
    (home / "thesis.txt").write_text("mine")
    make_home(home)
    assert stat.S_IMODE(home.stat().st_mode) == 0o755


def test_no_file_with_credentials_can_be_read_by_others(servers: Servers) -> None:
    secrets = [secret.encode() for secret in read_secrets(servers.home).__dict__.values()]
    for path in servers.home.rglob("*"):
        open_to_all = path.is_file() and path.stat().st_mode & 0o044 and path.suffix in (".json", ".conf", ".password")
        if open_to_all:
            assert not [secret for secret in secrets if secret in path.read_bytes()], path


# --- killed -----------------------------------------------------------------------------------------------------


def test_postgres_keeps_what_it_committed_when_it_is_killed(home: Path) -> None:
    """And of a pool with a dead connection one call fails, and the next goes through."""
    spec, url = embedded.postgres(home, read_secrets(home))
    db = Database(make_engine(url, name="test"))
    with running(spec) as child:
        with db.transaction() as tx:
            tx.run("CREATE TABLE notes AS SELECT 'kept' AS word")
        child.kill()
        child.wait()
    with running_again(spec):
        with pytest.raises(Unavailable), db.statement() as tx:
            tx.run("SELECT word FROM notes")
        with db.statement() as tx:
            assert tx.run("SELECT word FROM notes").scalar_one() == "kept"
    again, url_again = embedded.postgres(home, read_secrets(home))
    with running(again), closing(psycopg2.connect(url_again)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT word FROM notes")
        assert cursor.fetchone() == ("kept",)
    db.dispose()


@contextmanager
def running_again(spec: Spec) -> Iterator[subprocess.Popen[bytes]]:
    """Started as a supervisor does: again, until what the dead one left behind is gone."""
    children: list[subprocess.Popen[bytes]] = []

    def ready() -> bool:
        children.append(start(spec))
        try:
            wait_ready(spec, children[-1])
        except StartFailed:
            return False
        return True

    try:
        eventually(ready, within=20)
        yield children[-1]
    finally:
        stop(spec, children[-1])


def test_valkey_keeps_what_it_took_when_it_is_killed_and_wakes_are_heard_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.bus._PAUSE_SECONDS", 0.1)
    spec, url = embedded.valkey(home, read_secrets(home))
    bus = Bus(url)
    with running(spec) as child:
        bus.keep_once("login", "kept", 600)
        bus.wake(new_id())
        child.kill()
        child.wait()
        bus.wake(new_id())
    with running(spec):
        assert eventually(bus.alive, within=10)
        assert bus.take_once("login") == "kept"
        with closing(bus.client.pubsub()) as ear:
            ear.subscribe(JOB_CHANNEL)

            def heard() -> bool:
                bus.wake(new_id())
                message = ear.get_message(timeout=0.1)
                return message is not None and message["type"] == "message"

            eventually(heard, within=10)
        bus.close()


def test_the_store_keeps_what_it_took_when_it_is_killed(home: Path) -> None:
    keys = read_secrets(home)
    for turn in range(2):
        spec, url = embedded.s3(home, keys)
        store = ObjectStore(S3Settings(url, keys.s3_access, keys.s3_secret, "us-east-1", "courses", "media-library"))
        with running(spec) as child:
            store.ensure_buckets()
            if turn == 0:
                store.put("courses", "a/course.json", b"kept", "application/json", "no-cache")
                assert store.put_current("courses", "b/course.json", b"numbered", 4, "no-cache")
            else:
                assert store.read("courses", "a/course.json") == b"kept"
                assert not store.put_current("courses", "b/course.json", b"older", 3, "no-cache")
            child.kill()
            child.wait()


def test_sockets_of_a_killed_store_are_removed_and_those_of_others_stay(home: Path) -> None:
    def put(name: str, *, listens: bool, old: bool = True) -> socket.socket:
        bound = socket.socket(socket.AF_UNIX)
        bound.bind(str(home / name))
        if listens:
            bound.listen()
        else:
            bound.close()
        if old:
            os.utime(home / name, (1, 1))
        return bound

    put("seaweedfs-s3-grpc-1.sock", listens=False)
    put("seaweedfs-filer-2.sock", listens=False)
    put("seaweedfs-filer-3.sock", listens=False, old=False)
    put("another-4.sock", listens=False)
    (home / "seaweedfs-5.sock").write_text("a file")
    os.utime(home / "seaweedfs-5.sock", (1, 1))
    with put("seaweedfs-filer-6.sock", listens=True):
        remove_dead_sockets(home)
        left = {path.name for path in home.iterdir()}
    assert left == {"seaweedfs-filer-3.sock", "another-4.sock", "seaweedfs-5.sock", "seaweedfs-filer-6.sock"}


def test_a_killed_store_leaves_its_sockets_where_they_are_looked_for(home: Path) -> None:
    spec, _ = embedded.s3(home, read_secrets(home))
    ports = {argument.split("=")[1] for argument in spec.argv if ".port" in argument}
    with running(spec) as child:
        child.kill()
        child.wait()
    left = [path for path in Path("/tmp").glob("seaweedfs-*.sock") if path.stem.rsplit("-", 1)[1] in ports]
    assert left, "SeaweedFS puts its sockets elsewhere now"
    for path in left:
        os.utime(path, (1, 1))
    remove_dead_sockets()
    assert not [path for path in left if path.exists()]


def test_a_child_does_not_outlive_a_killed_parent(home: Path) -> None:
    script = f"""
import sys, time
from pathlib import Path
from storage import embedded
from storage.processes import start, wait_ready
home = Path({str(home)!r})
spec, url = embedded.valkey(home, embedded.read_secrets(home))
child = start(spec)
wait_ready(spec, child)
print(child.pid, flush=True)
time.sleep(60)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    assert psutil.pid_exists(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    eventually(lambda: not psutil.pid_exists(pid), within=10)


# --- starting ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("left", ["a few files", "everything but the marker", "nothing"])
def test_a_half_made_data_folder_is_made_anew(home: Path, left: str) -> None:
    data = home / "postgres"
    if left != "nothing":
        (data / "base").mkdir(parents=True)
        (data / "base" / "1").write_text("half a table")
    if left == "everything but the marker":
        (data / "PG_VERSION").write_text("18\n")
    spec, url = embedded.postgres(home, read_secrets(home))
    with running(spec), closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)
    assert not (home / "postgres.password").exists()


@pytest.mark.parametrize("name", ["postgres", "valkey", "s3"])
def test_a_port_in_use_is_given_way_to(home: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    keys = read_secrets(home)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setitem(embedded.PREFERRED_PORTS, name, taken.getsockname()[1])
        make = {"postgres": embedded.postgres, "valkey": embedded.valkey, "s3": embedded.s3}[name]
        if name == "postgres":
            (home / "postgres").mkdir()
            for marker in ("coursewright-initialised", "PG_VERSION"):
                (home / "postgres" / marker).touch()
        _, url = make(home, keys)
        assert urlsplit(url).port != taken.getsockname()[1]
    _, url = make(home, keys)
    assert urlsplit(url).port == embedded.PREFERRED_PORTS[name], "and it is taken when it is free"


def test_ports_given_out_together_differ() -> None:
    ports = [free_port() for _ in range(300)]
    assert len(set(ports)) == 300
    assert not answers(ports[0])


def test_a_server_that_does_not_start_says_why(home: Path) -> None:
    spec = Spec(
        name="sulking",
        argv=[sys.executable, "-c", "import sys; sys.exit('the disk is full')"],
        log=home / "logs" / "sulking.log",
        ready=lambda: False,
    )
    child = start(spec)
    with pytest.raises(StartFailed, match="sulking ended with code 1: the disk is full"):
        wait_ready(spec, child)
    stop(spec, child)


def test_a_child_that_does_not_listen_is_killed_after_its_grace(home: Path) -> None:
    said = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
    )
    spec = Spec(name="deaf", argv=[sys.executable, "-c", said], log=home / "deaf.log", grace=0.1)
    child = start(spec)
    eventually(lambda: spec.log.read_text() == "ready\n", within=10)
    stop(spec, child)
    assert child.returncode == -signal.SIGKILL
    assert not psutil.pid_exists(child.pid)
    assert os.getpgrp() != child.pid
