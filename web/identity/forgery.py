"""Writes of a browser must come from our own pages: another site could have a browser send its cookie along.

Two proofs, each enough by itself where browsers keep to their rules: where the request comes from, and a token that
only our pages know. The token is a keyed hash of the session's id, so it is good for that session alone and needs no
row."""

from __future__ import annotations

import hashlib
import hmac
from urllib.parse import urlsplit
from uuid import UUID

from flask import request

from schema.errors import Forbidden
from web.identity.identity import Identity
from web.wiring import deps

HEADER, FIELD = "X-CSRF-Token", "csrf"
_FORM = "application/x-www-form-urlencoded"


def token_of(session: UUID) -> str:
    """What a page of this session sends with each write."""
    return token_by(deps().settings.secret_key, session)


def token_by(key: str, session: UUID) -> str:
    """The same, by this key."""
    return hmac.new(key.encode(), b"csrf:" + session.bytes, hashlib.sha256).hexdigest()


def check_origin() -> None:
    """Raise ``Forbidden`` (``cross_site``) for a write that comes from elsewhere. Browsers always send one of these
    headers with a write."""
    site = request.headers.get("Sec-Fetch-Site")
    same = site in {"same-origin", "none"} if site is not None else request.headers.get("Origin") in _our_origins()
    if not same:
        raise Forbidden("A browser may only write from this site's own pages.", code="cross_site")


def _our_origins() -> set[str]:
    """Where our pages are: as this request was addressed, and as people reach them through whatever stands in front."""
    here, public_url = request.host_url.rstrip("/"), deps().settings.notices.public_url
    if public_url is None:
        return {here}
    public = urlsplit(public_url)
    return {here, f"{public.scheme}://{public.netloc}"}


def check_token(identity: Identity) -> None:
    """Raise ``Forbidden`` (``csrf_token_wrong``) for a write without the token of its session."""
    given = request.headers.get(HEADER)
    if given is None and request.mimetype == _FORM:
        given = request.form.get(FIELD)
    session = identity.session
    keys = deps().settings.signing_keys if session is not None else []
    good = [token_by(key, session).encode() for key in keys if session is not None]
    fits = [hmac.compare_digest((given or "").encode(), one) for one in good]
    if True not in fits:
        words = f"Send {HEADER} with what GET /api/session says as csrfToken. Pages do; load this one again."
        raise Forbidden(words, code="csrf_token_wrong")
