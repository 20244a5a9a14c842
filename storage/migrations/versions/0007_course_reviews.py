"""New table: courses that wait for a review, or were approved in one."""

from __future__ import annotations

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.execute("""CREATE TABLE course_reviews (
      organization_id uuid NOT NULL
        CONSTRAINT fk_course_reviews_organization_id_organizations REFERENCES organizations,
      course_id text NOT NULL, revision integer NOT NULL, job_id uuid,
      waiting_since timestamptz NOT NULL DEFAULT clock_timestamp(), approved_by text, approved_at timestamptz,
      CONSTRAINT pk_course_reviews PRIMARY KEY (organization_id, course_id))""")
    op.execute(
        "CREATE INDEX ix_course_reviews_waiting ON course_reviews (organization_id, waiting_since)"
        " WHERE approved_at IS NULL"
    )


def downgrade() -> None:
    op.drop_table("course_reviews")
