"""The SQL in the runbook is SQL that this database takes. An operator reads it at night."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tasks.deps import Deps

DOCS = Path(__file__).parents[2] / "docs"
TEXT = "".join((DOCS / name).read_text("utf-8") for name in ("operations.md", "deploy.md"))
IN_BLOCKS = [part for block in re.findall(r"```sql\n(.*?)```", TEXT, re.DOTALL) for part in block.split(";")]
IN_LINE = re.findall(r"[`'](DELETE FROM [^`']*?'[^']*'|UPDATE \w+ SET [^`']*?);?[`']", TEXT)
STATEMENTS = [part.strip() for part in [*IN_BLOCKS, *IN_LINE] if part.strip()]


class Enough(Exception):
    """Rolls back."""


def test_there_are_some() -> None:
    assert len(STATEMENTS) > 10


@pytest.mark.parametrize("statement", STATEMENTS)
def test_a_statement_of_the_runbook_can_be_run(deps: Deps, statement: str) -> None:
    with pytest.raises(Enough), deps.db.transaction() as tx:
        tx.connection.exec_driver_sql(statement.replace("%", "%%"))
        raise Enough
