"""Members, agent tokens and browser sessions; and what may not be shown to viewers of a catalog's changes.

``identity_facts`` tells what sessions, tokens and users rest on, for many organizations in one statement: the streams
of a web process belong to all of them, and the role of the web sees only the one it acts for. It gives nothing away to
who doesn't know the ids already, and never a hash or a secret."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from storage.postgres.hot_tables import each_alone
from storage.postgres.policies import unwall, wall_in
from storage.postgres.roles import STEP, WEB, WORKER

revision = "0009"
down_revision = "0008"

_ROLES = "('viewer', 'author', 'admin')"
_FACTS = """CREATE FUNCTION identity_facts(asked jsonb) RETURNS TABLE (
  n integer, now timestamptz, slug text, way text, user_id text, session_role text, mark text,
  session_expires_at timestamptz, session_ended_at timestamptz,
  token_id uuid, token_role text, scopes text[], token_expires_at timestamptz, token_revoked_at timestamptz,
  member_role text, member_ended_at timestamptz
) LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
SELECT a.n, clock_timestamp(), o.slug, s.way, s.user_id, s.role, s.mark, s.expires_at, s.ended_at,
  t.id, t.role, t.scopes, t.expires_at, t.revoked_at, m.role, m.ended_at
FROM jsonb_to_recordset(asked) AS a (n integer, organization uuid, session uuid, token uuid, member text)
JOIN organizations o ON o.id = a.organization
LEFT JOIN sessions s ON s.id = a.session AND s.organization_id = a.organization
LEFT JOIN agent_tokens t ON t.id = COALESCE(s.token_id, a.token) AND t.organization_id = a.organization
LEFT JOIN memberships m ON m.organization_id = a.organization
  AND m.user_id = CASE WHEN s.way = 'user' THEN s.user_id WHEN s.id IS NULL THEN a.member END
$$"""

#: A user's token may name an organization by its short name; before that is known nobody is let in anywhere.
_BY_SLUG = """CREATE FUNCTION organization_of_slug(wanted text) RETURNS uuid
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
SELECT id FROM organizations WHERE slug = wanted
$$"""
_FUNCTIONS = ("identity_facts(jsonb)", "organization_of_slug(text)")
_TABLES = ("memberships", "agent_tokens", "sessions")


def _moment(name: str, *, required: bool = False) -> sa.Column[object]:
    default = sa.text("clock_timestamp()") if required else None
    return sa.Column(name, sa.DateTime(timezone=True), nullable=not required, server_default=default)


def upgrade() -> None:
    # First, because a table in use may hold it up, and what comes after is made once.
    each_alone(
        "ALTER TABLE catalog_updates ADD COLUMN IF NOT EXISTS for_viewers text",
        f"GRANT INSERT (for_viewers) ON catalog_updates TO {WEB}, {STEP}",
    )
    op.create_table(
        "memberships",
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("name", sa.Text()),
        sa.Column("email", sa.Text()),
        sa.Column("created_by", sa.Text()),
        _moment("created_at", required=True),
        _moment("ended_at"),
        sa.CheckConstraint(f"role IN {_ROLES}", name=op.f("ck_memberships_role")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_memberships_organization_id_organizations")
        ),
        sa.PrimaryKeyConstraint("organization_id", "user_id", name=op.f("pk_memberships")),
    )
    _make_agent_tokens()
    _make_sessions()
    _let_in()


def _let_in() -> None:
    """The web asks who somebody is. A job's step has no business with that."""
    for table in _TABLES:
        wall_in(table, rights="SELECT, INSERT, UPDATE")
        op.execute(f"REVOKE ALL ON {table} FROM {STEP}")
    for made in (_FACTS, _BY_SLUG):
        op.execute(made)
    for function in _FUNCTIONS:
        op.execute(f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {function} TO {WORKER}, {WEB}")


def _make_agent_tokens() -> None:
    op.create_table(
        "agent_tokens",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("prefix", sa.Text(), nullable=False),
        sa.Column("hash", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("scopes", sa.ARRAY(sa.Text())),
        sa.Column("created_by", sa.Text()),
        _moment("created_at", required=True),
        _moment("expires_at"),
        _moment("last_used_at"),
        _moment("revoked_at"),
        sa.CheckConstraint(f"role IN {_ROLES}", name=op.f("ck_agent_tokens_role")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_agent_tokens_organization_id_organizations")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_agent_tokens")),
    )
    op.create_index("uq_agent_tokens_prefix", "agent_tokens", ["organization_id", "prefix"], unique=True)
    op.create_index("ix_agent_tokens_newest", "agent_tokens", ["organization_id", "created_at", "id"])


def _make_sessions() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organization_id", sa.Uuid(), nullable=False),
        sa.Column("user_id", sa.Text()),
        sa.Column("way", sa.Text(), nullable=False),
        sa.Column("role", sa.Text()),
        sa.Column("token_id", sa.Uuid()),
        sa.Column("mark", sa.Text()),
        _moment("created_at", required=True),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        _moment("ended_at"),
        sa.CheckConstraint("way IN ('link', 'agent', 'token', 'user')", name=op.f("ck_sessions_way")),
        sa.CheckConstraint(f"role IN {_ROLES}", name=op.f("ck_sessions_role")),
        sa.ForeignKeyConstraint(
            ["organization_id"], ["organizations.id"], name=op.f("fk_sessions_organization_id_organizations")
        ),
        sa.ForeignKeyConstraint(
            ["token_id"], ["agent_tokens.id"], name=op.f("fk_sessions_token_id_agent_tokens"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
    )
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_index("ix_sessions_token_id", "sessions", ["token_id"])


def downgrade() -> None:
    each_alone("ALTER TABLE catalog_updates DROP COLUMN IF EXISTS for_viewers")
    for function in _FUNCTIONS:
        op.execute(f"DROP FUNCTION IF EXISTS {function}")
    for table in reversed(_TABLES):
        unwall(table)
        op.drop_table(table)
