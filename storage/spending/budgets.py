"""What an organization may spend on models in a day, and what it has spent today."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from storage.db import Database


@dataclass(frozen=True)
class Budget:
    """Both in US dollars. Calls without a known cost count nothing."""

    daily: float
    spent: float

    @property
    def is_spent(self) -> bool:
        return self.spent >= self.daily


def today(db: Database, organization_id: UUID) -> Budget | None:
    """The budget of an organization and the cost of its calls since midnight (UTC), purged ones too; none when it has
    no budget."""
    with db.statement() as tx:
        row = tx.run(
            """SELECT CAST(chosen ->> 'dailyBudgetUsd' AS double precision) AS daily, (
              SELECT COALESCE(sum(cost_usd), 0) FROM model_calls
              WHERE organization_id = :org AND created_at >= date_trunc('day', clock_timestamp(), 'UTC')) + (
              SELECT COALESCE(sum(cost_usd), 0) FROM daily_stats
              WHERE organization_id = :org AND day = CAST(clock_timestamp() AT TIME ZONE 'UTC' AS date)
                AND kind = 'call') AS spent
            FROM organization_settings WHERE organization_id = :org AND chosen ->> 'dailyBudgetUsd' IS NOT NULL""",
            {"org": organization_id},
        ).one_or_none()
    return Budget(row.daily, float(row.spent)) if row else None
