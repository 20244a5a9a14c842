"""Real servers for every test that needs one: started once a run, a clean database for each test in milliseconds."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar
from uuid import UUID

import psycopg2
import pytest
from redis import Redis

from schema.clock import new_id
from schema.settings import DEMO_ORGANIZATION_ID, Settings, read_settings
from storage import embedded, organizations
from storage.bus import Bus
from storage.db import Database, make_engine
from storage.embedded import read_secrets
from storage.objects import ObjectStore
from storage.organizations import Organization
from storage.processes import Spec, start, stop, wait_ready
from storage.queue import Sending
from storage.schema_version import upgrade
from tasks import deps as wiring
from tasks import logs
from tasks.commands import Asker
from tasks.deps import Deps

T = TypeVar("T")


@dataclass(frozen=True)
class Servers:
    """The embedded servers of this run. ``environ`` is what a process needs to reach them."""

    home: Path
    environ: dict[str, str]
    specs: dict[str, Spec]

    def database_url(self, name: str) -> str:
        return self.environ["DATABASE_URL"].rsplit("/", 1)[0] + "/" + name


@pytest.fixture(scope="session")
def servers() -> Iterator[Servers]:
    """Postgres, Valkey and S3, started once and stopped at the end."""
    home = Path(tempfile.mkdtemp(prefix="coursewright-test-"))
    home.chmod(0o755)
    keys = read_secrets(home)
    running = []
    try:
        spec, url = embedded.postgres(home, keys)
        # A copy of the template takes 50 ms instead of 800 when nobody waits for the disk; a killed server of these
        # tests still loses nothing, because the machine lives on.
        hasty = replace(spec, argv=[*spec.argv, "-c", "fsync=off"])
        made = {
            "DATABASE_URL": (hasty, url),
            "REDIS_URL": embedded.valkey(home, keys),
            "S3_ENDPOINT_URL": embedded.s3(home, keys),
        }
        running = [(spec, start(spec)) for spec, _ in made.values()]
        for spec, child in running:
            wait_ready(spec, child)
        environ = {name: url for name, (_, url) in made.items()} | {
            "S3_ACCESS_KEY": keys.s3_access,
            "S3_SECRET_KEY": keys.s3_secret,
            "SECRET_KEY": keys.secret_key,
            "AGENT_TOKEN": "agent-token-of-the-tests",
            "COURSEWRIGHT_HOME": str(home),
            "LOG_LEVEL": "WARNING",
        }
        yield Servers(home, environ, {spec.name: spec for spec, _ in running})
    finally:
        for spec, child in reversed(running):
            stop(spec, child)
        shutil.rmtree(home, ignore_errors=True)


def _administer(servers: Servers, statement: str) -> None:
    connection = psycopg2.connect(servers.database_url("postgres"))
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(statement)
    finally:
        connection.close()


@pytest.fixture(scope="session")
def template(servers: Servers) -> str:
    """A migrated database with the demo school, to be copied for each test."""
    _administer(servers, "CREATE DATABASE template_of_tests")
    db = Database(make_engine(servers.database_url("template_of_tests"), name="template", pool_size=2))
    upgrade(db.engine)
    organizations.ensure(db, Organization(UUID(DEMO_ORGANIZATION_ID), "demo-school", "Demo school"))
    db.dispose()
    store = ObjectStore(read_settings(servers.environ).s3)
    store.ensure_buckets()
    return "template_of_tests"


@pytest.fixture
def environ(servers: Servers, template: str) -> Iterator[dict[str, str]]:
    """The environment of one test: its own database and an empty Redis database."""
    name = f"test_{new_id().hex}"
    _administer(servers, f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
    Redis.from_url(servers.environ["REDIS_URL"]).flushdb()
    yield {**servers.environ, "DATABASE_URL": servers.database_url(name)}
    _administer(servers, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def settings(environ: dict[str, str]) -> Settings:
    """The settings of one test."""
    return read_settings(environ)


class Outbox(list[Sending]):
    """A broker that keeps what it is given."""

    def __call__(self, sending: Sending) -> None:
        self.append(sending)


@pytest.fixture
def outbox() -> Outbox:
    """What would have gone to the broker."""
    return Outbox()


@pytest.fixture
def deps(settings: Settings, outbox: Outbox) -> Iterator[Deps]:
    """Everything real but the broker, whose messages land in ``outbox``."""
    made = make_deps(settings, outbox)
    wiring.use(made)
    yield made
    made.close()


def make_deps(settings: Settings, outbox: Outbox) -> Deps:
    """Deps of one more process."""
    return Deps(
        settings=settings,
        db=Database(make_engine(settings.database_url, name="test")),
        bus=Bus(settings.redis_url),
        objects=ObjectStore(settings.s3),
        send=outbox,
    )


@pytest.fixture
def asker() -> Asker:
    """Somebody of the demo school."""
    return Asker(UUID(DEMO_ORGANIZATION_ID), str(new_id()))


def with_jobs(settings: Settings, **changes: float) -> Settings:
    """Settings with other figures for the life of a job."""
    return replace(settings, jobs=replace(settings.jobs, **changes))


def eventually(look: Callable[[], T], within: float = 30.0, what: str = "it") -> T:
    """Wait until ``look`` gives something true, and return that. Fails after ``within`` seconds."""
    until = time.monotonic() + within
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < until, f"{what} did not come true within {within} s; the last look gave {found!r}"
        time.sleep(0.02)


@pytest.fixture(autouse=True, scope="session")
def _plain_logs() -> None:
    """Logs as production writes them; the default would draw every local variable of an expected error."""
    logs.configure("ERROR")


@pytest.fixture(autouse=True, scope="session")
def _no_stray_environment() -> Iterator[None]:
    """A test sees only what its fixtures set, not the settings of whoever runs it."""
    kept = dict(os.environ)
    for name in list(os.environ):
        if name.startswith(("OPENAI_", "S3_", "JOB_", "FLOWER_")) or name in {"DATABASE_URL", "REDIS_URL", "PORT"}:
            del os.environ[name]
    yield
    os.environ.clear()
    os.environ.update(kept)
