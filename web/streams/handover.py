"""How a connection gets from gunicorn to the loop. A view says what shall become of it and answers as always; when the
app has returned, the worker finds that here, keeps the answer's body back, and gives the socket away."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

from flask import Response, g, request
from gunicorn.util import http_date

from schema.errors import CoursewrightError
from web import sse
from web.identity import Identity
from web.streams.connection import Start
from web.streams.loop import streams
from web.streams.room import guest_of_this_request
from web.wiring import deps

_KEY = "coursewright.handover"

StartResponse = Callable[..., Any]
App = Callable[[dict[str, Any], StartResponse], Iterable[bytes]]


class StreamsNotServed(CoursewrightError):
    status = 501
    code = "streams_not_served"
    title = "There are no streams here"


@dataclass
class Offer:
    """What the server can do for a view: ``start`` is filled in by one that wants it."""

    start: Start | None = None


class HandedOver(Exception):
    """Ends gunicorn's part of a request. ``head`` is that of the answer, on the wire."""

    def __init__(self, head: bytes, start: Start) -> None:
        super().__init__("The connection belongs to a stream now.")
        self.head = head
        self.start = start


def open_stream(start: Start) -> Response:
    """The answer of a view that begins a stream. Raises ``Unavailable`` when there is no room, ``TooMany`` when whoever
    asks has enough streams, and ``StreamsNotServed`` when the server can't let go of the connection: one that is not
    ours, or HTTP/2, or TLS without a proxy."""
    answer = Response(headers=sse.HEADERS)
    if request.method == "HEAD":
        return answer
    offer = request.environ.get(_KEY)
    if offer is None:
        raise StreamsNotServed(
            "This server can't stream on this connection. Read what is new instead: .../events?after=0 of a job,"
            " .../changes?since=0 of a catalog."
        )
    guest = guest_of_this_request(deps().settings.guards.streams_per_identity)
    streams().check_room(guest)
    identity: Identity | None = g.get("identity")
    grounds = identity.grounds if identity is not None else None
    if identity is not None and grounds is not None and identity.way == "user":
        grounds = replace(grounds, until=identity.expires_at)  # whoever shows a token shows a fresh one in time
    private = identity is not None and identity.sees_private
    offer.start = replace(start, guest=guest, grounds=grounds, private=private)
    return answer


def offering(app: App) -> App:
    """The same app, whose views may keep the connection. Calling it raises ``HandedOver`` when one does."""

    def call(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        if not _can_be_given_away(environ):
            return app(environ, start_response)
        offer = environ[_KEY] = Offer()
        answered: list[tuple[str, list[tuple[str, str]]]] = []

        def begin(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
            answered[:] = [(status, headers)]
            return start_response(status, headers, *rest)

        body = app(environ, begin)
        # What went wrong after the view is an answer of its own.
        if offer.start is None or not answered[0][0].startswith("200"):
            return body
        if hasattr(body, "close"):
            body.close()
        raise HandedOver(_head(*answered[0]), offer.start)

    return call


def _can_be_given_away(environ: dict[str, Any]) -> bool:
    sock = environ.get("gunicorn.socket")
    plain = isinstance(sock, socket.socket) and not isinstance(sock, ssl.SSLSocket)
    return plain and environ.get("HTTP_VERSION") != "2"


def _head(status: str, headers: list[tuple[str, str]]) -> bytes:
    """An answer of no known length, which ends with the connection."""
    lines = [f"HTTP/1.1 {status}", f"Date: {http_date()}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in headers if name.lower() not in {"content-length", "connection"}]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")
