"""Exchanging what somebody showed for a session in their browser, and ending it."""

from __future__ import annotations

from dataclasses import replace

from flask import Response
from werkzeug.wrappers import Response as BaseResponse

from schema.errors import BadRequest
from storage import audit, wall
from tasks import sessions
from web.identity import agents, cookies, users
from web.identity.identity import Identity
from web.wiring import deps


def by_token(token: str, organization: str) -> Identity:
    """Who this token is, of whichever kind it is: a user's has two dots, and an agent's is anything else. Raises what
    ``agents`` and ``users`` do."""
    if token.count(".") == 2 and token.startswith("ey"):
        return users.of_token(token, organization)
    return agents.of_token(token, organization)


def start(response: BaseResponse, identity: Identity) -> Identity:
    """Sign a browser in as this identity, with a fresh session; one it had before ends. Returns the identity as the
    session has it. Raises ``BadRequest`` for who has nothing but a cookie."""
    grounds = identity.grounds
    if identity.way not in ("agent", "token", "user"):
        raise BadRequest("Send the token to be exchanged: a bearer token, or an agent token and its organization.")
    end_before()
    # Whose role may change while they are signed in: a token's, a member's.
    keeps_role = identity.way == "agent" or grounds.claimed
    new = sessions.start(
        deps(),
        grounds,
        role=identity.role if keeps_role else None,
        user=identity.user,
        expires_at=identity.expires_at,
    )
    cookies.give(response, new)
    return cookies.as_session(identity, new)


def end_before() -> None:
    """End the session this browser had before it signs in anew. It may be one of another organization, which doesn't
    learn who signs in where: noted is the session itself."""
    before = cookies.kept()
    if before is None:
        return
    session, organization_id = before
    by = replace(audit.by(), way="cookie", actor=f"session:{session}", role=None, credential=None)
    with wall.within(organization_id), audit.acting(by):
        sessions.end(deps(), organization_id, session)


def end(response: Response | BaseResponse, identity: Identity | None, *, everywhere: bool = False) -> None:
    """Sign a browser out, or with ``everywhere`` all of the same user; a user's own token does the latter, too. The
    browser forgets its cookie in any case."""
    if identity is not None and identity.session is not None:
        end_it = sessions.end_everywhere if everywhere else sessions.end
        end_it(deps(), identity.organization_id, identity.session)
    elif identity is not None and everywhere and identity.way == "user" and identity.user is not None:
        sessions.end_of_user(deps(), identity.organization_id, identity.user)
    cookies.take(response)
