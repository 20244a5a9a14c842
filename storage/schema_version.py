"""Bringing a database's tables up to this code, and saying whether they are."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Engine, text

from storage.tables import metadata

_FOLDER = Path(__file__).parent / "migrations"
#: Any fixed number: it keeps two deployments from migrating at once.
_LOCK = 7_235_801_114


def _config(connection: Connection) -> Config:
    config = Config()
    config.set_main_option("script_location", str(_FOLDER))
    config.attributes["connection"] = connection
    return config


def upgrade(engine: Engine, to: str = "head") -> None:
    """Run the migrations that are missing, one deployment at a time.

    A migration waits at most a second for a lock on a table in use, so it fails instead of stopping everybody."""
    with engine.execution_options(isolation_level="READ COMMITTED").connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": _LOCK})
        connection.execute(text("SET lock_timeout = '1s'"))
        connection.commit()
        try:
            command.upgrade(_config(connection), to)
            connection.commit()
        finally:
            connection.rollback()
            connection.execute(text("RESET lock_timeout"))
            connection.execute(text("SELECT pg_advisory_unlock(:key)"), {"key": _LOCK})
            connection.commit()


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
