"""The client: a steady stream of requests over HTTP. A request whose answer got lost is repeated with the same
``Idempotency-Key`` until there is one. Some jobs are cancelled, some of those retried."""

from __future__ import annotations

import json
import random
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from tests.chaos.ledger import Asked, Ledger, request
from tests.chaos.system import System

#: How long one request may take, and how long the client waits before it repeats one, in seconds.
_PATIENCE = 10.0
_PAUSE = 0.3
#: Answers that say "not now": the client comes again.
_NOT_NOW = frozenset({502, 503, 504})
#: Of a hundred accepted jobs so many are cancelled; of those about half are retried. So many are asked for twice.
_CANCELLED, _RETRIED, _ASKED_TWICE = 6, 50, 10
#: How many requests are repeated when all is over.
_REMEMBERED = 20


class Client:
    """Speaks to the system as an agent of the demo school, and writes everything down in the ledger."""

    def __init__(self, system: System, ledger: Ledger, seed: int) -> None:
        self.ledger = ledger
        self._system = system
        self._seed = seed
        self._http = urllib3.PoolManager(
            maxsize=24, retries=False, timeout=urllib3.Timeout(connect=2, read=_PATIENCE), block=False
        )
        #: Set when nobody should go on asking: the run has waited long enough.
        self.gave_up = threading.Event()

    def close(self) -> None:
        self._http.clear()

    def call(self, method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, Any]:
        """One request. Status 0 when no answer came."""
        headers = dict(self._system.headers)
        if body is not None:
            headers["Content-Type"] = "application/json"
        if key is not None:
            headers["Idempotency-Key"] = key
        try:
            answer = self._http.request(
                method, self._system.url + path, headers=headers, body=None if body is None else json.dumps(body)
            )
            told = answer.json() if answer.data else None
        except (HTTPError, OSError, ValueError):
            return 0, None
        if answer.status == 500:
            self.ledger.broken(f"{method} {path} was answered with 500: {told}")
        return answer.status, told

    def ask_once(self, asked: Asked) -> bool:
        """Ask for a job. Whether it is accepted now."""
        self.ledger.add(asked)
        if asked.exam is not None and "examId" not in asked.payload and not self._send_exam(asked):
            return False
        body = {"jobType": asked.job_type, "payload": asked.payload}
        status, told = self.call("POST", "/api/jobs", body, asked.key)
        asked.answers.append(status)
        if status in (200, 202):
            self.ledger.accept(asked, told["jobId"])
            return True
        if status and status != 500 and status not in _NOT_NOW:
            self.ledger.broken(f"request {asked.number} was answered with {status}: {told}")
        return False

    def _send_exam(self, asked: Asked) -> bool:
        """Send the exam a course is made from. Of one whose answer got lost there are two, and only one is used."""
        status, told = self.call("POST", "/api/exams", asked.exam)
        if status == 201:
            asked.payload["examId"] = told["exam"]["id"]
        elif status and status != 500 and status not in _NOT_NOW:
            self.ledger.broken(f"the exam of request {asked.number} was answered with {status}: {told}")
        return status == 201

    def ask(self, asked: Asked) -> None:
        """Ask until the job is accepted; then do with it what is in store for this number."""
        while not self.ask_once(asked):
            if self.gave_up.wait(_PAUSE):
                return
        draw = random.Random(f"afterwards {self._seed} {asked.number}")
        if draw.random() * 100 < _ASKED_TWICE:
            self.ask_once(asked)
        if draw.random() * 100 < _CANCELLED:
            time.sleep(draw.uniform(0, 0.5))
            self._cancel(asked, retried=draw.random() * 100 < _RETRIED)
        else:
            self._look_at(asked)

    def _look_at(self, asked: Asked) -> None:
        """An accepted job can be read from then on."""
        status, _ = self.call("GET", f"/api/jobs/{asked.job_id}")
        if status == 404:
            self.ledger.broken(f"the accepted job {asked.job_id} was not found")

    def _insist(self, asked: Asked, deed: str, body: Any, good: int) -> bool:
        """Ask for something to be done with a job until there is an answer. Whether that says it was done."""
        path = f"/api/jobs/{asked.job_id}/{deed}"
        while True:
            status, told = self.call("POST", path, body)
            # 409: it was over already, or the answer to the last try got lost.
            if status in (good, 409):
                return status == good
            if status and status != 500 and status not in _NOT_NOW:
                self.ledger.broken(f"{path} was answered with {status}: {told}")
                return False
            if self.gave_up.wait(_PAUSE):
                return False

    def _cancel(self, asked: Asked, *, retried: bool) -> None:
        # Noted first: a cancel whose answer is lost may have happened all the same.
        asked.cancelled_at = time.time()
        if self._insist(asked, "cancel", {"reason": "chaos"}, 200):
            asked.cancel_told_at = time.time()
        if retried:
            asked.retried_at = time.time()
            asked.retry_told = self._insist(asked, "retry", {}, 202)


class Load:
    """Asks for ``jobs`` courses, spread evenly over ``seconds``. What is late is asked for as soon as can be."""

    def __init__(self, client: Client, seed: int, jobs: int, seconds: float) -> None:
        self._client = client
        self._seed = seed
        self._jobs = jobs
        self._pace = seconds / jobs
        self._pool = ThreadPoolExecutor(12, thread_name_prefix="client")
        self._asking: list[Future[None]] = []
        self._lock = threading.Lock()
        self._extra = jobs
        self._thread = threading.Thread(target=self._run, name="load")

    def start(self) -> None:
        self._thread.start()

    def ask_now(self) -> Asked:
        """One request more, sent once by the caller; if no answer comes, it is repeated later like every other."""
        with self._lock:
            self._extra += 1
            asked = request(self._seed, self._extra)
        self._client.ask_once(asked)
        return asked

    def ask_later(self, asked: Asked) -> None:
        """Repeat a request, also one that was answered: the same key must bring the same job."""
        with self._lock:
            self._asking.append(self._pool.submit(self._client.ask, asked))

    def _run(self) -> None:
        began = time.monotonic()
        for number in range(1, self._jobs + 1):
            if self._client.gave_up.wait(max(0.0, began + number * self._pace - time.monotonic())):
                return
            self.ask_later(request(self._seed, number))

    def ask_again(self) -> None:
        """Repeat some requests whose jobs are over: their keys must bring those jobs, not new ones."""
        for asked in self._client.ledger.all()[:: max(1, self._jobs // _REMEMBERED)]:
            self._client.ask_once(asked)

    def finish(self, within: float) -> None:
        """Wait until every request is accepted; after ``within`` seconds give up."""
        limit = time.monotonic() + within
        self._thread.join(within)
        for one in list(self._asking):
            try:
                one.result(max(0.0, limit - time.monotonic()))
            except TimeoutError:
                break
        self._client.gave_up.set()
        self._thread.join()
        self._pool.shutdown()
        for one in self._asking:
            one.result()
