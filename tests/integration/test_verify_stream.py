"""``coursewright verify`` behind a proxy that keeps streams back."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import urllib3

from web.verify import Deployment, Failed, streamed

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


@contextmanager
def answering(words: bytes) -> Iterator[Deployment]:
    """A deployment that says so much and then nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        over = threading.Event()

        def answer() -> None:
            client, _ = server.accept()
            with client:
                client.recv(65536)
                client.sendall(words)
                over.wait(30)

        thread = threading.Thread(target=answer)
        thread.start()
        http = urllib3.PoolManager(retries=False, timeout=0.5)
        try:
            yield Deployment(f"http://127.0.0.1:{server.getsockname()[1]}", {}, 1, http)
        finally:
            over.set()
            thread.join()
            http.clear()


def test_a_stream_that_speaks_is_well() -> None:
    with answering(HEAD + b"retry: 2000\n\n") as at:
        assert "at once" in streamed(at)


@pytest.mark.parametrize("words", [b"", HEAD, HEAD + b"retry"], ids=["no head", "no words", "half a word"])
def test_one_that_is_kept_back_is_noticed_and_the_place_to_look_named(words: bytes) -> None:
    with answering(words) as at, pytest.raises(Failed, match=r"buffer it.*In front of it"):
        streamed(at)


def test_an_answer_that_is_no_stream_is_told() -> None:
    with answering(b"HTTP/1.1 501 No\r\nContent-Length: 0\r\n\r\n") as at, pytest.raises(Failed, match="answered 501"):
        streamed(at)
