"""Migrations: they agree with the tables in code, run on an empty and on a filled database, and can be taken back."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

import psycopg2
import pytest
from alembic import command
from sqlalchemy import Engine

from schema.clock import new_id
from schema.course import Course
from schema.events import Event
from schema.exam_request import load_new_exam
from schema.fields import load
from schema.job import STATUSES
from schema.schedule import NewScheduleSchema, load_schedule
from schema.settings import DEMO_ORGANIZATION_ID
from schema.webhook import NewWebhookSchema
from storage import (
    batches,
    catalog,
    documents,
    exam_topics,
    jobs,
    media,
    organization_settings,
    organizations,
    retention,
    reviews,
    steps,
)
from storage.catalog import PUBLIC, Listing
from storage.db import Database, make_engine
from storage.documents import Author
from storage.engine import corrections
from storage.jobs import NewRow
from storage.media import Asset
from storage.organizations import Organization
from storage.people import grounds
from storage.people.grounds import Grounds
from storage.postgres.schema_version import _config, current, differences, head, upgrade
from storage.spending import calls
from storage.tables import metadata
from tasks import exams, members, schedules, sessions, tokens, webhooks
from tasks.commands import Asker, cancel_job
from tasks.deps import Deps
from tasks.step import deliver
from tests.conftest import Servers
from tests.factories import course, study_text
from tests.integration.stage import SUMS, put_job

ORG = UUID(DEMO_ORGANIZATION_ID)
VIEWS = {"ai_course_jobs", "ai_media_jobs", "course_generation_jobs", "workflow_runs"}


@pytest.fixture
def deps(deps: Deps, owner: Database) -> Deps:
    """Everything, done as whoever migrates."""
    deps.db = owner
    return deps


@pytest.fixture
def empty(servers: Servers) -> Iterator[Callable[[], Engine]]:
    """Makes empty databases, as many as a test asks for."""
    made: list[tuple[str, Engine]] = []
    connection = psycopg2.connect(servers.database_url("postgres"))
    connection.autocommit = True

    def make() -> Engine:
        name = f"empty_{new_id().hex}"
        with connection.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {name} TEMPLATE template0")
        made.append((name, make_engine(servers.database_url(name), name="migrations", pool_size=3)))
        return made[-1][1]

    yield make
    for name, engine in made:
        engine.dispose()
        with connection.cursor() as cursor:
            cursor.execute(f"DROP DATABASE {name} WITH (FORCE)")
    connection.close()


def rows(engine: Engine, statement: str) -> list[tuple[Any, ...]]:
    with engine.connect() as connection:
        return [tuple(row) for row in connection.exec_driver_sql(statement)]


def downgrade(engine: Engine, to: str = "base") -> None:
    with engine.execution_options(isolation_level="READ COMMITTED").connect() as connection:
        command.downgrade(_config(connection), to)
        connection.commit()


def relations(engine: Engine, kind: str) -> set[str]:
    """The names of tables (``r``) or views (``v``) there are."""
    statement = f"""SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = 'public' AND c.relkind = '{kind}'"""
    return {name for (name,) in rows(engine, statement)} - {"alembic_version"}


def built(engine: Engine) -> dict[str, list[tuple[Any, ...]]]:
    """Everything a database says about its tables: columns, constraints, indexes, storage parameters."""
    ours = "n.nspname = 'public' AND c.relkind = 'r' AND c.relname <> 'alembic_version'"
    return {
        "columns": rows(
            engine,
            f"""SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
              pg_get_expr(d.adbin, d.adrelid)
            FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
            WHERE {ours} AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2""",
        ),
        "constraints": rows(
            engine,
            f"""SELECT c.relname, k.conname, pg_get_constraintdef(k.oid) FROM pg_constraint k
            JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE {ours} ORDER BY 1, 2""",
        ),
        "indexes": rows(
            engine,
            "SELECT tablename, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename <> "
            "'alembic_version' ORDER BY 1, 2",
        ),
        "parameters": rows(
            engine,
            f"""SELECT c.relname, c.reloptions FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE {ours} ORDER BY 1""",
        ),
    }


class TestAgreement:
    def test_migrations_make_the_very_tables_of_the_code(self, empty: Callable[[], Engine]) -> None:
        migrated, made = empty(), empty()
        upgrade(migrated)
        with made.begin() as connection:
            metadata.create_all(connection)
        with migrated.connect() as connection:
            assert differences(connection) == []
            assert current(connection) == head()
        by_migrations, by_code = built(migrated), built(made)
        for part in by_code:
            assert by_migrations[part] == by_code[part], part
        assert len(by_code["columns"]) > 100

    @pytest.mark.parametrize(
        "change",
        [
            "ALTER TABLE jobs ADD COLUMN colour text",
            "ALTER TABLE jobs DROP COLUMN lease_token",
            "ALTER TABLE jobs ALTER COLUMN priority TYPE bigint",
            "ALTER TABLE jobs ALTER COLUMN queue DROP NOT NULL",
            "DROP INDEX ix_jobs_due",
            "CREATE TABLE colours (id int)",
        ],
    )
    def test_a_database_that_went_its_own_way_is_noticed(self, deps: Deps, change: str) -> None:
        with deps.db.engine.connect() as connection:
            assert differences(connection) == []
            connection.exec_driver_sql("BEGIN")
            connection.exec_driver_sql(change)
            assert len(differences(connection)) == 1
            connection.exec_driver_sql("ROLLBACK")

    def test_every_row_belongs_to_an_organization(self, deps: Deps) -> None:
        owned = rows(
            deps.db.engine, "SELECT table_name FROM information_schema.columns WHERE column_name = 'organization_id'"
        )
        # An endpoint counts everybody's calls together, and the reconciler's corrections are the system's.
        theirs = {"organizations", "model_brakes", "corrections"}
        assert relations(deps.db.engine, "r") - {name for (name,) in owned} == theirs
        assert relations(deps.db.engine, "v") <= {name for (name,) in owned}


class TestUpgrading:
    def test_from_nothing_and_again(self, empty: Callable[[], Engine]) -> None:
        engine = empty()
        with engine.connect() as connection:
            assert current(connection) is None
        upgrade(engine)
        assert relations(engine, "r") == set(metadata.tables)
        assert relations(engine, "v") == VIEWS
        before = built(engine)
        upgrade(engine)
        assert built(engine) == before

    def test_two_deployments_at_once_do_it_once(self, empty: Callable[[], Engine]) -> None:
        engine = empty()
        with ThreadPoolExecutor(3) as deployments:
            for deployed in [deployments.submit(upgrade, engine) for _ in range(3)]:
                deployed.result(60)
        with engine.connect() as connection:
            assert current(connection) == head()
        assert rows(engine, "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]

    def test_back_and_forth_leaves_nothing_behind(self, empty: Callable[[], Engine]) -> None:
        engine = empty()
        upgrade(engine)
        first = built(engine)
        downgrade(engine)
        assert relations(engine, "r") == relations(engine, "v") == set()
        upgrade(engine)
        assert built(engine) == first

    def test_a_filled_database_keeps_every_row(self, deps: Deps) -> None:
        fill(deps)
        before = counts(deps)
        upgrade(deps.db.engine)
        assert counts(deps) == before

    def test_a_filled_database_can_be_taken_back_and_begun_anew(self, deps: Deps) -> None:
        fill(deps)
        downgrade(deps.db.engine)
        assert relations(deps.db.engine, "r") == set()
        upgrade(deps.db.engine)
        # The one row that belongs to no organization comes with the tables.
        assert {name: count for name, count in counts(deps).items() if count} == {"catalogs": 1}
        assert rows(deps.db.engine, "SELECT id, organization_id, version FROM catalogs") == [(PUBLIC, None, 0)]

    def test_a_session_of_before_ends_unused_and_the_version_before_goes_on(self, empty: Callable[[], Engine]) -> None:
        engine = empty()
        upgrade(engine, "0010")
        db, session = Database(engine), new_id()
        organizations.ensure(db, Organization(ORG, "a-school", "A school"))
        # As the version before begins one, and as it asks what is known of one.
        begin = f"""INSERT INTO sessions (id, organization_id, way, role, expires_at)
          VALUES (:id, '{ORG}', 'link', 'author', clock_timestamp() + interval '7 days')"""

        def hours_left(session: UUID) -> float:
            [known] = grounds.facts(db, [Grounds(ORG, session=session)])
            assert known is not None and known.session_expires_at is not None
            return (known.session_expires_at - known.now) / timedelta(hours=1)

        with db.statement() as tx:
            tx.run(begin, {"id": session})
        assert hours_left(session) > 167
        upgrade(engine)
        assert 11.9 < hours_left(session) <= 12
        with db.statement() as tx:
            tx.run(begin, {"id": (later := new_id())})
        assert 11.9 < hours_left(later) <= 12
        with db.statement() as tx:
            tx.run("UPDATE sessions SET expires_at = clock_timestamp() + interval '1 hour'")
        assert hours_left(session) <= 1
        downgrade(engine, "0010")
        assert 0.9 < hours_left(later) <= 1


def counts(deps: Deps) -> dict[str, int]:
    return {name: rows(deps.db.engine, f"SELECT count(*) FROM {name}")[0][0] for name in metadata.tables}


def fill(deps: Deps) -> None:
    """At least one row in every table, made as the program makes them."""
    first, second = put_job(deps, ORG), new_id()
    with deps.db.transaction() as tx:
        row = NewRow(second, ORG, "course", "course", {}, "skeleton", 6, 3, None, target="course:c", course_id="c")
        assert batches.insert(tx, new_id(), [row], Event("job_created", {"estimatedDuration": None})) == []
    deliver(deps, first, 1, "skeleton", turn_seconds=0)
    with deps.db.transaction() as tx:
        assert jobs.take_key(tx, ORG, "a key", first, "a hash") is None
    drawn = cast(Course, course(studyTexts=[study_text(content=f"![a leaf](/content/media/{'ab' * 32}.png)")]))
    with deps.db.transaction() as tx:
        documents.lock(tx, ORG, "course", drawn["id"])
        author = Author("workflow", None, first, "persist")
        revision = documents.save(tx, ORG, "course", drawn["id"], drawn, author, "generated")
        catalog.list_course(tx, Listing(ORG, "demo-school", revision, drawn))
        reviews.wait(tx, ORG, drawn["id"], revision)
        exam_topics.keep(tx, ORG, "a hash", "a model", {"topics": [], "labels": {}})
        media.keep(tx, Asset(ORG, "ab" * 32, "png", "image/png", 1, 1, 1, "org", "a leaf", "pack", first, drawn["id"]))
    assert steps.claim(deps.db, second, 1, "skeleton", 0, "holder", [], "At work", 60) is not None
    call = {
        "id": new_id(),
        **dict.fromkeys(("prompt_version", "error_code", "cost_usd")),
        **dict.fromkeys(("input_tokens", "output_tokens"), 3),
        **{"purpose": "plan", "model": "m", "seconds": 0.5, "outcome": "ok"},
    }
    calls.record(deps.db, ORG, first, 1, "skeleton", call)
    corrections.count(deps.db, "stale")
    exams.make_exam(deps, Asker(ORG, None), load_new_exam({"title": "Civics", "questions": [{"text": "Who votes?"}]}))
    members.add(deps, Asker(ORG, None), {"userId": "ada", "role": "author", "name": None, "email": None})
    tokens.make(deps, Asker(ORG, None), {"name": "x", "role": "author", "scopes": None, "expiresAt": None})
    sessions.start(deps, Grounds(ORG), role="author", user=None)
    # Of a third job only its figures are left, and what was told of it.
    tell_and_repeat(deps)
    for past in ("status = 'done', due_at = NULL, completed_at = now() - interval '1 day'", "purged_at = '2026-01-01'"):
        rows_changed(deps, f"UPDATE jobs SET {past} WHERE id = (SELECT id FROM jobs ORDER BY created_at DESC LIMIT 1)")
        retention.purge(deps.db, jobs_hours=1, events_hours=1)
    busy = "INSERT INTO model_brakes (endpoint, model, reason) VALUES ('https://models.example/v1', 'm', 'busy')"
    rows_changed(deps, busy)
    missing = [name for name, count in counts(deps).items() if count == 0]
    assert not missing, "a new table needs a row here"


def tell_and_repeat(deps: Deps) -> None:
    """A webhook and an address that are told of a job's end, and a schedule."""
    hook = load(NewWebhookSchema(), {"url": "https://192.0.2.1/hook", "events": ["job.cancelled"]})
    webhooks.make(deps, Asker(ORG, None), hook, resolve=lambda *_: ["8.8.8.8"])
    chosen = {"notifyEmails": ["teacher@example.org"], "notifyOn": ["cancelled"]}
    with deps.db.transaction() as tx:
        assert organization_settings.save(tx, ORG, chosen, None, None) == 1
    cancel_job(deps, Asker(ORG, None), put_job(deps, ORG), "")
    weekly = {"name": "Mondays", "cron": "0 6 * * 1", "request": {"jobType": "course", "payload": SUMS}}
    schedules.make(deps, Asker(ORG, None), load_schedule(NewScheduleSchema(), weekly))


