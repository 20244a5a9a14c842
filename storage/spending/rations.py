"""How much one person may ask for within an hour. What counts stands in the rows of the jobs themselves."""

from __future__ import annotations

from uuid import UUID

from storage.db import Transaction


def take_turn(tx: Transaction, organization_id: UUID, user: str | None) -> None:
    """Wait until nobody else is asking in this person's name, and keep it so until the transaction ends: of two at
    once both might else be the last one allowed."""
    values = {"who": f"ration of {organization_id}/{user}"}
    tx.run("SELECT pg_advisory_xact_lock(hashtextextended(:who, 0))", values)


def seconds_until_free(
    tx: Transaction, organization_id: UUID, user: str | None, limit: int, besides: UUID
) -> float | None:
    """None while the person has asked for fewer than ``limit`` jobs within the hour (``besides`` the one being asked
    for); else in how many seconds the oldest of the last ``limit`` no longer counts."""
    row = tx.run(
        f"""SELECT EXTRACT(epoch FROM created_at + interval '1 hour' - clock_timestamp())::float AS seconds FROM jobs
        WHERE organization_id = :org AND created_by {"= :user" if user is not None else "IS NULL"} AND rationed
          AND created_at > (SELECT clock_timestamp() - interval '1 hour') AND id <> :besides
        ORDER BY created_at DESC OFFSET :limit - 1 LIMIT 1""",
        {"org": organization_id, "user": user, "limit": limit, "besides": besides},
    ).one_or_none()
    return max(0.0, row.seconds) if row else None
