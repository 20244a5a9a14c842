"""Each job keeps how much of its way each step is: a new column of a table in use."""

from __future__ import annotations

from storage.postgres.hot_tables import each_alone

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    each_alone("ALTER TABLE jobs ADD COLUMN IF NOT EXISTS step_shares double precision[]")


def downgrade() -> None:
    each_alone("ALTER TABLE jobs DROP COLUMN IF EXISTS step_shares")
