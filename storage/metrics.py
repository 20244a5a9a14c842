"""What operators measure, read from the rows: true for the whole system, whichever process is asked."""

from __future__ import annotations

from dataclasses import dataclass

from storage.db import Database


@dataclass(frozen=True)
class Figures:
    """Counts by status and kind, ages in seconds, model use by model and outcome, catalogs whose file is behind."""

    jobs: dict[tuple[str, str], int]
    waiting: dict[str, int]
    oldest_waiting: dict[str, float]
    without_heartbeat: int
    retries: int
    calls: dict[tuple[str, str], tuple[int, int, int, float]]
    catalogs_behind: int
    documents_behind: int


def read(db: Database) -> Figures:
    """All figures, each from one short statement."""
    with db.statement() as tx:
        jobs = tx.run("SELECT status, job_type, count(*) AS n FROM jobs GROUP BY 1, 2").all()
    with db.statement() as tx:
        waiting = tx.run(
            """SELECT queue, count(*) AS n,
              GREATEST(max(EXTRACT(epoch FROM clock_timestamp() - due_at)), 0)::float AS oldest
            FROM jobs WHERE due_at IS NOT NULL GROUP BY 1"""
        ).all()
    with db.statement() as tx:
        calls = tx.run(
            """SELECT model, outcome, count(*) AS n, COALESCE(sum(input_tokens), 0) AS input,
              COALESCE(sum(output_tokens), 0) AS output, COALESCE(sum(cost_usd), 0)::float AS cost
            FROM model_calls GROUP BY 1, 2"""
        ).all()
    with db.statement() as tx:
        rest = tx.run(
            """SELECT (SELECT count(*) FROM job_leases
                WHERE heartbeat_at < clock_timestamp() - interval '1 minute') AS lost,
              (SELECT COALESCE(sum(retry_count), 0) FROM jobs) AS retries,
              (SELECT count(*) FROM catalogs WHERE file_version < version) AS catalogs,
              (SELECT count(*) FROM documents WHERE stored_revision < revision) AS documents"""
        ).one()
    return Figures(
        jobs={(row.status, row.job_type): row.n for row in jobs},
        waiting={row.queue: row.n for row in waiting},
        oldest_waiting={row.queue: row.oldest for row in waiting},
        without_heartbeat=rest.lost,
        retries=rest.retries,
        calls={(row.model, row.outcome): (row.n, row.input, row.output, row.cost) for row in calls},
        catalogs_behind=rest.catalogs,
        documents_behind=rest.documents,
    )
