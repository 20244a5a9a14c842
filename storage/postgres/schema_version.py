"""Bringing a database's tables up to this code, and saying whether they are."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import DBAPIError, OperationalError

from schema.errors import Unavailable
from storage.postgres.hot_tables import LOCK_TIMEOUT
from storage.postgres.role_making import refused
from storage.tables import metadata

log = structlog.get_logger(__name__)

_FOLDER = Path(__file__).parents[1] / "migrations"
#: Any fixed number: it keeps two deployments from migrating at once.
_LOCK = 7_235_801_114
#: How long another deployment's upgrade is waited for.
_OTHERS_SECONDS = 300.0
#: Postgres's codes for a lock that was not had in time, and for two that waited for each other.
_NO_LOCK = {"55P03", "40P01"}
#: And for what the role may not do.
_NOT_ALLOWED = "42501"


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    return config


def upgrade(engine: Engine, to: str = "head", *, tries: int = 5, pause_seconds: float = 2.0) -> None:
    """Run the migrations that are missing, one deployment at a time.

    A migration waits at most a second for a lock on a table in use; then it lets those behind it pass, pauses, and
    tries again. Raises ``Unavailable``: ``upgrade_blocked`` when it got no lock, ``upgrade_refused`` when its role may
    not do what a migration does, ``database_away``."""
    try:
        with engine.execution_options(isolation_level="READ COMMITTED").connect() as connection, _alone(connection):
            _set(connection, f"lock_timeout = '{LOCK_TIMEOUT}'")
            for left in reversed(range(tries)):
                if _migrated(connection, to):
                    return
                if left:
                    time.sleep(pause_seconds)
            raise _blocked(connection, tries)
    except OperationalError as error:
        raise Unavailable(f"The database can't be reached: {_reason(error)}", code="database_away") from error
    except DBAPIError as error:
        if getattr(error.orig, "pgcode", None) != _NOT_ALLOWED:
            raise
        raise refused(str(engine.url.username), str(error.orig)) from error


def _migrated(connection: Connection, to: str) -> bool:
    """Go on with the migrations from where the database is. False when a lock could not be had in time."""
    try:
        command.upgrade(_config(connection), to)
        connection.commit()
    except OperationalError as error:
        if getattr(error.orig, "pgcode", None) not in _NO_LOCK:
            raise
        connection.rollback()
        log.warning("upgrade_waits", reason=_reason(error))
        return False
    return True


def _reason(error: DBAPIError) -> str:
    """The driver's first line. It names host, port and user, never the password."""
    return str(error.orig).strip().partition("\n")[0]


@contextmanager
def _alone(connection: Connection) -> Iterator[None]:
    """Keep other deployments out. Who waits asks again and again instead of standing in line: an index that is built
    while the table is in use waits for every statement that runs, also for one that waits for us."""
    until = time.monotonic() + _OTHERS_SECONDS
    while not connection.execute(text("SELECT pg_try_advisory_lock(:key)"), {"key": _LOCK}).scalar_one():
        connection.rollback()
        if time.monotonic() > until:
            raise Unavailable("Another upgrade is still running. Let it end, then try again.", code="upgrade_blocked")
        time.sleep(0.2)
    connection.commit()
    try:
        yield
    finally:
        connection.rollback()
        _set(connection, "lock_timeout = DEFAULT")
        connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
        connection.commit()


def _set(connection: Connection, setting: str) -> None:
    connection.execute(text(f"SET {setting}"))
    connection.commit()


def _blocked(connection: Connection, tries: int) -> Unavailable:
    rows = connection.execute(
        text(
            """SELECT pid, application_name AS name, state,
              round(EXTRACT(epoch FROM clock_timestamp() - xact_start)) AS seconds
            FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
              AND xact_start < clock_timestamp() - interval '1 second' ORDER BY xact_start LIMIT 3"""
        )
    ).all()
    connection.rollback()
    open_ones = ", ".join(f"{row.name or 'unnamed'} (pid {row.pid}, {row.state}, {row.seconds} s)" for row in rows)
    return Unavailable(
        f"A table in use could not be locked in {tries} tries, so the database is not at this version yet. Nothing is "
        f"harmed: run coursewright db upgrade again. Transactions open for long: {open_ones or 'none just now'}.",
        code="upgrade_blocked",
    )


def head() -> str:
    """The newest migration this code knows."""
    script = ScriptDirectory(str(_FOLDER))
    newest = script.get_current_head()
    if newest is None:
        raise RuntimeError("There are no migrations.")
    return newest


def current(connection: Connection) -> str | None:
    """The migration a database is at; none when it is empty."""
    return MigrationContext.configure(connection).get_current_revision()


def differences(connection: Connection) -> list[object]:
    """What the tables in the database and in ``storage.tables`` disagree about. Empty when they agree."""
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    return list(compare_metadata(context, metadata))
