"""Working time, batches, the shared brake, corrections, daily figures, and what the reconciler has looked at.

Only adds, so that workers of the release before run beside those of this one. New columns have constant defaults or
none, and a foreign key on a table in use is checked after it is there: neither holds a lock for longer than a moment.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0002"
down_revision = "0001"

NOW = sa.text("clock_timestamp()")


def _moment(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True))


def _required_moment(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=NOW)


def upgrade() -> None:
    _batches()
    _jobs()
    op.add_column(
        "job_leases", sa.Column("patience_seconds", sa.Double(), nullable=False, server_default=sa.text("60"))
    )
    op.create_index("ix_job_steps_created_at", "job_steps", ["created_at"], postgresql_using="brin")
    for table in ("documents", "media_assets"):
        op.add_column(table, _moment("verified_at"))
        op.create_index(f"ix_{table}_verified_at", table, [sa.text("verified_at NULLS FIRST")])
    op.add_column("media_assets", _moment("missing_since"))
    _brakes()
    op.create_table(
        "corrections",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        _required_moment("last_at"),
        sa.PrimaryKeyConstraint("kind", name=op.f("pk_corrections")),
    )
    _daily_stats()


def _batches() -> None:
    op.create_table(
        "batches",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.Text()),
        _required_moment("created_at"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_batches_organization_id_organizations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_batches")),
    )
    op.create_index("ix_batches_newest", "batches", ["organization_id", "created_at", "id"])


def _jobs() -> None:
    op.add_column("jobs", sa.Column("worked_seconds", sa.Double(), nullable=False, server_default=sa.text("0")))
    op.add_column("jobs", _moment("working_since"))
    op.add_column("jobs", sa.Column("rationed", sa.Boolean(), nullable=False, server_default=sa.text("false")))
    op.create_foreign_key(
        op.f("fk_jobs_batch_id_batches"), "jobs", "batches", ["batch_id"], ["id"], postgresql_not_valid=True
    )
    op.execute("ALTER TABLE jobs VALIDATE CONSTRAINT fk_jobs_batch_id_batches")
    op.create_index("ix_jobs_batch_id", "jobs", ["batch_id"], postgresql_where=sa.text("batch_id IS NOT NULL"))
    op.create_index(
        "ix_jobs_rationed",
        "jobs",
        ["organization_id", "created_by", "created_at"],
        postgresql_where=sa.text("rationed"),
    )


def _brakes() -> None:
    op.create_table(
        "model_brakes",
        sa.Column("endpoint", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        _moment("closed_until"),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False, server_default=sa.text("0")),
        _moment("trial_at"),
        _required_moment("updated_at"),
        sa.PrimaryKeyConstraint("endpoint", "model", name=op.f("pk_model_brakes")),
    )


def _daily_stats() -> None:
    op.create_table(
        "daily_stats",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("count", sa.BigInteger(), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("durations", postgresql.ARRAY(sa.BigInteger()), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False, server_default=sa.text("0")),
        sa.Column("cost_usd", sa.Numeric(14, 6), nullable=False, server_default=sa.text("0")),
        sa.CheckConstraint("kind IN ('job', 'step', 'call')", name=op.f("ck_daily_stats_kind")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_daily_stats_organization_id_organizations")
        ),
        sa.PrimaryKeyConstraint("organization_id", "day", "kind", "name", "outcome", name=op.f("pk_daily_stats")),
    )


def downgrade() -> None:
    for table in ("daily_stats", "corrections", "model_brakes"):
        op.drop_table(table)
    op.drop_column("media_assets", "missing_since")
    for table in ("media_assets", "documents"):
        op.drop_index(f"ix_{table}_verified_at", table)
        op.drop_column(table, "verified_at")
    op.drop_index("ix_job_steps_created_at", "job_steps")
    op.drop_column("job_leases", "patience_seconds")
    op.drop_index("ix_jobs_rationed", "jobs")
    op.drop_index("ix_jobs_batch_id", "jobs")
    op.drop_constraint(op.f("fk_jobs_batch_id_batches"), "jobs")
    for column in ("rationed", "working_since", "worked_seconds"):
        op.drop_column("jobs", column)
    op.drop_table("batches")
