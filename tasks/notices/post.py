"""One HTTP request to a receiver nobody vouches for.

The name is resolved once, every address is judged, and the connection goes to one of those judged: a name that
resolves to something else a moment later leads nowhere. No redirect is followed, no proxy of the environment is used,
little of the answer is read, and all of it together is over within ``TOTAL_SECONDS``, after at most ``LOOK_UP_SECONDS``
for the name.
"""

from __future__ import annotations

import io
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cache
from http.client import HTTPConnection, HTTPException, HTTPResponse
from typing import Any, cast

from schema.errors import Permanent
from schema.targets import PrivateTargets, Target, fault_of
from schema.webhook import ANSWER_LIMIT

LOOK_UP_SECONDS, CONNECT_SECONDS, TOTAL_SECONDS = 5.0, 5.0, 10.0
#: So much of an answer is read, in bytes. It is kept to see what was wrong, not for what it says.
READ_LIMIT = 10_000

#: The addresses of a host, from (host, port).
Resolver = Callable[[str, int], list[str]]


class Refused(Permanent):
    """The target may not be sent to. The message says why."""


@dataclass(frozen=True)
class Answer:
    """What came back. ``retry_after``: for how many seconds the receiver wants to be left alone."""

    status: int
    start: str
    retry_after: float | None


def look_up(host: str, port: int, find: Callable[..., Any] = socket.getaddrinfo) -> list[str]:
    """All addresses of a host. Raises ``OSError`` when it has none, or none is known in time.

    A resolver takes no time limit, and whoever runs the servers of a name can keep it busy for half a minute. So a
    thread of its own waits for it, and it alone goes on waiting."""
    found: Future[Any] = Future()

    def look() -> None:
        try:
            found.set_result(find(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            found.set_exception(error)

    threading.Thread(target=look, name="look-up", daemon=True).start()
    try:
        return list(dict.fromkeys(str(one[4][0]) for one in found.result(LOOK_UP_SECONDS)))
    except TimeoutError:
        raise socket.gaierror(socket.EAI_AGAIN, "the resolver did not answer in time") from None


def addresses_of(target: Target, private: PrivateTargets, resolve: Resolver = look_up) -> list[str]:
    """The addresses that may be connected to. Raises ``Refused``, and ``OSError`` when the name has none."""
    addresses = resolve(target.host, target.port)
    fault = fault_of(target, addresses, private)
    if fault is not None:
        raise Refused(fault)
    return addresses


def post(
    target: Target,
    addresses: list[str],
    headers: Mapping[str, str],
    body: bytes,
    trust: Callable[[], ssl.SSLContext] | None = None,
) -> Answer:
    """Post to a target at the first of these addresses that takes a connection. Raises ``OSError`` (time-outs and
    certificates included) and ``HTTPException``."""
    until = time.monotonic() + TOTAL_SECONDS
    with _connect(target, addresses, until, trust or _trust) as sock:
        connection = HTTPConnection(target.host, target.port)
        connection.sock = cast(socket.socket, _Bounded(sock, until))
        connection.request("POST", target.path, body, {"Host": target.authority, **headers, "Connection": "close"})
        response = connection.getresponse()
        return Answer(response.status, _start_of(response), _retry_after(response))


def _start_of(response: HTTPResponse) -> str:
    """The beginning of an answer as a text that Postgres can keep."""
    start = b""
    with suppress(OSError, HTTPException):  # it has said whether it took the delivery; the rest is a courtesy
        while len(start) < READ_LIMIT and (piece := response.read1(READ_LIMIT - len(start))):
            start += piece
    return start.decode("utf-8", "replace").replace("\x00", "\ufffd")[:ANSWER_LIMIT]


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


def _connect(target: Target, addresses: list[str], until: float, trust: Callable[[], ssl.SSLContext]) -> socket.socket:
    for last, address in enumerate(addresses, 1 - len(addresses)):
        try:
            sock = socket.create_connection((address, target.port), timeout=min(CONNECT_SECONDS, _left(until)))
        except OSError:
            if last == 0:
                raise
            continue
        if target.scheme == "http":
            return sock
        try:
            sock.settimeout(_left(until))
            # The certificate must be that of the name, whatever address the name led to.
            return trust().wrap_socket(sock, server_hostname=target.host)
        except BaseException:
            sock.close()
            raise
    raise OSError("The name has no address.")


def _left(until: float) -> float:
    left = until - time.monotonic()
    if left <= 0:
        raise TimeoutError("timed out")
    return left


class _Bounded:
    """A socket whose whole use ends at a moment, however little at a time the other side sends."""

    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock, self._until = sock, until

    def sendall(self, data: Any) -> None:
        self._sock.settimeout(_left(self._until))
        self._sock.sendall(data)

    def makefile(self, *_: Any) -> io.BufferedReader:
        return io.BufferedReader(_Reading(self._sock, self._until))

    def close(self) -> None:
        """Whoever opened the socket closes it; the answer may still be read."""


class _Reading(io.RawIOBase):
    def __init__(self, sock: socket.socket, until: float) -> None:
        self._sock, self._until = sock, until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._sock.settimeout(_left(self._until))
        return self._sock.recv_into(buffer)


def _retry_after(response: HTTPResponse) -> float | None:
    """The header Retry-After, in either of its forms; none when it is missing or makes no sense."""
    given = (response.getheader("Retry-After") or "").strip()
    if given.isascii() and given.isdigit():
        return float(given[:9])
    try:
        at = parsedate_to_datetime(given)
    except (ValueError, OverflowError):  # of a year or a zone with twenty digits
        return None
    return max(0.0, (at - _date_of(response)).total_seconds()) if at.tzinfo else None


def _date_of(response: HTTPResponse) -> datetime:
    """The receiver's own clock, by which it told the time. Without it the wish can't be read: it counts as past."""
    with suppress(ValueError, OverflowError):
        date = parsedate_to_datetime(response.getheader("Date") or "")
        if date.tzinfo:
            return date
    return datetime.max.replace(tzinfo=UTC)
