"""Every table. Names and constraints follow one convention; Alembic's migrations are checked against this file.

Rows that change often stay small: payloads and leases have tables of their own, the hot ones leave room on each
page (fillfactor 70) so that an update needs no new index entry, and no index covers a heartbeat.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    Double,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from schema.job import STATUSES
from storage.statuses import IS_ACTIVE, is_one_of

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

NOW = text("clock_timestamp()")
HOT = {"fillfactor": 70, "autovacuum_vacuum_scale_factor": 0.02, "autovacuum_vacuum_cost_delay": 0}
#: For the times of rows that are only ever added: a few bytes for each 32 pages, kept up to date without a vacuum.
LOG = {"pages_per_range": 32, "autosummarize": "on"}


def _moment(name: str, *, required: bool = False) -> Column[Any]:
    """A UTC-aware time; when required it defaults to the moment of the insert."""
    if required:
        return Column(name, DateTime(timezone=True), nullable=False, server_default=NOW)
    return Column(name, DateTime(timezone=True))


def _organization() -> Column[Any]:
    return Column("organization_id", Uuid, ForeignKey("organizations.id"), nullable=False)


def _count(name: str, default: int = 0) -> Column[Any]:
    return Column(name, Integer, nullable=False, server_default=text(str(default)))


organizations = Table(
    "organizations",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("slug", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    _moment("created_at", required=True),
)

batches = Table(
    "batches",
    metadata,
    Column("id", Uuid, primary_key=True),
    _organization(),
    Column("total", Integer, nullable=False),
    Column("created_by", Text),
    _moment("created_at", required=True),
    Index("ix_batches_newest", "organization_id", "created_at", "id"),
)

_ended = "status IN ('done', 'failed', 'cancelled', 'dead_letter')"
_kept = "status IN ('done', 'failed', 'cancelled') AND purged_at IS NULL"
jobs = Table(
    "jobs",
    metadata,
    Column("id", Uuid, primary_key=True),
    _organization(),
    Column("job_type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False, server_default=text("5")),
    # The fence: a write of a step names run and lease_token, and finds no row when another holds the job by now.
    _count("run", 1),
    Column("lease_token", BigInteger, nullable=False, server_default=text("0")),
    # Events are numbered under this row's lock, so whoever has seen N could have seen all before it.
    _count("last_seq"),
    # When the current step may begin; null while it runs or when nothing is left to do.
    _moment("due_at"),
    _moment("sent_at"),
    _count("sends"),
    Column("target", Text),
    Column("course_id", Text),
    Column("lecture_id", Text),
    Column("exam_id", Text),
    Column("batch_id", Uuid, ForeignKey("batches.id")),
    Column("parent_job_id", Uuid, ForeignKey("jobs.id")),
    Column("current_step", Text),
    _count("current_step_index"),
    _count("total_steps"),
    Column("current_topic", Text),
    Column("current_topic_index", Integer),
    Column("total_topics", Integer),
    Column("progress", Double, nullable=False, server_default=text("0")),
    Column("progress_message", Text, nullable=False, server_default=text("''")),
    _count("retry_count"),
    _count("max_retries"),
    _moment("started_at"),
    # Working time of all runs together, without waiting; since when it is being worked on, null while nobody does.
    Column("worked_seconds", Double, nullable=False, server_default=text("0")),
    _moment("working_since"),
    _moment("completed_at"),
    Column("base_revision", Integer),
    Column("result_path", Text),
    _count("media_pending"),
    _count("media_completed"),
    _count("media_failed"),
    Column("error", JSONB),
    _moment("cancelled_at"),
    Column("cancellation_reason", Text),
    Column("created_by", Text),
    # Asked for by a person one by one: counts for USER_JOBS_PER_HOUR.
    Column("rationed", Boolean, nullable=False, server_default=text("false")),
    # Set when payload, checkpoints and events are gone; the row stays a while as a tombstone.
    _moment("purged_at"),
    Column("request_hash", Text),
    _moment("created_at", required=True),
    _moment("updated_at", required=True),
    CheckConstraint(is_one_of(STATUSES), name="status"),
    Index("uq_jobs_active_target", "organization_id", "target", unique=True, postgresql_where=text(IS_ACTIVE)),
    Index("ix_jobs_due", "queue", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    # An organization's next jobs in their order, without a look at the thousands behind them (``storage.admission``).
    Index(
        "ix_jobs_waiting",
        *("queue", "organization_id", "priority", text("(started_at IS NULL)"), "due_at", "id"),
        postgresql_where=text("due_at IS NOT NULL"),
    ),
    Index("ix_jobs_active", "status", postgresql_where=text(IS_ACTIVE)),
    Index("ix_jobs_newest", "organization_id", "created_at", "id"),
    Index("ix_jobs_parent_job_id", "parent_job_id", postgresql_where=text("parent_job_id IS NOT NULL")),
    Index("ix_jobs_media_pending", "id", postgresql_where=text("media_pending > 0")),
    Index("ix_jobs_course", "organization_id", "course_id"),
    Index("ix_jobs_batch_id", "batch_id", postgresql_where=text("batch_id IS NOT NULL")),
    Index("ix_jobs_rationed", "organization_id", "created_by", "created_at", postgresql_where=text("rationed")),
    # Both for operators: what ended lately, and what waits for a person. Neither covers a column that progress changes.
    Index("ix_jobs_ended", text("COALESCE(completed_at, cancelled_at)"), postgresql_where=text(_ended)),
    Index("ix_jobs_dead_letter", "organization_id", "completed_at", postgresql_where=text("status = 'dead_letter'")),
    # Both for the purge: what it may take next, the oldest first, and which tombstones are old.
    Index("ix_jobs_kept", text("COALESCE(completed_at, cancelled_at, '-infinity')"), postgresql_where=text(_kept)),
    Index("ix_jobs_purged_at", "purged_at", postgresql_where=text("purged_at IS NOT NULL")),
    postgresql_with=HOT,
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("organization_id", Uuid, ForeignKey("organizations.id"), primary_key=True),
    Column("key", Text, primary_key=True),
    # Deferred: the key is taken first, so that of many requests with it only one makes a job.
    Column(
        "job_id", Uuid, ForeignKey("jobs.id", ondelete="CASCADE", deferrable=True, initially="DEFERRED"), nullable=False
    ),
    Column("request_hash", Text, nullable=False),
    _moment("created_at", required=True),
    Index("ix_idempotency_keys_job_id", "job_id"),
)

job_payloads = Table(
    "job_payloads",
    metadata,
    Column("job_id", Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    _organization(),
    Column("payload", JSONB, nullable=False),
)

job_leases = Table(
    "job_leases",
    metadata,
    Column("job_id", Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    _organization(),
    Column("token", BigInteger, nullable=False),
    Column("step", Text, nullable=False),
    Column("holder", Text, nullable=False),
    _moment("heartbeat_at", required=True),
    _moment("progress_at", required=True),
    # Without progress for longer than this the step counts as stuck, although its process is alive.
    Column("patience_seconds", Double, nullable=False, server_default=text("60")),
    postgresql_with=HOT,
)

job_steps = Table(
    "job_steps",
    metadata,
    Column("job_id", Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("step", Text, primary_key=True),
    # Empty for the whole step; else the group or text this checkpoint is about.
    Column("part", Text, primary_key=True),
    _organization(),
    Column("format", SmallInteger, nullable=False),
    Column("run", Integer, nullable=False),
    Column("result", JSONB, nullable=False),
    Column("seconds", Double, nullable=False),
    _moment("created_at", required=True),
    Index("ix_job_steps_created_at", "created_at", postgresql_using="brin", postgresql_with=LOG),
)

job_events = Table(
    "job_events",
    metadata,
    Column("job_id", Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    _organization(),
    Column("type", Text, nullable=False),
    Column("body", JSONB, nullable=False),
    _moment("created_at", required=True),
)

documents = Table(
    "documents",
    metadata,
    Column("organization_id", Uuid, ForeignKey("organizations.id"), primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("document_id", Text, primary_key=True),
    _count("revision"),
    # The newest revision known to be in the object store; the publisher works off the difference.
    _count("stored_revision"),
    _moment("archived_at"),
    # When the store was last seen to hold what it should; the reconciler goes round, the longest unseen first.
    _moment("verified_at"),
    _moment("created_at", required=True),
    _moment("updated_at", required=True),
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
    _moment("created_at", required=True),
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
    _moment("created_at", required=True),
    _moment("updated_at", required=True),
    CheckConstraint("visibility IN ('private', 'org', 'public')", name="visibility"),
    Index("ix_course_metadata_public", "updated_at", postgresql_where=text("visibility = 'public'")),
)

catalogs = Table(
    "catalogs",
    metadata,
    # An organization's own id, or the nil id for the public catalog (which belongs to none).
    Column("id", Uuid, primary_key=True),
    Column("organization_id", Uuid, ForeignKey("organizations.id")),
    Column("version", BigInteger, nullable=False, server_default=text("0")),
    Column("file_version", BigInteger, nullable=False, server_default=text("0")),
    _count("file_writes"),
    _moment("claimed_until"),
    _moment("updated_at", required=True),
)

catalog_updates = Table(
    "catalog_updates",
    metadata,
    Column("catalog_id", Uuid, ForeignKey("catalogs.id"), primary_key=True),
    Column("version", BigInteger, primary_key=True),
    _organization(),
    Column("course_id", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("entry", JSONB),
    _moment("created_at", required=True),
    CheckConstraint("action IN ('added', 'updated', 'deleted')", name="action"),
)

media_assets = Table(
    "media_assets",
    metadata,
    Column("id", Uuid, primary_key=True),
    _organization(),
    Column("sha256", Text, nullable=False),
    Column("extension", Text, nullable=False),
    Column("content_type", Text, nullable=False),
    Column("byte_size", BigInteger, nullable=False),
    Column("width", Integer),
    Column("height", Integer),
    Column("visibility", Text, nullable=False),
    Column("prompt", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("job_id", Uuid),
    Column("course_id", Text),
    _moment("verified_at"),
    # Since when its bytes are known to be gone; null while they are there.
    _moment("missing_since"),
    _moment("created_at", required=True),
    Index("ix_media_assets_verified_at", text("verified_at NULLS FIRST")),
    Index("uq_media_assets_bytes", "organization_id", "sha256", unique=True),
)

model_calls = Table(
    "model_calls",
    metadata,
    Column("id", Uuid, primary_key=True),
    _organization(),
    Column("job_id", Uuid, ForeignKey("jobs.id", ondelete="SET NULL")),
    Column("run", Integer),
    Column("step", Text),
    Column("purpose", Text, nullable=False),
    Column("prompt_version", Text),
    Column("model", Text, nullable=False),
    _count("input_tokens"),
    _count("output_tokens"),
    Column("seconds", Double, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("error_code", Text),
    Column("cost_usd", Numeric(12, 6)),
    _moment("created_at", required=True),
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
    _moment("closed_until"),
    Column("reason", Text, nullable=False),
    # Failures in a row; from a certain number on the breaker is open and one call at a time may try.
    _count("failures"),
    _moment("trial_at"),
    _moment("updated_at", required=True),
)

#: Belongs to no organization: how often the reconciler had to correct what.
corrections = Table(
    "corrections",
    metadata,
    Column("kind", Text, primary_key=True),
    Column("count", BigInteger, nullable=False),
    _moment("last_at", required=True),
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
