"""Calls to models, the brake on them, and the figures operators read."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    Double,
    ForeignKey,
    Index,
    Integer,
    Numeric,
    Table,
    Text,
    Uuid,
    text,
)

from storage.tables.columns import LOG, count, metadata, moment, organization

model_calls = Table(
    "model_calls",
    metadata,
    Column("id", Uuid, primary_key=True),
    organization(),
    Column("job_id", Uuid, ForeignKey("jobs.id", ondelete="SET NULL")),
    Column("run", Integer),
    Column("step", Text),
    Column("purpose", Text, nullable=False),
    Column("prompt_version", Text),
    Column("model", Text, nullable=False),
    count("input_tokens"),
    count("output_tokens"),
    Column("seconds", Double, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("error_code", Text),
    Column("cost_usd", Numeric(12, 6)),
    moment("created_at", required=True),
    Index("ix_model_calls_job_id", "job_id"),
    Index("ix_model_calls_started", "created_at", postgresql_where=text("outcome = 'started'")),
    Index("ix_model_calls_created_at", "created_at", postgresql_using="brin", postgresql_with=LOG),
)

#: Belongs to no organization: an endpoint counts the calls of all of them together.
model_brakes = Table(
    "model_brakes",
    metadata,
    # The address of the endpoint without credentials, and the model there.
    Column("endpoint", Text, primary_key=True),
    Column("model", Text, primary_key=True),
    # Nobody calls before this moment.
    moment("closed_until"),
    Column("reason", Text, nullable=False),
    # Failures in a row; from a certain number on the breaker is open and one call at a time may try.
    count("failures"),
    moment("trial_at"),
    moment("updated_at", required=True),
)

#: Belongs to no organization: how often the reconciler had to correct what.
corrections = Table(
    "corrections",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    moment("last_at", required=True),
)

#: What stays of purged jobs and calls, for durations, failure rates and cost by day.
daily_stats = Table(
    "daily_stats",
    metadata,
    Column("organization_id", Uuid, ForeignKey("organizations.id"), primary_key=True),
    Column("day", Date, primary_key=True),
    # "job", "step" or "call"; ``name`` is the job type, "job type/step" or the model; ``outcome`` how it ended.
    Column("kind", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("outcome", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    Column("seconds", Double, nullable=False),
    # How many took how long, by the bounds of ``schema.durations``.
    Column("durations", ARRAY(BigInteger), nullable=False),
    Column("input_tokens", BigInteger, nullable=False, server_default=text("0")),
    Column("output_tokens", BigInteger, nullable=False, server_default=text("0")),
    Column("cost_usd", Numeric(14, 6), nullable=False, server_default=text("0")),
    Index("ix_daily_stats_day", "day"),
    CheckConstraint("kind IN ('job', 'step', 'call')", name="kind"),
)
