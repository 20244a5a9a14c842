"""Who did what: rows that are added, read, and after a long time purged, and never changed."""

from __future__ import annotations

from sqlalchemy import Column, Index, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from storage.tables.columns import metadata, moment

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", Uuid, primary_key=True),
    moment("at", required=True),
    # No reference: what was done to an organization outlives it. Null for what belongs to none, a refused stranger say.
    Column("organization_id", Uuid),
    Column("actor", Text),
    Column("way", Text, nullable=False),
    Column("role", Text),
    Column("action", Text, nullable=False),
    Column("target_kind", Text),
    Column("target_id", Text),
    Column("address", Text),
    Column("request_id", Text),
    Column("details", JSONB, nullable=False, server_default=text("'{}'")),
    Index("ix_audit_log_newest", "organization_id", "at", "id"),
    Index("ix_audit_log_target", "organization_id", "target_id", "at"),
    Index("ix_audit_log_at", "at"),
)
