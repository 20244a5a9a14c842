"""Upgrading while the system works: nobody is held up for much longer than a second, and failure is said."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from uuid import UUID

import psycopg2
import pytest
from sqlalchemy import Engine, create_engine

from schema.clock import new_id
from schema.errors import Unavailable
from schema.settings import DEMO_ORGANIZATION_ID
from storage import organizations
from storage.db import Database, make_engine
from storage.organizations import Organization
from storage.postgres.schema_version import current, differences, head, upgrade
from tests.conftest import Servers

ORG = UUID(DEMO_ORGANIZATION_ID)
JOB = """INSERT INTO jobs (id, organization_id, job_type, status, queue)
VALUES (gen_random_uuid(), %s, 'course', 'pending', 'course')"""


@pytest.fixture
def older(servers: Servers) -> Iterator[Engine]:
    """A database in use by the release before this one."""
    name = f"older_{new_id().hex}"
    administer(servers, f"CREATE DATABASE {name} TEMPLATE template0")
    engine = make_engine(servers.database_url(name), name="migrations", pool_size=2)
    upgrade(engine, "0002")
    organizations.ensure(Database(engine), Organization(ORG, "demo-school", "Demo school"))
    yield engine
    engine.dispose()
    administer(servers, f"DROP DATABASE {name} WITH (FORCE)")


def administer(servers: Servers, statement: str) -> None:
    connection = psycopg2.connect(servers.database_url("postgres"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(statement)
    connection.close()


def at(engine: Engine) -> str | None:
    with engine.connect() as connection:
        return current(connection)


@contextmanager
def long_transaction(engine: Engine, statement: str) -> Iterator[Callable[[], None]]:
    """A transaction of somebody else that has looked at something and stays open. Gives what ends it."""
    other = create_engine(engine.url, connect_args={"application_name": "a-report"})
    with other.connect() as connection:
        connection.exec_driver_sql(statement)
        yield connection.rollback
    other.dispose()


class Traffic:
    """Writes and reads of ``jobs`` one after another, and the longest any of them took, in seconds."""

    def __init__(self, engine: Engine) -> None:
        self.longest = 0.0
        self.count = 0
        self._over = threading.Event()
        self._engine = create_engine(engine.url, isolation_level="AUTOCOMMIT")
        self._thread = threading.Thread(target=self._go)

    def __enter__(self) -> Traffic:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(30)
        self._engine.dispose()

    def _go(self) -> None:
        with self._engine.connect() as connection:
            while not self._over.is_set():
                began = time.monotonic()
                connection.exec_driver_sql(JOB, (str(ORG),))
                connection.exec_driver_sql("SELECT count(*) FROM jobs WHERE status = 'pending'")
                self.longest = max(self.longest, time.monotonic() - began)
                self.count += 1


def test_a_long_transaction_makes_it_give_up_and_others_go_on(older: Engine) -> None:
    with long_transaction(older, "SELECT count(*) FROM jobs") as end, Traffic(older) as traffic:
        began = time.monotonic()
        with pytest.raises(Unavailable) as refused:
            upgrade(older, tries=2, pause_seconds=0.3)
        assert time.monotonic() - began < 8
        assert refused.value.code == "upgrade_blocked"
        assert "a-report" in refused.value.message and "db upgrade again" in refused.value.message
        assert at(older) == "0002"
        end()
        upgrade(older, tries=2, pause_seconds=0.3)
        assert at(older) == head()
    assert traffic.count > 50
    assert traffic.longest < 1.8


def test_it_goes_on_by_itself_once_the_lock_is_free(older: Engine) -> None:
    with long_transaction(older, "SELECT count(*) FROM jobs") as end:
        threading.Timer(1.5, end).start()
        upgrade(older, tries=10, pause_seconds=0.3)
    assert at(older) == head()


def test_what_was_done_halfway_is_gone_on_with(older: Engine) -> None:
    # A report on the pictures stops it after the statements on jobs, which stand alone and stay.
    with long_transaction(older, "SELECT count(*) FROM media_assets"), pytest.raises(Unavailable):
        upgrade(older, tries=1)
    assert at(older) == "0002"
    with older.connect() as connection:
        connection.exec_driver_sql("SELECT worked_seconds FROM jobs")
    upgrade(older)
    assert at(older) == head()


#: From which migration on which table somebody holds the next ones up.
HELD_UP = (("0007", "catalog_updates"), ("0007", "media_assets"), ("0008", "catalog_updates"), ("0010", "media_assets"))


def test_each_that_was_held_up_can_be_run_again(older: Engine) -> None:
    for before, table in HELD_UP:
        upgrade(older, before)
        with long_transaction(older, f"SELECT count(*) FROM {table}"), pytest.raises(Unavailable) as refused:
            upgrade(older, tries=1)
        assert refused.value.code == "upgrade_blocked", f"{table} after {before}"
    upgrade(older)
    with older.connect() as connection:
        assert current(connection) == head() and differences(connection) == []


def test_an_index_left_half_built_is_built_again(older: Engine) -> None:
    """A connection that dies during ``CREATE INDEX CONCURRENTLY`` leaves an index that nothing ever uses."""
    with older.connect() as connection:
        connection.exec_driver_sql("CREATE INDEX ix_jobs_batch_id ON jobs (batch_id)")
        connection.exec_driver_sql(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'ix_jobs_batch_id'::regclass"
        )
    upgrade(older)
    with older.connect() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM pg_index WHERE NOT indisvalid").scalar_one() == 0
        assert "WHERE (batch_id IS NOT NULL)" in str(
            connection.exec_driver_sql("SELECT pg_get_indexdef('ix_jobs_batch_id'::regclass)").scalar_one()
        )


def test_a_database_that_is_away_is_said(servers: Servers) -> None:
    engine = make_engine(servers.database_url("nowhere"), name="migrations", pool_size=1)
    with pytest.raises(Unavailable) as refused:
        upgrade(engine)
    assert refused.value.code == "database_away"
    engine.dispose()
