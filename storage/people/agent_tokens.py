"""An organization's own agent tokens. Of a secret only the hash is here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from schema.clock import iso
from storage import pages
from storage.db import Database, Transaction
from storage.pages import Position

#: A token that is in use all the time is noted as used once in so many seconds.
NOTED_EVERY_SECONDS = 60
_COLUMNS = {"name": "name", "scopes": "scopes", "expiresAt": "expires_at"}


@dataclass(frozen=True)
class NewToken:
    """A token to be made. ``scopes`` none: all that the role may."""

    token_id: UUID
    organization_id: UUID
    name: str
    prefix: str
    hash: str = field(repr=False)
    role: str
    scopes: list[str] | None
    expires_at: datetime | None
    created_by: str | None


def as_shown(row: Any) -> dict[str, Any]:
    """A token as the API shows it."""
    return {
        "tokenId": str(row.id),
        "name": row.name,
        "prefix": row.prefix,
        "role": row.role,
        "scopes": row.scopes,
        "createdBy": row.created_by,
        "createdAt": iso(row.created_at),
        "expiresAt": iso(row.expires_at),
        "lastUsedAt": iso(row.last_used_at),
        "revokedAt": iso(row.revoked_at),
    }


def by_prefix(db: Database, organization_id: UUID, prefix: str) -> Any | None:
    """The row of a token, with the organization's ``slug`` and the present moment ``now``; none when the organization
    has no such token, or there is no such organization."""
    with db.statement() as tx:
        return tx.run(
            """SELECT t.*, o.slug, clock_timestamp() AS now FROM agent_tokens t
            JOIN organizations o ON o.id = t.organization_id
            WHERE t.organization_id = :org AND t.prefix = :prefix""",
            {"org": organization_id, "prefix": prefix},
        ).one_or_none()


def note_use(db: Database, organization_id: UUID, token_id: UUID) -> None:
    """Note that a token was used, unless that was done within the last minute."""
    with db.statement() as tx:
        tx.run(
            """UPDATE agent_tokens SET last_used_at = clock_timestamp() WHERE id = :id AND organization_id = :org
            AND (last_used_at IS NULL OR last_used_at < clock_timestamp() - make_interval(secs => :seconds))""",
            {"id": token_id, "org": organization_id, "seconds": NOTED_EVERY_SECONDS},
        )


def newest(db: Database, organization_id: UUID, before: Position | None, limit: int) -> list[dict[str, Any]]:
    """The organization's tokens, newest first, those made before the given one; revoked ones too."""
    rows = "SELECT * FROM agent_tokens WHERE organization_id = :org"
    return pages.newest(db, rows, {"org": organization_id}, before, limit, as_shown)


def read(db: Database, organization_id: UUID, token_id: UUID) -> dict[str, Any] | None:
    """One token of the organization; none when it has no such one."""
    with db.statement() as tx:
        row = tx.run(
            "SELECT * FROM agent_tokens WHERE id = :id AND organization_id = :org",
            {"id": token_id, "org": organization_id},
        ).one_or_none()
    return as_shown(row) if row else None


def insert(tx: Transaction, new: NewToken, most: int) -> dict[str, Any] | None:
    """Make a token, unless the organization has ``most`` that can be used: then none is the answer. Of two that are
    made at once one waits for the other, on the organization's row."""
    tx.run("SELECT 1 FROM organizations WHERE id = :org FOR NO KEY UPDATE", {"org": new.organization_id})
    row = tx.run(
        """INSERT INTO agent_tokens (id, organization_id, name, prefix, hash, role, scopes, expires_at, created_by)
        SELECT :id, :org, :name, :prefix, :hash, :role, CAST(:scopes AS text[]), :expires_at, :by
        WHERE (SELECT count(*) FROM agent_tokens WHERE organization_id = :org AND revoked_at IS NULL
          AND (expires_at IS NULL OR expires_at > clock_timestamp())) < :most RETURNING *""",
        {
            "id": new.token_id,
            "org": new.organization_id,
            "name": new.name,
            "prefix": new.prefix,
            "hash": new.hash,
            "role": new.role,
            "scopes": new.scopes,
            "expires_at": new.expires_at,
            "by": new.created_by,
            "most": most,
        },
    ).one_or_none()
    return as_shown(row) if row else None


def change(tx: Transaction, organization_id: UUID, token_id: UUID, changes: Mapping[str, Any]) -> dict[str, Any] | None:
    """Change what is given; none when there is no such token, or it is revoked."""
    values = {"id": token_id, "org": organization_id, **changes}
    sets = ", ".join(f"{_COLUMNS[name]} = :{name}" for name in changes) or "name = name"
    row = tx.run(
        f"""UPDATE agent_tokens SET {sets} WHERE id = :id AND organization_id = :org AND revoked_at IS NULL
        RETURNING *""",
        values,
    ).one_or_none()
    return as_shown(row) if row else None


def revoke(tx: Transaction, organization_id: UUID, token_id: UUID) -> dict[str, Any] | None:
    """Revoke a token from now on; none when there is no such one. One that is revoked already stays so."""
    row = tx.run(
        """UPDATE agent_tokens SET revoked_at = COALESCE(revoked_at, clock_timestamp())
        WHERE id = :id AND organization_id = :org RETURNING *""",
        {"id": token_id, "org": organization_id},
    ).one_or_none()
    return as_shown(row) if row else None
