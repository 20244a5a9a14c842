"""``/api/session``: who one is, and a browser's session in exchange for a token."""

from __future__ import annotations

from typing import Any

from flask import Blueprint, Response, jsonify, request
from marshmallow import fields, validate

from schema.access import role_field, scopes_field
from schema.clock import iso
from schema.errors import FieldError, Invalid
from schema.fields import StrictSchema, Text
from storage import organizations
from web.arguments import one_of
from web.auditing import unaudited
from web.body import only_arguments
from web.describe import describe
from web.identity import Identity, Need, forgery, needs, signing_in, who
from web.wiring import deps

blueprint = needs(Blueprint("session", __name__, url_prefix="/api/session"), Need(read="viewer", write="viewer"))

_YES_OR_NO = ("yes", "no")
_END_QUERY = {"everywhere": one_of("yes: also all other browsers of the same user in the organization.", _YES_OR_NO)}
_WAYS = ("agent", "token", "user", "cookie")


class OrganizationSchema(StrictSchema):
    id = fields.UUID(required=True)
    slug = Text(required=True)
    name = Text(required=True)


class SessionSchema(StrictSchema):
    """Who one is. ``expiresAt`` is when that ends; using a browser's session moves it. ``csrfToken`` is what a session
    sends with each write; null without one."""

    organization = fields.Nested(OrganizationSchema, required=True)
    role = role_field(required=True)
    user = Text(required=True, allow_none=True)
    way = Text(required=True, validate=validate.OneOf(_WAYS))
    scopes = scopes_field(required=True)
    expiresAt = fields.DateTime(required=True, allow_none=True)
    csrfToken = Text(required=True, allow_none=True)


def _as_shown(identity: Identity) -> dict[str, Any]:
    organization = organizations.read(deps().db, identity.organization_id)
    return {
        "organization": {
            "id": str(identity.organization_id),
            "slug": identity.organization_slug,
            "name": organization.name if organization else identity.organization_slug,
        },
        "role": identity.role,
        "user": identity.user,
        "way": identity.way,
        "scopes": None if identity.scopes is None else sorted(identity.scopes),
        "expiresAt": iso(identity.expires_at),
        "csrfToken": forgery.token_of(identity.session) if identity.session is not None else None,
    }


def _answer(identity: Identity) -> Response:
    response = jsonify(_as_shown(identity))
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("")
@describe("Say who one is.", {200: (SessionSchema, "For which organization, in which role, and until when.")})
def show() -> Response:
    return _answer(who())


@blueprint.post("")
@unaudited("noted where the session is begun")
@describe(
    "Exchange a token for a browser's session, which ends when the token does.",
    {201: (SessionSchema, "Signed in; the cookie comes with this answer.")},
)
def start() -> Response:
    cookie = Response()
    response = _answer(signing_in.start(cookie, who()))
    response.status_code = 201
    response.headers.extend({"Set-Cookie": cookie.headers.getlist("Set-Cookie")})
    return response


@blueprint.delete("")
@unaudited("noted where the session is ended")
@describe(
    "Sign this browser out.",
    {204: (None, "The session has ended, if there was one.")},
    query=_END_QUERY,
    problems=(422,),
)
def end() -> Response:
    only_arguments(_END_QUERY)
    everywhere = request.args.get("everywhere", "no")
    if everywhere not in _YES_OR_NO:
        raise Invalid([FieldError("everywhere", "invalid_value", f"Use one of: {', '.join(_YES_OR_NO)}.")])
    response = Response(status=204)
    signing_in.end(response, who(), everywhere=everywhere == "yes")
    return response
