"""A browser's session also ends when it is not used for a while.

``identity_facts`` tells whichever end comes first, in the column it always had: code of the version before judges by
it, too. That code moves no end by idleness, so a session it alone serves ends twelve hours after this, or after it was
begun. Sessions that are there have twelve hours from now."""

from __future__ import annotations

from alembic import op

revision = "0012"
down_revision = "0011"

_DEFAULT = "DEFAULT (clock_timestamp() + '12:00:00'::interval)"


def _facts(ends: str) -> str:
    """The function of 0009, by which a session ends at the moment ``ends``."""
    return f"""CREATE OR REPLACE FUNCTION identity_facts(asked jsonb) RETURNS TABLE (
  n integer, now timestamptz, slug text, way text, user_id text, session_role text, mark text,
  session_expires_at timestamptz, session_ended_at timestamptz,
  token_id uuid, token_role text, scopes text[], token_expires_at timestamptz, token_revoked_at timestamptz,
  member_role text, member_ended_at timestamptz
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
SELECT a.n, clock_timestamp(), o.slug, s.way, s.user_id, s.role, s.mark, {ends}, s.ended_at,
  t.id, t.role, t.scopes, t.expires_at, t.revoked_at, m.role, m.ended_at
FROM jsonb_to_recordset(asked) AS a (n integer, organization uuid, session uuid, token uuid, member text)
JOIN organizations o ON o.id = a.organization
LEFT JOIN sessions s ON s.id = a.session AND s.organization_id = a.organization
LEFT JOIN agent_tokens t ON t.id = COALESCE(s.token_id, a.token) AND t.organization_id = a.organization
LEFT JOIN memberships m ON m.organization_id = a.organization
  AND m.user_id = CASE WHEN s.way = 'user' THEN s.user_id WHEN s.id IS NULL THEN a.member END
$$"""


def upgrade() -> None:
    op.execute(f"ALTER TABLE sessions ADD COLUMN idle_ends_at timestamptz NOT NULL {_DEFAULT}")
    op.execute("CREATE INDEX ix_sessions_user_id ON sessions (organization_id, user_id) WHERE ended_at IS NULL")
    op.execute(_facts("LEAST(s.expires_at, s.idle_ends_at)"))


def downgrade() -> None:
    op.execute(_facts("s.expires_at"))
    op.execute("DROP INDEX ix_sessions_user_id")
    op.execute("ALTER TABLE sessions DROP COLUMN idle_ends_at")
