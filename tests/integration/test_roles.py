"""As whom processes connect: made when missing, looked at on each connection, and refused when nothing would be kept
apart."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import psycopg2
import pytest
from click.testing import CliRunner

from schema.clock import new_id
from schema.errors import SettingsError, Unavailable
from schema.settings import Settings
from storage import embedded, wall
from storage.db import Database, make_engine
from storage.embedded import read_secrets
from storage.postgres import role_making
from storage.postgres.connecting import database_of
from storage.postgres.role_making import make, making_roles
from storage.postgres.schema_version import upgrade
from storage.processes import free_port
from tasks import deps as wiring
from tasks.deps import Deps
from tests.conftest import Servers
from tests.integration.stage import put_job, school
from tests.integration.test_isolation import OURS
from web.cli import cli
from web.wiring import check_role

ROOT = Path(__file__).parents[2]


def administer(servers: Servers, *statements: str) -> None:
    with closing(psycopg2.connect(servers.database_url("postgres"))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


@pytest.fixture
def named(servers: Servers) -> Iterator[str]:
    """A name for a role, which is gone afterwards with all that begins so."""
    name = f"trial_{new_id().hex[:8]}"
    yield name
    with closing(psycopg2.connect(servers.database_url("postgres"))) as connection, connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles WHERE rolname LIKE %s", (f"{name}%",))
        made = [row[0] for row in cursor.fetchall()]
    for role in made:
        administer(servers, f"DROP DATABASE IF EXISTS {role} WITH (FORCE)")
    for role in made:
        administer(servers, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def refusal(db: Database) -> str:
    with pytest.raises(Unavailable) as caught, db.statement() as tx:
        tx.run("SELECT 1")
    db.dispose()
    assert (caught.value.code, caught.value.status) == ("database_role", 503)
    return caught.value.message


class TestTheWebIsRefused:
    def test_as_a_superuser(self, settings: Settings) -> None:
        words = refusal(database_of(replace(settings, web_database_url=settings.database_url), "web"))
        assert "coursewright, who is a superuser" in words and "Set WEB_DATABASE_URL" in words

    @pytest.mark.parametrize(
        ("made", "what"),
        [
            ("LOGIN PASSWORD 'x' BYPASSRLS IN ROLE coursewright_web", "has BYPASSRLS"),
            ("LOGIN PASSWORD 'x'", "who is not coursewright_web"),
        ],
    )
    def test_as_a_role_that_would_not_be_held(
        self, settings: Settings, servers: Servers, named: str, made: str, what: str
    ) -> None:
        administer(servers, f"CREATE ROLE {named} {made}")
        url = str(settings.web_database_url).rpartition("@")[2]
        assert what in refusal(database_of(replace(settings, web_database_url=f"postgresql://{named}:x@{url}"), "web"))

    def test_as_an_owner_of_tables_or_a_member_of_one(
        self, settings: Settings, servers: Servers, owner: Database, named: str
    ) -> None:
        administer(
            servers,
            f"CREATE ROLE {named}_owner NOLOGIN",
            f"CREATE ROLE {named} LOGIN PASSWORD 'x' IN ROLE coursewright_web, {named}_owner",
        )
        server = str(settings.web_database_url).rpartition("@")[2]
        as_web = replace(settings, web_database_url=f"postgresql://{named}:x@{server}")
        sound = database_of(as_web, "web")
        with sound.statement() as tx:
            assert tx.run("SELECT 1").scalar_one() == 1
        with owner.transaction() as tx:
            tx.run(f"ALTER TABLE corrections OWNER TO {named}_owner")
        try:
            assert "owns tables" in refusal(database_of(as_web, "web"))
            with sound.statement() as tx:
                assert tx.run("SELECT 1").scalar_one() == 1, "it was made before; the next one is looked at"
        finally:
            sound.dispose()
            with owner.transaction() as tx:
                tx.run("ALTER TABLE corrections OWNER TO coursewright")

    def test_the_process_does_not_start_and_says_why(self, environ: dict[str, str]) -> None:
        ended = subprocess.run(
            [sys.executable, "-c", "from web.app import create_app; create_app()"],
            cwd=ROOT,
            env={**environ, "PATH": "", "WEB_DATABASE_URL": environ["DATABASE_URL"]},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == 1
        last = ended.stderr.splitlines()[-1]
        assert "is a superuser" in last and "Set WEB_DATABASE_URL" in last
        assert environ["DATABASE_URL"].split(":")[2].split("@")[0] not in ended.stderr, "no password is told"

    def test_views_say_what_is_wrong_when_that_comes_to_pass_later(self, deps: Deps, settings: Settings) -> None:
        wrong = database_of(replace(settings, web_database_url=settings.database_url), "web")
        wiring.use(deps, replace(deps, db=wrong))
        with pytest.raises(SettingsError, match="is a superuser"):
            check_role()
        wrong.dispose()

    def test_a_database_that_is_away_keeps_nobody_from_starting(self, deps: Deps, settings: Settings) -> None:
        nowhere = f"postgresql://coursewright_web:x@127.0.0.1:{free_port()}/none"
        wiring.use(deps, replace(deps, db=database_of(replace(settings, web_database_url=nowhere), "web")))
        check_role()


class TestOneAddressForAll:
    """``DATABASE_URL`` alone."""

    @pytest.fixture
    def alone(self, settings: Settings) -> Settings:
        return replace(settings, web_database_url=None, worker_database_url=None)

    def test_the_web_becomes_its_role(self, alone: Settings, deps: Deps) -> None:
        ours = put_job(deps, OURS)
        put_job(deps, school(deps).organization_id)
        web = database_of(alone, "web")
        with web.statement() as tx:
            assert tx.run("SELECT current_user, count(*) FROM jobs").one() == ("coursewright_web", 0)
        with wall.within(OURS), web.transaction() as tx:
            assert tx.run("SELECT id FROM jobs").scalar_one() == ours
        web.dispose()

    def test_what_the_address_asks_for_besides_is_kept(self, alone: Settings) -> None:
        url = f"{alone.database_url}?options=-c%20statement_timeout%3D4321"
        web = database_of(replace(alone, database_url=url), "web")
        with web.statement() as tx:
            assert tx.run("SELECT current_user, current_setting('statement_timeout')").one() == (
                "coursewright_web",
                "4321ms",
            )
        web.dispose()

    def test_a_workers_step_becomes_its_role(self, alone: Settings) -> None:
        worker = database_of(alone, "worker")
        with wall.within(OURS), worker.statement() as tx:
            assert tx.run("SELECT current_user").scalar_one() == "coursewright_step"
        with worker.statement() as tx:
            assert tx.run("SELECT current_user").scalar_one() == "coursewright"
        worker.dispose()

    def test_one_who_may_not_become_it_is_told_what_to_set(self, alone: Settings, servers: Servers, named: str) -> None:
        administer(servers, f"CREATE ROLE {named} LOGIN PASSWORD 'x'")
        server = alone.database_url.rpartition("@")[2]
        poor = replace(alone, database_url=f"postgresql://{named}:x@{server}")
        assert "set WEB_DATABASE_URL" in refusal(database_of(poor, "web"))
        assert "set WORKER_DATABASE_URL" in refusal(database_of(poor, "worker"))

    def test_a_command_of_an_operator_is_whoever_the_address_names(self, alone: Settings) -> None:
        for name in ("cli", "doctor", "up"):
            db = database_of(alone, name)
            with wall.within(OURS), db.statement() as tx:
                assert tx.run("SELECT current_user").scalar_one() == "coursewright"
            db.dispose()


class TestMaking:
    def names(self, named: str) -> tuple[str, str, str]:
        return f"{named}_web", f"{named}_step", f"{named}_worker"

    def made(self, servers: Servers, named: str) -> dict[str, bool]:
        with closing(psycopg2.connect(servers.database_url("postgres"))) as connection, connection.cursor() as cursor:
            cursor.execute("SELECT rolname, rolcanlogin FROM pg_roles WHERE rolname LIKE %s", (f"{named}%",))
            return dict(cursor.fetchall())

    def test_what_is_missing_is_made_and_a_second_time_nothing(self, servers: Servers, named: str) -> None:
        web, step, worker = self.names(named)
        for _ in range(2):
            administer(servers, *making_roles(web, step, worker))
            assert self.made(servers, named) == {web: True, step: False, worker: True}

    def test_many_at_once_on_one_server_do_no_harm(self, servers: Servers, named: str) -> None:
        """Migrations of several databases, say: the lock that keeps two apart is one of a database."""
        web, step, worker = self.names(named)
        with ThreadPoolExecutor(6) as pool:
            for making in [pool.submit(administer, servers, *making_roles(web, step, worker)) for _ in range(6)]:
                making.result(30)
        assert len(self.made(servers, named)) == 3

    def test_two_databases_of_a_server_migrate_at_once(self, servers: Servers) -> None:
        names = [f"twin_{new_id().hex[:8]}" for _ in range(2)]
        for name in names:
            administer(servers, f"CREATE DATABASE {name} TEMPLATE template0")
        command = [sys.executable, "-c", "from web.cli import main; main()", "db", "upgrade"]
        begun = [
            subprocess.Popen(
                command,
                cwd=ROOT,
                env={**servers.environ, "PATH": "", "DATABASE_URL": servers.database_url(name)},
                stdout=subprocess.DEVNULL,
            )
            for name in names
        ]
        assert [process.wait(120) for process in begun] == [0, 0]
        for name in names:
            administer(servers, f"DROP DATABASE {name} WITH (FORCE)")

    def test_an_owner_who_may_make_roles_needs_to_be_nothing_more(self, servers: Servers, named: str) -> None:
        """As on a managed server, where nobody is a superuser."""
        administer(servers, f"CREATE ROLE {named} LOGIN PASSWORD 'x' CREATEROLE")
        web, step, worker = self.names(named)
        url = servers.database_url("postgres").replace(
            servers.environ["DATABASE_URL"].split("//")[1].split("@")[0], f"{named}:x"
        )
        with closing(psycopg2.connect(url)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in making_roles(web, step, worker):
                    cursor.execute(statement)
                cursor.execute("SELECT pg_has_role(%s, %s, 'SET')", (named, step))
                assert cursor.fetchone() == (True,), "so that it can be its own worker"

    def test_one_who_may_not_is_told_what_an_administrator_runs(
        self, servers: Servers, named: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        administer(servers, f"CREATE ROLE {named} LOGIN PASSWORD 'x'", f"CREATE DATABASE {named} OWNER {named}")
        monkeypatch.setattr(role_making.making_roles, "__defaults__", self.names(named))
        server = servers.database_url(named).rpartition("@")[2]
        engine = make_engine(f"postgresql://{named}:x@{server}", name="poor", pool_size=2)
        for attempt in (lambda: make(engine, ()), lambda: upgrade(engine)):
            with pytest.raises(Unavailable) as caught:
                attempt()
            assert caught.value.code == "upgrade_refused"
            assert "permission denied to create role" in caught.value.message
            assert f"GRANT coursewright_web, coursewright_step TO {named};" in caught.value.message
        engine.dispose()

    def test_where_they_are_there_an_owner_without_any_right_on_roles_migrates(
        self, servers: Servers, named: str
    ) -> None:
        administer(servers, f"CREATE ROLE {named} LOGIN PASSWORD 'x'", f"CREATE DATABASE {named} OWNER {named}")
        server = servers.database_url(named).rpartition("@")[2]
        engine = make_engine(f"postgresql://{named}:x@{server}", name="poor", pool_size=2)
        upgrade(engine)
        engine.dispose()
        urls = servers.database_urls(named)
        web = Database(make_engine(urls["WEB_DATABASE_URL"], name="web", purpose="web", pool_size=1))
        with wall.within(OURS), web.statement() as tx:
            assert tx.run("SELECT count(*) FROM jobs").scalar_one() == 0
        with web.statement() as tx:
            assert tx.run("SELECT count(*) FROM figures_living()").scalar_one() == 0
        web.dispose()


class TestPasswords:
    def test_embedded_ones_are_made_once_and_folders_of_earlier_versions_get_theirs(self, tmp_path: Path) -> None:
        first = read_secrets(tmp_path)
        kept = json.loads((tmp_path / "secrets.json").read_text())
        for new in ("postgres_web", "postgres_worker"):
            del kept[new]
        (tmp_path / "secrets.json").write_text(json.dumps(kept | {"older": "kept"}))
        second = read_secrets(tmp_path)
        assert (second.postgres, second.valkey) == (first.postgres, first.valkey)
        assert len({second.postgres, second.postgres_web, second.postgres_worker}) == 3
        assert read_secrets(tmp_path) == second
        assert json.loads((tmp_path / "secrets.json").read_text())["older"] == "kept"
        assert (tmp_path / "secrets.json").stat().st_mode & 0o077 == 0

    def test_each_role_gets_in_with_its_own_alone(self, servers: Servers) -> None:
        keys = read_secrets(servers.home)
        server = servers.database_url("postgres").rpartition("@")[2]
        for user, password in (("coursewright_web", keys.postgres_worker), ("coursewright_step", keys.postgres_web)):
            with pytest.raises(psycopg2.OperationalError):
                psycopg2.connect(f"postgresql://{user}:{password}@{server}")
        for url in embedded.role_urls(servers.database_url("postgres"), keys).values():
            psycopg2.connect(url).close()

    def test_a_second_login_of_a_role_is_held_like_it(
        self, settings: Settings, deps: Deps, servers: Servers, named: str
    ) -> None:
        """By which passwords are replaced without a break (docs/operations.md)."""
        urls = {}
        for name, role in (("web", "coursewright_web"), ("worker", "coursewright_worker")):
            administer(servers, f"CREATE ROLE {named}_{name} LOGIN PASSWORD 'next' IN ROLE {role}")
            urls[name] = f"postgresql://{named}_{name}:next@{settings.database_url.rpartition('@')[2]}"
        second = replace(settings, web_database_url=urls["web"], worker_database_url=urls["worker"])
        web, worker = database_of(second, "web"), database_of(second, "worker")
        ours, theirs = put_job(deps, OURS), put_job(deps, school(deps).organization_id)
        for db, seen in ((web, set()), (worker, {ours, theirs})):
            with db.statement() as tx:
                assert set(tx.run("SELECT id FROM jobs").scalars()) == seen
            with wall.within(OURS), db.transaction() as tx:
                assert tx.run("UPDATE jobs SET progress = 1 RETURNING id").scalars().all() == [ours]
            db.dispose()

    def test_a_command_sets_those_that_stand_in_the_addresses(self, deps: Deps, environ: dict[str, str]) -> None:
        deps.db = Database(make_engine(deps.settings.database_url, name="cli", pool_size=1))
        ended = CliRunner().invoke(cli, ["db", "roles"], env=environ)
        assert ended.exit_code == 0, ended.output
        assert "coursewright_web, coursewright_worker" in ended.output
        for name in ("WEB_DATABASE_URL", "WORKER_DATABASE_URL"):
            psycopg2.connect(environ[name]).close()
