"""Who is told when a job ends: webhooks, mails, and each delivery as a row of its own."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from storage.tables.columns import count, metadata, moment, organization

webhooks = Table(
    "webhooks",
    metadata,
    Column("id", Uuid, primary_key=True),
    organization(),
    Column("url", Text, nullable=False),
    Column("description", Text, nullable=False, server_default=text("''")),
    Column("events", ARRAY(Text), nullable=False),
    # Deliveries are signed with it, so it can't be kept as a hash.
    Column("secret", Text, nullable=False),
    Column("paused", Boolean, nullable=False, server_default=text("false")),
    Column("created_by", Text),
    moment("created_at", required=True),
    moment("updated_at", required=True),
    Index("ix_webhooks_organization_id", "organization_id"),
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    Column("id", Uuid, primary_key=True),
    organization(),
    Column("webhook_id", Uuid, ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False),
    Column("event", Text, nullable=False),
    # The job and its event that are told; null for a test. Jobs are purged earlier or later than deliveries.
    Column("job_id", Uuid),
    Column("seq", Integer),
    Column("body", JSONB, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'pending'")),
    count("attempts"),
    # When it is tried next; null when it is delivered or given up.
    moment("due_at"),
    moment("attempted_at"),
    moment("delivered_at"),
    Column("response_status", Integer),
    Column("response_start", Text),
    Column("seconds", Double),
    Column("error", Text),
    moment("created_at", required=True),
    CheckConstraint("status IN ('pending', 'delivered', 'failed')", name="status"),
    Index("uq_webhook_deliveries_event", "webhook_id", "job_id", "seq", unique=True),
    Index("ix_webhook_deliveries_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    Index("ix_webhook_deliveries_newest", "webhook_id", "created_at", "id"),
    Index("ix_webhook_deliveries_attempted_at", "attempted_at"),
    Index("ix_webhook_deliveries_created_at", "created_at"),
)

mails = Table(
    "mails",
    metadata,
    Column("id", Uuid, primary_key=True),
    organization(),
    Column("event", Text, nullable=False),
    Column("job_id", Uuid, nullable=False),
    Column("seq", Integer, nullable=False),
    Column("recipient", Text, nullable=False),
    Column("body", JSONB, nullable=False),
    Column("status", Text, nullable=False, server_default=text("'pending'")),
    count("attempts"),
    moment("due_at"),
    moment("attempted_at"),
    moment("sent_at"),
    Column("error", Text),
    moment("created_at", required=True),
    CheckConstraint("status IN ('pending', 'sent', 'failed')", name="status"),
    Index("uq_mails_event", "job_id", "seq", "recipient", unique=True),
    Index("ix_mails_due", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    Index("ix_mails_attempted_at", "attempted_at"),
    Index("ix_mails_created_at", "created_at"),
)
