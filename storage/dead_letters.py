"""Dead letters: which there are, and letting one go. They are kept until a person does something about them."""

from __future__ import annotations

from uuid import UUID

from storage.daily import folded, of_calls, of_jobs, of_steps
from storage.db import Database, Transaction


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


#: As the purge does it: what the job tells is folded into the daily figures by the statement that removes it.
_LET_GO = f"""WITH old AS (SELECT * FROM jobs WHERE id = :job AND status IN ('dead_letter', 'failed', 'cancelled')
  AND purged_at IS NULL)
, payloads AS (DELETE FROM job_payloads p USING old WHERE p.job_id = old.id)
, steps AS (DELETE FROM job_steps s USING old WHERE s.job_id = old.id
  RETURNING s.organization_id, s.step, s.part, s.seconds, s.created_at, old.job_type)
, calls AS (DELETE FROM model_calls c USING old WHERE c.job_id = old.id RETURNING c.*)
, told AS (DELETE FROM job_events e USING old WHERE e.job_id = old.id)
, marked AS (UPDATE jobs SET purged_at = clock_timestamp() FROM old WHERE jobs.id = old.id)
, folded AS ({folded(of_jobs("old"), of_steps("old", "steps"), of_calls("calls"))})
SELECT count(*) FROM old"""


def let_go(tx: Transaction, job_id: UUID) -> bool:
    """Purge a locked job that ended badly, now, and leave its tombstone. False when it stands otherwise."""
    return bool(tx.run(_LET_GO, {"job": job_id}).scalar_one())
