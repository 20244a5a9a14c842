"""The web as its own processes, for tests that need its sockets: started as the Procfile does. What steps would write
is written here."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import psutil
import urllib3

from schema.events import Event
from schema.settings import DEMO_ORGANIZATION_ID, read_settings
from storage import documents, events
from storage.catalog import Listing
from storage.documents import Author
from storage.processes import free_port
from tasks.deps import Deps
from tasks.listing import list_course
from tests import factories
from tests.conftest import Databases, Outbox, Servers, eventually, make_deps
from tests.integration.stage import put_job
from tests.sse_client import Listener

ROOT = Path(__file__).parents[2]
ORG = UUID(DEMO_ORGANIZATION_ID)
AGENT = {"X-Agent-Token": "agent-token-of-the-tests", "X-Organization-Id": DEMO_ORGANIZATION_ID}
STEP: dict[str, Any] = {"step": "fill", "stepIndex": 1, "totalSteps": 6, "message": "x", "progress": 20}
#: For requests of these tests: the web waits two seconds for a connection that is kept alive, when it stops.
_ALONE = {"Connection": "close"}
DONE: dict[str, Any] = {"courseId": "c", "totalDuration": 1.0, "mediaPending": 0}


@dataclass
class Web:
    """A running web server, and what stands behind it."""

    url: str
    deps: Deps
    environ: dict[str, str]
    log: Path
    child: subprocess.Popen[bytes] = field(init=False)

    def start(self) -> None:
        """Start it, for the first time or after it was killed, and wait until it answers."""
        with self.log.open("ab") as out:
            self.child = subprocess.Popen(
                [sys.executable, "-m", "gunicorn", "--config", "web/gunicorn_settings.py", "web.app:create_app()"],
                cwd=ROOT,
                env={**os.environ, **self.environ, "PORT": str(self.port), "PYTHONPATH": str(ROOT)},
                stdout=out,
                stderr=out,
            )
        eventually(self._answers, within=60, what="the web")

    def _answers(self) -> bool:
        assert self.child.poll() is None, self.log.read_text()
        try:
            url = f"{self.url}/healthz"
            return bool(urllib3.request("GET", url, headers=_ALONE, retries=False, timeout=5).status == 200)
        except urllib3.exceptions.HTTPError:
            return False

    def kill(self) -> None:
        """End all its processes at once, without a word."""
        family = [psutil.Process(self.child.pid), *self.workers]
        for process in family:
            process.kill()
        self.child.wait(30)

    def listen(self, path: str, headers: dict[str, str] | None = None, **more: Any) -> Listener:
        return Listener(self.url + path, AGENT if headers is None else headers, **more)

    def follow(self, job_id: UUID, after: int | None = None, **more: Any) -> Listener:
        seen = {} if after is None else {"Last-Event-ID": str(after)}
        return self.listen(f"/api/jobs/{job_id}/stream", AGENT | seen, **more)

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    @property
    def workers(self) -> list[psutil.Process]:
        return psutil.Process(self.child.pid).children()

    @property
    def worker(self) -> psutil.Process:
        [worker] = self.workers
        return worker

    def new_job(self) -> UUID:
        return put_job(self.deps, ORG)

    def tell(self, job_id: UUID, *told: Event, wake: bool = True) -> int:
        """Append events and wake, as a step does."""
        with self.deps.db.transaction() as tx:
            last = events.append(tx, job_id, told)
        if wake:
            self.deps.bus.wake(job_id)
        return last

    def end(self, job_id: UUID, status: str = "done", pending: int = 0) -> int:
        """The job's last event, and its row as it is then."""
        with self.deps.db.transaction() as tx:
            tx.run(
                """UPDATE jobs SET status = :status, media_pending = :pending, completed_at = clock_timestamp(),
                due_at = NULL WHERE id = :job""",
                {"job": job_id, "status": status, "pending": pending},
            )
            last = events.append(tx, job_id, [Event("job_completed", DONE | {"mediaPending": pending})])
        self.deps.bus.wake(job_id)
        return last

    def list_course(self, course_id: str, **changes: Any) -> int:
        """Save a course's next revision and list it, as steps do. Returns the catalog's version that shows it."""
        with self.deps.db.transaction() as tx:
            at = documents.lock(tx, ORG, "course", course_id)
            content: Any = factories.course(id=course_id, contentVersion=f"v{at + 1}", **changes)
            revision = documents.save(tx, ORG, "course", course_id, content, Author("app", None), "edited")
            return list_course(self.deps.bus, tx, Listing(ORG, "demo-school", revision, content))

    def metric(self, name: str) -> float:
        text = urllib3.request("GET", f"{self.url}/metrics", headers=_ALONE).data.decode()
        found = [line.split()[-1] for line in text.splitlines() if line.startswith(name + " ")]
        return float(found[0]) if found else 0.0


def serve(deps: Deps, environ: dict[str, str], log: Path, port: int | None = None) -> Web:
    """Start the web as the Procfile does, at any free port unless told."""
    web = Web(f"http://127.0.0.1:{port or free_port()}", deps, environ, log)
    web.start()
    return web


def halt(web: Web) -> None:
    """Stop it, and see that it goes by itself."""
    web.child.send_signal(signal.SIGTERM)
    assert web.child.wait(30) == 0


@contextmanager
def serving(servers: Servers, databases: Databases, folder: Path, **changes: str) -> Iterator[Web]:
    """One web process with a database of its own, for all tests of a file; nothing crashes in it behind an answer."""
    db, log = databases.clean(), folder / "web.log"
    urls = servers.database_urls(str(db.engine.url.database))
    environ = {**servers.environ, **urls, "WEB_CONCURRENCY": "1", **changes}
    deps = make_deps(read_settings(environ), Outbox())
    made = serve(deps, environ, log)
    try:
        yield made
    finally:
        halt(made)
        deps.close()
        databases.ready.append(db)
    written = log.read_text()
    assert "Traceback" not in written and "request_crashed" not in written, written[-3000:]
