"""The address the system listens on: whether it can be had, and how it is written and reached."""

from __future__ import annotations

import socket

from storage.processes import StartFailed, free_port

#: Who listens on every address is reached on this one.
_EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 - compared with, not bound to
_THIS_MACHINE = "127.0.0.1"


def with_port(host: str, port: int) -> str:
    """``host:port`` as URLs and gunicorn write it: an IPv6 address stands in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reached_at(host: str) -> str:
    """Where a server that listens on ``host`` is reached from this machine."""
    return _THIS_MACHINE if host in _EVERYWHERE else host


def url_of(host: str, port: int) -> str:
    """The URL at which a server that listens there is reached from this machine."""
    return f"http://{with_port(reached_at(host), port)}"


def choose_port(host: str, name: str, asked: int | None, preferred: int) -> int:
    """The port asked for, or ``preferred`` (another free one when it is busy), or any free one for 0.

    Raises ``StartFailed`` when ``host`` is no address of this machine, or the port asked for can't be had."""
    if not _can_listen(host, 0):
        raise StartFailed(f"HOST is {host!r}. It needs an address of this machine, such as 127.0.0.1 or 0.0.0.0.")
    if asked:
        if not _can_listen(host, asked):
            raise StartFailed(f"Port {asked} is in use. Set {name} to another one, or to 0 for any free one.")
        return asked
    for _ in range(100):
        port = free_port(preferred if asked is None else 0)
        if _can_listen(host, port):
            return port
        asked = 0
    raise StartFailed(f"No free port could be found on {host}.")


def _can_listen(host: str, port: int) -> bool:
    try:
        family, kind, protocol, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError:
        return False
    return True
