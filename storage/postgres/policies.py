"""How a migration walls a table in, so that each role sees of it what is its own (decision 19).

Every migration that makes a table with ``organization_id`` calls ``wall_in`` for it, and ``share`` for one without. A
table nobody did that for is closed to the web and to workers; ``tests/guards/test_wall.py`` names it.

A statement here concerns one table, and can be run twice, as ``storage.postgres.hot_tables`` wants it.
"""

from __future__ import annotations

from collections.abc import Mapping

from storage.postgres.hot_tables import each_alone
from storage.postgres.roles import STEP, WEB, WORKER

#: The organization that was entered, or null. Asked once a statement, not once a row; and a variable that was ever set
#: is empty afterwards, not unset.
ENTERED = "(SELECT nullif(current_setting('app.organization', true), '')::uuid)"
_ALL = "SELECT, INSERT, UPDATE, DELETE"
#: Everybody who is walled in.
_WALLED = f"{WEB}, {STEP}"


def wall_in(
    table: str,
    *,
    whose: str = f"organization_id = {ENTERED}",
    written: str | None = None,
    public: str | None = None,
    also_read: str | None = None,
    rights: str = _ALL,
) -> None:
    """Let the web and steps see and write only those rows of a table that fulfil ``whose``, and workers all of them.

    ``written``: what a row must fulfil that is written, where that is more. ``public``: rows that anybody may read
    through the web; ``also_read``: rows that the web and steps may read besides. ``rights``: of the web and of steps;
    workers have all."""
    policies = [
        f"own_rows ON {table} TO {_WALLED} USING ({whose}) WITH CHECK ({written or whose})",
        f"everybodys_rows ON {table} TO {WORKER} USING (true) WITH CHECK (true)",
    ]
    if public is not None:
        policies.append(f"public_rows ON {table} FOR SELECT TO {WEB} USING ({public})")
    if also_read is not None:
        policies.append(f"shared_rows ON {table} FOR SELECT TO {_WALLED} USING ({also_read})")
    made = [_unless_there(table, policy) for policy in policies]
    granted = [f"GRANT {rights} ON {table} TO {_WALLED}", f"GRANT {_ALL} ON {table} TO {WORKER}"]
    # The wall goes up last: nobody is shut out meanwhile.
    each_alone(_together([*made, *granted, f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY"]))


def _unless_there(table: str, policy: str) -> str:
    name = policy.partition(" ")[0]
    there = f"SELECT FROM pg_policy WHERE polrelid = '{table}'::regclass AND polname = '{name}'"
    return f"IF NOT EXISTS ({there}) THEN CREATE POLICY {policy}; END IF"


def _together(statements: list[str]) -> str:
    """Statements as one, which is done whole or not at all."""
    return f"DO $together$ BEGIN {'; '.join(statements)}; END $together$"


def share(table: str, rights: Mapping[str, str]) -> None:
    """Give roles rights on a table that belongs to no organization; workers have all unless they are named."""
    granted = {WORKER: _ALL, **rights}
    each_alone(_together([f"GRANT {right} ON {table} TO {role}" for role, right in granted.items()]))


def unwall(table: str) -> None:
    """Undo ``wall_in`` or ``share``."""
    names = ("own_rows", "everybodys_rows", "public_rows", "shared_rows")
    dropped = [f"DROP POLICY IF EXISTS {name} ON {table}" for name in names]
    taken = f"REVOKE ALL ON {table} FROM {_WALLED}, {WORKER}"
    each_alone(_together([f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY", *dropped, taken]))
