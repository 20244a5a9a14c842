"""Working time, batches of jobs, patience of leases, and what the reconciler has looked at: on tables in use.

Only adds, so that workers of the release before run beside those of this one. New columns have constant defaults or
none, so no row is rewritten; each statement stands alone and can be run twice (``storage.postgres.hot_tables``).
"""

from __future__ import annotations

from storage.postgres.hot_tables import add_index, check_constraint, drop_index, each_alone

revision = "0003"
down_revision = "0002"

_BATCH = "fk_jobs_batch_id_batches"
_LOG = "WITH (pages_per_range = 32, autosummarize = on)"
_INDEXES = {
    "ix_jobs_waiting": """jobs (queue, organization_id, priority, (started_at IS NULL), due_at, id)
      WHERE due_at IS NOT NULL""",
    "ix_jobs_batch_id": "jobs (batch_id) WHERE batch_id IS NOT NULL",
    "ix_jobs_rationed": "jobs (organization_id, created_by, created_at) WHERE rationed",
    "ix_jobs_ended": """jobs (COALESCE(completed_at, cancelled_at))
      WHERE status IN ('done', 'failed', 'cancelled', 'dead_letter')""",
    "ix_jobs_dead_letter": "jobs (organization_id, completed_at) WHERE status = 'dead_letter'",
    "ix_jobs_media_pending": "jobs (id) WHERE media_pending > 0",
    "ix_job_steps_created_at": f"job_steps USING brin (created_at) {_LOG}",
    "ix_model_calls_started": "model_calls (created_at) WHERE outcome = 'started'",
    "ix_model_calls_created_at": f"model_calls USING brin (created_at) {_LOG}",
    "ix_documents_verified_at": "documents (verified_at NULLS FIRST)",
    "ix_media_assets_verified_at": "media_assets (verified_at NULLS FIRST)",
}


def upgrade() -> None:
    each_alone(
        """ALTER TABLE jobs
          ADD COLUMN IF NOT EXISTS worked_seconds double precision NOT NULL DEFAULT 0,
          ADD COLUMN IF NOT EXISTS working_since timestamptz,
          ADD COLUMN IF NOT EXISTS rationed boolean NOT NULL DEFAULT false""",
        f"""ALTER TABLE jobs DROP CONSTRAINT IF EXISTS {_BATCH},
          ADD CONSTRAINT {_BATCH} FOREIGN KEY (batch_id) REFERENCES batches (id) NOT VALID""",
        "ALTER TABLE job_leases ADD COLUMN IF NOT EXISTS patience_seconds double precision NOT NULL DEFAULT 60",
        "ALTER TABLE documents ADD COLUMN IF NOT EXISTS verified_at timestamptz",
        """ALTER TABLE media_assets
          ADD COLUMN IF NOT EXISTS verified_at timestamptz,
          ADD COLUMN IF NOT EXISTS missing_since timestamptz""",
    )
    check_constraint("jobs", _BATCH)
    for name, on in _INDEXES.items():
        add_index(name, on)


def downgrade() -> None:
    for name in reversed(_INDEXES):
        drop_index(name)
    each_alone(
        "ALTER TABLE media_assets DROP COLUMN IF EXISTS missing_since, DROP COLUMN IF EXISTS verified_at",
        "ALTER TABLE documents DROP COLUMN IF EXISTS verified_at",
        "ALTER TABLE job_leases DROP COLUMN IF EXISTS patience_seconds",
        f"""ALTER TABLE jobs DROP CONSTRAINT IF EXISTS {_BATCH}, DROP COLUMN IF EXISTS rationed,
          DROP COLUMN IF EXISTS working_since, DROP COLUMN IF EXISTS worked_seconds""",
    )
