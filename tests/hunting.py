"""Looking for secrets in all that a running system has written: each place as bytes, each secret in every spelling."""

from __future__ import annotations

import base64
import json
import re
import stat
import threading
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psutil
import psycopg2
from minio import Minio
from redis import Redis

#: A place, such as ``table jobs``, and what is written there.
Place = tuple[str, bytes]

#: What looks like a secret that nobody told us: whoever wrote it must not have.
SHAPES = {
    "a webhook's secret": re.compile(rb"whsec_[A-Za-z0-9+/]{8,}"),
    "a JSON Web Token": re.compile(rb"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}"),
    "an agent token": re.compile(rb"\bcw_[a-z0-9]{8}_[A-Za-z0-9_-]{20,}"),
    "a login link": re.compile(rb"/login/[A-Za-z0-9._-]{20,}"),
    "a bearer token": re.compile(rb"Bearer [A-Za-z0-9._-]{8,}"),
    "a key of a model service": re.compile(rb"sk-[A-Za-z0-9-]{12,}"),
}


def spellings(secret: str) -> set[bytes]:
    """What of a secret is looked for: its first and its last half, for it may be cut, as they are, within JSON, in an
    address, as hexadecimal digits and as base64."""
    half = max(10, len(secret) // 2)
    found: set[bytes] = set()
    for part in (secret[:half], secret[-half:]):
        found |= {
            part.encode(),
            json.dumps(part)[1:-1].encode(),
            quote(part, safe="").encode(),
            part.encode().hex().encode(),
        }
    for before in ("", ":", "coursewright:"):  # the beginning of what is encoded shifts all that follows
        encoded = base64.b64encode(f"{before}{secret}".encode()).rstrip(b"=")
        found.add(encoded[4 : max(20, len(encoded) - 4)])
    return found


def leaks(places: Iterable[Place], secrets: Mapping[str, str], shapes: Iterable[str] = SHAPES) -> set[str]:
    """Which secret is in which place, as ``name in place``."""
    looked = [(name, spelling) for name, secret in secrets.items() for spelling in spellings(secret)]
    patterns = [(name, SHAPES[name]) for name in shapes]
    found: set[str] = set()
    for place, content in places:
        found |= {f"{name} in {place}" for name, spelling in looked if spelling in content}
        found |= {f"{name} in {place}" for name, pattern in patterns if pattern.search(content)}
    return found


# --- places -----------------------------------------------------------------------------------------------------------


def logs(home: Path) -> Iterator[Place]:
    for path in [*sorted((home / "logs").iterdir()), home / "up.log"]:
        yield f"log {path.name}", path.read_bytes()


def tables(url: str, leave_out: Mapping[str, str]) -> Iterator[Place]:
    """Every row of every table as text; ``leave_out`` names columns that must hold a secret, by their tables."""
    with closing(psycopg2.connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1")
        for (name,) in cursor.fetchall():
            row = f"to_jsonb(t) - '{leave_out[name]}'" if name in leave_out else "to_jsonb(t)"
            cursor.execute(f'SELECT ({row})::text FROM "{name}" t')
            for (text,) in cursor.fetchall():
                yield f"table {name}", text.encode()


def objects(environment: Mapping[str, str]) -> Iterator[Place]:
    """Every object of the two buckets, with its name and its headers."""
    client = Minio(
        endpoint=environment["S3_ENDPOINT_URL"].partition("://")[2],
        access_key=environment["S3_ACCESS_KEY"],
        secret_key=environment["S3_SECRET_KEY"],
        secure=False,
        region="us-east-1",
    )
    for bucket in ("courses", "media-library"):
        for found in client.list_objects(bucket, recursive=True):
            name = str(found.object_name)
            with closing(client.get_object(bucket, name)) as answer:
                yield f"object {name.rpartition('/')[2]}", f"{name} {dict(answer.headers)}".encode() + answer.read()


@contextmanager
def overheard(redis_url: str) -> Iterator[list[Place]]:
    """Everything that anybody says to Redis while the block runs: messages come and go."""
    client = Redis.from_url(redis_url)
    heard: list[Place] = []
    listening = threading.Event()

    def listen() -> None:
        with client.monitor() as monitor:
            listening.set()
            for said in monitor.listen():
                heard.append((f"redis {said['command'].partition(' ')[0]}", said["command"].encode()))
                if said["command"].startswith("PING the-end"):
                    return

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    assert listening.wait(10)
    try:
        yield heard
    finally:
        client.execute_command("PING", "the-end")
        thread.join(10)
        client.close()


def kept_in_redis(redis_url: str) -> Iterator[Place]:
    with closing(Redis.from_url(redis_url)) as client:
        for key in client.scan_iter():
            try:
                yield "a key of redis", key + b" " + (client.dump(key) or b"")
            except UnicodeDecodeError:
                continue


def command_lines(pids: Iterable[int]) -> Iterator[Place]:
    """What everybody on the machine can see of our processes."""
    for process in family(pids):
        try:
            yield f"command line of {process.name()}", "\0".join(process.cmdline()).encode()
        except psutil.Error:
            continue


def family(pids: Iterable[int]) -> list[psutil.Process]:
    return [one for pid in pids for one in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))]


def open_files(home: Path) -> Iterator[Place]:
    """The files of a home folder that others on the machine can read."""
    for path in home.rglob("*"):
        way_in = all(folder.stat().st_mode & stat.S_IXOTH for folder in path.parents if folder.is_relative_to(home))
        if path.is_file() and way_in and path.stat().st_mode & (stat.S_IROTH | stat.S_IRGRP):
            yield f"file {path.relative_to(home)}", path.read_bytes()


def environments(pids: Mapping[str, int]) -> Iterator[Place]:
    """What the servers find in their environment; the one of Postgres another user of the machine may read."""
    for name, pid in pids.items():
        found: dict[str, Any] = psutil.Process(pid).environ()
        yield f"environment of {name}", json.dumps(found).encode()
