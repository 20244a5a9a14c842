"""Media assets: a row for bytes that are in the store already, named by their content."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from uuid import UUID

from schema.clock import new_id
from storage.db import Database, Transaction


@dataclass(frozen=True)
class Asset:
    """One stored medium. ``width`` and ``height`` are in pixels, ``visibility`` is of the course it was made for."""

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
    """Make the row, once its bytes are in the store. The same bytes again are the same asset, meant to be as open as
    the most open course it was made for; it is not missing any more. Who sees it, ``read`` says."""
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


# Nothing of this is written down: a course that is closed, or opened, has closed or opened what it shows. Outside of
# its organization nobody sees what no listed public course shows, however it was meant; within, what no course shows is
# as it was meant, unless the course it was made for is private now.
_VISIBILITY = """CASE WHEN is_everybodys(a.organization_id, a.sha256) THEN 'public' ELSE COALESCE(
  (SELECT CASE WHEN bool_or(s.visibility <> 'private') THEN 'org' ELSE 'private' END FROM course_media s
   WHERE s.organization_id = a.organization_id AND s.sha256 = a.sha256 HAVING count(*) > 0),
  (SELECT 'private' FROM documents d JOIN document_revisions r ON r.organization_id = d.organization_id
     AND r.kind = d.kind AND r.document_id = d.document_id AND r.revision = d.revision
   WHERE d.organization_id = a.organization_id AND d.kind = 'course' AND d.document_id = a.course_id
     AND r.content->>'visibility' = 'private'),
  CASE a.visibility WHEN 'public' THEN 'org' ELSE a.visibility END) END"""


@dataclass(frozen=True)
class Shown:
    """A medium for who asks for it. ``visibility`` is as the courses that show it are now: ``public``, ``org`` or
    ``private``."""

    organization_id: UUID
    sha256: str
    extension: str
    content_type: str
    visibility: str


def read(db: Database, organization_id: UUID | None, sha256: str, extension: str) -> Shown | None:
    """The medium with these bytes: the organization's own, or anybody's when it is public; none when neither is."""
    with db.statement() as tx:
        row = tx.run(
            f"""WITH found AS MATERIALIZED (
              SELECT a.organization_id, a.sha256, a.extension, a.content_type, {_VISIBILITY} AS visibility
              FROM media_assets a WHERE a.sha256 = :sha AND a.extension = :extension
            ) SELECT * FROM found WHERE visibility = 'public' OR organization_id = CAST(:org AS uuid)
            ORDER BY visibility = 'public' DESC, organization_id = CAST(:org AS uuid) DESC NULLS LAST LIMIT 1""",
            {"org": organization_id, "sha": sha256, "extension": extension},
        ).one_or_none()
    return Shown(**row._mapping) if row else None


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
