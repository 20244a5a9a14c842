"""Somebody in a browser: a session as a login link begins it, without the link."""

from __future__ import annotations

from uuid import UUID

from flask.testing import FlaskClient

from schema.access import Role
from storage import wall
from storage.people.grounds import Grounds
from tasks import sessions
from tasks.deps import Deps
from web.identity import cookies, forgery
from web.wiring import deps as of_views


def sign_in(
    client: FlaskClient, deps: Deps, organization_id: UUID, role: Role, user: str | None = None
) -> dict[str, str]:
    """Sign this client's browser in. Returns the headers that our own pages send with a write."""
    with wall.within(organization_id):
        session = sessions.start(of_views(), Grounds(organization_id), role=role, user=user).session_id
    client.set_cookie(cookies.SESSION_COOKIE, cookies.signed(deps, session, organization_id))
    return writing(deps, session)


def writing(deps: Deps, session: UUID) -> dict[str, str]:
    """What a page of ours sends with each write of a session."""
    return {"Sec-Fetch-Site": "same-origin", forgery.HEADER: forgery.token_by(deps.settings.secret_key, session)}
