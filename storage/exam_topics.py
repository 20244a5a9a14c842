"""Topics that were found in a set of questions, kept so that the same questions in another exam need no call.

They are kept by what was asked about and by who answered: the questions' hash, and a text that names model, prompts and
whatever else went into the answer.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from storage.db import Database, Transaction


def read(db: Database, organization_id: UUID, questions_hash: str, made_by: str) -> dict[str, Any] | None:
    """What was kept; none when nothing was. Notes that it was of use."""
    with db.statement() as tx:
        found: dict[str, Any] | None = tx.run(
            """UPDATE exam_topics SET used_at = clock_timestamp()
            WHERE organization_id = :org AND questions_hash = :hash AND made_by = :by RETURNING topics""",
            {"org": organization_id, "hash": questions_hash, "by": made_by},
        ).scalar_one_or_none()
    return found


def keep(tx: Transaction, organization_id: UUID, questions_hash: str, made_by: str, topics: dict[str, Any]) -> None:
    """Keep them. What somebody else kept meanwhile stays: two jobs then have different topics, both right."""
    tx.run(
        """INSERT INTO exam_topics (organization_id, questions_hash, made_by, topics)
        VALUES (:org, :hash, :by, CAST(:topics AS jsonb)) ON CONFLICT DO NOTHING""",
        {"org": organization_id, "hash": questions_hash, "by": made_by, "topics": json.dumps(topics)},
    )
