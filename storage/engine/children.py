"""How many children a job waits for, counted anew.

A parent's count moves with its children in one transaction. It can be wrong all the same: after a hand in the rows, or
a restore. Then its stream would never end, and the job never be purged.
"""

from __future__ import annotations

from uuid import UUID

from storage.db import Database, Transaction
from storage.engine.statuses import IS_ACTIVE


def miscounted(db: Database, limit: int = 50) -> list[UUID]:
    """Parents that wait for more or fewer children than live. Not tombstones: those wait for nothing. At random, so
    that one that can't be mended is not in everybody's way for ever."""
    with db.statement() as tx:
        rows = tx.run(
            f"""SELECT COALESCE(parents.id, children.parent_job_id) AS id
            FROM (SELECT id, media_pending FROM jobs WHERE media_pending > 0 AND purged_at IS NULL) AS parents
            FULL JOIN (
              SELECT parent_job_id, count(*) AS living FROM jobs
              WHERE {IS_ACTIVE} AND parent_job_id IS NOT NULL GROUP BY 1
            ) AS children ON children.parent_job_id = parents.id
            WHERE COALESCE(media_pending, 0) <> COALESCE(living, 0) AND NOT EXISTS (
              SELECT 1 FROM jobs stone WHERE stone.id = children.parent_job_id AND stone.purged_at IS NOT NULL)
            ORDER BY random() LIMIT :limit""",
            {"limit": limit},
        ).all()
    return [row.id for row in rows]


def recount(tx: Transaction, parent_id: UUID) -> tuple[int, int, int] | None:
    """Count a locked parent's children anew. Returns media pending, completed and failed when they were counted
    wrongly, else none. Its children end and begin only under the parent's lock, so the count can't be outrun."""
    row = tx.run(
        f"""WITH children AS (
          SELECT count(*) FILTER (WHERE {IS_ACTIVE}) AS pending, count(*) FILTER (WHERE status = 'done') AS completed,
            count(*) FILTER (WHERE status IN ('failed', 'cancelled', 'dead_letter')) AS failed
          FROM jobs WHERE parent_job_id = :job
        )
        UPDATE jobs SET media_pending = children.pending, media_completed = children.completed,
          media_failed = children.failed, updated_at = clock_timestamp(),
          progress_message = CASE WHEN children.pending = 0 THEN 'The course is ready' ELSE progress_message END
        FROM children WHERE id = :job AND media_pending <> children.pending
        RETURNING media_pending, media_completed, media_failed""",
        {"job": parent_id},
    ).one_or_none()
    return (row.media_pending, row.media_completed, row.media_failed) if row else None
