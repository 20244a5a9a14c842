"""An OpenAI-compatible server on 127.0.0.1 that gives true answers, and faults when told to.

In a test: ``with ModelServer() as server: ... server.url, server.script([...]), server.calls()``.
By itself: ``python -m tests.fakes.model_server --port 9000``; set ``OPENAI_BASE_URL=http://127.0.0.1:9000/v1``.

- ``POST /v1/chat/completions`` (also streamed), ``POST /v1/images/generations``, ``GET /v1/models``
- ``POST /script``: a JSON list of faults for coming calls, taken in order. A fault is a name or
  ``{"fault": name, "purpose"?, "times"?: 1, "seconds"?, "retryAfter"?, "count"?: 1}``; purposes are plan, items,
  repair, study_text, verify, topics, lessons, picture. ``DELETE /script`` forgets what is left, ``GET /script`` shows
  it.
- ``GET /calls``: every call so far; ``DELETE /calls`` forgets them.

Faults: 400, 401, 403, 404, 422, 429 (with ``retryAfter``, a number or a date), quota (429 insufficient_quota), 500,
503; hang (until the client goes, at most ``seconds``, 30), slow (answers after ``seconds``, 1), cut (the connection
breaks midway), broken_body (an HTTP answer that ends early and says it is whole), html (a 200 that is a page), fenced,
truncated (half an answer that claims to be whole), length, misshaped, empty, refusal, content_filter, wrong_key,
duplicate_items, missing_items, no_picture; and when a stream is asked for: stalls (falls silent midway, like hang),
stream_error (an error as an event midway), ends_early (ends midway as if all were said), no_usage, unstreamed (answers
in one piece), refuses_streams (400 for a stream).
"""

from __future__ import annotations

import argparse
import json
import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from http.server import ThreadingHTTPServer
from typing import Any, Self

from tests.fakes.knowledge import hashed
from tests.fakes.model_door import Door
from tests.fakes.model_faults import FAULTS, STATUS, Call, Fault


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 512  # hundreds of calls may come at once


class ModelServer:
    """The server with its script and its memory of calls. ``latency`` seconds pass before every true answer, up to
    ``spread`` (a share of it) more or less, the same for the same question; ``pace`` between two pieces of a stream."""

    def __init__(self, port: int = 0, latency: float = 0.0, spread: float = 0.0, pace: float = 0.0) -> None:
        self.latency = latency
        self.spread = spread
        self.pace = pace
        self.closing = threading.Event()
        #: How often ``release`` was called.
        self.releases = 0
        #: How many connections were made so far.
        self.connections = 0
        self._lock = threading.Condition()
        self._faults: list[Fault] = []
        self._calls: list[Call] = []
        self._http = _Http(("127.0.0.1", port), Door)
        self._http.model_server = self  # type: ignore[attr-defined]
        self.port = int(self._http.server_address[1])
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    @property
    def url(self) -> str:
        """What ``OPENAI_BASE_URL`` should be."""
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join()

    def script(self, faults: list[str | dict[str, Any]]) -> None:
        """Add faults for coming calls. Raises ``TypeError`` or ``ValueError`` for what is no fault."""
        read = [Fault(one) if isinstance(one, str) else Fault(**one) for one in faults]
        for one in read:
            if one.fault not in STATUS and one.fault not in FAULTS:
                raise ValueError(f"There is no fault {one.fault!r}.")
        with self._lock:
            self._faults += read

    def scripted(self) -> list[Fault]:
        """Faults that no call has taken yet."""
        with self._lock:
            return [Fault(**asdict(one)) for one in self._faults]

    def calls(self, purpose: str | None = None) -> list[Call]:
        """The calls so far, oldest first."""
        with self._lock:
            return [call for call in self._calls if purpose in (None, call.purpose)]

    def forget(self, *, faults: bool = False, calls: bool = False) -> None:
        with self._lock:
            if faults:
                self._faults.clear()
            if calls:
                self._calls.clear()

    def release(self) -> None:
        """Let every call that is held up now go on at once."""
        self.releases += 1

    def wait_for(self, what: Callable[[list[Call]], bool], seconds: float = 5.0) -> bool:
        """Wait until ``what(calls)`` is true; woken whenever a call begins or ends."""
        with self._lock:
            return self._lock.wait_for(lambda: what(list(self._calls)), seconds)

    def begin(self, call: Call) -> Fault | None:
        """Note a call and give it the first fault meant for it."""
        with self._lock:
            call.number = len(self._calls)
            call.inFlight = 1 + sum(other.seconds is None for other in self._calls)
            self._calls.append(call)
            fault = next((one for one in self._faults if one.purpose in (None, call.purpose)), None)
            if fault is not None:
                call.fault = fault.fault
                fault.times -= 1
                if fault.times <= 0:
                    self._faults.remove(fault)
            self._lock.notify_all()
            return fault

    def thinking(self, call: Call) -> float:
        """How many seconds a true answer to this call takes."""
        return self.latency * (1 + self.spread * (hashed(call.question) % 201 / 100 - 1))

    def end(self, call: Call) -> None:
        with self._lock:
            if call.seconds is None:
                call.seconds = time.time() - call.at
            self._lock.notify_all()


def main() -> None:
    parser = argparse.ArgumentParser(description="An OpenAI-compatible server that answers from a script.")
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds before every answer")
    parser.add_argument("--spread", type=float, default=0.0, help="by which share of it that differs")
    parser.add_argument("--pace", type=float, default=0.0, help="seconds between two pieces of a stream")
    chosen = parser.parse_args()
    with ModelServer(chosen.port, chosen.latency, chosen.spread, chosen.pace) as server:
        print(json.dumps({"url": server.url, "port": server.port}), flush=True)  # noqa: T201 - who started it needs it
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return


if __name__ == "__main__":
    main()
