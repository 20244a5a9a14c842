"""Documents with their revisions, the catalogs that list them, the media they show."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from storage.tables.columns import count, metadata, moment, organization

documents = Table(
    "documents",
    metadata,
    Column("organization_id", Uuid, ForeignKey("organizations.id"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("document_id", Text, primary_key=True),
    count("revision"),
    # The newest revision known to be in the object store; the publisher works off the difference.
    count("stored_revision"),
    moment("archived_at"),
    # When the store was last seen to hold what it should; the reconciler goes round, the longest unseen first.
    moment("verified_at"),
    moment("created_at", required=True),
    moment("updated_at", required=True),
    Index("ix_documents_verified_at", text("verified_at NULLS FIRST")),
    Index(
        "ix_documents_unstored",
        "updated_at",
        postgresql_where=text("stored_revision < revision"),
    ),
)

document_revisions = Table(
    "document_revisions",
    metadata,
    Column("organization_id", Uuid, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("document_id", Text, primary_key=True),
    Column("revision", Integer, primary_key=True),
    Column("content", JSONB, nullable=False),
    Column("source", Text, nullable=False),
    Column("change", Text, nullable=False),
    Column("created_by", Text),
    Column("job_id", Uuid),
    Column("step", Text),
    moment("created_at", required=True),
    ForeignKeyConstraint(
        ["organization_id", "kind", "document_id"],
        ["documents.organization_id", "documents.kind", "documents.document_id"],
        ondelete="CASCADE",
    ),
    CheckConstraint("source IN ('app', 'workflow', 'system')", name="source"),
    # A step that runs twice finds its revision here instead of making a second one.
    Index("uq_document_revisions_step", "organization_id", "kind", "document_id", "job_id", "step", unique=True),
)

course_metadata = Table(
    "course_metadata",
    metadata,
    Column("organization_id", Uuid, ForeignKey("organizations.id"), primary_key=True),
    Column("course_id", Text, primary_key=True),
    Column("title", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("grade_band", Text, nullable=False),
    Column("grade", Text),
    Column("language", Text, nullable=False),
    Column("visibility", Text, nullable=False),
    Column("tags", ARRAY(Text), nullable=False),
    Column("item_count", Integer, nullable=False),
    Column("has_study_texts", Boolean, nullable=False),
    Column("content_version", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("catalog_version", BigInteger, nullable=False),
    moment("created_at", required=True),
    moment("updated_at", required=True),
    CheckConstraint("visibility IN ('private', 'org', 'public')", name="visibility"),
    Index("ix_course_metadata_public", "updated_at", postgresql_where=text("visibility = 'public'")),
)

#: That a course's current revision waits for a review, or was approved in one. A course without a row needed none.
course_reviews = Table(
    "course_reviews",
    metadata,
    Column("organization_id", Uuid, ForeignKey("organizations.id"), primary_key=True),
    Column("course_id", Text, primary_key=True),
    # What the job saved, later what was approved. Pictures that came since made further revisions.
    Column("revision", Integer, nullable=False),
    Column("job_id", Uuid),
    moment("waiting_since", required=True),
    # The user, if one was named; an agent may approve without.
    Column("approved_by", Text),
    # Null while it waits.
    moment("approved_at"),
    Index(
        "ix_course_reviews_waiting", "organization_id", "waiting_since", postgresql_where=text("approved_at IS NULL")
    ),
)

catalogs = Table(
    "catalogs",
    metadata,
    # An organization's own id, or the nil id for the public catalog (which belongs to none).
    Column("id", Uuid, primary_key=True),
    Column("organization_id", Uuid, ForeignKey("organizations.id")),
    Column("version", BigInteger, nullable=False, server_default=text("0")),
    Column("file_version", BigInteger, nullable=False, server_default=text("0")),
    count("file_writes"),
    moment("claimed_until"),
    moment("updated_at", required=True),
)

catalog_updates = Table(
    "catalog_updates",
    metadata,
    Column("catalog_id", Uuid, ForeignKey("catalogs.id"), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    organization(),
    Column("course_id", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("entry", JSONB),
    moment("created_at", required=True),
    # What viewers, who don't see private courses, are told instead: gone, nothing; null: all of it.
    Column("for_viewers", Text),
    CheckConstraint("action IN ('added', 'updated', 'deleted')", name="action"),
)

media_assets = Table(
    "media_assets",
    metadata,
    Column("id", Uuid, primary_key=True),
    organization(),
    Column("sha256", Text, nullable=False),
    Column("extension", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("byte_size", BigInteger, nullable=False),
    Column("width", Integer),
    Column("height", Integer),
    # How open the most open course was meant to be that it was made for.
    Column("visibility", Text, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("job_id", Uuid),
    Column("course_id", Text),
    moment("verified_at"),
    # Since when its bytes are known to be gone; null while they are there.
    moment("missing_since"),
    moment("created_at", required=True),
    Index("ix_media_assets_verified_at", text("verified_at NULLS FIRST")),
    Index("uq_media_assets_bytes", "organization_id", "sha256", unique=True),
)

#: Which media a course shows, as its newest revision says, and how open that is. A trigger writes it with the revision.
#: Who sees a medium is read from here.
course_media = Table(
    "course_media",
    metadata,
    Column("organization_id", Uuid, ForeignKey("organizations.id"), primary_key=True),
    Column("course_id", Text, primary_key=True),
    Column("sha256", Text, primary_key=True),
    Column("visibility", Text, nullable=False),
    Index("ix_course_media_sha256", "organization_id", "sha256"),
)
