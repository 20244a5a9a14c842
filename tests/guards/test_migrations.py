"""Migrations change tables in use without holding anybody up: read from the SQL they would run, without a database."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Set
from typing import Any

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from alembic.script import ScriptDirectory

from storage.postgres.hot_tables import HOT
from storage.postgres.schema_version import _FOLDER
from storage.tables import metadata

SCRIPTS = {script.revision: script for script in ScriptDirectory(str(_FOLDER)).walk_revisions()}
LATER = sorted(SCRIPTS.keys() - {"0001"})

_TABLE = r'(?:IF EXISTS )?(?:ONLY )?"?(\w+)"?'
_ALTERS = re.compile(rf"ALTER TABLE {_TABLE}", re.IGNORECASE)
_INDEXES = re.compile(rf"CREATE (?:UNIQUE )?INDEX (CONCURRENTLY )?.*? ON {_TABLE}", re.IGNORECASE | re.DOTALL)


def written(move: Callable[[], Any]) -> str:
    """The SQL of a migration."""
    out = io.StringIO()
    context = MigrationContext.configure(dialect_name="postgresql", opts={"as_sql": True, "output_buffer": out})
    with Operations.context(context):
        move()
    return out.getvalue()


def transactions(sql: str) -> list[list[str]]:
    """Statements, those together that commit together. A migration begins in a transaction."""
    found: list[list[str]] = [[]]
    alone = False
    for statement in (part.strip() for part in re.split(r";\s*\n", sql)):
        if statement in {"COMMIT", "BEGIN"}:
            alone = statement == "COMMIT"
            found.append([])
        elif statement:
            found[-1].append(statement)
            if alone:
                found.append([])
    return [together for together in found if together]


def faults(sql: str) -> list[str]:
    """What in a migration would hold others up for longer than a moment."""
    found = []
    # Nobody uses yet what the migration itself makes.
    hot = HOT - set(re.findall(r"CREATE TABLE (\w+)", sql))
    for together in transactions(sql):
        touching = [statement for statement in together if (hit := _ALTERS.match(statement)) and hit[1] in hot]
        if touching and len(together) > 1:
            found.append(f"not alone: {touching[0]}")
        for statement in together:
            found += [f"{word}: {statement}" for word in _faults_of(statement, hot)]
    return found


def _faults_of(statement: str, hot: Set[str]) -> list[str]:
    found = []
    if (index := _INDEXES.match(statement)) and index[2] in hot and not index[1]:
        found.append("index built under a lock")
    altered = _ALTERS.match(statement)
    if altered is None or altered[1] not in hot:
        return found
    if re.search(r"ADD CONSTRAINT(?!.*NOT VALID)|ADD (?:FOREIGN KEY|CHECK|UNIQUE|PRIMARY KEY)", statement, re.DOTALL):
        found.append("constraint checked under a lock")
    if re.search(r"DEFAULT (?:\w+\.)?\w+\(", statement):
        found.append("default that rewrites every row")
    if re.search(r"SET NOT NULL|ALTER COLUMN \w+ (?:SET DATA )?TYPE", statement):
        found.append("whole table read under a lock")
    if re.search(r"ADD COLUMN (?!IF NOT EXISTS)|DROP (?:COLUMN|CONSTRAINT) (?!IF EXISTS)", statement):
        found.append("can't be run twice")
    return found


@pytest.mark.parametrize("revision", LATER)
def test_going_up_holds_nobody_up(revision: str) -> None:
    assert faults(written(SCRIPTS[revision].module.upgrade)) == []


@pytest.mark.parametrize("revision", LATER)
def test_going_back_holds_nobody_up(revision: str) -> None:
    assert faults(written(SCRIPTS[revision].module.downgrade)) == []


@pytest.mark.parametrize("revision", LATER)
def test_a_new_release_drops_nothing_the_old_one_reads(revision: str) -> None:
    """Expand first, contract a release later: whoever contracts names the release whose code no longer reads it."""
    sql = re.sub(r"DROP CONSTRAINT IF EXISTS (\w+),\s+ADD CONSTRAINT \1|DROP INDEX", "", written_up(revision))
    taken = re.findall(r"DROP (?:TABLE|COLUMN)|RENAME|ALTER COLUMN", sql)
    assert not taken or "contracts" in (SCRIPTS[revision].module.__doc__ or "").lower()


def written_up(revision: str) -> str:
    return written(SCRIPTS[revision].module.upgrade)


def test_every_table_that_takes_rows_of_jobs_or_courses_counts_as_hot() -> None:
    small = {"organizations", "organization_settings", "batches", "model_brakes", "corrections", "daily_stats"}
    small |= {"exams", "exam_topics", "webhooks", "schedules"}
    small |= {"memberships", "agent_tokens", "sessions"}
    assert set(metadata.tables) - HOT == small, "a new table is hot, or small, and somebody decides which"


class TestTheLook:
    @pytest.mark.parametrize(
        ("sql", "word"),
        [
            ("CREATE INDEX ix ON jobs (status);\n\n", "index built under a lock"),
            ("CREATE UNIQUE INDEX ix ON job_events (seq);\n\n", "index built under a lock"),
            ("ALTER TABLE jobs ADD COLUMN a int;\n\n", "can't be run twice"),
            ("ALTER TABLE jobs ADD COLUMN IF NOT EXISTS a uuid DEFAULT gen_random_uuid();\n\n", "rewrites every row"),
            ("ALTER TABLE jobs ADD CONSTRAINT c CHECK (run > 0);\n\n", "constraint checked"),
            ("ALTER TABLE jobs ALTER COLUMN target SET NOT NULL;\n\n", "whole table read"),
            ("ALTER TABLE jobs ALTER COLUMN run TYPE bigint;\n\n", "whole table read"),
            ("ALTER TABLE jobs DROP COLUMN IF EXISTS a;\n\nCREATE TABLE b (id int);\n\n", "not alone"),
        ],
    )
    def test_it_sees(self, sql: str, word: str) -> None:
        assert any(word in fault for fault in faults(sql))

    @pytest.mark.parametrize(
        "sql",
        [
            "COMMIT;\n\nCREATE INDEX CONCURRENTLY ix ON jobs (status);\n\nBEGIN;\n\n",
            "CREATE INDEX ix ON batches (id);\n\nALTER TABLE batches ADD COLUMN a int;\n\n",
            "CREATE TABLE mails (id int);\n\nCREATE INDEX ix ON mails (id);\n\n",
            "COMMIT;\n\nALTER TABLE jobs ADD COLUMN IF NOT EXISTS a int DEFAULT 0;\n\n"
            "ALTER TABLE jobs ADD CONSTRAINT c CHECK (run > 0) NOT VALID;\n\nBEGIN;\n\n",
        ],
    )
    def test_it_lets_pass(self, sql: str) -> None:
        assert faults(sql) == []
