"""Media assets: a row for bytes that are in the store already, named by their content."""

from __future__ import annotations

from dataclasses import dataclass
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
    open course that shows it."""
    tx.run(
        """INSERT INTO media_assets (id, organization_id, sha256, extension, content_type, byte_size, width, height,
          visibility, prompt, source, job_id, course_id)
        VALUES (:id, :organization_id, :sha256, :extension, :content_type, :byte_size, :width, :height,
          :visibility, :prompt, :source, :job_id, :course_id)
        ON CONFLICT (organization_id, sha256) DO UPDATE SET visibility = EXCLUDED.visibility
        WHERE array_position(:closed_to_open, EXCLUDED.visibility)
          > array_position(:closed_to_open, media_assets.visibility)""",
        {"id": new_id(), "closed_to_open": ["private", "org", "public"], **asset.__dict__},
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
