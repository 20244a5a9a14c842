"""Of two organizations neither can reach the other's rows, by any statement, in any table: tried as the roles that the
web and a job's steps have in the database."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast
from uuid import UUID

import pytest
from sqlalchemy.exc import DBAPIError

from schema.clock import new_id
from schema.course import Course
from schema.settings import DEMO_ORGANIZATION_ID, Settings
from storage import catalog, documents, media, organizations, reviews, wall
from storage.catalog import PUBLIC, Listing
from storage.db import Database, Transaction
from storage.documents import Author
from storage.engine.statuses import IS_ACTIVE
from storage.figures import history, statistics
from storage.media import Asset
from storage.organizations import Organization
from storage.postgres.connecting import database_of
from storage.tables import metadata
from tasks.deps import Deps
from tests.factories import course, study_text
from tests.integration.stage import school
from tests.integration.test_migrations import fill

OURS = UUID(DEMO_ORGANIZATION_ID)
TABLES = sorted(name for name, table in metadata.tables.items() if "organization_id" in table.columns)
ALL = [*TABLES, "organizations"]
#: Which catalog belongs to nobody, everybody may know.
OF_NOBODY = {"catalogs": 1}
#: Postgres's code for what a right or a policy forbids.
_REFUSED = "42501"


def whose(table: str) -> str:
    return "id" if table == "organizations" else "organization_id"


@dataclass
class Two:
    """A database in which the demo school and another one have rows in every table; ``walled`` sees it within the
    other."""

    owner: Database
    walled: Database
    theirs: UUID

    @contextmanager
    def within(self, organization_id: UUID | None) -> Iterator[Transaction]:
        with wall.within(organization_id), self.walled.transaction() as tx:
            if organization_id is None and not self.walled.is_walled:
                tx.run("SET LOCAL ROLE coursewright_step")
            yield tx

    def count(self, organization_id: UUID | None, table: str, where: str = "true", **values: Any) -> int | None:
        """How many rows there are within an organization; none when the role may not read the table at all."""
        with self.within(organization_id) as tx:
            if not tx.run("SELECT has_table_privilege(:table, 'SELECT')", {"table": table}).scalar_one():
                return None
            return int(tx.run(f"SELECT count(*) FROM {table} WHERE {where}", values).scalar_one())

    def attempt(self, statement: str, **values: Any) -> int | str:
        """How many rows a statement changed as the other school; or the code with which it was refused. Nothing of it
        stays."""
        named = {name: value for name, value in values.items() if f":{name}" in statement}
        try:
            with wall.within(self.theirs), self.walled.transaction() as tx:
                raise _Undone(tx.run(statement, named).rowcount)
        except _Undone as undone:
            return undone.count
        except DBAPIError as error:
            return str(getattr(error.orig, "pgcode", None))

    def rows(self, table: str, organization_id: UUID) -> str:
        """All rows of an organization in a table, as text."""
        with self.owner.statement() as tx:
            statement = f"SELECT json_agg(t ORDER BY t::text)::text FROM {table} t WHERE {whose(table)} = :org"
            return str(tx.run(statement, {"org": organization_id}).scalar_one())

    def row_given_away(self, table: str) -> str:
        """A row of the other school as JSON, but the demo school's."""
        changed = f"to_jsonb(t) || jsonb_build_object('{whose(table)}', CAST(:ours AS text))"
        with self.owner.statement() as tx:
            statement = f"SELECT ({changed})::text FROM {table} t WHERE {whose(table)} = :theirs LIMIT 1"
            return str(tx.run(statement, {"ours": str(OURS), "theirs": self.theirs}).scalar_one())


class _Undone(Exception):
    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count


@pytest.fixture(params=["web", "worker"])
def two(request: pytest.FixtureRequest, deps: Deps, owner: Database, settings: Settings) -> Iterator[Two]:
    fill(deps)
    theirs = school(deps).organization_id
    copy_all(owner, OURS, theirs)
    walled = database_of(settings, request.param, pool_size=2)
    yield Two(owner, walled, theirs)
    walled.dispose()


