"""Media assets: a row for bytes that are in the store already, named by their content."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

from schema.clock import new_id
from storage.db import Database, Transaction


@dataclass(frozen=True)
class Asset:
    """One stored medium. ``width`` and ``height`` are in pixels."""

    organization_id: UUID
    sha256: str
    extension: str
    content_type: str
    byte_size: int
    width: int | None
    height: int | None
    visibility: str
    prompt: str
    source: str
    job_id: UUID | None
    course_id: str | None

    @property
    def key(self) -> str:
        """Where its bytes are, in the media bucket."""
        return f"{self.organization_id}/{self.sha256}.{self.extension}"

    @property
    def path(self) -> str:
        """Where readers get it."""
        return f"/content/media/{self.sha256}.{self.extension}"


def keep(tx: Transaction, asset: Asset) -> None:
    """Make the row, once its bytes are in the store. The same bytes again are the same asset, as open as the most
    open course that shows it; it is not missing any more."""
    tx.run(
        """INSERT INTO media_assets (id, organization_id, sha256, extension, content_type, byte_size, width, height,
          visibility, prompt, source, job_id, course_id)
        VALUES (:id, :organization_id, :sha256, :extension, :content_type, :byte_size, :width, :height,
          :visibility, :prompt, :source, :job_id, :course_id)
        ON CONFLICT (organization_id, sha256) DO UPDATE SET missing_since = NULL,
          visibility = (:closed_to_open)[GREATEST(array_position(:closed_to_open, EXCLUDED.visibility),
            array_position(:closed_to_open, media_assets.visibility))]
        WHERE media_assets.missing_since IS NOT NULL OR array_position(:closed_to_open, EXCLUDED.visibility)
          > array_position(:closed_to_open, media_assets.visibility)""",
        {"id": new_id(), "closed_to_open": ["private", "org", "public"], **asset.__dict__},
    )


def open_to_all(tx: Transaction, organization_id: UUID, names: Collection[str]) -> None:
    """Let everybody see these assets of an organization, which a public course shows. ``names`` are the hashes of their
    bytes. Locks those that were closed, in one order."""
    tx.run(
        """WITH closed AS (
          SELECT id FROM media_assets WHERE organization_id = :org AND sha256 = ANY(:names) AND visibility <> 'public'
          ORDER BY id FOR NO KEY UPDATE
        )
        UPDATE media_assets a SET visibility = 'public' FROM closed WHERE a.id = closed.id""",
        {"org": organization_id, "names": list(names)},
    )


def read(db: Database, organization_id: UUID | None, sha256: str, extension: str) -> Any | None:
    """The asset with these bytes: the organization's own, or anybody's when it is public; none when neither is."""
    with db.statement() as tx:
        return tx.run(
            """SELECT * FROM media_assets WHERE sha256 = :sha AND extension = :extension
              AND (visibility = 'public' OR organization_id = CAST(:org AS uuid))
            ORDER BY visibility = 'public' DESC, organization_id = CAST(:org AS uuid) DESC NULLS LAST LIMIT 1""",
            {"org": organization_id, "sha": sha256, "extension": extension},
        ).one_or_none()


@dataclass(frozen=True)
class Kept:
    """An asset's row, as it was when it was read."""

    id: UUID
    asset: Asset
    verified_at: datetime | None


def longest_unverified(db: Database, older_than_seconds: float, limit: int) -> list[Kept]:
    """Assets whose bytes were not looked at for so long, the longest unseen first."""
    with db.statement() as tx:
        rows = tx.run(
            """SELECT * FROM (SELECT * FROM media_assets ORDER BY verified_at NULLS FIRST LIMIT :limit) AS first
            WHERE verified_at IS NULL OR verified_at < clock_timestamp() - make_interval(secs => :age)""",
            {"age": older_than_seconds, "limit": limit},
        ).all()
    names = [field.name for field in fields(Asset)]
    return [Kept(row.id, Asset(**{name: getattr(row, name) for name in names}), row.verified_at) for row in rows]


def mark_verified(db: Database, seen: Sequence[Kept]) -> None:
    """Note that the bytes of these were in the store just now. One that somebody works on at this moment is left for
    the next round."""
    with db.statement() as tx:
        tx.run(
            """WITH free AS (
              SELECT id FROM media_assets WHERE id = ANY(CAST(:ids AS uuid[])) FOR NO KEY UPDATE SKIP LOCKED
            )
            UPDATE media_assets a SET verified_at = clock_timestamp(), missing_since = NULL FROM free
            WHERE a.id = free.id""",
            {"ids": [str(one.id) for one in seen]},
        )


def mark_missing(tx: Transaction, kept: Kept) -> bool:
    """Note that an asset's bytes are gone. True when that is news; false also when somebody has looked at it since
    the row was read, because what was seen in the store may be older than that. Locks the row."""
    row = tx.run(
        """WITH before AS (
          SELECT id, missing_since FROM media_assets
          WHERE id = :id AND verified_at IS NOT DISTINCT FROM CAST(:verified_at AS timestamptz) FOR NO KEY UPDATE
        )
        UPDATE media_assets a SET verified_at = clock_timestamp(),
          missing_since = COALESCE(a.missing_since, clock_timestamp())
        FROM before WHERE a.id = before.id RETURNING before.missing_since IS NULL AS news""",
        {"id": kept.id, "verified_at": kept.verified_at},
    ).one_or_none()
    return row is not None and bool(row.news)
