"""What the worker finds when the app has returned: a connection that a view wants, or an answer like any other."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable, Iterator
from typing import Any, cast

import pytest

from web.streams.connection import Start
from web.streams.feeds import Feed
from web.streams.handover import HandedOver, offering

START = Start(cast(Feed, None), 3, resumed=True)
HEADERS = [("Content-Type", "text/event-stream"), ("Content-Length", "0"), ("X-Request-Id", "r")]


class Body(list[bytes]):
    closed = False

    def close(self) -> None:
        self.closed = True


def app(status: str, body: Body, wants: bool = True) -> Callable[[dict[str, Any], Any], Iterable[bytes]]:
    def call(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if wants and "coursewright.handover" in environ:
            environ["coursewright.handover"].start = START
        start_response(status, HEADERS)
        return body

    return call


@pytest.fixture
def plain() -> Iterator[socket.socket]:
    with socket.socket() as made:
        yield made


def answered(given: Any, environ: dict[str, Any]) -> tuple[Any, list[str]]:
    began: list[str] = []
    return offering(given)(environ, lambda status, *_: began.append(status)), began


def test_a_view_that_wants_the_connection_gets_it_with_the_head_of_its_answer(plain: socket.socket) -> None:
    body = Body([b"x"])
    with pytest.raises(HandedOver) as caught:
        answered(app("200 OK", body), {"gunicorn.socket": plain})
    first, date, *others = caught.value.head.decode().split("\r\n")
    assert (first, date[:6]) == ("HTTP/1.1 200 OK", "Date: ")
    assert others == ["Connection: close", "Content-Type: text/event-stream", "X-Request-Id: r", "", ""]
    assert caught.value.start is START
    assert body.closed


@pytest.mark.parametrize("status", ["500 Internal Server Error", "304 Not Modified"])
def test_what_went_wrong_after_the_view_is_answered(plain: socket.socket, status: str) -> None:
    body = Body([b"x"])
    assert answered(app(status, body), {"gunicorn.socket": plain}) == (body, [status])
    assert not body.closed


def test_an_answer_like_any_other_goes_its_way(plain: socket.socket) -> None:
    body = Body([b"x"])
    assert answered(app("200 OK", body, wants=False), {"gunicorn.socket": plain}) == (body, ["200 OK"])


def test_a_connection_that_cannot_be_given_away_is_not_offered(plain: socket.socket) -> None:
    secret = ssl.SSLSocket.__new__(ssl.SSLSocket)
    for environ in ({}, {"gunicorn.socket": secret}, {"gunicorn.socket": plain, "HTTP_VERSION": "2"}):
        body = Body([b"x"])
        assert answered(app("200 OK", body), environ) == (body, ["200 OK"])
        assert "coursewright.handover" not in environ