def copy_all(owner: Database, source: UUID, target: UUID) -> None:
    """Give an organization the like of every row another one has, with ids of its own."""
    with owner.transaction() as tx:
        tx.run("SET LOCAL session_replication_role = replica")  # in any order, and without triggers
        for name in TABLES:
            if name == "catalogs":
                continue  # each has its own already
            columns = [column.name for column in metadata.tables[name].columns]
            ids = {column.name for column in metadata.tables[name].columns if str(column.type) == "CHAR(32)"}
            copied = ", ".join(_another(column) if column in ids else column for column in columns)
            like = f"SELECT {copied} FROM {name} WHERE organization_id = :source"
            tx.run(f"INSERT INTO {name} ({', '.join(columns)}) {like}", {"source": source, "target": target})


def _another(column: str) -> str:
    return f"""CASE {column} WHEN :source THEN CAST(:target AS uuid) WHEN '{PUBLIC}' THEN {column}
      ELSE CAST(md5({column}::text || :target) AS uuid) END"""


class TestOthersRows:
    """Each test goes through all tables, because filling them takes longer than asking."""

    def test_they_are_not_there(self, two: Two) -> None:
        shut = set()
        for table in ALL:
            assert two.rows(table, OURS) != "None" and two.rows(table, two.theirs) != "None", "it would prove nothing"
            own = two.count(two.theirs, table, f"{whose(table)} = :org", org=two.theirs)
            if own is None:
                shut.add(table)
                continue
            assert own > 0, table
            assert two.count(two.theirs, table, f"{whose(table)} = :org", org=OURS) == 0, table
            others = two.count(two.theirs, table, f"{whose(table)} IS DISTINCT FROM :org", org=two.theirs)
            assert others == OF_NOBODY.get(table, 0), table
        # A step has no business with who may sign in.
        assert shut <= (set() if two.walled.is_walled else {"agent_tokens", "memberships", "sessions"})

    def test_they_cannot_be_changed_locked_or_deleted(self, two: Two) -> None:
        for table in ALL:
            before, column = two.rows(table, OURS), whose(table)
            for statement in (
                f"UPDATE {table} SET {column} = {column} WHERE {column} = :ours",
                f"UPDATE {table} SET {column} = :theirs WHERE {column} = :ours",
                f"DELETE FROM {table} WHERE {column} = :ours",
                f"SELECT * FROM {table} WHERE {column} = :ours FOR SHARE",
            ):
                assert two.attempt(statement, ours=OURS, theirs=two.theirs) in {0, _REFUSED}, statement
            assert two.rows(table, OURS) == before

    def test_nothing_can_be_put_among_them(self, two: Two) -> None:
        """Neither a new row, nor one of one's own that is given away."""
        for table in ALL:
            before, column = two.rows(table, OURS), whose(table)
            given = f"UPDATE {table} SET {column} = :ours WHERE {column} = :theirs"
            assert two.attempt(given, ours=OURS, theirs=two.theirs) == _REFUSED, table
            put = f"INSERT INTO {table} SELECT * FROM jsonb_populate_record(NULL::{table}, CAST(:row AS jsonb))"
            assert two.attempt(put, row=two.row_given_away(table)) == _REFUSED, table
            assert two.rows(table, OURS) == before

    def test_one_can_read_ones_own(self, two: Two) -> None:
        for table in ALL:
            found = two.count(OURS, table, f"{whose(table)} = :org", org=OURS)
            with two.owner.statement() as tx:
                statement = f"SELECT count(*) FROM {table} WHERE {whose(table)} = :org"
                there = tx.run(statement, {"org": OURS}).scalar_one()
            assert found in {there, None} and there > 0, table

    def test_views_show_no_more_than_the_tables(self, two: Two) -> None:
        for view in ("ai_course_jobs", "ai_media_jobs", "course_generation_jobs", "workflow_runs"):
            with two.within(two.theirs) as tx:
                found = tx.run(f"SELECT count(*) FROM {view} WHERE organization_id <> :org", {"org": two.theirs})
                assert found.scalar_one() == 0, view

    def test_outside_of_all_nothing_is_there(self, two: Two) -> None:
        for table in ALL:
            assert two.count(None, table) in {OF_NOBODY.get(table, 0), None}, table

    def test_what_belongs_to_nobody_cannot_be_emptied(self, two: Two) -> None:
        for table in ("corrections", "model_brakes", "alembic_version"):
            for statement in (f"DELETE FROM {table}", f"TRUNCATE {table}"):
                assert two.attempt(statement) == _REFUSED, statement


