"""The daily budget of organizations, asked before every call for one of their jobs."""

from __future__ import annotations

import time
from uuid import UUID

from schema.errors import Permanent
from storage.db import Database
from storage.spending import budgets
from storage.spending.budgets import Budget

#: For how long, in seconds, what was found counts. What calls cost meanwhile may go beyond the budget.
KNOWN_SECONDS = 5.0


class Budgets:
    """The budgets of all organizations this process works for. Blocking: for threads."""

    def __init__(self, db: Database) -> None:
        self._db = db
        self._known: dict[UUID, tuple[float, Budget | None]] = {}

    def check(self, organization_id: UUID) -> None:
        """Raise ``Permanent`` (``budget_spent``) when the organization has spent its budget of today."""
        looked, budget = self._known.get(organization_id, (float("-inf"), None))
        now = time.monotonic()
        if now - looked >= KNOWN_SECONDS:
            budget = budgets.today(self._db, organization_id)
            self._known[organization_id] = (now, budget)
        if budget is not None and budget.is_spent:
            words = (
                f"The organization's budget for today is spent: ${budget.spent:.2f} of ${budget.daily:.2f}. Retry the "
                "job tomorrow (UTC), or raise dailyBudgetUsd in the settings. What is finished is kept."
            )
            raise Permanent(words, code="budget_spent")
