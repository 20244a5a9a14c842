"""Knocking at ports of this machine: where a process listens, and what it says to somebody without credentials."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path
from urllib.parse import urlsplit

import psutil

_QUESTION = b"GET / HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
#: The opening words of HTTP/2, with an empty frame of settings.
_OPENING = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes((0, 0, 0, 4, 0, 0, 0, 0, 0))


def ports_of(*pids: int) -> set[tuple[str, int]]:
    """Where processes and their children listen."""
    family = [member for pid in pids for member in (psutil.Process(pid), *psutil.Process(pid).children(recursive=True))]
    return {
        (found.laddr.ip, found.laddr.port)
        for member in family
        for found in member.net_connections("inet")
        if found.status == psutil.CONN_LISTEN
    }


def pid_listening(url: str) -> int:
    """The process that listens where a URL leads."""
    port = urlsplit(url).port
    return next(
        found.pid
        for found in psutil.net_connections("inet")
        if found.status == psutil.CONN_LISTEN and found.laddr.port == port and found.pid
    )


def plainly(port: int) -> bytes:
    """What a door says to whoever doesn't even speak TLS; nothing when it hangs up."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as connection:
            connection.sendall(_QUESTION)
            return connection.recv(1024)
    except ConnectionError:
        return b""


def over_tls(port: int, certificate: Path | None) -> bytes:
    """What a door says to whoever shows the certificate in this folder, or none; nothing when it refuses."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    if certificate is not None:
        context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    try:
        with (
            socket.create_connection(("127.0.0.1", port), timeout=5) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
        ):
            connection.sendall(_OPENING if connection.selected_alpn_protocol() == "h2" else _QUESTION)
            return connection.recv(1024)
    except (ssl.SSLError, ConnectionError):
        return b""
