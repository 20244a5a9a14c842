"""Somebody who may only look at one job: with the token that stands in its stream's address."""

from __future__ import annotations

from flask import request

from schema.errors import Unauthenticated
from storage import wall
from storage.people import grounds as rows
from web.identity.agents import marks
from web.identity.identity import Identity
from web.identity.standing import judge
from web.streams import token
from web.wiring import deps


def from_stream_token() -> Identity | None:
    """Who has a token for the stream that is asked for; none when none is given. A token that is given decides, whoever
    else one may be. It is worth as much as what it was given for: a session, a token, a membership."""
    given = request.args.get("token")
    if given is None or request.method not in {"GET", "HEAD"}:
        return None
    pass_ = token.read(deps().settings.signing_keys, given)
    if pass_.job_id != (request.view_args or {}).get("job_id", "").lower():
        raise Unauthenticated("This token is for another job.", code="invalid_stream_token")
    grounds = pass_.grounds
    wall.enter(grounds.organization_id)
    [facts] = rows.facts(deps().db, [grounds])
    standing = judge(grounds, facts, marks(deps()))
    if facts is None or standing is None:
        words = "Who was given this stream token has no access any more. Sign in anew, and ask for the job again."
        raise Unauthenticated(words, code="stream_token_expired")
    return Identity(
        grounds.organization_id, facts.slug, standing.role, None, "stream", credential=_name(pass_), grounds=grounds
    )


def _name(pass_: token.Pass) -> str | None:
    if pass_.grounds.session is not None:
        return f"session:{pass_.grounds.session}"
    return f"token:{pass_.grounds.token}" if pass_.grounds.token is not None else None
