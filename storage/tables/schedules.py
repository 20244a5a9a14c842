"""Requests that are made again and again at given times."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Table, Text, Uuid, text
from sqlalchemy.dialects.postgresql import JSONB

from storage.tables.columns import metadata, moment, organization

schedules = Table(
    "schedules",
    metadata,
    Column("id", Uuid, primary_key=True),
    organization(),
    Column("name", Text, nullable=False),
    # Five fields as cron has them, read in the time zone beside them.
    Column("cron", Text, nullable=False),
    Column("time_zone", Text, nullable=False),
    Column("request", JSONB, nullable=False),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    # Null while it is paused.
    moment("due_at"),
    moment("last_due_at"),
    Column("last_job_id", Uuid),
    # Why nothing was started the last time; null when something was.
    Column("last_error", JSONB),
    Column("created_by", Text),
    moment("created_at", required=True),
    moment("updated_at", required=True),
    Index("ix_schedules_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    Index("ix_schedules_newest", "organization_id", "created_at", "id"),
)
