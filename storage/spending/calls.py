"""Every call to a model, as a row: tokens, seconds, outcome, and cost when the price is known.

The row is there before the call goes out, so that a call is known of also when its process dies under it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from storage.db import Database
from storage.engine.leases import Lease


@dataclass(frozen=True)
class Beginning:
    """A call that is about to be made."""

    call_id: UUID
    purpose: str
    prompt_version: str
    model: str


@dataclass(frozen=True)
class LeftOpen:
    """A call of which nobody wrote down how it ended: for which step of which job, and to which model."""

    job_id: UUID | None
    step: str | None
    model: str


def started(db: Database, lease: Lease, call: Beginning) -> None:
    """Note a call before it goes out, for the step that holds this lease."""
    with db.statement() as tx:
        tx.run(
            """INSERT INTO model_calls (id, organization_id, job_id, run, step, purpose, prompt_version, model, seconds,
              outcome)
            SELECT :id, organization_id, id, run, current_step, :purpose, :prompt_version, :model, 0, 'started'
            FROM jobs WHERE id = :job ON CONFLICT DO NOTHING""",
            {
                "id": call.call_id,
                "job": lease.job_id,
                "purpose": call.purpose,
                "prompt_version": call.prompt_version,
                "model": call.model,
            },
        )


def forget(db: Database, call_id: UUID) -> None:
    """A call that was begun here never went out."""
    with db.statement() as tx:
        tx.run("DELETE FROM model_calls WHERE id = :id AND outcome = 'started'", {"id": call_id})


def record(db: Database, organization_id: UUID, job_id: UUID, run: int, step: str, call: Mapping[str, Any]) -> None:
    """Keep how one call ended. ``call`` carries id, purpose, prompt_version, model, input_tokens, output_tokens,
    seconds, outcome, error_code and cost_usd; a call that failed has no tokens to tell, which count as 0."""
    with db.statement() as tx:
        tx.run(
            """INSERT INTO model_calls (id, organization_id, job_id, run, step, purpose, prompt_version, model,
              input_tokens, output_tokens, seconds, outcome, error_code, cost_usd)
            VALUES (:id, :org, :job, :run, :step, :purpose, :prompt_version, :model,
              COALESCE(:input_tokens, 0), COALESCE(:output_tokens, 0), :seconds, :outcome, :error_code, :cost_usd)
            ON CONFLICT (id) DO UPDATE SET input_tokens = EXCLUDED.input_tokens,
              output_tokens = EXCLUDED.output_tokens, seconds = EXCLUDED.seconds, outcome = EXCLUDED.outcome,
              error_code = EXCLUDED.error_code, cost_usd = EXCLUDED.cost_usd""",
            {"org": organization_id, "job": job_id, "run": run, "step": step, **call},
        )


def close_left_open(db: Database, older_than_seconds: float) -> list[LeftOpen]:
    """Close calls that began so long ago that they can't be going on: their process died."""
    with db.statement() as tx:
        rows = tx.run(
            """UPDATE model_calls SET outcome = 'abandoned', error_code = 'worker_lost'
            WHERE outcome = 'started' AND created_at < clock_timestamp() - make_interval(secs => :age)
            RETURNING job_id, step, model""",
            {"age": older_than_seconds},
        ).all()
    return [LeftOpen(row.job_id, row.step, row.model) for row in rows]
