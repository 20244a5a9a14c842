"""The wall: a transaction that has entered an organization is held to it, and the next one on its connection is not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from uuid import UUID

import pytest
from sqlalchemy.exc import DBAPIError, IntegrityError

from schema.clock import new_id
from schema.settings import DEMO_ORGANIZATION_ID, Settings
from storage import wall
from storage.background import keep_running
from storage.db import Database, Transaction
from storage.engine.admission import take_for_sending
from storage.engine.leases import beat
from storage.postgres.connecting import database_of
from tasks.deps import Deps
from tasks.dispatch import limits_of
from tasks.step import deliver
from tests.conftest import eventually
from tests.integration.stage import held, job, make_due, put_job, request, school

ORG = UUID(DEMO_ORGANIZATION_ID)
#: As whom, and for whom, by the database itself.
_WHO = "SELECT current_user AS role, current_setting('app.organization', true) AS organization"


@pytest.fixture(params=["web", "worker"])
def db(request: pytest.FixtureRequest, settings: Settings) -> Iterator[Database]:
    """A database of one connection, so that whoever comes next has the one before's."""
    made = database_of(settings, request.param, pool_size=1)
    yield made
    made.dispose()


def who(db: Database) -> tuple[str, str | None]:
    with db.statement() as tx:
        row = tx.run(_WHO).one()
    return row.role, row.organization


def nobody(db: Database) -> bool:
    """Whether a transaction of now is for nobody, as whoever connected."""
    role, organization = who(db)
    with db.transaction() as tx:
        again = tx.run(_WHO).one()
    assert (again.role, again.organization) == (role, organization)
    return role == ("coursewright_web" if db.is_walled else "coursewright_worker") and not organization


def is_within(db: Database, organization_id: UUID) -> bool:
    return who(db) == ("coursewright_web" if db.is_walled else "coursewright_step", str(organization_id))


class TestEntering:
    def test_a_transaction_and_a_statement_are_of_the_organization_that_was_entered(self, db: Database) -> None:
        assert nobody(db)
        with wall.within(ORG):
            assert is_within(db, ORG)
            with db.transaction() as tx:
                first, second = tx.run(_WHO).one(), tx.run(_WHO).one()
            assert first == second and first.organization == str(ORG)
        assert nobody(db)

    def test_organizations_are_left_in_the_order_they_were_entered(self, db: Database) -> None:
        other = new_id()
        with wall.within(ORG):
            with wall.within(other):
                assert is_within(db, other)
            assert is_within(db, ORG)
            with wall.within(None):
                assert nobody(db)
        token = wall.enter(other)
        assert wall.current() == other
        wall.leave(token)
        assert wall.current() is None

    def test_all_of_it_is_one_message(self, db: Database) -> None:
        """What enters is no round trip of its own: a statement that takes the whole of one connection still sees it."""
        with wall.within(ORG), db.statement() as tx:
            assert tx.run("SELECT 1 AS one").scalar_one() == 1
            assert tx.run(_WHO).one().organization == str(ORG), "each statement is entered anew"

    def test_a_transaction_stays_where_it_began(self, db: Database) -> None:
        with wall.within(ORG), db.transaction() as tx, wall.within(new_id()):
            assert tx.run(_WHO).one().organization == str(ORG)


class TestNothingIsCarriedOn:
    """To the next who gets the connection from the pool."""

    def test_after_a_commit(self, db: Database) -> None:
        with wall.within(ORG), db.transaction() as tx:
            tx.run("SELECT 1")
        assert nobody(db)

    def test_after_a_rollback(self, db: Database) -> None:
        with suppress(KeyError), wall.within(ORG), db.transaction() as tx:
            tx.run("SELECT 1")
            raise KeyError
        assert nobody(db)

    @pytest.mark.parametrize("statement", ["SELECT 1 / 0", "SELECT nothing", "SELEC", "SELECT 1; SELECT 1 / 0"])
    def test_after_a_statement_that_failed(self, db: Database, statement: str) -> None:
        for entered in (db.statement, db.transaction):
            with pytest.raises(DBAPIError), wall.within(ORG), entered() as tx:
                tx.run(statement)
            assert nobody(db)

    def test_after_an_error_that_was_dropped(self, db: Database) -> None:
        with pytest.raises(RuntimeError), wall.within(ORG), db.transaction() as tx, suppress(DBAPIError):
            tx.run("SELECT 1 / 0")
        assert nobody(db)

    def test_after_entering_itself_failed(self, db: Database) -> None:
        """The transaction had begun by then, and may not stay open on a connection of the pool."""
        db._entering = "SET LOCAL ROLE nobody_there; SET LOCAL app.organization = "
        for _ in range(2):
            with pytest.raises(DBAPIError, match="nobody_there"), wall.within(ORG), db.transaction() as tx:
                tx.run("SELECT 1")
        assert nobody(db)

    def test_where_nothing_was_entered_an_empty_setting_is_nobody_and_no_error(self, db: Database) -> None:
        """Once it was set, it is not null afterwards but empty, which is no id."""
        with wall.within(ORG):
            who(db)
        assert who(db)[1] == ""
        with db.statement() as tx:
            tx.run("SELECT count(*) FROM jobs")


