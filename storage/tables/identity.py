"""Who may act for an organization: its members, the tokens of its programs, and who is signed in with a browser."""

from __future__ import annotations

from sqlalchemy import ARRAY, CheckConstraint, Column, ForeignKey, Index, Table, Text, Uuid, text

from storage.tables.columns import metadata, moment, organization

_ROLES = "('viewer', 'author', 'admin')"

memberships = Table(
    "memberships",
    metadata,
    Column("organization_id", Uuid, ForeignKey("organizations.id"), primary_key=True),
    # The ``sub`` of the user's tokens. There is no table of users: who they are is their provider's to say.
    Column("user_id", Text, primary_key=True),
    Column("role", Text, nullable=False),
    Column("name", Text),
    Column("email", Text),
    Column("created_by", Text),
    moment("created_at", required=True),
    # Since when they are out. The row stays: it overrules what a token claims.
    moment("ended_at"),
    CheckConstraint(f"role IN {_ROLES}", name="role"),
)

agent_tokens = Table(
    "agent_tokens",
    metadata,
    Column("id", Uuid, primary_key=True),
    organization(),
    Column("name", Text, nullable=False),
    Column("prefix", Text, nullable=False),
    # SHA-256 of the secret, in hex. The secret itself is kept nowhere.
    Column("hash", Text, nullable=False),
    Column("role", Text, nullable=False),
    # Null: all that the role may.
    Column("scopes", ARRAY(Text)),
    Column("created_by", Text),
    moment("created_at", required=True),
    moment("expires_at"),
    moment("last_used_at"),
    moment("revoked_at"),
    CheckConstraint(f"role IN {_ROLES}", name="role"),
    Index("uq_agent_tokens_prefix", "organization_id", "prefix", unique=True),
    Index("ix_agent_tokens_newest", "organization_id", "created_at", "id"),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    organization(),
    Column("user_id", Text),
    # How they signed in: by a login link, the environment's agent token, one of the organization's, or a user's token.
    Column("way", Text, nullable=False),
    # Null: that of the token or of the membership, as it is at each moment.
    Column("role", Text),
    Column("token_id", Uuid, ForeignKey("agent_tokens.id", ondelete="CASCADE")),
    # Which of the environment's tokens it was, as a keyed hash.
    Column("mark", Text),
    moment("created_at", required=True),
    Column("expires_at", moment("expires_at").type, nullable=False),
    # When it ends unless it is used; its use moves it. The default is for rows of a version that doesn't know it.
    Column(
        "idle_ends_at",
        moment("idle_ends_at").type,
        nullable=False,
        server_default=text("(clock_timestamp() + '12:00:00'::interval)"),
    ),
    moment("ended_at"),
    CheckConstraint("way IN ('link', 'agent', 'token', 'user')", name="way"),
    CheckConstraint(f"role IN {_ROLES}", name="role"),
    Index("ix_sessions_expires_at", "expires_at"),
    Index("ix_sessions_token_id", "token_id"),
    Index("ix_sessions_user_id", "organization_id", "user_id", postgresql_where=text("ended_at IS NULL")),
)