# --- what is public -----------------------------------------------------------------------------------------------


@pytest.fixture
def web(settings: Settings) -> Iterator[Database]:
    made = database_of(settings, "web", pool_size=2)
    yield made
    made.dispose()


def save_course(db: Database, organization_id: UUID, course_id: str, visibility: str, *, listed: bool = True) -> None:
    """A course's next revision, as steps save and list it. It shows the picture named after it."""
    with wall.within(organization_id), db.transaction() as tx:
        at = documents.lock(tx, organization_id, "course", course_id)
        texts = [study_text(content=f"![a leaf](/content/media/{bytes_of(course_id)}.png)")]
        drawn = course(id=course_id, visibility=visibility, contentVersion=f"v{at + 1}", studyTexts=texts)
        content = cast(Course, drawn)
        revision = documents.save(tx, organization_id, "course", course_id, content, Author("app", None), "edited")
        if listed:
            catalog.list_course(tx, Listing(organization_id, "demo-school", revision, content))


def bytes_of(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()


def picture(db: Database, organization_id: UUID, sha256: str, visibility: str) -> None:
    with wall.within(organization_id), db.transaction() as tx:
        media.keep(tx, Asset(organization_id, sha256, "png", "image/png", 1, 1, 1, visibility, "", "pack", None, "c"))


def shown(web: Database, table: str) -> int:
    with web.statement() as tx:
        return int(tx.run(f"SELECT count(*) FROM {table}").scalar_one())


class TestPublicRows:
    OPEN = ("documents", "document_revisions", "course_metadata", "media_assets")

    def test_everybody_reads_a_public_course_and_its_pictures(self, deps: Deps, web: Database) -> None:
        for name, visibility in (("open", "public"), ("school", "org"), ("own", "private")):
            save_course(deps.db, OURS, name, visibility)
            picture(deps.db, OURS, bytes_of(name), visibility)
        assert {table: shown(web, table) for table in self.OPEN} == dict.fromkeys(self.OPEN, 1)
        found = documents.current(web, OURS, "course", "open")
        assert found is not None and found.content["visibility"] == "public"
        assert documents.current(web, OURS, "course", "school") is None
        assert media.read(web, None, bytes_of("open"), "png") is not None
        assert media.read(web, None, bytes_of("school"), "png") is None
        with wall.within(school(deps).organization_id):
            assert {table: shown(web, table) for table in self.OPEN} == dict.fromkeys(self.OPEN, 1)

    @pytest.mark.parametrize("table", OPEN)
    def test_nobody_changes_them(self, deps: Deps, web: Database, table: str) -> None:
        save_course(deps.db, OURS, "open", "public")
        picture(deps.db, OURS, bytes_of("open"), "public")
        for organization_id in (None, school(deps).organization_id):
            with wall.within(organization_id):
                assert shown(web, table) == 1
                for statement in (
                    f"UPDATE {table} SET organization_id = organization_id",
                    f"DELETE FROM {table}",
                    f"SELECT * FROM {table} FOR UPDATE",
                ):
                    with web.statement() as tx:
                        assert tx.run(statement).rowcount == 0, statement

    def test_what_a_course_was_before_it_became_public_stays_inside(self, deps: Deps, web: Database) -> None:
        save_course(deps.db, OURS, "late", "private")
        save_course(deps.db, OURS, "late", "public")
        with web.statement() as tx:
            assert [row.revision for row in tx.run("SELECT revision FROM document_revisions").all()] == [2]

    def test_what_becomes_closed_is_closed_at_once(self, deps: Deps, web: Database) -> None:
        picture(deps.db, OURS, bytes_of("shy"), "public")
        assert shown(web, "media_assets") == 0, "nothing shows it yet"
        save_course(deps.db, OURS, "shy", "public")
        assert shown(web, "media_assets") == 1
        save_course(deps.db, OURS, "shy", "private", listed=False)
        assert shown(web, "media_assets") == 0
        found = documents.current(web, OURS, "course", "shy")
        assert found is None, "its catalog does not know yet, and its revision does"
        save_course(deps.db, OURS, "shy", "private")
        assert [shown(web, table) for table in ("documents", "document_revisions", "course_metadata")] == [0, 0, 0]

    def test_what_waits_for_a_review_is_not_public(self, deps: Deps, web: Database) -> None:
        """Not even to who knows its number; what was approved before is."""
        save_course(deps.db, OURS, "new", "public")
        save_course(deps.db, OURS, "new", "public", listed=False)
        with wall.within(OURS), deps.db.transaction() as tx:
            reviews.wait(tx, OURS, "new", 2)
        with web.statement() as tx:
            assert [row.revision for row in tx.run("SELECT revision FROM document_revisions").all()] == [1]
        with wall.within(OURS), deps.db.transaction() as tx:
            reviews.approve(tx, OURS, "new", 2, None)
        assert shown(web, "document_revisions") == 2

    def test_an_archived_course_is_not_public(self, deps: Deps, web: Database) -> None:
        save_course(deps.db, OURS, "gone", "public")
        with deps.db.statement() as tx:
            tx.run("UPDATE documents SET archived_at = clock_timestamp()")
        assert shown(web, "documents") == 0
        assert documents.current(web, OURS, "course", "gone") is None


class TestPublicCatalog:
    def test_everybody_reads_it_whole_with_the_addresses_of_its_courses(self, deps: Deps, web: Database) -> None:
        other = school(deps).organization_id
        save_course(deps.db, OURS, "open", "public")
        save_course(deps.db, other, "theirs", "org")
        for organization_id in (None, OURS, other):
            with wall.within(organization_id):
                [entry] = catalog.whole(web, PUBLIC)["courses"]
                assert entry["url"].startswith("/content/public/demo-school/open/course.json")
                [change] = catalog.changes(web, PUBLIC, 0)["changes"]
                assert change["courseId"] == "open"

    def test_a_web_request_lists_a_course_of_its_own_in_it(self, deps: Deps, web: Database) -> None:
        save_course(web, OURS, "open", "public")
        save_course(web, OURS, "open", "org")
        with web.statement() as tx:
            assert tx.run("SELECT version FROM catalogs").scalar_one() == 2
        assert catalog.whole(web, PUBLIC)["courses"] == []

    def test_it_can_be_changed_in_no_other_way(self, deps: Deps, web: Database) -> None:
        save_course(deps.db, OURS, "open", "public")
        other = school(deps).organization_id
        for statement, outcome in (
            ("UPDATE catalogs SET version = version + 1 WHERE id = :catalog", 0),
            ("DELETE FROM catalogs WHERE id = :catalog", 0),
            ("UPDATE catalog_updates SET entry = NULL WHERE catalog_id = :catalog", _REFUSED),
            ("DELETE FROM catalog_updates WHERE catalog_id = :catalog", _REFUSED),
            # A number of one's own choice; one in another's name; one in another's catalog.
            (f"{_PUT} version) SELECT :theirs, 'c', 'added', CAST(:catalog AS uuid), 7", _REFUSED),
            (f"{_PUT[:-1]}) SELECT :ours, 'c', 'added', CAST(:catalog AS uuid)", _REFUSED),
            (f"{_PUT[:-1]}) SELECT :theirs, 'c', 'added', CAST(:ours AS uuid)", _REFUSED),
            (f"{_PUT[:-1]}) SELECT :theirs, 'c', 'added', CAST(:catalog AS uuid)", 1),
        ):
            values = {"catalog": PUBLIC, "ours": OURS, "theirs": other}
            named = {name: value for name, value in values.items() if f":{name}" in statement}
            with wall.within(other):
                assert _outcome(web, statement, named) == outcome, statement
        with deps.db.statement() as tx:
            # The one that was let through: in its own name, and with the next number.
            assert tx.run("SELECT version FROM catalogs WHERE id = :id", {"id": PUBLIC}).scalar_one() == 2
            assert tx.run("SELECT version FROM catalogs WHERE id = :id", {"id": OURS}).scalar_one() == 1

    def test_its_numbers_stay_dense_when_many_list_at_once(self, deps: Deps, web: Database) -> None:
        schools = [OURS, *(school(deps).organization_id for _ in range(3))]
        for organization_id in schools:
            for number in range(3):
                save_course(web, organization_id, f"course-{number}", "public")
        seen = [change["version"] for change in catalog.changes(web, PUBLIC, 0)["changes"]]
        assert seen == list(range(1, 13))


#: The beginning of an INSERT.
_PUT = "INSERT INTO catalog_updates (organization_id, course_id, action, catalog_id,"


def _outcome(db: Database, statement: str, values: dict[str, Any]) -> int | str:
    try:
        with db.statement() as tx:
            return tx.run(statement, values).rowcount
    except DBAPIError as error:
        return str(getattr(error.orig, "pgcode", None))


class TestDoors:
    def test_the_short_name_of_a_school_without_public_courses_is_nobodys(self, deps: Deps, web: Database) -> None:
        hidden = Organization(new_id(), "hidden-school", "Hidden")
        organizations.ensure(deps.db, hidden)
        save_course(deps.db, hidden.id, "c", "org")
        save_course(deps.db, OURS, "open", "public")
        assert organizations.public_id(web, "hidden-school") is None
        assert organizations.public_id(web, "no-school") is None
        assert organizations.public_id(web, "demo-school") == OURS
        with web.statement() as tx:
            assert tx.run("SELECT * FROM public_organizations(NULL)").all() == [(OURS, "demo-school")]

    def test_an_organization_is_known_to_itself_alone(self, deps: Deps, web: Database) -> None:
        other = school(deps).organization_id
        assert organizations.read(web, OURS) is None
        with wall.within(other):
            assert organizations.read(web, OURS) is None
            assert organizations.read(web, other) is not None
            assert [one.id for one in organizations.everyone(web)] == [other]

    def test_a_step_may_not_ask_for_the_figures_of_all(self, settings: Settings, deps: Deps) -> None:
        workers = database_of(settings, "worker", pool_size=1)
        with wall.within(OURS):
            assert _outcome(workers, "SELECT * FROM figures_living()", {}) == _REFUSED
        workers.dispose()

    def test_they_answer_what_the_code_says(self, owner: Database) -> None:
        """A function keeps what the migration gave it; whoever changes the statement in the code is told here."""
        wanted = {
            "everybodys_job_times": statistics.EVERYBODYS_TIMES,
            "everybodys_step_times": history.EVERYBODYS_TIMES,
        }
        with owner.statement() as tx:
            found = tx.run("SELECT proname, prosrc FROM pg_proc WHERE prosecdef").all()
        kept = {row.proname: row.prosrc for row in found}
        for name, statement in wanted.items():
            assert kept[name].split() == statement.split(), f"{name} needs a migration"
        assert IS_ACTIVE in kept["figures_living"], "figures_living needs a migration"
