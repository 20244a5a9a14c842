"""The scripted model as a process of its own, so that it can be stopped, with its own record of every call."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import urllib3
from urllib3.exceptions import HTTPError

from storage.processes import end_with_parent
from tests.acceptance.conftest import ROOT
from tests.fakes.model_answers import facts_in

#: Faults that a good client mends by asking again, each with what it needs to be told.
FAULTS: tuple[dict[str, Any], ...] = (
    {"fault": "500"},
    {"fault": "503"},
    {"fault": "429", "retryAfter": 1},
    {"fault": "hang", "seconds": 2},
    {"fault": "cut"},
    {"fault": "broken_body"},
    {"fault": "truncated"},
    {"fault": "empty"},
    {"fault": "slow", "seconds": 1.5},
)


class Call:
    """One call as the model saw it. ``job`` is the language tag that names its job (none for pictures), ``part`` what
    of the course it was about: the name of a group or text, or a lesson's first question."""

    def __init__(self, told: dict[str, Any]) -> None:
        self.at: float = told["at"]
        #: When the server was through with it; a call that still goes on has no end.
        self.ended: float = math.inf if told["seconds"] is None else told["at"] + told["seconds"]
        self.purpose: str = told["purpose"]
        self.fault: str | None = told["fault"]
        self.hung_up: bool = told["hungUp"]
        self.answered = told["status"] == 200 and not told["hungUp"]
        self.question: str = told["question"]
        facts = facts_in(self.question)
        self.job: str | None = facts.get("language")
        names = {"items": "group", "study_text": "title"}
        self.part: str = str(facts.get(names.get(self.purpose, ""), ""))
        if told.get("schemaName") in ("exam_lesson", "exam_answers"):
            self.part = facts["questions"][0]["question"]


class Model:
    """The running model server."""

    def __init__(self, child: subprocess.Popen[str], url: str) -> None:
        self.child = child
        self.url = url
        self.process = psutil.Process(child.pid)
        self._http = urllib3.PoolManager(retries=False, timeout=urllib3.Timeout(30))

    def script(self, faults: list[dict[str, Any]]) -> bool:
        """Tell it which faults coming calls meet. False when it doesn't answer just now."""
        try:
            answer = self._http.request(
                "POST", f"{self._root}/script", body=json.dumps(faults), timeout=urllib3.Timeout(1)
            )
        except HTTPError:
            return False
        return answer.status == 200

    def forgive(self) -> None:
        """Forget the faults no call has met yet."""
        self._http.request("DELETE", f"{self._root}/script")

    def calls(self) -> list[Call]:
        """Every call so far, oldest first."""
        told = self._http.request("GET", f"{self._root}/calls").json()
        return sorted((Call(one) for one in told), key=lambda call: call.at)

    @property
    def _root(self) -> str:
        return self.url.removesuffix("/v1")

    def close(self) -> None:
        self._http.clear()


@contextmanager
def serving(thinking: float, log: Path) -> Iterator[Model]:
    """A model server that thinks for about so many seconds about each answer. What it complains of, connections that
    broke for instance, goes to ``log``."""
    with log.open("w") as complaints:
        child = subprocess.Popen(
            [sys.executable, "-m", "tests.fakes.model_server", "--latency", str(thinking), "--spread", "0.9"],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            preexec_fn=end_with_parent,
        )
    assert child.stdout is not None
    model = Model(child, json.loads(child.stdout.readline())["url"])
    try:
        yield model
    finally:
        model.close()
        child.kill()
        child.wait()
        child.stdout.close()
