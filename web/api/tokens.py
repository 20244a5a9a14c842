"""``/api/tokens``: the organization's own agent tokens (public contract 8)."""

from __future__ import annotations

from uuid import UUID

from flask import Blueprint, Response, jsonify, url_for
from marshmallow import fields

from schema.agent_token import NewTokenSchema, TokenChangesSchema, TokenSchema, TokenWithSecretSchema
from schema.fields import StrictSchema, Text, load
from schema.job import is_id
from storage.people import agent_tokens
from tasks import tokens
from web.arguments import paged
from web.auditing import audited
from web.body import json_body, only_arguments, page, read_cursor, whole_argument
from web.describe import describe
from web.identity import Need, needs, who
from web.wiring import deps

blueprint = needs(
    Blueprint("tokens", __name__, url_prefix="/api/tokens"), Need(read="admin", write="admin", scope="tokens")
)

_LIST_QUERY = paged("Tokens", 200, 50)


class TokenListSchema(StrictSchema):
    tokens = fields.List(fields.Nested(TokenSchema), required=True)
    nextCursor = Text(required=True, allow_none=True)


def _token_id(text: str) -> UUID:
    if not is_id(text):
        raise tokens.no_such_token()
    return UUID(text)


@blueprint.get("")
@describe(
    "List the organization's agent tokens, newest first; revoked ones too.",
    {200: (TokenListSchema, "A page of tokens, without their secrets.")},
    query=_LIST_QUERY,
    problems=(422,),
)
def index() -> Response:
    only_arguments(_LIST_QUERY)
    limit = whole_argument("limit", 50, 1, 200)
    found = agent_tokens.newest(deps().db, who().organization_id, read_cursor(), limit + 1)
    shown, following = page(found, limit)
    return jsonify({"tokens": shown, "nextCursor": following})


@blueprint.post("")
@audited("token.made", target="token")
@describe(
    "Make an agent token. Only this answer tells it.",
    {201: (TokenWithSecretSchema, "The token, to be sent as X-Agent-Token.")},
    body=NewTokenSchema,
    problems=(409,),
)
def make() -> Response:
    made = tokens.make(deps(), who().asker, load(NewTokenSchema(), json_body()), who().scopes)
    response = jsonify(made)
    response.status_code = 201
    response.headers["Location"] = url_for("tokens.show", token_id=made["tokenId"])
    response.headers["Cache-Control"] = "no-store"
    return response


@blueprint.get("/<token_id>")
@describe("Show an agent token.", {200: (TokenSchema, "The token, without its secret.")}, problems=(404,))
def show(token_id: str) -> Response:
    found = agent_tokens.read(deps().db, who().organization_id, _token_id(token_id))
    if found is None:
        raise tokens.no_such_token()
    return jsonify(found)


@blueprint.patch("/<token_id>")
@audited("token.changed", target="token")
@describe(
    "Change a token's name, scopes or end. What is left out stays.",
    {200: (TokenSchema, "The token as it is now.")},
    body=TokenChangesSchema,
    problems=(404,),
)
def change(token_id: str) -> Response:
    changes = load(TokenChangesSchema(), json_body())
    return jsonify(tokens.change(deps(), who().asker, _token_id(token_id), changes, who().scopes))


@blueprint.delete("/<token_id>")
@audited("token.revoked", target="token")
@describe(
    "Revoke a token. It opens nothing from the next request on; streams it opened end within a minute.",
    {204: (None, "It is revoked.")},
    problems=(404,),
)
def revoke(token_id: str) -> Response:
    tokens.revoke(deps(), who().asker, _token_id(token_id))
    return Response(status=204)
