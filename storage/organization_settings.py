"""What an organization chose: one row, holding only what was chosen."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from schema.organization_settings import OrganizationSettings, from_chosen
from storage.db import Database, Transaction


@dataclass(frozen=True)
class Kept:
    """What was chosen, and which saving of it this is: 0 before the first."""

    chosen: dict[str, Any]
    revision: int


def read(db: Database, organization_id: UUID) -> OrganizationSettings:
    """The settings of an organization, defaults where it chose nothing."""
    return from_chosen(kept(db, organization_id).chosen)


def read_in(tx: Transaction, organization_id: UUID) -> OrganizationSettings:
    """The same, within a transaction."""
    return from_chosen(kept_in(tx, organization_id).chosen)


def kept(db: Database, organization_id: UUID) -> Kept:
    """What an organization chose itself."""
    with db.statement() as tx:
        return kept_in(tx, organization_id)


def kept_in(tx: Transaction, organization_id: UUID) -> Kept:
    """The same, within a transaction."""
    row = tx.run(
        "SELECT chosen, revision FROM organization_settings WHERE organization_id = :org", {"org": organization_id}
    ).one_or_none()
    return Kept(row.chosen, row.revision) if row else Kept({}, 0)


def save(
    tx: Transaction, organization_id: UUID, chosen: Mapping[str, Any], updated_by: str | None, base: int | None
) -> int | None:
    """Put ``chosen`` in the place of what was chosen before; returns the new revision. None when ``base`` is given and
    is not the present revision: then nothing was written."""
    revision: int | None = tx.run(
        """INSERT INTO organization_settings AS kept (organization_id, chosen, updated_by)
        SELECT :org, CAST(:chosen AS jsonb), :by
        WHERE CAST(:base AS integer) IS NULL OR :base = 0
          OR EXISTS (SELECT 1 FROM organization_settings WHERE organization_id = :org)
        ON CONFLICT (organization_id) DO UPDATE SET chosen = EXCLUDED.chosen, updated_by = EXCLUDED.updated_by,
          revision = kept.revision + 1, updated_at = clock_timestamp()
        WHERE CAST(:base AS integer) IS NULL OR kept.revision = :base
        RETURNING revision""",
        {"org": organization_id, "chosen": json.dumps(dict(chosen)), "by": updated_by, "base": base},
    ).scalar_one_or_none()
    return revision