class TestResults:
    """What a statement gives is that of the statement, not of what goes before it."""

    @pytest.fixture
    def job_id(self, deps: Deps) -> UUID:
        return put_job(deps, ORG)

    def test_rows_counts_and_returned_rows(self, db: Database, job_id: UUID) -> None:
        with wall.within(ORG):
            with db.statement() as tx:
                assert tx.run("UPDATE jobs SET priority = 4 WHERE id = :id", {"id": job_id}).rowcount == 1
            with db.statement() as tx:
                assert tx.run("UPDATE jobs SET priority = 5 WHERE id = :id", {"id": new_id()}).rowcount == 0
            with db.statement() as tx:
                found = tx.run("UPDATE jobs SET priority = 6 WHERE id = :id RETURNING id, priority", {"id": job_id})
                assert found.one() == (job_id, 6)
            with db.statement() as tx:
                assert [row.id for row in tx.run("SELECT id FROM jobs").all()] == [job_id]
            with db.transaction() as tx:
                assert tx.run("DELETE FROM jobs WHERE id = :id", {"id": new_id()}).rowcount == 0

    def test_messages_of_several_statements(self, settings: Settings, deps: Deps, job_id: UUID) -> None:
        """As the admission and the heartbeat send them, also by whoever has entered an organization."""
        workers = database_of(settings, "worker", pool_size=1)
        theirs = put_job(deps, school(deps).organization_id)
        with wall.within(ORG):
            assert [sending.job_id for sending in take_for_sending(workers, limits_of(settings.jobs))] == [job_id]
        assert [sending.job_id for sending in take_for_sending(workers, limits_of(settings.jobs))] == [theirs]
        leases = [held(deps, job_id).lease, held(deps, theirs).lease]
        with wall.within(ORG):
            assert beat(workers, leases, [0.0, 0.0]) == {job_id}
        assert beat(workers, leases, [0.0, 0.0]) == {job_id, theirs}
        workers.dispose()

    def test_a_statement_that_fails_leaves_nothing_of_its_message(self, db: Database, job_id: UUID) -> None:
        before = job_id
        with pytest.raises(IntegrityError), wall.within(ORG), db.statement() as tx:
            tx.run(
                "UPDATE jobs SET priority = 9 WHERE id = :id; INSERT INTO job_payloads VALUES (:id, :org, '{}')",
                {"id": before, "org": ORG},
            )
        with wall.within(ORG), db.statement() as tx:
            assert tx.run("SELECT priority FROM jobs").scalar_one() != 9

    def test_what_is_to_follow_a_commit_follows_it_outside(self, db: Database) -> None:
        seen = []
        with wall.within(ORG), db.statement() as tx:
            tx.run("SELECT 1")
            tx.after_commit(lambda: seen.append(who(db)[1]))
        assert seen == [str(ORG)]


class TestThreads:
    def test_a_thread_that_is_begun_within_is_outside(self, db: Database) -> None:
        found: list[UUID | None] = []
        with wall.within(ORG):
            thread = threading.Thread(target=lambda: found.append(wall.current()))
            thread.start()
            thread.join()
            ended = keep_running("outside", lambda: found.append(wall.current()))
            ended.join()
        assert found == [None, None]

    def test_a_pools_thread_is_within_only_for_work_that_was_carried(self) -> None:
        with ThreadPoolExecutor(1) as pool:
            with wall.within(ORG):
                assert pool.submit(wall.current).result() is None
                carried = wall.carried(wall.current)
            assert pool.submit(carried).result() == ORG
            assert pool.submit(wall.current).result() is None

    def test_many_threads_of_many_organizations_never_meet(self, settings: Settings) -> None:
        """They share two connections, and each thread changes between organizations."""
        shared = database_of(settings, "web", pool_size=2)
        wrong: list[object] = []

        def work() -> None:
            for _ in range(40):
                mine = new_id()
                with wall.within(mine):
                    if who(shared)[1] != str(mine):
                        wrong.append(mine)
                if who(shared)[1]:
                    wrong.append(None)

        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        shared.dispose()
        assert wrong == []


class Witness(Database):
    """Notes of each transaction on which thread it was made, and for whom."""

    def __init__(self, db: Database) -> None:
        super().__init__(db.engine)
        self.seen: list[tuple[str, UUID | None]] = []

    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        self.seen.append((threading.current_thread().name, wall.current()))
        with super().transaction() as tx:
            yield tx

    @contextmanager
    def statement(self) -> Iterator[Transaction]:
        self.seen.append((threading.current_thread().name, wall.current()))
        with super().statement() as tx:
            yield tx


def test_all_that_a_step_asks_is_asked_within_its_organization_on_whatever_thread(model_deps: Deps) -> None:
    """But the claim, which finds out whose the job is. Calls to models are looked after by threads of their own."""
    wish = {"subject": "Fish", "gradeBand": "6", "mode": "options", "itemsPerGroup": 4, "language": "en"}
    theirs = school(model_deps)
    job_id = put_job(model_deps, theirs.organization_id, payload=request(**wish).payload)
    witness = Witness(model_deps.db)
    model_deps.db = witness
    while deliver(model_deps, job_id, 1, job(model_deps, job_id).current_step, turn_seconds=0).pass_on:
        make_due(model_deps, job_id)
        if job(model_deps, job_id).current_step == "persist":
            break
    ours = [(name, entered) for name, entered in witness.seen if name.startswith(("calls", "gate"))]
    assert {name.partition("_")[0] for name, _ in ours} == {"calls", "gate"}
    assert {entered for _, entered in ours} == {theirs.organization_id}
    assert theirs.organization_id in {entered for name, entered in witness.seen if name == "MainThread"}


def test_who_is_in_no_organization_sees_nothing_through_the_web_and_everything_as_a_worker(
    settings: Settings, deps: Deps
) -> None:
    ours, theirs = put_job(deps, ORG), put_job(deps, school(deps).organization_id)
    seen = {}
    for name in ("web", "worker"):
        db = database_of(settings, name, pool_size=1)
        with db.statement() as tx:
            seen[name] = {row.id for row in tx.run("SELECT id FROM jobs").all()}
        db.dispose()
    assert seen == {"web": set(), "worker": {ours, theirs}}
    assert eventually(lambda: job(deps, ours).id == ours)
