"""A user with a token (``Authorization: Bearer``): for which organization, and in which role there."""

from __future__ import annotations

from uuid import UUID

from flask import Flask, current_app, request

from schema.errors import BadRequest, Forbidden, Unauthenticated
from storage import organizations, wall
from storage.people import grounds as rows
from storage.people.grounds import Grounds
from tasks.deps import Deps
from web.identity.identity import Identity
from web.identity.key_set import KeySet
from web.identity.standing import judge
from web.identity.user_tokens import Claims, UserTokens
from web.wiring import deps

_KEY = "coursewright_user_tokens"


def register(app: Flask, wired: Deps) -> None:
    """Have the app know what verifies users' tokens; none where they are refused."""
    settings = wired.settings.identity.users
    keys = None
    if settings is not None and settings.jwks_url is not None:
        keys = KeySet(settings.jwks_url, wired.settings.home / "run" / "signing-keys.json")
    app.extensions[_KEY] = UserTokens(settings, keys) if settings is not None else None


def from_user() -> Identity | None:
    """Who sends a bearer token; none when nobody does. Other schemes are somebody else's: a proxy's password, say."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return None
    return of_token(token.strip(), request.headers.get("X-Organization-Id", ""))


def of_token(token: str, organization: str) -> Identity:
    """Who this user's token is. ``organization`` is the id of the one that is asked for, where the token names none.
    Raises ``Unauthenticated`` (``invalid_token``), ``BadRequest``, ``Forbidden``, ``Unavailable``."""
    verifier: UserTokens | None = current_app.extensions[_KEY]
    if verifier is None:
        words = "User tokens are not accepted here: neither JWT_SECRET nor JWT_JWKS_URL is set."
        raise Unauthenticated(words, code="invalid_token")
    claims = verifier.read(token)
    organization_id = _organization_of(claims, organization.strip())
    wall.enter(organization_id)
    has_claimed = claims.organization is not None and claims.role is not None
    grounds = Grounds(organization_id, user=claims.user, claimed=has_claimed)
    [facts] = rows.facts(deps().db, [grounds])
    standing = judge(grounds, facts, frozenset())
    if facts is None or standing is None:
        raise _stranger()
    return Identity(
        organization_id=organization_id,
        organization_slug=facts.slug,
        role=claims.role if has_claimed and claims.role else standing.role,
        user=claims.user,
        way="user",
        grounds=grounds,
        expires_at=claims.expires_at,
    )


def _stranger() -> Forbidden:
    """The same for an organization that isn't there as for one that somebody doesn't belong to."""
    words = "There is no such organization, or you are no member of it."
    return Forbidden(words, code="unknown_organization")


def _organization_of(claims: Claims, named: str) -> UUID:
    """That of the token. One that names none leaves the choice to who sends it, and needs a membership there."""
    if claims.organization is None:
        if not named:
            raise BadRequest("Say for which organization: X-Organization-Id.", code="organization_required")
        return _uuid(named)
    found = _claimed(claims.organization)
    if named and _uuid(named) != found:
        words = "The token is for another organization than X-Organization-Id names."
        raise Forbidden(words, code="unknown_organization")
    return found


def _claimed(organization: str) -> UUID:
    try:
        return UUID(organization)
    except ValueError:
        found = organizations.id_of(deps().db, organization)
    if found is None:
        raise _stranger()
    return found


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        raise _stranger() from None
