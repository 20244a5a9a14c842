"""The database: one engine a process, and ``transaction()``, the only thing that commits.

Leaving the block commits; an exception rolls back. What should leave the process only after the commit (a wake, a
message) goes on the transaction's after-commit list and is dropped on rollback.

Whoever has entered an organization (``storage.wall``) is held to it by the database, in this transaction and no other:
what says so travels in one message with the first statement, and its effect ends with the transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from psycopg2.extensions import TRANSACTION_STATUS_INERROR
from sqlalchemy import Connection, CursorResult, Engine, TextClause, create_engine, make_url, text
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from schema.errors import Unavailable
from storage import wall
from storage.postgres import roles
from storage.postgres.roles import Purpose

Statement = str

#: Under this name an engine knows its purpose, for every database that is made of it.
_PURPOSE = "coursewright_purpose"
#: The organization a statement enters, among its other parameters.
_ENTERED = "entered_organization"


def make_engine(
    database_url: str, *, name: str, pool_size: int = 8, ping: bool = False, purpose: Purpose = "owner", role: str = ""
) -> Engine:
    """An engine with at most ``pool_size`` connections. ``ping`` tries a connection before handing it out: right for
    the web, which answers people; workers save the round trip, because a lost step comes back by itself.

    ``purpose``: how its transactions are walled in. ``role``: whom to become on each connection."""
    url = database_url.replace("postgres://", "postgresql://", 1)
    url = url.replace("postgresql://", "postgresql+psycopg2://", 1)
    parsed = make_url(url)
    if role:  # beside what the address asks for
        asked = " ".join((*parsed.normalized_query.get("options", ()), f"-c role={role}"))
        parsed = parsed.update_query_dict({"options": asked})
    engine = create_engine(
        parsed,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=10,
        pool_pre_ping=ping,
        pool_use_lifo=True,
        # The driver never opens a transaction by itself: one statement is one round trip, and transaction() says BEGIN.
        isolation_level="AUTOCOMMIT",
        pool_reset_on_return=None,
        # An error's text goes into logs, and a value may be a webhook's secret.
        hide_parameters=True,
        connect_args={"connect_timeout": 5, "application_name": f"coursewright-{name}", "keepalives_idle": 30},
        execution_options={_PURPOSE: purpose},
    )
    roles.checked(engine, purpose)
    return engine


@lru_cache(maxsize=1024)
def _parsed(statement: Statement) -> TextClause:
    """A statement with its parameters found. There are few different ones, each within an organization and
    outside, and reading one takes half a millisecond."""
    return text(statement)


class Transaction:
    """An open transaction: statements, and what to do once it has committed."""

    def __init__(self, connection: Connection, first: Statement = "", values: Mapping[str, Any] | None = None) -> None:
        self.connection = connection
        #: What goes before each statement, in the same message, and its parameters.
        self._first = first
        self._first_values = dict(values or {})
        self._after_commit: list[Callable[[], None]] = []

    def run(self, statement: Statement, values: Mapping[str, Any] | None = None) -> CursorResult[Any]:
        """Execute one SQL statement with named parameters (``:name``)."""
        return self.connection.execute(_parsed(self._first + statement), {**(values or {}), **self._first_values})

    def after_commit(self, action: Callable[[], None]) -> None:
        """Do this once everything here is durable. It must not raise."""
        self._after_commit.append(action)

    def committed(self) -> None:
        for action in self._after_commit:
            action()


class Database:
    """The database of this process. Raises ``Unavailable`` when Postgres can't be reached."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        purpose: Purpose = engine.get_execution_options().get(_PURPOSE, "owner")
        self._entering = roles.ENTERING[purpose]
        #: Whether it shows nothing to who has entered no organization.
        self.is_walled = purpose == "web"

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """One transaction over several statements. Keep it short, and never call the network inside."""
        with _translated(), self.engine.connect() as connection:
            transaction = Transaction(connection)
            try:
                self._begin(connection)
                yield transaction
            except BaseException:
                if not connection.invalidated:
                    connection.exec_driver_sql("ROLLBACK")
                raise
            if _is_broken(connection):
                connection.exec_driver_sql("ROLLBACK")
                raise RuntimeError("A statement of this transaction failed and its error was dropped.")
            connection.exec_driver_sql("COMMIT")
        transaction.committed()

    @contextmanager
    def statement(self) -> Iterator[Transaction]:
        """A transaction of exactly one statement: it commits by itself, which saves two round trips."""
        with _translated(), self.engine.connect() as connection:
            organization_id = self._entered()
            first = f"{self._entering}:{_ENTERED}; " if organization_id is not None else ""
            transaction = Transaction(connection, first, {_ENTERED: organization_id} if first else {})
            yield transaction
        transaction.committed()

    def _begin(self, connection: Connection) -> None:
        organization_id = self._entered()
        if organization_id is None:
            connection.exec_driver_sql("BEGIN")
        else:
            connection.exec_driver_sql(f"BEGIN; {self._entering}%(entered)s", {"entered": organization_id})

    def _entered(self) -> str | None:
        """The organization that a transaction of now is held to, as text; none when it is held to none."""
        organization_id = wall.current() if self._entering else None
        return None if organization_id is None else str(organization_id)

    def dispose(self) -> None:
        self.engine.dispose()


def _is_broken(connection: Connection) -> bool:
    """Whether a statement failed: Postgres would answer COMMIT with a rollback, and not call it an error."""
    status: int = connection.connection.driver_connection.info.transaction_status  # type: ignore[union-attr]
    return status == TRANSACTION_STATUS_INERROR


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, PoolTimeout) as error:
        roles.check_refusal(error)
        raise Unavailable(
            "The database can't be reached just now. Try again in a moment.", code="database_away"
        ) from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise Unavailable("The database connection was lost. Try again.", code="database_away") from error
        raise
