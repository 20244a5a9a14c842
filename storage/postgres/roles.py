"""As whom a process connects, and how each of its transactions is held to one organization (decision 19).

The web may see nothing but what belongs to the organization it has entered. A worker serves everybody, and becomes
``coursewright_step``, who is walled in like the web, for as long as it has entered one. Who owns the tables is bound by
nothing; that is whoever migrates.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, Literal

from sqlalchemy import Engine, event

from schema.errors import Unavailable

WEB, STEP, WORKER = "coursewright_web", "coursewright_step", "coursewright_worker"

#: What a connection is for. ``owner``: whatever its role may do, it does for everybody.
Purpose = Literal["owner", "web", "worker"]

_ENTER = "SET LOCAL app.organization = "
#: What stands before the statements of a transaction that has entered an organization. All of it ends with it.
ENTERING: dict[Purpose, str] = {"owner": "", "web": _ENTER, "worker": f"SET LOCAL ROLE {STEP}; {_ENTER}"}

_HOW = "See docs/operations.md, Database roles."


def unfit(words: str) -> Unavailable:
    """A role is not what its process needs. The words say what to do."""
    return Unavailable(f"{words} {_HOW}", code="database_role")


def checked(engine: Engine, purpose: Purpose) -> None:
    """Look at each connection that is made, before anybody uses it: the web must be walled in, a worker able to be."""
    check: dict[Purpose, Callable[[Any], None]] = {"web": _check_web, "worker": _check_worker}
    if purpose in check:

        @event.listens_for(engine, "connect")
        def _look(connection: Any, _record: object) -> None:
            try:
                check[purpose](connection)
            except BaseException:
                connection.close()
                raise


def _ask(connection: Any, statement: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchone()


# An owner is whoever has the owner's rights: also a member that inherits them.
_ABOUT_WEB = f"""SELECT r.rolname, r.rolsuper, r.rolbypassrls, EXISTS (SELECT FROM pg_class c
    WHERE c.relnamespace = to_regnamespace('public') AND c.relkind IN ('r', 'p')
      AND pg_has_role(r.oid, c.relowner, 'USAGE')),
  COALESCE(pg_has_role(r.oid, to_regrole('{WEB}'), 'USAGE'), false)
FROM pg_roles r WHERE r.rolname = current_user"""


def _check_web(connection: Any) -> None:
    """Raise ``Unavailable`` (``database_role``) when the wall would not hold the role, or the role is another one."""
    name, is_super, bypasses, owns, is_ours = _ask(connection, _ABOUT_WEB)
    for is_so, what in (
        (is_super, "is a superuser"),
        (bypasses, "has BYPASSRLS"),
        (owns, "owns tables, or is a member of who does"),
    ):
        if is_so:
            raise unfit(
                f"The web connects to the database as {name}, who {what}: nothing would keep one organization from "
                f"another's rows. Set WEB_DATABASE_URL to the address with the user {WEB}."
            )
    if not is_ours:
        raise unfit(
            f"The web connects to the database as {name}, who is not {WEB}. Run coursewright db upgrade, and set "
            f"WEB_DATABASE_URL to the address with the user {WEB}."
        )


# Since Postgres 16 a member need not be allowed to become the role.
_ABOUT_WORKER = f"""SELECT current_user, COALESCE(pg_has_role(to_regrole('{STEP}'),
  CASE WHEN current_setting('server_version_num')::int >= 160000 THEN 'SET' ELSE 'MEMBER' END), false)"""


def _check_worker(connection: Any) -> None:
    """Raise ``Unavailable`` (``database_role``) when its steps could not be walled in."""
    name, may_become = _ask(connection, _ABOUT_WORKER)
    if not may_become:
        raise unfit(
            f"This process connects to the database as {name}, who may not become {STEP}, as steps of jobs do. Run "
            f"coursewright db upgrade, and set WORKER_DATABASE_URL to the address with the user {WORKER}."
        )


def check_refusal(error: Exception) -> None:
    """Raise ``Unavailable`` (``database_role``) when the server answered, and would not let the role of ours in."""
    words = str(getattr(error, "orig", None) or "")
    if "permission denied to set role" in words or re.search(f'role "({WEB}|{STEP}|{WORKER})" does not exist', words):
        raise unfit(
            f"The database can't be reached as {WEB}: {words.strip().splitlines()[-1]}. Run coursewright db upgrade; "
            f"where its user may not become {WEB}, set WEB_DATABASE_URL."
        ) from error
