"""Nothing that belongs to an organization stands outside the wall: asked of a database as the migrations make it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from storage.db import Database
from storage.postgres.roles import STEP, WEB, WORKER
from storage.tables import metadata

#: Tables without ``organization_id``, and why they need none.
OF_NOBODY = {
    "organizations": "walled in by its own id",
    "corrections": "counts of what the reconciler put right, over all organizations",
    "model_brakes": "an endpoint counts everybody's calls together",
    "alembic_version": "which migration the tables are at",
}
#: Functions that answer as whoever owns the tables: each is a door in the wall, so each is named here with what it lets
#: through.
DOORS = {
    **{f"figures_{name}": "counts and ages over all organizations" for name in (
        *("living", "ended", "queues", "moved", "leases", "calls", "in_flight", "behind", "notices", "told"),
        "schedules",
    )},
    "everybodys_job_times": "quantiles over all organizations",
    "everybodys_step_times": "quantiles over all organizations",
    "public_organizations": "ids and short names of those that have a public course",
    "awaits_review": "yes or no about a course, to who knows its ids",
    "is_everybodys": "yes or no about a medium, to who knows its organization and the hash of its bytes",
    "next_catalog_version": "a trigger: one number more, with the row that is inserted",
    "identity_facts": "what a session or token rests on, to who knows its ids",
    "organization_of_slug": "the id to a short name, before it is known who asks",
}  # fmt: skip
Rows = Callable[[str], list[Any]]


@pytest.fixture
def rows(owner: Database) -> Rows:
    def read(statement: str) -> list[Any]:
        with owner.statement() as tx:
            return list(tx.run(statement).all())

    return read


def owned() -> set[str]:
    return {name for name, table in metadata.tables.items() if "organization_id" in table.columns}


def test_every_table_is_an_organizations_or_somebody_says_why_not() -> None:
    assert {*metadata.tables, "alembic_version"} - owned() == set(OF_NOBODY)


def test_every_table_of_organizations_is_walled_in_for_everybody_but_its_owner(rows: Rows) -> None:
    found = rows(
        """SELECT c.relname AS name, c.relrowsecurity AS walled, ARRAY(
          SELECT DISTINCT r.rolname::text FROM pg_policy p JOIN pg_roles r ON r.oid = ANY (p.polroles)
          WHERE p.polrelid = c.oid ORDER BY 1) AS roles
        FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r'"""
    )
    walled = {row.name: row.roles for row in found if row.walled}
    # Without a policy a walled table shows nobody anything; it must all the same be said what it shows to whom.
    assert {name for name in owned() if set(walled.get(name, ())) != {WEB, STEP, WORKER}} == set()
    assert set(walled) - owned() == {"organizations"}


def test_a_policy_asks_for_the_organization_once_a_statement_and_never_fails_on_an_empty_one(rows: Rows) -> None:
    for row in rows("SELECT * FROM pg_policies WHERE policyname = 'own_rows'"):
        for asked in (row.qual, row.with_check):
            assert "( SELECT (NULLIF(current_setting('app.organization'::text, true), ''::text))::uuid" in asked, row


def test_only_workers_see_everybodys_rows_and_what_is_public_can_only_be_read(rows: Rows) -> None:
    for row in rows("SELECT * FROM pg_policies"):
        roles = set(row.roles.strip("{}").split(",")) if isinstance(row.roles, str) else set(row.roles)
        assert (row.qual == "true") == (roles == {WORKER}), row
        reads_only = row.policyname not in {"own_rows", "everybodys_rows"}
        assert (row.cmd, row.permissive) == ("SELECT" if reads_only else "ALL", "PERMISSIVE")


def test_nobody_who_is_walled_in_can_climb_over(rows: Rows) -> None:
    found = {
        row.rolname: row
        for row in rows(
            """SELECT rolname::text, rolsuper, rolbypassrls, rolcreaterole, rolcreatedb, rolcanlogin, rolinherit,
              EXISTS (SELECT FROM pg_class c WHERE c.relowner = r.oid) AS owns,
              ARRAY(SELECT m.rolname::text FROM pg_roles m WHERE m.oid <> r.oid AND pg_has_role(r.oid, m.oid, 'MEMBER'))
                AS member_of
            FROM pg_roles r WHERE rolname LIKE 'coursewright\\_%'"""
        )
    }
    assert {WEB, STEP, WORKER} <= set(found)
    for name in (WEB, STEP, WORKER):
        role = found[name]
        assert not (role.rolsuper or role.rolbypassrls or role.rolcreaterole or role.rolcreatedb or role.owns), name
        assert role.rolcanlogin == (name != STEP)
    assert (found[WEB].member_of, found[STEP].member_of, found[WORKER].member_of) == ([], [], [STEP])
    assert not found[WORKER].rolinherit, "or what is allowed to steps would be allowed to it besides"


def test_who_is_walled_in_has_no_rights_but_on_rows(rows: Rows) -> None:
    """TRUNCATE, for one, asks no policy."""
    given = rows(
        f"""SELECT DISTINCT grantee::text, privilege_type::text AS privilege FROM information_schema.table_privileges
        WHERE table_schema = 'public' AND grantee IN ('{WEB}', '{STEP}', '{WORKER}', 'PUBLIC')"""
    )
    assert {row.privilege for row in given} == {"SELECT", "INSERT", "UPDATE", "DELETE"}
    assert "PUBLIC" not in {row.grantee for row in given}
    for role in (WEB, STEP, WORKER):
        [row] = rows(f"SELECT has_schema_privilege('{role}', 'public', 'CREATE') AS may")
        assert not row.may


def test_a_view_shows_no_more_than_who_looks_may_see(rows: Rows) -> None:
    ours = "relkind = 'v' AND relnamespace = 'public'::regnamespace"
    views = rows(f"SELECT relname, reloptions FROM pg_class WHERE {ours}")
    assert len(views) >= 4
    assert [view.relname for view in views if "security_invoker=true" not in (view.reloptions or ())] == []


def test_every_door_in_the_wall_is_known_and_cannot_be_led_astray(rows: Rows) -> None:
    found = rows(
        """SELECT p.proname::text AS name, p.proconfig, has_function_privilege('public', p.oid, 'EXECUTE') AS open
        FROM pg_proc p WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef"""
    )
    assert {row.name for row in found} == set(DOORS)
    for row in found:
        [path] = [setting for setting in row.proconfig or () if setting.startswith("search_path=")]
        assert path.endswith("pg_temp"), f"{row.name} would look for its tables among temporary ones first"
        assert not row.open, f"anybody may call {row.name}"
