"""Streams of a model as no server should send them, byte by byte: none does harm, and each is an error of ours."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from schema.errors import CoursewrightError
from tasks.clients import loop
from tasks.clients.connection import close_connections
from tasks.clients.record import CallRecord
from tasks.clients.text import TextClient
from tests.fakes.open_gate import OpenGate
from tests.integration.model_client import ASK, settings_for

pytestmark = pytest.mark.usefixtures("model_loop")


@contextmanager
def saying(*answers: bytes) -> Iterator[str]:
    """The address of a server that gives these answers, one to each connection, whatever it is asked."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with suppress(OSError):  # nobody comes any more
                for raw in answers:
                    connection, _ = listening.accept()
                    with connection:
                        _say(connection, raw)

        serving = threading.Thread(target=serve, daemon=True)
        serving.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        finally:
            loop.run(close_connections())
            listening.shutdown(socket.SHUT_RDWR)  # wakes who waits in accept, which closing doesn't
            serving.join()


def _say(connection: socket.socket, raw: bytes) -> None:
    with suppress(OSError):  # the client has heard enough
        heard = b""
        while b"\r\n\r\n" not in heard:
            more = connection.recv(65_536)
            if not more:
                return
            heard += more
        connection.sendall(raw)
        connection.shutdown(socket.SHUT_WR)
        connection.recv(65_536)


def http(body: bytes, kind: str = "text/event-stream", status: int = 200, more: str = "") -> bytes:
    return f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nConnection: close\r\n{more}\r\n".encode() + body


def pieces(*texts: str) -> bytes:
    chunks = [{"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": None}]} for text in texts]
    return b"".join(f"data: {json.dumps(chunk)}\n\n".encode() for chunk in chunks)


def answered(*answers: bytes) -> tuple[Any, list[tuple[str, str | None]]]:
    """What comes of such answers: the value or the error's code, and the outcomes that were recorded."""
    records: list[CallRecord] = []
    with saying(*answers) as url:
        client = TextClient(settings_for(url), records.append, OpenGate())
        try:
            found = loop.run(client.complete(ASK, lambda _: None))
        except CoursewrightError as error:
            found = error.code
    return found, [(record.outcome, record.error_code) for record in records]


def test_a_character_cut_in_halves_is_put_together() -> None:
    whole = http(pieces('{"word": "', "\ud83d", "\ude00", '", "count": 1}'))
    assert answered(whole) == ({"word": "\U0001f600", "count": 1}, [("ok", None)])


def test_an_answer_that_goes_on_and_on_is_given_up_before_it_fills_the_memory() -> None:
    endless = http(pieces('{"word": "') + pieces("x" * 1000) * 2500)
    good = http(pieces('{"word": "short", "count": 1}'))
    found, outcomes = answered(endless, good)
    assert found == {"word": "short", "count": 1}
    assert outcomes == [("unreadable", "model_answer_unreadable"), ("ok", None)]


def test_an_endpoint_that_has_not_built_streams_is_asked_without() -> None:
    refusal = http(b'{"error": {"message": "Streaming is not implemented."}}', "application/json", 501)
    message = {"role": "assistant", "content": '{"word": "w", "count": 1}'}
    whole = json.dumps({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]}).encode()
    assert answered(refusal, http(whole, "application/json")) == ({"word": "w", "count": 1}, [("ok", None)])


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (http(b"no gzip", "application/json", more="Content-Encoding: gzip\r\n"), "model_unavailable"),
        (http(b"no gzip", more="Content-Encoding: gzip\r\n"), "model_unavailable"),
        (http(b"data: \xff\n\n"), "model_answer_unreadable"),
        (http(b"[" * 100_000, "application/json"), "model_answer_unreadable"),
        (http(b"data: " + b"[" * 100_000 + b"\n\n"), "model_answer_unreadable"),
        (http(b"", status=204), "model_unavailable"),
    ],
    ids=["json not packed", "stream not packed", "not UTF-8", "deep JSON", "deep chunk", "nothing"],
)
def test_what_no_server_should_say_is_an_error_of_ours(raw: bytes, code: str) -> None:
    found, outcomes = answered(raw, raw, raw)
    assert found == code
    assert {told for _, told in outcomes} == {code}
