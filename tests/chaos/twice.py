"""Every message twice: a second copy of each one is put on its queue, as an unlucky broker would deliver it again."""

from __future__ import annotations

import json
import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from redis import Redis
from redis.exceptions import RedisError

from schema.clock import new_id

_QUEUES = frozenset({"course", "media", "control"})
#: A queue has one list for each priority; this stands between its name and the number.
_LINE = "\x06\x16"
_ARGUMENT = re.compile(rb'"((?:[^"\\]|\\.)*)"')
_COPY = "copy-"


class Doubler:
    """Watches the broker and puts a copy of each message beside it. ``counts`` says how many there were, by queue;
    ``error`` what ended it before its time."""

    def __init__(self, redis_url: str) -> None:
        self._url = redis_url
        self._closing = threading.Event()
        self.counts: Counter[str] = Counter()
        self.error: Exception | None = None

    def run(self) -> None:
        """Double until ``close``; when the broker goes away, wait for it."""
        while not self._closing.is_set():
            try:
                self._watch()
            except (OSError, RedisError):
                self._closing.wait(0.2)
            except Exception as error:  # noqa: BLE001 - nobody hears what a thread raises; whoever opened it is told
                self.error = error
                return

    def close(self) -> None:
        self._closing.set()

    def _watch(self) -> None:
        url = urlsplit(self._url)
        with (
            socket.create_connection((url.hostname or "127.0.0.1", url.port or 6379), timeout=2) as watching,
            Redis.from_url(self._url, socket_timeout=2, socket_connect_timeout=2) as sending,
            watching.makefile("rb") as lines,
        ):
            watching.sendall(f"AUTH {url.password}\r\nMONITOR\r\n".encode())
            watching.settimeout(1.0)
            while not self._closing.is_set():
                try:
                    line = lines.readline()
                except TimeoutError:
                    return  # a reader that timed out can't be read on: begin anew
                if not line:
                    return
                self._double(line, sending)

    def _double(self, line: bytes, sending: Redis) -> None:
        words = [_unescaped(word) for word in _ARGUMENT.findall(line)]
        queue = words[1].split(_LINE)[0] if len(words) == 3 and words[0].upper() == "LPUSH" else ""
        if queue not in _QUEUES:
            return
        message = json.loads(words[2])
        tag = message["properties"]["delivery_tag"]
        if tag.startswith(_COPY):
            return
        message["properties"]["delivery_tag"] = f"{_COPY}{new_id()}"
        sending.lpush(words[1], json.dumps(message))
        self.counts[queue] += 1


def _unescaped(word: bytes) -> str:
    return word.decode("ascii").encode().decode("unicode_escape")


@contextmanager
def doubling(redis_url: str) -> Iterator[Doubler]:
    """While this is open every message is delivered twice. Raises what ended that before its time."""
    doubler = Doubler(redis_url)
    thread = threading.Thread(target=doubler.run, name="doubler")
    thread.start()
    try:
        yield doubler
    finally:
        doubler.close()
        thread.join()
    if doubler.error is not None:
        raise doubler.error
