"""Organizations: the wall between schools. Making one makes its catalog with it."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from storage.db import Database


@dataclass(frozen=True)
class Organization:
    id: UUID
    slug: str
    name: str


def ensure(db: Database, organization: Organization) -> bool:
    """Make an organization and its catalog. False when its id or its slug is taken: then nothing is changed."""
    values = {"id": organization.id, "slug": organization.slug, "name": organization.name}
    with db.transaction() as tx:
        made = tx.run(
            """INSERT INTO organizations (id, slug, name) VALUES (:id, :slug, :name)
            ON CONFLICT DO NOTHING RETURNING id""",
            values,
        ).one_or_none()
        if made is not None:
            tx.run("INSERT INTO catalogs (id, organization_id) VALUES (:id, :id)", values)
    return made is not None


def read(db: Database, organization_id: UUID) -> Organization | None:
    with db.statement() as tx:
        row = tx.run("SELECT id, slug, name FROM organizations WHERE id = :id", {"id": organization_id}).one_or_none()
    return Organization(row.id, row.slug, row.name) if row else None


def public_id(db: Database, slug: str) -> UUID | None:
    """The id of the organization of this short name, if it has a public course. Of others nobody is told that they are
    there."""
    with db.statement() as tx:
        found: UUID | None = tx.run(
            "SELECT id FROM public_organizations(CAST(:slug AS text))", {"slug": slug}
        ).scalar_one_or_none()
    return found


def id_of(db: Database, slug: str) -> UUID | None:
    """The id of the organization of this short name. For finding out where somebody wants to go, before it is known
    whether they may."""
    with db.statement() as tx:
        found: UUID | None = tx.run("SELECT organization_of_slug(:slug)", {"slug": slug}).scalar()
    return found


def everyone(db: Database) -> list[Organization]:
    """All organizations, by their short names. For whoever runs the system; no school sees another."""
    with db.statement() as tx:
        rows = tx.run("SELECT id, slug, name FROM organizations ORDER BY slug").all()
    return [Organization(row.id, row.slug, row.name) for row in rows]


def of_job(db: Database, job_id: UUID) -> UUID | None:
    """Whose job it is; none when there is no such job. For whoever runs the system, who has nothing but its id."""
    with db.statement() as tx:
        owner: UUID | None = tx.run("SELECT organization_id FROM jobs WHERE id = :job", {"job": job_id}).scalar()
    return owner
