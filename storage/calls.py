"""Every call to a model, as a row: tokens, seconds, outcome, and cost when the price is known."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from schema.clock import new_id
from storage.db import Database


def record(db: Database, organization_id: UUID, job_id: UUID, run: int, step: str, call: Mapping[str, Any]) -> None:
    """Keep one call. ``call`` carries purpose, prompt_version, model, input_tokens, output_tokens, seconds, outcome,
    error_code and cost_usd; a call that failed has no tokens to tell, which count as 0."""
    with db.statement() as tx:
        tx.run(
            """INSERT INTO model_calls (id, organization_id, job_id, run, step, purpose, prompt_version, model,
              input_tokens, output_tokens, seconds, outcome, error_code, cost_usd)
            VALUES (:id, :org, :job, :run, :step, :purpose, :prompt_version, :model,
              COALESCE(:input_tokens, 0), COALESCE(:output_tokens, 0), :seconds, :outcome, :error_code, :cost_usd)""",
            {"id": new_id(), "org": organization_id, "job": job_id, "run": run, "step": step, **call},
        )
