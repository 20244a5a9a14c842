"""``/api/members``: which users belong to the organization, and in which role (public contract 8)."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request, url_for
from marshmallow import fields

from schema.errors import FieldError, Invalid
from schema.fields import StrictSchema, Text, load
from schema.member import LONGEST_USER_ID, MemberChangesSchema, MemberSchema, NewMemberSchema, is_user_id
from storage.people import memberships
from tasks import members
from web.arguments import paged
from web.auditing import audited
from web.body import json_body, only_arguments, whole_argument
from web.describe import describe
from web.identity import Need, needs, who
from web.wiring import deps

blueprint = needs(
    Blueprint("members", __name__, url_prefix="/api/members"), Need(read="admin", write="admin", scope="members")
)

_LIST_QUERY = paged("Members", 200, 50, format="user-id", maxLength=LONGEST_USER_ID)


class MemberListSchema(StrictSchema):
    members = fields.List(fields.Nested(MemberSchema), required=True)
    nextCursor = Text(required=True, allow_none=True)


def _user_id(text: str) -> str:
    if not is_user_id(text):
        raise members.no_such_member()
    return text


@blueprint.get("")
@describe(
    "List the members.",
    {200: (MemberListSchema, "A page of members, by their ids.")},
    query=_LIST_QUERY,
    problems=(422,),
)
def index() -> Response:
    only_arguments(_LIST_QUERY)
    limit = whole_argument("limit", 50, 1, 200)
    after = request.args.get("cursor", "")
    if "cursor" in request.args and not is_user_id(after):
        raise Invalid([FieldError("cursor", "invalid_value", "Use the nextCursor of the page before.")])
    found = memberships.page(deps().db, who().organization_id, after, limit + 1)
    following = found[limit - 1]["userId"] if len(found) > limit else None
    return jsonify({"members": found[:limit], "nextCursor": following})


@blueprint.post("")
@audited("member.added", target="member", argument="user_id")
@describe(
    "Take a user in.",
    {201: (MemberSchema, "The member. Somebody who was one before is one again.")},
    body=NewMemberSchema,
    problems=(409,),
)
def add() -> Response:
    made = members.add(deps(), who().asker, load(NewMemberSchema(), json_body()), who().scopes)
    response = jsonify(made)
    response.status_code = 201
    response.headers["Location"] = url_for("members.show", user_id=made["userId"])
    return response


# A user's id may hold any printable characters, also slashes.
_ONE = "/<path:user_id>"


@blueprint.get(_ONE, merge_slashes=False)
@describe("Show a member.", {200: (MemberSchema, "The member.")}, problems=(404,))
def show(user_id: str) -> Response:
    found = memberships.read(deps().db, who().organization_id, _user_id(user_id))
    if found is None:
        raise members.no_such_member()
    return jsonify(found)


@blueprint.patch(_ONE, merge_slashes=False)
@audited("member.changed", target="member", argument="user_id")
@describe(
    "Change a member's role, name or mail address. What is left out stays. It holds from their next request on.",
    {200: (MemberSchema, "The member as they are now.")},
    body=MemberChangesSchema,
    problems=(404, 409),
)
def change(user_id: str) -> Response:
    changes = load(MemberChangesSchema(), json_body())
    return jsonify(members.change(deps(), who().asker, _user_id(user_id), changes, who().scopes))


@blueprint.delete(_ONE, merge_slashes=False)
@audited("member.removed", target="member", argument="user_id")
@describe(
    "Take a member out, whatever their token claims. Streams they have open end within a minute.",
    {204: (None, "They are out.")},
    problems=(404, 409),
)
def remove(user_id: str) -> Response:
    members.remove(deps(), who().asker, _user_id(user_id))
    return Response(status=204)
