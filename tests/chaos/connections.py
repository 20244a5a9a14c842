"""Who is connected to Postgres and to Valkey, told by the server and by the kernel."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import urlsplit

import psutil

from tests.chaos.system import System, left_behind


@dataclass(frozen=True)
class Connected:
    """A connection under the name its server knows. ``pid`` has its other end, none when nobody has; ``is_ours`` when
    that is a process of the system, or the one that looks."""

    name: str
    pid: int | None
    is_ours: bool


def of_postgres(system: System) -> list[Connected]:
    """All but the one that asks."""
    return _with_owners(system, system.settings.database_url, lambda: system.rows(_CONNECTED))


def of_valkey(system: System) -> list[Connected]:
    """All, those of whoever asks among them."""

    def ask() -> list[tuple[str, int]]:
        return [(one["name"], int(one["addr"].rpartition(":")[2])) for one in system.redis.client_list()]

    return _with_owners(system, system.settings.redis_url, ask)


def _with_owners(system: System, url: str, ask: Callable[[], list[tuple[str, int]]]) -> list[Connected]:
    server = urlsplit(url).port
    told = ask()
    owners = {
        socket.laddr.port: socket.pid
        for socket in psutil.net_connections("tcp")
        if socket.raddr and socket.raddr.port == server
    }
    ours = {os.getpid(), *(process.pid for process in left_behind(system.home))}
    return [Connected(name or "", owners.get(port), owners.get(port) in ours) for name, port in told]


_CONNECTED = """SELECT application_name, client_port FROM pg_stat_activity
WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"""
