"""A new table: who did what to what, from where.

Nobody changes an entry: two triggers refuse an UPDATE, a TRUNCATE, and the DELETE of anything younger than thirty days,
whoever asks, the tables' owner included. The roles of the web and of a job's step may add and read, and only the
worker's may purge.
"""

from __future__ import annotations

from alembic import op

from storage.postgres.hot_tables import each_alone
from storage.postgres.policies import ENTERED, unwall, wall_in
from storage.postgres.roles import WORKER

revision = "0010"
down_revision = "0009"

_REFUSE = """CREATE FUNCTION audit_log_stays() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF TG_OP = 'DELETE' AND OLD.at < clock_timestamp() - interval '30 days' THEN
    RETURN OLD;
  END IF;
  RAISE EXCEPTION 'audit_log: % is refused', TG_OP USING ERRCODE = 'insufficient_privilege';
END $$"""


def upgrade() -> None:
    op.execute("""CREATE TABLE audit_log (
      id uuid CONSTRAINT pk_audit_log PRIMARY KEY, at timestamptz NOT NULL DEFAULT clock_timestamp(),
      organization_id uuid, actor text, way text NOT NULL, role text, action text NOT NULL,
      target_kind text, target_id text, address text, request_id text, details jsonb NOT NULL DEFAULT '{}')""")
    op.execute("CREATE INDEX ix_audit_log_newest ON audit_log (organization_id, at, id)")
    op.execute("CREATE INDEX ix_audit_log_target ON audit_log (organization_id, target_id, at)")
    op.execute("CREATE INDEX ix_audit_log_at ON audit_log (at)")
    op.execute(_REFUSE)
    op.execute("""CREATE TRIGGER audit_log_rows_stay BEFORE UPDATE OR DELETE ON audit_log
      FOR EACH ROW EXECUTE FUNCTION audit_log_stays()""")
    op.execute("""CREATE TRIGGER audit_log_stays BEFORE TRUNCATE ON audit_log
      FOR EACH STATEMENT EXECUTE FUNCTION audit_log_stays()""")
    # What belongs to no organization, as the refusal of a stranger, may be written by all and read by operators alone.
    wall_in("audit_log", written=f"organization_id = {ENTERED} OR organization_id IS NULL", rights="SELECT, INSERT")
    each_alone(f"REVOKE UPDATE ON audit_log FROM {WORKER}")


def downgrade() -> None:
    unwall("audit_log")
    op.drop_table("audit_log")
    op.execute("DROP FUNCTION audit_log_stays()")
