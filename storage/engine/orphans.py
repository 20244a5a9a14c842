"""Which objects of the store nothing in the database stands for any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from uuid import UUID

from storage.db import Database

#: What an object is about: a course, a catalog (named by nothing but its organization), a medium, or a job.
Kind = Literal["document", "catalog", "asset", "debug"]

_STANDS_FOR: dict[Kind, str] = {
    # An archived course has its row; it can be restored.
    "document": "documents d WHERE d.organization_id = given.org AND d.kind = 'course' AND d.document_id = given.name",
    "catalog": "organizations o WHERE o.id = given.org",
    "asset": """media_assets m WHERE m.organization_id = given.org AND m.sha256 = split_part(given.name, '.', 1)
      AND m.extension = split_part(given.name, '.', 2)""",
    # What a job wrote for operators is of use while it runs, and while it waits for them as a dead letter.
    "debug": """jobs j WHERE j.id = CAST(given.name AS uuid) AND j.organization_id = given.org
      AND j.purged_at IS NULL AND j.status NOT IN ('done', 'failed', 'cancelled')""",
}


def orphans(db: Database, kind: Kind, things: Sequence[tuple[UUID, str]]) -> set[tuple[UUID, str]]:
    """Of these things (an organization, and in it a course id, the file name of a medium, or a job id) those that have
    no row, or none that needs them."""
    with db.statement() as tx:
        rows = tx.run(
            f"""SELECT given.org, given.name
            FROM unnest(CAST(:orgs AS uuid[]), CAST(:names AS text[])) AS given (org, name)
            WHERE NOT EXISTS (SELECT 1 FROM {_STANDS_FOR[kind]})""",
            {"orgs": [str(org) for org, _ in things], "names": [name for _, name in things]},
        ).all()
    return {(row.org, row.name) for row in rows}
