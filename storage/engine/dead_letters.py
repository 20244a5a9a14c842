"""Dead letters: which there are, and letting one go. They are kept until a person does something about them."""

from __future__ import annotations

from uuid import UUID

from storage.db import Database, Transaction
from storage.retention import NO_LIVING_CHILD, letting_go


def ids(
    db: Database, organization_id: UUID, *, code: str | None = None, job_type: str | None = None, limit: int
) -> list[UUID]:
    """The organization's dead letters, oldest first; with ``code`` those that ended with this error."""
    with db.statement() as tx:
        rows = tx.run(
            """SELECT id FROM jobs WHERE organization_id = :org AND status = 'dead_letter' AND purged_at IS NULL
              AND (CAST(:code AS text) IS NULL OR error->>'code' = :code)
              AND (CAST(:job_type AS text) IS NULL OR job_type = :job_type)
            ORDER BY completed_at, id LIMIT :limit""",
            {"org": organization_id, "code": code, "job_type": job_type, "limit": limit},
        ).all()
    return [row.id for row in rows]


_LET_GO = letting_go(f"""SELECT * FROM jobs WHERE id = :job AND status IN ('dead_letter', 'failed', 'cancelled')
  AND purged_at IS NULL AND {NO_LIVING_CHILD}""")


def let_go(tx: Transaction, job_id: UUID) -> bool:
    """Purge a locked job that ended badly, now, and leave its tombstone. False when it stands otherwise, or a child of
    it lives or is a dead letter."""
    return bool(tx.run(_LET_GO, {"job": job_id}).scalar_one())
