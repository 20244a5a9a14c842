"""An organization's own agent tokens: what one looks like, and what is sent and shown.

``cw_<prefix>_<secret>``: eight characters by which it is found and named, and 256 random bits, of which only a hash is
kept. A plain SHA-256 is right for it: nobody guesses 256 bits, so there is nothing a slow hash would slow down.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field

from marshmallow import fields, validate

from schema.access import role_field, scopes_field
from schema.fields import Line, StrictSchema, Text

#: The most tokens of one organization that are neither revoked nor expired.
MOST_TOKENS = 100
_SHAPE = re.compile(r"cw_([a-z0-9]{8})_([A-Za-z0-9_-]{43})")
PREFIX_LENGTH = 8


@dataclass(frozen=True)
class AgentToken:
    """A token, taken apart."""

    prefix: str
    secret: str = field(repr=False)

    @property
    def text(self) -> str:
        """The token as its owner keeps it."""
        return f"cw_{self.prefix}_{self.secret}"

    @property
    def hash(self) -> str:
        """What is kept of it."""
        return hashlib.sha256(self.secret.encode()).hexdigest()


def read_token(text: str) -> AgentToken | None:
    """A token's parts; none for what can't be one."""
    found = _SHAPE.fullmatch(text)
    return AgentToken(found[1], found[2]) if found else None


class NewTokenSchema(StrictSchema):
    """``POST /api/tokens``. ``scopes`` null: all that the role may. ``expiresAt`` null: never."""

    name = Line(required=True, validate=validate.Length(1, 100))
    role = role_field(load_default="author")
    scopes = scopes_field(load_default=None)
    expiresAt = fields.AwareDateTime(load_default=None, allow_none=True)


class TokenChangesSchema(StrictSchema):
    """``PATCH /api/tokens/{tokenId}``: what is left out stays."""

    name = Line(validate=validate.Length(1, 100))
    scopes = scopes_field()
    expiresAt = fields.AwareDateTime(allow_none=True)


class TokenSchema(StrictSchema):
    """A token, as shown: everything but its secret."""

    tokenId = fields.UUID(required=True)
    name = Text(required=True)
    prefix = Text(required=True)
    role = role_field(required=True)
    scopes = scopes_field(required=True)
    createdBy = Text(required=True, allow_none=True)
    createdAt = fields.DateTime(required=True)
    expiresAt = fields.DateTime(required=True, allow_none=True)
    lastUsedAt = fields.DateTime(required=True, allow_none=True)
    revokedAt = fields.DateTime(required=True, allow_none=True)


class TokenWithSecretSchema(TokenSchema):
    """The only answer that tells the token: to whoever makes it."""

    token = Text(required=True)
