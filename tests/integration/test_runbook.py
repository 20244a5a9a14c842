"""The commands in the runbook do what they say: the SQL is SQL that this database takes, and messages are deleted. An
operator reads it at night."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from kombu import Connection

from storage.engine.admission import LINES
from storage.health import broker_lengths
from tasks.deps import Deps

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
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


def test_a_queue_is_emptied_whole(deps: Deps, environ: dict[str, str]) -> None:
    """Its messages stand in several lists, one for each priority."""
    [command] = re.findall(r"^celery (.* purge .*) course$", TEXT, re.MULTILINE)
    with Connection(deps.settings.redis_url) as connection:
        for queue in ("course", "media"):
            producer = connection.SimpleQueue(queue)
            for line in LINES:
                producer.put({}, priority=line)
            producer.close()
    arguments = [sys.executable, "-m", "celery", *shlex.split(command), "course"]
    made = subprocess.run(arguments, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=120)
    assert made.returncode == 0, made.stderr
    assert broker_lengths(deps.bus, ["course", "media"]) == {"course": 0, "media": len(LINES)}
