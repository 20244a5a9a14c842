"""Making the roles of the database, which the wall between organizations needs (decision 19)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from psycopg2.errors import InsufficientPrivilege
from psycopg2.extensions import cursor, encrypt_password
from psycopg2.sql import SQL, Identifier, Literal
from sqlalchemy import Engine, make_url
from sqlalchemy.exc import OperationalError

from schema.errors import Unavailable
from storage.postgres.roles import STEP, WEB, WORKER

_MEMBER = "CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END"


def making_roles(web: str = WEB, step: str = STEP, worker: str = WORKER) -> list[str]:
    """The statements that make the roles which are missing.

    Roles belong to the whole server, so other databases may have made them, or be making them at this moment. They have
    no password yet: until an administrator gives them one, nobody gets in as one of them. Whoever migrates becomes a
    member where he may, for processes that are given nothing but his address (``WEB_DATABASE_URL`` unset)."""
    made = [
        f"DO $role$ BEGIN IF to_regrole('{role}') IS NULL THEN CREATE ROLE {role} {kind}; END IF; "
        "EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $role$"
        for role, kind in ((web, "LOGIN NOINHERIT"), (step, "NOLOGIN NOINHERIT"), (worker, "LOGIN NOINHERIT"))
    ]
    joined = f"""DO $role$ BEGIN
      IF NOT pg_has_role('{worker}', '{step}', {_MEMBER}) THEN GRANT {step} TO {worker}; END IF;
      EXCEPTION WHEN unique_violation THEN NULL; END $role$"""
    owners = [
        f"""DO $role$ BEGIN IF NOT pg_has_role(current_user, '{role}', {_MEMBER}) THEN
          EXECUTE format('GRANT {role} TO %I', current_user); END IF;
          EXCEPTION WHEN unique_violation OR insufficient_privilege THEN NULL; END $role$"""
        for role in (web, step)
    ]
    return [*made, joined, *owners]


#: What an administrator runs where whoever migrates may make no roles.
BY_HAND = (
    f"CREATE ROLE {WEB} LOGIN NOINHERIT; CREATE ROLE {STEP} NOLOGIN NOINHERIT; CREATE ROLE {WORKER} LOGIN NOINHERIT; "
    f"GRANT {STEP} TO {WORKER}; GRANT {WEB}, {STEP} TO"
)


def let_in(on: cursor, passwords: Mapping[str, str]) -> None:
    """Make the roles that are missing, and give those named here their passwords, by which they may log in."""
    for statement in making_roles():
        on.execute(statement)
    for role, password in passwords.items():
        scrambled = encrypt_password(password, role, on, "scram-sha-256")
        on.execute(SQL("ALTER ROLE {} LOGIN PASSWORD {}").format(Identifier(role), Literal(scrambled)))


def make(engine: Engine, urls: Iterable[str | None]) -> list[str]:
    """Make the roles, and give the web's and the workers' the passwords that stand in their addresses. Returns whose
    were set. Raises ``Unavailable``: ``upgrade_refused`` when whoever connects may not do that, ``database_away``."""
    named = {url.username: url.password for url in map(make_url, filter(None, urls))}
    passwords = {role: str(named[role]) for role in (WEB, WORKER) if named.get(role)}
    try:
        with engine.connect() as connection, connection.connection.driver_connection.cursor() as on:  # type: ignore[union-attr]
            let_in(on, passwords)
    except InsufficientPrivilege as error:
        raise refused(str(engine.url.username), str(error)) from error
    except OperationalError as error:
        words = str(error.orig).strip().partition("\n")[0]
        raise Unavailable(f"The database can't be reached: {words}", code="database_away") from error
    return list(passwords)


def refused(user: str, words: str) -> Unavailable:
    """Whoever migrates may not do what it takes; and what somebody who may does, once."""
    return Unavailable(
        f"The database does not let {user} do this: {words.strip().splitlines()[0]}. Use the address of whoever owns "
        f"the tables. Where he may make no roles, an administrator of the server runs, once: {BY_HAND} {user}; and "
        f"gives {WEB} and {WORKER} their passwords. Then run the command again.",
        code="upgrade_refused",
    )
