"""The first tables, and views that show jobs under the names operators know."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None

_AI_JOBS = """SELECT j.id, j.organization_id, j.status, j.course_id, j.parent_job_id, p.payload, j.retry_count,
  j.max_retries, j.started_at, j.completed_at, l.heartbeat_at AS last_heartbeat, j.current_step AS progress_stage,
  j.progress AS progress_percent, j.progress_message, j.result_path, j.error, j.created_by, j.created_at, j.updated_at
FROM jobs j LEFT JOIN job_payloads p ON p.job_id = j.id LEFT JOIN job_leases l ON l.job_id = j.id"""

VIEWS = (
    f"CREATE VIEW ai_course_jobs AS {_AI_JOBS} WHERE j.job_type IN ('course', 'exam_course')",
    f"CREATE VIEW ai_media_jobs AS {_AI_JOBS} WHERE j.job_type = 'media'",
    """CREATE VIEW course_generation_jobs AS
    SELECT id, organization_id, exam_id, course_id, created_by AS user_id, current_step, current_step_index,
      total_steps, current_topic, current_topic_index, total_topics, progress, progress_message, error,
      CASE status WHEN 'processing' THEN 'running' WHEN 'stale' THEN 'running' WHEN 'done' THEN 'completed'
        WHEN 'dead_letter' THEN 'failed' ELSE status END AS status,
      cancelled_at, cancellation_reason, started_at, completed_at, created_at, updated_at
    FROM jobs WHERE job_type IN ('course', 'exam_course')""",
    """CREATE VIEW workflow_runs AS
    SELECT id AS run_id, organization_id, lecture_id, course_id, created_by AS user_id,
      CASE status WHEN 'pending' THEN 'queued' WHEN 'processing' THEN 'running' WHEN 'stale' THEN 'running'
        WHEN 'done' THEN 'succeeded' ELSE 'failed' END AS status,
      current_step_index AS current_step, total_steps, updated_at
    FROM jobs""",
)


def upgrade() -> None:
    op.create_table(
        "organizations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("slug", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organizations")),
        sa.UniqueConstraint("slug", name=op.f("uq_organizations_slug")),
    )
    op.create_table(
        "catalogs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=True),
        sa.Column("version", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("file_version", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("file_writes", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("claimed_until", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_catalogs_organization_id_organizations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_catalogs")),
    )
    op.create_table(
        "course_metadata",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("course_id", sa.Text(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("grade_band", sa.Text(), nullable=False),
        sa.Column("grade", sa.Text(), nullable=True),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("visibility", sa.Text(), nullable=False),
        sa.Column("tags", sa.ARRAY(sa.Text()), nullable=False),
        sa.Column("item_count", sa.Integer(), nullable=False),
        sa.Column("has_study_texts", sa.Boolean(), nullable=False),
        sa.Column("content_version", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("catalog_version", sa.BigInteger(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint("visibility IN ('private', 'org', 'public')", name=op.f("ck_course_metadata_visibility")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_course_metadata_organization_id_organizations")
        ),
        sa.PrimaryKeyConstraint("organization_id", "course_id", name=op.f("pk_course_metadata")),
    )
    op.create_index(
        "ix_course_metadata_public",
        "course_metadata",
        ["updated_at"],
        unique=False,
        postgresql_where=sa.text("visibility = 'public'"),
    )
    op.create_table(
        "documents",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("stored_revision", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("archived_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_documents_organization_id_organizations")
        ),
        sa.PrimaryKeyConstraint("organization_id", "kind", "document_id", name=op.f("pk_documents")),
    )
    op.create_index(
        "ix_documents_unstored",
        "documents",
        ["updated_at"],
        unique=False,
        postgresql_where=sa.text("stored_revision < revision"),
    )
    op.create_table(
        "jobs",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("job_type", sa.Text(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("queue", sa.Text(), nullable=False),
        sa.Column("priority", sa.SmallInteger(), server_default=sa.text("5"), nullable=False),
        sa.Column("run", sa.Integer(), server_default=sa.text("1"), nullable=False),
        sa.Column("lease_token", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_seq", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("sends", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("target", sa.Text(), nullable=True),
        sa.Column("course_id", sa.Text(), nullable=True),
        sa.Column("lecture_id", sa.Text(), nullable=True),
        sa.Column("exam_id", sa.Text(), nullable=True),
        sa.Column("batch_id", sa.Uuid(), nullable=True),
        sa.Column("parent_job_id", sa.Uuid(), nullable=True),
        sa.Column("current_step", sa.Text(), nullable=True),
        sa.Column("current_step_index", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("total_steps", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("current_topic", sa.Text(), nullable=True),
        sa.Column("current_topic_index", sa.Integer(), nullable=True),
        sa.Column("total_topics", sa.Integer(), nullable=True),
        sa.Column("progress", sa.Double(), server_default=sa.text("0"), nullable=False),
        sa.Column("progress_message", sa.Text(), server_default=sa.text("''"), nullable=False),
        sa.Column("retry_count", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("max_retries", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("completed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("base_revision", sa.Integer(), nullable=True),
        sa.Column("result_path", sa.Text(), nullable=True),
        sa.Column("media_pending", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("media_completed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("media_failed", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("error", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("cancelled_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("cancellation_reason", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("purged_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("request_hash", sa.Text(), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "updated_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint(
            "status IN ('pending', 'processing', 'done', 'failed', 'cancelled', 'stale', 'dead_letter')",
            name=op.f("ck_jobs_status"),
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_jobs_organization_id_organizations")
        ),
        sa.ForeignKeyConstraint(["parent_job_id"], ["jobs.id"], name=op.f("fk_jobs_parent_job_id_jobs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_jobs")),
        postgresql_with={"fillfactor": 70, "autovacuum_vacuum_scale_factor": 0.02, "autovacuum_vacuum_cost_delay": 0},
    )
    op.create_index(
        "ix_jobs_active",
        "jobs",
        ["status"],
        unique=False,
        postgresql_where=sa.text("status IN ('pending', 'processing', 'stale')"),
    )
    op.create_index("ix_jobs_course", "jobs", ["organization_id", "course_id"], unique=False)
    op.create_index(
        "ix_jobs_due", "jobs", ["queue", "due_at"], unique=False, postgresql_where=sa.text("due_at IS NOT NULL")
    )
    op.create_index("ix_jobs_newest", "jobs", ["organization_id", "created_at", "id"], unique=False)
    op.create_index(
        "ix_jobs_parent_job_id",
        "jobs",
        ["parent_job_id"],
        unique=False,
        postgresql_where=sa.text("parent_job_id IS NOT NULL"),
    )
    op.create_index(
        "uq_jobs_active_target",
        "jobs",
        ["organization_id", "target"],
        unique=True,
        postgresql_where=sa.text("status IN ('pending', 'processing', 'stale')"),
    )
    op.create_table(
        "media_assets",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("extension", sa.Text(), nullable=False),
        sa.Column("content_type", sa.Text(), nullable=False),
        sa.Column("byte_size", sa.BigInteger(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=True),
        sa.Column("height", sa.Integer(), nullable=True),
        sa.Column("visibility", sa.Text(), nullable=False),
        sa.Column("prompt", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("course_id", sa.Text(), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_media_assets_organization_id_organizations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_media_assets")),
    )
    op.create_index("uq_media_assets_bytes", "media_assets", ["organization_id", "sha256"], unique=True)
    op.create_table(
        "catalog_updates",
        sa.Column("catalog_id", sa.Uuid(), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("course_id", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("entry", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint("action IN ('added', 'updated', 'deleted')", name=op.f("ck_catalog_updates_action")),
        sa.ForeignKeyConstraint(["catalog_id"], ["catalogs.id"], name=op.f("fk_catalog_updates_catalog_id_catalogs")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_catalog_updates_organization_id_organizations")
        ),
        sa.PrimaryKeyConstraint("catalog_id", "version", name=op.f("pk_catalog_updates")),
    )
    op.create_table(
        "document_revisions",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("document_id", sa.Text(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("content", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("step", sa.Text(), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.CheckConstraint("source IN ('app', 'workflow', 'system')", name=op.f("ck_document_revisions_source")),
        sa.ForeignKeyConstraint(
            ["organization_id", "kind", "document_id"],
            ["documents.organization_id", "documents.kind", "documents.document_id"],
            name=op.f("fk_document_revisions_organization_id_kind_document_id_documents"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "organization_id", "kind", "document_id", "revision", name=op.f("pk_document_revisions")
        ),
    )
    op.create_index(
        "uq_document_revisions_step",
        "document_revisions",
        ["organization_id", "kind", "document_id", "job_id", "step"],
        unique=True,
    )
    op.create_table(
        "job_events",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("seq", sa.Integer(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("body", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_events_job_id_jobs"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_job_events_organization_id_organizations")
        ),
        sa.PrimaryKeyConstraint("job_id", "seq", name=op.f("pk_job_events")),
    )
    op.create_table(
        "job_leases",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("token", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("holder", sa.Text(), nullable=False),
        sa.Column(
            "heartbeat_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.Column(
            "progress_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_leases_job_id_jobs"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_job_leases_organization_id_organizations")
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job_leases")),
        postgresql_with={"fillfactor": 70, "autovacuum_vacuum_scale_factor": 0.02, "autovacuum_vacuum_cost_delay": 0},
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("request_hash", sa.Text(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(
            ["job_id"],
            ["jobs.id"],
            name=op.f("fk_idempotency_keys_job_id_jobs"),
            ondelete="CASCADE",
            deferrable=True,
            initially="DEFERRED",
        ),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_idempotency_keys_organization_id_organizations")
        ),
        sa.PrimaryKeyConstraint("organization_id", "key", name=op.f("pk_idempotency_keys")),
    )
    op.create_index("ix_idempotency_keys_job_id", "idempotency_keys", ["job_id"], unique=False)
    op.create_table(
        "job_payloads",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("payload", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_payloads_job_id_jobs"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_job_payloads_organization_id_organizations")
        ),
        sa.PrimaryKeyConstraint("job_id", name=op.f("pk_job_payloads")),
    )
    op.create_table(
        "job_steps",
        sa.Column("job_id", sa.Uuid(), nullable=False),
        sa.Column("step", sa.Text(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("format", sa.SmallInteger(), nullable=False),
        sa.Column("run", sa.Integer(), nullable=False),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_job_steps_job_id_jobs"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_job_steps_organization_id_organizations")
        ),
        sa.PrimaryKeyConstraint("job_id", "step", "part", name=op.f("pk_job_steps")),
    )
    op.create_table(
        "model_calls",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("job_id", sa.Uuid(), nullable=True),
        sa.Column("run", sa.Integer(), nullable=True),
        sa.Column("step", sa.Text(), nullable=True),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("prompt_version", sa.Text(), nullable=True),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("input_tokens", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("output_tokens", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("seconds", sa.Double(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("error_code", sa.Text(), nullable=True),
        sa.Column("cost_usd", sa.Numeric(precision=12, scale=6), nullable=True),
        sa.Column(
            "created_at", sa.DateTime(timezone=True), server_default=sa.text("clock_timestamp()"), nullable=False
        ),
        sa.ForeignKeyConstraint(["job_id"], ["jobs.id"], name=op.f("fk_model_calls_job_id_jobs"), ondelete="SET NULL"),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_model_calls_organization_id_organizations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_calls")),
    )
    op.create_index("ix_model_calls_job_id", "model_calls", ["job_id"], unique=False)
    # The catalog of public courses belongs to no organization, so nobody else would make it.
    op.execute("INSERT INTO catalogs (id) VALUES ('00000000-0000-0000-0000-000000000000')")
    for statement in VIEWS:
        op.execute(statement)


def downgrade() -> None:
    for view in ("workflow_runs", "course_generation_jobs", "ai_media_jobs", "ai_course_jobs"):
        op.execute(f"DROP VIEW {view}")
    op.drop_index("ix_model_calls_job_id", table_name="model_calls")
    op.drop_table("model_calls")
    op.drop_table("job_steps")
    op.drop_table("idempotency_keys")
    op.drop_table("job_payloads")
    op.drop_table("job_leases")
    op.drop_table("job_events")
    op.drop_index("uq_document_revisions_step", table_name="document_revisions")
    op.drop_table("document_revisions")
    op.drop_table("catalog_updates")
    op.drop_index("uq_media_assets_bytes", table_name="media_assets")
    op.drop_table("media_assets")
    op.drop_index(
        "uq_jobs_active_target",
        table_name="jobs",
        postgresql_where=sa.text("status IN ('pending', 'processing', 'stale')"),
    )
    op.drop_index("ix_jobs_parent_job_id", table_name="jobs", postgresql_where=sa.text("parent_job_id IS NOT NULL"))
    op.drop_index("ix_jobs_newest", table_name="jobs")
    op.drop_index("ix_jobs_due", table_name="jobs", postgresql_where=sa.text("due_at IS NOT NULL"))
    op.drop_index("ix_jobs_course", table_name="jobs")
    op.drop_index(
        "ix_jobs_active", table_name="jobs", postgresql_where=sa.text("status IN ('pending', 'processing', 'stale')")
    )
    op.drop_table("jobs")
    op.drop_index(
        "ix_documents_unstored", table_name="documents", postgresql_where=sa.text("stored_revision < revision")
    )
    op.drop_table("documents")
    op.drop_index(
        "ix_course_metadata_public", table_name="course_metadata", postgresql_where=sa.text("visibility = 'public'")
    )
    op.drop_table("course_metadata")
    op.drop_table("catalogs")
    op.drop_table("organizations")
