"""Which jobs may begin next: how many of an organization's at once, and in which order theirs and others' are sent.

Whoever admits jobs holds one lock while it counts and marks, so that two never fill the same place. Lock and statement
travel in one message: the server runs them as one transaction, each with its own picture of the rows, and no process
that is stopped in between can keep the lock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from schema.job import SINGLE_PRIORITY
from storage.db import Database
from storage.engine.queue import Sending

#: Any fixed number: the lock of whoever admits jobs.
_LOCK = "SELECT pg_advisory_xact_lock(7235801115)"

#: Of the messages of one queue, the broker gives out those in a lower line first. These are the lines every kombu
#: looks at, so that workers of the release before see all messages too.
LINES = (0, 3, 6, 9)
#: Up to which number of its organization a job stands in each line but the last.
_REACH = (1, 8, 32)
#: The jobs of a batch are numbered as if their organization had this many more before them.
_BEHIND = 8

#: Holds one of its organization's places: at work, between two steps, or sent and free to begin at any moment.
_ADMITTED = "status IN ('pending', 'processing') AND (status = 'processing' OR sent_at IS NOT NULL)"
#: Sent so long ago that the message must be taken for lost. The wait doubles with each send, so that a long queue is
#: not filled with copies, up to 16 times ``resend``.
_LOST = "sent_at < clock_timestamp() - make_interval(secs => :resend * power(2, LEAST(sends, 5) - 1))"
_DUE = "due_at <= (SELECT clock_timestamp())"


@dataclass(frozen=True)
class Limits:
    """``organization_max``: how many jobs of one organization may be at work, over all queues. ``queues``: how many of
    those may wait in each queue for somebody to begin them. ``window``: how many messages of one queue may be out.
    ``resend_after_seconds``: when one that is not begun is sent again."""

    organization_max: int
    queues: Mapping[str, int]
    window: int
    resend_after_seconds: float

    def values(self) -> dict[str, Any]:
        return {
            "most": self.organization_max,
            "queues": list(self.queues),
            "shares": list(self.queues.values()),
            "window": self.window,
            "resend": self.resend_after_seconds,
            "single": SINGLE_PRIORITY,
            "behind": _BEHIND,
        }


def anything_waits(db: Database, queues: Sequence[str], resend_after_seconds: float) -> bool:
    """Whether something may have to be sent now. A cheap look, because most of the time there is nothing."""
    with db.statement() as tx:
        row = tx.run(
            f"""SELECT 1 FROM unnest(CAST(:queues AS text[])) AS q (name) CROSS JOIN LATERAL (
              SELECT 1 FROM jobs WHERE queue = q.name AND {_DUE} AND status IN ('pending', 'processing')
                AND (sent_at IS NULL OR {_LOST}) LIMIT 1
            ) AS waiting LIMIT 1""",
            {"queues": list(queues), "resend": resend_after_seconds},
        ).one_or_none()
    return row is not None


# An organization's free places go to jobs a person asked for, then to pictures of its courses that are done, then to
# what was begun before, then to the oldest. Its jobs in one queue are numbered in that order, behind those at work; and
# of all organizations' jobs the lower number goes first. An organization with nothing in the broker always gets one
# message out, also when the window is full of others'. What holds a place already and seems lost is always sent again.
_TAKE = f"""WITH RECURSIVE admitted AS MATERIALIZED (
  SELECT id, organization_id, queue, priority, status, due_at, sent_at, sends FROM jobs WHERE {_ADMITTED}
), owners AS (
  (SELECT queue, organization_id FROM jobs WHERE due_at IS NOT NULL ORDER BY queue, organization_id LIMIT 1)
  UNION ALL
  SELECT following.* FROM owners CROSS JOIN LATERAL (
    SELECT queue, organization_id FROM jobs
    WHERE due_at IS NOT NULL AND (queue, organization_id) > (owners.queue, owners.organization_id)
    ORDER BY queue, organization_id LIMIT 1
  ) AS following
), room AS (
  SELECT queue, organization_id, :most - COALESCE(held, 0) AS free,
    LEAST(share - COALESCE(waiting, 0), GREATEST(:window - COALESCE(out, 0), 1)) AS free_here
  FROM owners JOIN unnest(CAST(:queues AS text[]), CAST(:shares AS int[])) AS shares (queue, share) USING (queue)
  LEFT JOIN (SELECT organization_id, count(*) AS held FROM admitted GROUP BY 1) AS held USING (organization_id)
  LEFT JOIN (
    SELECT queue, organization_id, count(*) AS waiting FROM admitted WHERE status = 'pending' GROUP BY 1, 2
  ) AS waiting USING (queue, organization_id)
  LEFT JOIN (
    SELECT queue, count(*) AS out FROM admitted WHERE due_at IS NOT NULL GROUP BY 1
  ) AS out USING (queue)
), wishes AS (
  SELECT wish.*, queue, organization_id, free, row_number() OVER (
    PARTITION BY organization_id ORDER BY priority, NOT is_picture, is_unbegun, due_at, id) AS nth
  FROM room CROSS JOIN LATERAL (
    SELECT id, priority, due_at, started_at IS NULL AS is_unbegun, parent_job_id IS NOT NULL AS is_picture FROM jobs
    WHERE queue = room.queue AND organization_id = room.organization_id AND {_DUE}
      AND status = 'pending' AND sent_at IS NULL
    ORDER BY priority, (started_at IS NULL), due_at, id LIMIT GREATEST(LEAST(free, free_here), 0)
  ) AS wish
), lined_up AS (
  SELECT id, organization_id, queue, priority, priority > :single AS is_batch, due_at, false AS is_wish,
    due_at IS NOT NULL AS is_out, COALESCE({_DUE} AND (sent_at IS NULL OR {_LOST}), false) AS is_lost
  FROM admitted WHERE queue = ANY(CAST(:queues AS text[]))
  UNION ALL
  SELECT id, organization_id, queue, priority, priority > :single, due_at, true, false, false
  FROM wishes WHERE nth <= free
), numbered AS (
  SELECT id, queue, due_at, is_wish, is_out, is_lost,
    row_number() OVER (PARTITION BY queue, organization_id
      ORDER BY is_batch, is_wish, is_out, priority, due_at, id) + CASE WHEN is_batch THEN :behind ELSE 0 END AS number,
    is_wish AND row_number() OVER (PARTITION BY queue, organization_id, is_batch
      ORDER BY is_out DESC, is_wish DESC, priority, due_at, id) = 1 AS is_only
  FROM lined_up
), picked AS (
  SELECT id, number FROM (
    SELECT *, count(*) FILTER (WHERE is_out) OVER (PARTITION BY queue) AS out_already,
      row_number() OVER (PARTITION BY queue, is_wish ORDER BY number, due_at, id) AS turn
    FROM numbered
  ) AS in_turn
  WHERE is_lost OR is_wish AND (is_only OR out_already + turn <= :window)
), locked AS (
  SELECT id FROM jobs WHERE id = ANY(ARRAY(SELECT id FROM picked)) AND {_DUE} AND status IN ('pending', 'processing')
  FOR NO KEY UPDATE SKIP LOCKED
), marked AS (
  UPDATE jobs SET sent_at = clock_timestamp(), sends = sends + 1 FROM locked JOIN picked USING (id)
  WHERE jobs.id = locked.id RETURNING jobs.id, run, job_type, current_step, number, due_at, sends
)
SELECT id, run, job_type, current_step, number, sends FROM marked ORDER BY number, due_at, id"""


def take_for_sending(db: Database, limits: Limits) -> list[Sending]:
    """Admit due jobs: mark them as sent and return them in their order. Two at once never admit the same job, nor
    together more than the limits."""
    with db.statement() as tx:
        rows = tx.run(f"{_LOCK}; {_TAKE}", limits.values()).all()
    return [
        Sending(row.id, row.run, row.job_type, row.current_step, _line(row.number), again=row.sends > 1) for row in rows
    ]


def _line(number: int) -> int:
    """The line in the broker for an organization's job of this number."""
    return LINES[sum(number > reach for reach in _REACH)]


def take_next(db: Database, queues: Sequence[str], organization_max: int) -> Sending | None:
    """Admit the next due job for a worker that takes work straight from the rows: one that holds a place already,
    whatever became of its message, or one for which its organization has a place free."""
    with db.statement() as tx:
        row = tx.run(
            f"""{_LOCK}; WITH held AS (
              SELECT organization_id, count(*) AS held FROM jobs WHERE {_ADMITTED} GROUP BY 1
            ), next AS (
              SELECT id FROM jobs LEFT JOIN held USING (organization_id)
              WHERE queue = ANY(:queues) AND {_DUE} AND status IN ('pending', 'processing')
                AND (status = 'processing' OR sent_at IS NOT NULL OR COALESCE(held, 0) < :most)
              ORDER BY priority, due_at, id LIMIT 1 FOR NO KEY UPDATE OF jobs SKIP LOCKED
            )
            UPDATE jobs SET sent_at = clock_timestamp(), sends = sends + 1 FROM next
            WHERE jobs.id = next.id RETURNING jobs.id, run, job_type, current_step""",
            {"queues": list(queues), "most": organization_max},
        ).one_or_none()
    return Sending(row.id, row.run, row.job_type, row.current_step) if row else None
