"""Sets of statuses as conditions in SQL, so that no statement spells one out."""

from __future__ import annotations

from collections.abc import Collection

from schema.job import ACTIVE, STATUSES, Status


def is_one_of(statuses: Collection[Status]) -> str:
    """``status IN (...)``, always in the same order."""
    return "status IN (" + ", ".join(f"'{status}'" for status in STATUSES if status in statuses) + ")"


#: Not ended yet: such a job owns its target, and its parent waits for it.
IS_ACTIVE = is_one_of(ACTIVE)
#: Nothing more can come of it: it ended, and no picture is waited for.
IS_OVER = f"(NOT {IS_ACTIVE} AND media_pending = 0)"
