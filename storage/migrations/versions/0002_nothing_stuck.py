"""New tables: batches, the shared brake, corrections, daily figures. Changes to tables in use follow in 0003."""

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
    op.create_index("ix_daily_stats_day", "daily_stats", ["day"])


def downgrade() -> None:
    for table in ("daily_stats", "corrections", "model_brakes", "batches"):
        op.drop_table(table)