class TestViews:
    def test_they_can_be_read_and_show_the_organizations_jobs(self, deps: Deps) -> None:
        fill(deps)
        assert relations(deps.db.engine, "v") == VIEWS
        shown = {view: rows(deps.db.engine, f"SELECT organization_id FROM {view}") for view in VIEWS}
        assert shown.pop("ai_media_jobs") == []
        for view, found in shown.items():
            assert found == [(ORG,), (ORG,)], view

    def test_a_picture_is_shown_among_the_media_jobs_alone(self, deps: Deps) -> None:
        job_id = put_job(deps, ORG)
        rows_changed(deps, f"UPDATE jobs SET job_type = 'media' WHERE id = '{job_id}'")
        assert rows(deps.db.engine, "SELECT id FROM ai_media_jobs") == [(job_id,)]
        assert rows(deps.db.engine, "SELECT id FROM ai_course_jobs") == []

    @pytest.mark.parametrize(
        ("status", "generation", "workflow"),
        [
            ("pending", "pending", "queued"),
            ("processing", "running", "running"),
            ("stale", "running", "running"),
            ("done", "completed", "succeeded"),
            ("failed", "failed", "failed"),
            ("cancelled", "cancelled", "failed"),
            ("dead_letter", "failed", "failed"),
        ],
    )
    def test_a_status_is_shown_in_the_words_operators_know(
        self, deps: Deps, status: str, generation: str, workflow: str
    ) -> None:
        put_job(deps, ORG)
        rows_changed(deps, f"UPDATE jobs SET status = '{status}'")
        assert rows(deps.db.engine, "SELECT status FROM course_generation_jobs") == [(generation,)]
        assert rows(deps.db.engine, "SELECT status FROM workflow_runs") == [(workflow,)]
        assert rows(deps.db.engine, "SELECT status FROM ai_course_jobs") == [(status,)]

    def test_a_status_that_does_not_exist_is_refused(self, deps: Deps) -> None:
        put_job(deps, ORG)
        for status in STATUSES:
            rows_changed(deps, f"UPDATE jobs SET status = '{status}'")
        with pytest.raises(psycopg2.errors.CheckViolation), Database(deps.db.engine).statement() as tx:
            tx.connection.connection.cursor().execute("UPDATE jobs SET status = 'asleep'")


def rows_changed(deps: Deps, statement: str) -> None:
    with deps.db.statement() as tx:
        assert tx.run(statement).rowcount == 1
