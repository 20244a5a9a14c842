"""How a migration changes tables that are in use all the time, without holding anybody up.

Three habits, and ``tests/guards/test_migrations.py`` looks at every migration for them:

- Each statement on such a table stands alone. A transaction keeps every lock it took until its end, so one that waits
  for a second table holds the first one closed meanwhile.
- Each statement can be run twice. What stands alone is not undone when a later statement of the migration fails.
- An index is built ``CONCURRENTLY``: writers go on while it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import op

#: Tables that every job reads and writes, and those that grow with the number of jobs or courses.
HOT = frozenset(
    {
        *("jobs", "job_payloads", "job_leases", "job_steps", "job_events", "idempotency_keys"),
        *("documents", "document_revisions", "course_metadata", "course_reviews", "catalogs"),
        *("catalog_updates", "course_media"),
        *("media_assets", "model_calls", "exam_questions", "webhook_deliveries", "mails", "audit_log"),
    }
)

#: How long a statement waits for a lock that others queue behind.
LOCK_TIMEOUT = "1s"
#: Building an index waits for older transactions to end, and nobody queues behind it, so it may wait longer.
_PATIENT_TIMEOUT = "60s"


def each_alone(*statements: str) -> None:
    """Run statements one by one, each in a transaction of its own. Each must do no harm a second time."""
    with op.get_context().autocommit_block():
        for statement in statements:
            op.execute(statement)


def add_index(name: str, on: str, *, unique: bool = False) -> None:
    """Build an index while the table is in use. ``on`` is what follows ``ON``: table, method, columns, condition.

    One left half built by an attempt that failed is dropped first; Postgres would keep it up to date and never use
    it."""
    with _patient():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        op.execute(f"CREATE {'UNIQUE ' if unique else ''}INDEX CONCURRENTLY {name} ON {on}")


def drop_index(name: str) -> None:
    """Drop an index while the table is in use."""
    with _patient():
        op.execute(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")


def check_constraint(table: str, name: str) -> None:
    """Look whether all rows fit a constraint that was added ``NOT VALID``. Readers and writers go on."""
    with _patient():
        op.execute(f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}")


@contextmanager
def _patient() -> Iterator[None]:
    with op.get_context().autocommit_block():
        op.execute(f"SET lock_timeout = '{_PATIENT_TIMEOUT}'")
        try:
            yield
        finally:
            op.execute(f"SET lock_timeout = '{LOCK_TIMEOUT}'")
