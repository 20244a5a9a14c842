"""Who everything belongs to, and what they chose."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Table, Text, Uuid
from sqlalchemy.dialects.postgresql import JSONB

from storage.tables.columns import count, metadata, moment

organizations = Table(
    "organizations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("slug", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    moment("created_at", required=True),
)

organization_settings = Table(
    "organization_settings",
    metadata,
    Column("organization_id", Uuid, ForeignKey("organizations.id"), primary_key=True),
    # Only what was chosen; what is not in it has the default of ``schema.organization_settings``.
    Column("chosen", JSONB, nullable=False),
    count("revision", 1),
    Column("updated_by", Text),
    moment("updated_at", required=True),
)
