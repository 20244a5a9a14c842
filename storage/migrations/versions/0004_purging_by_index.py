"""Indexes for the purge, so that it reads what it takes and not all jobs there are: on tables in use."""

from __future__ import annotations

from storage.postgres.hot_tables import add_index, drop_index

revision = "0004"
down_revision = "0003"

_INDEXES = {
    "ix_jobs_kept": """jobs (COALESCE(completed_at, cancelled_at, '-infinity'))
      WHERE status IN ('done', 'failed', 'cancelled') AND purged_at IS NULL""",
    "ix_jobs_purged_at": "jobs (purged_at) WHERE purged_at IS NOT NULL",
}


def upgrade() -> None:
    for name, on in _INDEXES.items():
        add_index(name, on)


def downgrade() -> None:
    for name in reversed(_INDEXES):
        drop_index(name)
