"""Who asks, for which organization, in which role. Every blueprint says what it needs; nothing is open by default.

First form: an agent's token in headers, or the signed cookie a login link leaves in a browser.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import Literal, cast
from uuid import UUID

from flask import Blueprint, Flask, current_app, g, request, session

from schema.errors import BadRequest, Forbidden, Unauthenticated
from storage import organizations
from tasks.commands import Asker
from web.streams import token
from web.wiring import deps

Role = Literal["viewer", "author", "admin"]
#: The name of the cookie a browser keeps.
SESSION_COOKIE = "coursewright"
_RANK: dict[str, int] = {"viewer": 1, "author": 2, "admin": 3}
_WRITING = {"POST", "PUT", "PATCH", "DELETE"}


@dataclass(frozen=True)
class Identity:
    """``user`` is any id kept for audit; it need not be known here."""

    organization_id: UUID
    organization_slug: str
    role: Role
    user: str | None
    way: Literal["agent", "cookie", "stream"]

    @property
    def asker(self) -> Asker:
        # A person is rationed; a program is not, nor is who runs the place.
        return Asker(self.organization_id, self.user, rationed=self.way != "agent" and self.role != "admin")


@dataclass(frozen=True)
class Need:
    """What a blueprint needs: a role for reading and one for writing, or nothing at all (``public``). ``by_token``: a
    view may also be read by whoever has a token for what it shows, in the address (``web.streams.token``)."""

    read: Role | None
    write: Role | None
    public: bool = False
    by_token: bool = False


PUBLIC = Need(None, None, public=True)


def needs(blueprint: Blueprint, need: Need) -> Blueprint:
    """Declare what every view of this blueprint needs. A blueprint without a declaration is refused at start."""
    blueprint.need = need  # type: ignore[attr-defined]
    return blueprint


def need_of(app: Flask, blueprint: str) -> Need:
    """The declaration of a blueprint. Raises ``LookupError`` when it has none."""
    need = getattr(app.blueprints[blueprint], "need", None)
    if need is None:
        raise LookupError(f"The blueprint {blueprint!r} doesn't declare what it needs.")
    return cast(Need, need)


def who() -> Identity:
    """The identity of this request. Only for views behind a role."""
    return cast(Identity, g.identity)


def maybe() -> Identity | None:
    """Who asks, for a public view that shows more to some. Raises when credentials are given and wrong."""
    return _from_agent() or _from_cookie()


def register(app: Flask) -> None:
    """Check every request against its blueprint's declaration before any view runs."""
    for name in app.blueprints:
        need_of(app, name)

    @app.before_request
    def _identify() -> None:
        if request.blueprint is None:
            return  # no such address: the 404 needs nobody
        need = need_of(current_app, request.blueprint)
        if need.public:
            return
        g.identity = (need.by_token and _from_token()) or _from_agent() or _from_cookie()
        if g.identity is None:
            raise Unauthenticated(
                "Send X-Agent-Token and X-Organization-Id, or open the login link this server printed."
            )
        wanted = need.write if request.method in _WRITING else need.read
        if wanted is None or _RANK[g.identity.role] < _RANK[wanted]:
            raise Forbidden(f"This needs the role {wanted or 'of nobody'}; yours is {g.identity.role}.")


def _from_token() -> Identity | None:
    """Somebody who may only look at one job. A token that is given decides, whoever else one may be."""
    given = request.args.get("token")
    if given is None or request.method in _WRITING:
        return None
    pass_ = token.read(deps().settings.secret_key, given)
    if pass_.job_id != (request.view_args or {}).get("job_id", "").lower():
        raise Unauthenticated("This token is for another job.", code="invalid_stream_token")
    return Identity(pass_.organization_id, "", "viewer", None, "stream")


def _from_agent() -> Identity | None:
    token = request.headers.get("X-Agent-Token")
    if token is None:
        return None
    expected = deps().settings.agent_token
    if expected is None or not hmac.compare_digest(token.encode("utf-8", "replace"), expected.encode()):
        raise Unauthenticated("This agent token is not valid here.", code="invalid_agent_token")
    given = request.headers.get("X-Organization-Id", "").strip()
    if not given:
        raise BadRequest("Say for which organization: X-Organization-Id.", code="organization_required")
    try:
        organization_id = UUID(given)
    except ValueError:
        raise Forbidden("There is no such organization.", code="unknown_organization") from None
    organization = organizations.read(deps().db, organization_id)
    if organization is None:
        raise Forbidden("There is no such organization.", code="unknown_organization")
    user = request.headers.get("X-User-Id")
    if user is not None:
        try:
            user = str(UUID(user))
        except ValueError:
            raise BadRequest("X-User-Id must be a UUID.", code="invalid_user_id") from None
    return Identity(organization.id, organization.slug, "admin", user, "agent")


def _from_cookie() -> Identity | None:
    kept = session.get("identity")
    if kept is None:
        return None
    organization = organizations.read(deps().db, UUID(kept["organization"]))
    if organization is None:
        return None
    if request.method in _WRITING and not _same_origin():
        raise Forbidden("A browser may only write from this site's own pages.", code="cross_site")
    return Identity(organization.id, organization.slug, kept["role"], kept["user"], "cookie")


def _same_origin() -> bool:
    """Whether a write with a cookie comes from our own pages. Browsers always send one of these with a write."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in {"same-origin", "none"}
    return request.headers.get("Origin") == request.host_url.rstrip("/")
