"""A job and all that belongs to it: payload, lease, checkpoints, events, batch."""

from __future__ import annotations

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from schema.job import STATUSES
from storage.engine.statuses import IS_ACTIVE, is_one_of
from storage.tables.columns import HOT, LOG, count, metadata, moment, organization

batches = Table(
    "batches",
    metadata,
    Column("id", Uuid, primary_key=True),
    organization(),
    Column("total", Integer, nullable=False),
    Column("created_by", Text),
    moment("created_at", required=True),
    Index("ix_batches_newest", "organization_id", "created_at", "id"),
)

_ended = "status IN ('done', 'failed', 'cancelled', 'dead_letter')"
_kept = "status IN ('done', 'failed', 'cancelled') AND purged_at IS NULL"
jobs = Table(
    "jobs",
    metadata,
    Column("id", Uuid, primary_key=True),
    organization(),
    Column("job_type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("queue", Text, nullable=False),
    Column("priority", SmallInteger, nullable=False, server_default=text("5")),
    # The fence: a write of a step names run and lease_token, and finds no row when another holds the job by now.
    count("run", 1),
    Column("lease_token", BigInteger, nullable=False, server_default=text("0")),
    # Events are numbered under this row's lock, so whoever has seen N could have seen all before it.
    count("last_seq"),
    # When the current step may begin; null while it runs or when nothing is left to do.
    moment("due_at"),
    moment("sent_at"),
    count("sends"),
    Column("target", Text),
    Column("course_id", Text),
    Column("lecture_id", Text),
    Column("exam_id", Text),
    Column("batch_id", Uuid, ForeignKey("batches.id")),
    Column("parent_job_id", Uuid, ForeignKey("jobs.id")),
    Column("current_step", Text),
    count("current_step_index"),
    count("total_steps"),
    Column("current_topic", Text),
    Column("current_topic_index", Integer),
    Column("total_topics", Integer),
    Column("progress", Double, nullable=False, server_default=text("0")),
    Column("progress_message", Text, nullable=False, server_default=text("''")),
    count("retry_count"),
    count("max_retries"),
    moment("started_at"),
    # Working time of all runs together, without waiting; since when it is being worked on, null while nobody does.
    Column("worked_seconds", Double, nullable=False, server_default=text("0")),
    moment("working_since"),
    moment("completed_at"),
    # How much of the way each step is, in percent, fixed when the job was made; null in jobs of older versions.
    Column("step_shares", ARRAY(Double)),
    Column("base_revision", Integer),
    Column("result_path", Text),
    count("media_pending"),
    count("media_completed"),
    count("media_failed"),
    Column("error", JSONB),
    moment("cancelled_at"),
    Column("cancellation_reason", Text),
    Column("created_by", Text),
    # Asked for by a person one by one: counts for USER_JOBS_PER_HOUR.
    Column("rationed", Boolean, nullable=False, server_default=text("false")),
    # Set when payload, checkpoints and events are gone; the row stays a while as a tombstone.
    moment("purged_at"),
    Column("request_hash", Text),
    moment("created_at", required=True),
    moment("updated_at", required=True),
    CheckConstraint(is_one_of(STATUSES), name="status"),
    Index("uq_jobs_active_target", "organization_id", "target", unique=True, postgresql_where=text(IS_ACTIVE)),
    Index("ix_jobs_due", "queue", "due_at", postgresql_where=text("due_at IS NOT NULL")),
    # An organization's next jobs in their order, without a look at the thousands behind them
    # (``storage.engine.admission``).
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
    moment("created_at", required=True),
    Index("ix_idempotency_keys_job_id", "job_id"),
)

job_payloads = Table(
    "job_payloads",
    metadata,
    Column("job_id", Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    organization(),
    Column("payload", JSONB, nullable=False),
)

job_leases = Table(
    "job_leases",
    metadata,
    Column("job_id", Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    organization(),
    Column("token", BigInteger, nullable=False),
    Column("step", Text, nullable=False),
    Column("holder", Text, nullable=False),
    moment("heartbeat_at", required=True),
    moment("progress_at", required=True),
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
    organization(),
    Column("format", SmallInteger, nullable=False),
    Column("run", Integer, nullable=False),
    Column("result", JSONB, nullable=False),
    Column("seconds", Double, nullable=False),
    moment("created_at", required=True),
    Index("ix_job_steps_created_at", "created_at", postgresql_using="brin", postgresql_with=LOG),
)

job_events = Table(
    "job_events",
    metadata,
    Column("job_id", Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    organization(),
    Column("type", Text, nullable=False),
    Column("body", JSONB, nullable=False),
    moment("created_at", required=True),
)
