"""Real servers for every test that needs one: started once a run, a clean database for each test in milliseconds."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID

import psycopg2
import pytest
from redis import Redis
from xdist.scheduler import LoadScopeScheduling

from schema.clock import new_id
from schema.settings import DEMO_ORGANIZATION_ID, Settings, read_settings
from storage import audit, embedded, organizations
from storage.bus import Bus
from storage.db import Database, Transaction, make_engine
from storage.embedded import read_secrets
from storage.engine.queue import Sending
from storage.objects import ObjectStore
from storage.organizations import Organization
from storage.postgres.connecting import database_of
from storage.postgres.schema_version import upgrade
from storage.processes import Spec, start, stop, wait_ready
from tasks import deps as wiring
from tasks import logs
from tasks.commands import Asker
from tasks.deps import Deps
from tasks.dispatch import dispatch
from tests import hunting

T = TypeVar("T")
AGENT_TOKEN = "agent-token-of-the-tests"
DEMO_SCHOOL = Organization(UUID(DEMO_ORGANIZATION_ID), "demo-school", "Demo school")


class _SystemsTogether(LoadScopeScheduling):  # type: ignore[misc]
    """Tests of whole systems share some that are already running, so they stay in one process, and so do those in a
    browser; others go anywhere."""

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith("tests/browser/"):
            return "browser"
        return "systems" if nodeid.startswith(("tests/acceptance/", "tests/chaos/")) else nodeid


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> LoadScopeScheduling:
    # pytest 9 names tests in a way that xdist's own --dist loadgroup doesn't notice.
    return _SystemsTogether(config, log)


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[None]:
    """Six thousand tests are a million objects that stay: looking through them again and again for garbage took half of
    the time that collecting them takes."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        gc.freeze()


@dataclass(frozen=True)
class Servers:
    """The embedded servers of this run. ``environ`` is what a process needs to reach them."""

    home: Path
    environ: dict[str, str]
    specs: dict[str, Spec]

    def database_url(self, name: str) -> str:
        return self.environ["DATABASE_URL"].rsplit("/", 1)[0] + "/" + name

    def database_urls(self, name: str) -> dict[str, str]:
        """The addresses of a database for its owner, for the web and for workers, by their settings."""
        url = self.database_url(name)
        return {"DATABASE_URL": url, **embedded.role_urls(url, read_secrets(self.home))}


@pytest.fixture(scope="session")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """Postgres, Valkey and S3, started once and stopped at the end. Then no log that was written meanwhile, by them or
    by any process of a test, holds a secret of theirs."""
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
            "S3_ENDPOINT_URL": embedded.s3(home, keys),
            "REDIS_URL": embedded.valkey(home, keys),
            "DATABASE_URL": (hasty, url),
        }
        running = [(spec, start(spec)) for spec, _ in made.values()]
        for spec, child in running:
            wait_ready(spec, child)
        environ = {name: url for name, (_, url) in made.items()} | {
            "S3_ACCESS_KEY": keys.s3_access,
            "S3_SECRET_KEY": keys.s3_secret,
            "SECRET_KEY": keys.secret_key,
            "AGENT_TOKEN": AGENT_TOKEN,
            "COURSEWRIGHT_HOME": str(home),
            "LOG_LEVEL": "WARNING",
            # Tests ask from one address, and more often than anybody should.
            "RATE_LIMIT_PER_MINUTE": "1000000",
            "STREAMS_PER_IDENTITY": "10000",
        }
        yield Servers(home, environ, {spec.name: spec for spec, _ in running})
    finally:
        for spec, child in reversed(running):
            stop(spec, child)
        found = _leaks([home, tmp_path_factory.getbasetemp()], keys)
        shutil.rmtree(home, ignore_errors=True)
    assert not found


def _leaks(folders: list[Path], keys: embedded.Secrets) -> set[str]:
    logs = [path for folder in folders for path in folder.rglob("*.log") if path.is_file()]
    secrets = {name: str(secret) for name, secret in asdict(keys).items()} | {"the agent token": AGENT_TOKEN}
    return hunting.leaks(((f"{path.parent.name}/{path.name}", path.read_bytes()) for path in logs), secrets, ())


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
    organizations.ensure(db, DEMO_SCHOOL)
    db.dispose()
    store = ObjectStore(read_settings(servers.environ).s3)
    store.ensure_buckets()
    return "template_of_tests"


#: Changes when somebody alters a table, a column, an index or a constraint.
_STRUCTURE = """SELECT md5(string_agg(concat_ws(',', c.oid, c.xmin, a.attname, a.xmin), ';' ORDER BY c.oid, a.attnum))
  || (SELECT sum(oid::bigint) FROM pg_constraint) || ',' || (SELECT sum(oid::bigint) FROM pg_attrdef)
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid WHERE c.relnamespace = 'public'::regnamespace"""


