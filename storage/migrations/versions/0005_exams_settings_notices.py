"""New tables: exams and their topics, settings of organizations, webhooks and mails, schedules."""

from __future__ import annotations

from alembic import op

revision = "0005"
down_revision = "0004"

_NOW = "timestamptz NOT NULL DEFAULT clock_timestamp()"


def _organization(table: str) -> str:
    return f"""organization_id uuid NOT NULL
      CONSTRAINT fk_{table}_organization_id_organizations REFERENCES organizations"""


def upgrade() -> None:
    _exams()
    _settings()
    _webhooks()
    _mails()
    _schedules()


def _exams() -> None:
    op.execute(f"""CREATE TABLE exams (
      id uuid CONSTRAINT pk_exams PRIMARY KEY, {_organization("exams")},
      title text NOT NULL, subject text NOT NULL, grade_band text NOT NULL, language text NOT NULL,
      context text NOT NULL DEFAULT '', question_count integer NOT NULL DEFAULT 0,
      questions_made integer NOT NULL DEFAULT 0, revision integer NOT NULL DEFAULT 1, questions_hash text NOT NULL,
      created_by text, archived_at timestamptz, created_at {_NOW}, updated_at {_NOW})""")
    op.execute("CREATE INDEX ix_exams_newest ON exams (organization_id, created_at, id)")
    op.execute(f"""CREATE TABLE exam_questions (
      exam_id uuid NOT NULL CONSTRAINT fk_exam_questions_exam_id_exams REFERENCES exams ON DELETE CASCADE,
      question_id text NOT NULL, {_organization("exam_questions")}, position integer NOT NULL,
      text text NOT NULL, options text[], answers text[] NOT NULL, explanation text NOT NULL DEFAULT '',
      tags text[] NOT NULL, CONSTRAINT pk_exam_questions PRIMARY KEY (exam_id, question_id))""")
    op.execute(f"""CREATE TABLE exam_topics (
      {_organization("exam_topics")}, questions_hash text NOT NULL, made_by text NOT NULL, topics jsonb NOT NULL,
      created_at {_NOW}, used_at {_NOW},
      CONSTRAINT pk_exam_topics PRIMARY KEY (organization_id, questions_hash, made_by))""")


def _settings() -> None:
    op.execute(f"""CREATE TABLE organization_settings (
      {_organization("organization_settings")} CONSTRAINT pk_organization_settings PRIMARY KEY,
      chosen jsonb NOT NULL, revision integer NOT NULL DEFAULT 1, updated_by text, updated_at {_NOW})""")


def _webhooks() -> None:
    op.execute(f"""CREATE TABLE webhooks (
      id uuid CONSTRAINT pk_webhooks PRIMARY KEY, {_organization("webhooks")}, url text NOT NULL,
      description text NOT NULL DEFAULT '', events text[] NOT NULL, secret text NOT NULL,
      paused boolean NOT NULL DEFAULT false, created_by text, created_at {_NOW}, updated_at {_NOW})""")
    op.execute("CREATE INDEX ix_webhooks_organization_id ON webhooks (organization_id)")
    op.execute(f"""CREATE TABLE webhook_deliveries (
      id uuid CONSTRAINT pk_webhook_deliveries PRIMARY KEY, {_organization("webhook_deliveries")},
      webhook_id uuid NOT NULL
        CONSTRAINT fk_webhook_deliveries_webhook_id_webhooks REFERENCES webhooks ON DELETE CASCADE,
      event text NOT NULL, job_id uuid, seq integer, body jsonb NOT NULL, status text NOT NULL DEFAULT 'pending',
      attempts integer NOT NULL DEFAULT 0, due_at timestamptz, attempted_at timestamptz, delivered_at timestamptz,
      response_status integer, response_start text, seconds double precision, error text, created_at {_NOW},
      CONSTRAINT ck_webhook_deliveries_status CHECK (status IN ('pending', 'delivered', 'failed')))""")
    for index in (
        "UNIQUE INDEX uq_webhook_deliveries_event ON webhook_deliveries (webhook_id, job_id, seq)",
        "INDEX ix_webhook_deliveries_due ON webhook_deliveries (due_at) WHERE due_at IS NOT NULL",
        "INDEX ix_webhook_deliveries_newest ON webhook_deliveries (webhook_id, created_at, id)",
        "INDEX ix_webhook_deliveries_attempted_at ON webhook_deliveries (attempted_at)",
        "INDEX ix_webhook_deliveries_created_at ON webhook_deliveries (created_at)",
    ):
        op.execute(f"CREATE {index}")


def _mails() -> None:
    op.execute(f"""CREATE TABLE mails (
      id uuid CONSTRAINT pk_mails PRIMARY KEY, {_organization("mails")}, event text NOT NULL, job_id uuid NOT NULL,
      seq integer NOT NULL, recipient text NOT NULL, body jsonb NOT NULL, status text NOT NULL DEFAULT 'pending',
      attempts integer NOT NULL DEFAULT 0, due_at timestamptz, attempted_at timestamptz, sent_at timestamptz,
      error text, created_at {_NOW},
      CONSTRAINT ck_mails_status CHECK (status IN ('pending', 'sent', 'failed')))""")
    for index in (
        "UNIQUE INDEX uq_mails_event ON mails (job_id, seq, recipient)",
        "INDEX ix_mails_due ON mails (due_at) WHERE due_at IS NOT NULL",
        "INDEX ix_mails_attempted_at ON mails (attempted_at)",
        "INDEX ix_mails_created_at ON mails (created_at)",
    ):
        op.execute(f"CREATE {index}")


def _schedules() -> None:
    op.execute(f"""CREATE TABLE schedules (
      id uuid CONSTRAINT pk_schedules PRIMARY KEY, {_organization("schedules")}, name text NOT NULL,
      cron text NOT NULL, time_zone text NOT NULL, request jsonb NOT NULL, paused boolean NOT NULL DEFAULT false,
      due_at timestamptz, last_due_at timestamptz, last_job_id uuid, last_error jsonb, created_by text,
      created_at {_NOW}, updated_at {_NOW})""")
    op.execute("CREATE INDEX ix_schedules_due ON schedules (due_at) WHERE due_at IS NOT NULL")
    op.execute("CREATE INDEX ix_schedules_newest ON schedules (organization_id, created_at, id)")


_TABLES = (
    *("schedules", "mails", "webhook_deliveries", "webhooks", "organization_settings"),
    *("exam_topics", "exam_questions", "exams"),
)


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(table)
