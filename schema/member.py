"""Members: which users belong to an organization, and in which role."""

from __future__ import annotations

from marshmallow import ValidationError, fields, validate

from schema.access import role_field
from schema.fields import Line, StrictSchema, Text

#: The longest id of a user. OpenID Connect allows a ``sub`` as many characters.
LONGEST_USER_ID = 255


def is_user_id(text: str) -> bool:
    """Whether this may be a user's id: what a token's ``sub`` says, printable and not too long. It stands in addresses,
    so it may not be one that clients take for a way up, or that begins with a slash."""
    leads_elsewhere = text.startswith("/") or not {".", ".."}.isdisjoint(text.split("/"))
    return 0 < len(text) <= LONGEST_USER_ID and text.isprintable() and text == text.strip() and not leads_elsewhere


def _user_id(text: str) -> None:
    if not is_user_id(text):
        words = "printable characters, as in the sub of the user's token; no / before them, and no . or .. between /."
        raise ValidationError(f"Use 1 to {LONGEST_USER_ID} {words}")


class MemberChangesSchema(StrictSchema):
    """``PATCH /api/members/{userId}``: what is left out stays."""

    role = role_field()
    name = Line(allow_none=True, validate=validate.Length(max=200))
    email = Line(allow_none=True, validate=[validate.Length(max=254), validate.Email()])


class NewMemberSchema(StrictSchema):
    """``POST /api/members``. ``userId`` is the ``sub`` of the user's tokens."""

    userId = Text(
        required=True,
        validate=_user_id,
        metadata={"format": "user-id", "minLength": 1, "maxLength": LONGEST_USER_ID},
    )
    role = role_field(required=True)
    name = Line(load_default=None, allow_none=True, validate=validate.Length(max=200))
    email = Line(load_default=None, allow_none=True, validate=[validate.Length(max=254), validate.Email()])


class MemberSchema(StrictSchema):
    """A member, as shown."""

    userId = Text(required=True)
    role = role_field(required=True)
    name = Text(required=True, allow_none=True)
    email = Text(required=True, allow_none=True)
    createdBy = Text(required=True, allow_none=True)
    createdAt = fields.DateTime(required=True)