@dataclass
class Databases:
    """A few copies of the template that tests use in turn. Emptying one takes milliseconds, making one a tenth of a
    second; and a straggling thread of one test finds its database idle for the next few."""

    servers: Servers
    template: str
    ready: deque[Database] = field(default_factory=deque)
    structure: str = ""
    contents: dict[str, str] = field(default_factory=dict)

    def clean(self) -> Database:
        """A database as the template is. Give it back to ``ready`` when done."""
        if len(self.ready) >= 4:
            used = self.ready.popleft()
            if self._restored(used):
                return used
            used.dispose()
            _administer(self.servers, f"DROP DATABASE {used.engine.url.database} WITH (FORCE)")
        name = f"test_{new_id().hex}"
        _administer(self.servers, f"CREATE DATABASE {name} TEMPLATE {self.template} STRATEGY FILE_COPY")
        made = Database(make_engine(self.servers.database_url(name), name="cleaner", pool_size=1, ping=True))
        if not self.structure:
            with made.transaction() as tx:
                self.structure = str(tx.run(_STRUCTURE).scalar_one())
                self.contents = {name: _rows(tx, name) for name in _tables(tx)}
        return made

    def _restored(self, db: Database) -> bool:
        """Cut every other connection, and put the template's rows in the place of all others. False when somebody
        altered the tables."""
        with db.transaction() as tx:
            others = "datname = current_database() AND pid <> pg_backend_pid()"
            tx.run(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
            if tx.run(_STRUCTURE).scalar_one() != self.structure:
                return False
            filled = {name: rows for name, rows in self.contents.items() if rows != "[]"}
            # One message for all of it. With foreign keys aside any order will do.
            tx.run(
                "; ".join(
                    [
                        "SET LOCAL session_replication_role = replica",
                        *(f"DELETE FROM {name}" for name in self.contents),
                        *(
                            f"INSERT INTO {name} SELECT * FROM json_populate_recordset(NULL::{name}, :{name})"
                            for name in filled
                        ),
                    ]
                ),
                filled,
            )
        return True


def _tables(tx: Transaction) -> list[str]:
    return [row.name for row in tx.run("SELECT tablename AS name FROM pg_tables WHERE schemaname = 'public'").all()]


def _rows(tx: Transaction, table: str) -> str:
    return str(tx.run(f"SELECT COALESCE(json_agg(t), '[]')::text FROM {table} t").scalar_one())


@pytest.fixture(scope="session")
def databases(servers: Servers, template: str) -> Iterator[Databases]:
    """The databases of this run."""
    made = Databases(servers, template)
    yield made
    for db in made.ready:
        db.dispose()


@pytest.fixture
def environ(servers: Servers, databases: Databases) -> Iterator[dict[str, str]]:
    """The environment of one test: a clean database for itself and an empty Redis database."""
    db = databases.clean()
    Redis.from_url(servers.environ["REDIS_URL"]).flushdb()
    yield {**servers.environ, **servers.database_urls(str(db.engine.url.database))}
    databases.ready.append(db)


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
    """Everything real but the broker, whose messages land in ``outbox``. A worker's: steps are walled in, the test
    itself sees everything."""
    made = make_deps(settings, outbox)
    use(made)
    yield made
    made.close()


def use(deps: Deps) -> None:
    """Make these the deps of this process, and those of its views the same with the web's own eyes on the database."""
    db = database_of(deps.settings, "web", pool_size=2, ping=True)
    wiring.use(deps, replace(deps, db=db, ask_dispatch=partial(dispatch, deps)))
    _of_views.append(db)


#: The databases of views that were made in a test.
_of_views: list[Database] = []


@pytest.fixture
def owner(settings: Settings) -> Iterator[Database]:
    """The database as whoever owns its tables sees it, and may change them."""
    made = Database(make_engine(settings.database_url, name="owner"))
    yield made
    made.dispose()


def make_deps(settings: Settings, outbox: Outbox) -> Deps:
    """Deps of one more process."""
    made = Deps(
        settings=settings,
        db=database_of(settings, "test"),
        bus=Bus(settings.redis_url),
        objects=ObjectStore(settings.s3),
        send=outbox,
    )
    _watching.append(made)
    return made


#: All that were made in a test. What watches in them may not go on into the next one.
_watching: list[Deps] = []


@pytest.fixture(autouse=True)
def _nobody_watches_on() -> Iterator[None]:
    yield
    for made in _watching:
        if "watcher" in made.__dict__:
            made.watcher.close()
    _watching.clear()
    audit.leave()
    for db in _of_views:
        db.dispose()
    _of_views.clear()


@pytest.fixture
def asker() -> Asker:
    """Somebody of the demo school."""
    return Asker(UUID(DEMO_ORGANIZATION_ID), str(new_id()))


def with_jobs(settings: Settings, **changes: float) -> Settings:
    """Settings with other figures for the life of a job."""
    return replace(settings, jobs=replace(settings.jobs, **changes))


def eventually(look: Callable[[], T], within: float = 30.0, what: str = "it") -> T:
    """Wait until ``look`` gives something true, and return that. Fails after ``within`` seconds. The longer it takes,
    the more seldom it looks: most looks ask the very system that is waited for, and take its time."""
    began = time.monotonic()
    while True:
        found = look()
        if found:
            return found
        waited = time.monotonic() - began
        assert waited < within, f"{what} did not come true within {within} s; the last look gave {found!r}"
        time.sleep(min(0.1, 0.01 + waited / 20))


@pytest.fixture(autouse=True)
def _plain_logs() -> None:
    """Logs as production writes them, whatever the test before this one configured; the default would draw every local
    variable of an expected error."""
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
