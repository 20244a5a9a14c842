"""A browser's session: a cookie that holds a signed id, and the row that says what it stands for.

Where a page is reached by https the cookie is called ``__Host-...``: browsers take one of that name only over https and
for this very host, so that no neighbouring host can plant one.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from flask import Response, request
from itsdangerous import BadSignature, URLSafeSerializer
from werkzeug.wrappers import Response as BaseResponse

from storage import wall
from storage.people import grounds as rows
from storage.people.grounds import Grounds
from storage.people.sessions import NewSession
from tasks.deps import Deps
from web.guarding.proxies import is_https
from web.identity.agents import marks
from web.identity.identity import Identity
from web.identity.standing import judge
from web.wiring import deps

#: The name of the cookie a browser keeps, and the one it keeps where everything is https.
SESSION_COOKIE = "coursewright"
SECURE_COOKIE = f"__Host-{SESSION_COOKIE}"
_SALT = "coursewright.session"


def _signer(wired: Deps) -> URLSafeSerializer:
    return URLSafeSerializer(wired.settings.signing_keys, salt=_SALT)


def signed(wired: Deps, session: UUID, organization_id: UUID) -> str:
    """What a browser keeps of a session."""
    return str(_signer(wired).dumps([str(session), str(organization_id)]))


def kept() -> tuple[UUID, UUID] | None:
    """The session and the organization that this request's cookie names; none without a cookie of ours."""
    wired = deps()
    given = request.cookies.get(SECURE_COOKIE if is_https() else SESSION_COOKIE)
    if given is None:
        return None
    try:
        session, organization = _signer(wired).loads(given)
        return UUID(session), UUID(organization)
    except (BadSignature, ValueError, TypeError, AttributeError):
        return None


def from_cookie() -> Identity | None:
    """Who has this browser's session; none when there is none, or it has ended, or what it came from has."""
    named = kept()
    if named is None:
        return None
    session, organization_id = named
    wall.enter(organization_id)
    grounds, wired = Grounds(organization_id, session=session), deps()
    if is_use():
        facts = rows.facts_in_use(wired.db, grounds, wired.settings.identity.session_idle)
    else:
        [facts] = rows.facts(wired.db, [grounds])
    standing = judge(grounds, facts, marks(wired))
    if facts is None or standing is None:
        return None
    return Identity(
        organization_id=organization_id,
        organization_slug=facts.slug,
        role=standing.role,
        user=standing.user,
        way="cookie",
        scopes=standing.scopes,
        credential=f"session:{session}",
        grounds=grounds,
        expires_at=standing.until,
        session=session,
    )


def is_use() -> bool:
    """Whether somebody sits before this browser: they opened a page, or changed something. What pages ask for by
    themselves is reading, and opens nothing."""
    if request.method not in ("GET", "HEAD", "OPTIONS"):
        return True
    # Browsers say how a request came about where a page came over https or from their own machine.
    mode = request.headers.get("Sec-Fetch-Mode")
    if mode is not None:
        return mode == "navigate"
    return request.accept_mimetypes.best_match(["application/json", "text/html"]) == "text/html"


def as_session(identity: Identity, new: NewSession) -> Identity:
    """The same somebody, as a browser's session has them."""
    return replace(
        identity,
        way="cookie",
        credential=f"session:{new.session_id}",
        grounds=Grounds(identity.organization_id, session=new.session_id),
        expires_at=new.idle_ends_at,
        session=new.session_id,
    )


def give(response: BaseResponse, new: NewSession) -> None:
    """Have the browser keep a session until it ends at the latest."""
    secure = is_https()
    response.set_cookie(
        SECURE_COOKIE if secure else SESSION_COOKIE,
        signed(deps(), new.session_id, new.organization_id),
        expires=new.expires_at,
        httponly=True,
        samesite="Lax",
        secure=secure,
        path="/",
    )


def take(response: Response | BaseResponse) -> None:
    """Have the browser forget its session."""
    secure = is_https()
    name = SECURE_COOKIE if secure else SESSION_COOKIE
    response.delete_cookie(name, httponly=True, samesite="Lax", secure=secure, path="/")
