"""The database: what commits, what is dropped, and how its absence is told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing
from uuid import UUID

import psycopg2
import pytest
from sqlalchemy.exc import IntegrityError

from schema.clock import new_id
from schema.errors import Conflict, Unavailable
from schema.settings import Settings
from storage.db import Database, Transaction, make_engine
from storage.processes import free_port
from tasks.deps import Deps
from tests.conftest import Servers
from tests.integration.stage import at_once, one


@pytest.fixture
def db(settings: Settings) -> Iterator[Database]:
    made = Database(make_engine(settings.database_url, name="test"))
    with made.statement() as tx:
        tx.run("CREATE TABLE notes (word text PRIMARY KEY)")
    yield made
    made.dispose()


@pytest.fixture
def done() -> list[str]:
    """What was done after commits."""
    return []


def write(tx: Transaction, word: str, done: list[str]) -> None:
    tx.run("INSERT INTO notes VALUES (:word)", {"word": word})
    tx.after_commit(lambda: done.append(word))


def notes(db: Database) -> list[str]:
    with db.statement() as tx:
        return [row.word for row in tx.run("SELECT word FROM notes ORDER BY word").all()]


def test_leaving_the_block_commits_and_only_then_is_the_rest_done(db: Database, done: list[str]) -> None:
    with db.transaction() as tx:
        write(tx, "a", done)
        write(tx, "b", done)
        assert (notes(db), done) == ([], []), "nobody else sees it yet"
    assert (notes(db), done) == (["a", "b"], ["a", "b"])


@pytest.mark.parametrize("error", [Conflict("no"), RuntimeError("no"), KeyboardInterrupt()])
def test_an_exception_rolls_everything_back_and_drops_the_rest(
    db: Database, done: list[str], error: BaseException
) -> None:
    with pytest.raises(type(error)), db.transaction() as tx:
        write(tx, "a", done)
        raise error
    assert (notes(db), done) == ([], [])
    with db.transaction() as tx:
        write(tx, "a", done)
    assert notes(db) == ["a"], "the connection is clean again"


def test_a_failed_statement_rolls_back_what_came_before_it(db: Database, done: list[str]) -> None:
    with pytest.raises(IntegrityError), db.transaction() as tx:
        write(tx, "a", done)
        write(tx, "a", done)
    assert (notes(db), done) == ([], [])


def test_an_error_somebody_dropped_is_not_taken_for_a_commit(db: Database, done: list[str]) -> None:
    """Postgres answers the COMMIT of a broken transaction with a rollback, and calls it no error."""
    with pytest.raises(RuntimeError), db.transaction() as tx:
        write(tx, "a", done)
        with pytest.raises(IntegrityError):
            write(tx, "a", done)
    assert (notes(db), done) == ([], [])


def test_one_statement_commits_by_itself(db: Database, done: list[str]) -> None:
    with db.statement() as tx:
        write(tx, "a", done)
        assert (notes(db), done) == (["a"], [])
    assert done == ["a"]
    with pytest.raises(IntegrityError), db.statement() as tx:
        write(tx, "a", done)
    assert done == ["a"]


def test_more_threads_than_connections_wait_for_each_other(db: Database) -> None:
    def slow() -> int:
        with db.transaction() as tx:
            return int(tx.run("SELECT count(*) FROM pg_sleep(0.02)").scalar_one())

    assert at_once(24, slow) == [1] * 24
    with db.statement() as tx:
        assert (
            tx.run("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'coursewright-test'").scalar() <= 8
        )


def test_a_transaction_is_not_left_open_on_a_pooled_connection(deps: Deps, db: Database, done: list[str]) -> None:
    for error in (Conflict("no"), None):
        try:
            with db.transaction() as tx:
                write(tx, "a", done)
                if error is not None:
                    raise error
        except Conflict:
            pass
        assert one(deps, "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'") == 0


def test_times_are_utc_whatever_the_machine_says(db: Database) -> None:
    with db.statement() as tx:
        assert tx.run("SELECT clock_timestamp()").scalar_one().utcoffset().total_seconds() == 0


# --- away -------------------------------------------------------------------------------------------------------


@pytest.fixture
def nowhere() -> Iterator[Database]:
    made = Database(make_engine(f"postgresql://nobody:secret-word@127.0.0.1:{free_port()}/none", name="nowhere"))
    yield made
    made.dispose()


def test_a_database_that_is_away_is_told_quickly_and_without_its_password(nowhere: Database) -> None:
    for entered in (nowhere.transaction, nowhere.statement):
        began = time.monotonic()
        with pytest.raises(Unavailable) as caught, entered() as tx:
            tx.run("SELECT 1")
        assert time.monotonic() - began < 2
        assert (caught.value.code, caught.value.status) == ("database_away", 503)
        assert "secret-word" not in f"{caught.value.message} {caught.value.as_json()}"


def test_a_wrong_password_is_told_as_away(servers: Servers) -> None:
    url = servers.database_url("postgres")
    stranger = Database(make_engine(url.replace("coursewright:", "coursewright:not"), name="stranger"))
    with pytest.raises(Unavailable), stranger.statement() as tx:
        tx.run("SELECT 1")
    stranger.dispose()


def cut_connections(servers: Servers, db: Database) -> None:
    """What a restart of the server does to everybody."""
    with closing(psycopg2.connect(servers.database_url("postgres"))) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (db.engine.url.database,)
        )


def test_after_a_restart_of_the_server_one_call_fails_and_the_next_goes_through(
    servers: Servers, db: Database, done: list[str]
) -> None:
    at_once(8, lambda: notes(db))
    cut_connections(servers, db)
    failures = 0
    for _ in range(9):
        try:
            notes(db)
        except Unavailable:
            failures += 1
    assert failures <= 1, "the other connections of the pool are known to be dead, too"
    with db.transaction() as tx:
        write(tx, "a", done)
    assert notes(db) == ["a"]


def test_a_connection_lost_in_the_middle_rolls_back_and_says_so(
    servers: Servers, db: Database, done: list[str]
) -> None:
    with pytest.raises(Unavailable), db.transaction() as tx:
        write(tx, "a", done)
        cut_connections(servers, db)
        write(tx, "b", done)
    assert (notes(db), done) == ([], [])


def test_a_connection_lost_before_the_commit_is_no_commit(servers: Servers, db: Database, done: list[str]) -> None:
    with pytest.raises(Unavailable), db.transaction() as tx:
        write(tx, "a", done)
        cut_connections(servers, db)
    assert (notes(db), done) == ([], [])


def test_with_a_ping_a_lost_connection_is_replaced_before_anybody_notices(servers: Servers, deps: Deps) -> None:
    careful = Database(make_engine(deps.settings.database_url, name="careful", ping=True))
    word: UUID = new_id()
    for _ in range(2):
        with careful.transaction() as tx:
            assert tx.run("SELECT CAST(:word AS uuid)", {"word": word}).scalar_one() == word
        cut_connections(servers, careful)
    careful.dispose()
