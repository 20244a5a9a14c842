"""The way in, and where it leads."""

from __future__ import annotations

from flask import Blueprint, redirect, session, url_for
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.wrappers import Response as BaseResponse

from schema.clock import short_code
from schema.errors import Forbidden
from tasks.deps import Deps
from web.describe import describe
from web.identity import PUBLIC, Need, needs
from web.wiring import deps

blueprint = needs(Blueprint("pages", __name__), Need(read="viewer", write="author"))
entrance = needs(Blueprint("entrance", __name__), PUBLIC)

LOGIN_SECONDS = 15 * 60


def _signer(wired: Deps) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(wired.settings.secret_key, salt="login-link")


def make_login_path(wired: Deps, organization_id: str, role: str) -> str:
    """A path that signs in whoever opens it first, within 15 minutes."""
    once = short_code(24)
    wired.bus.keep_once(f"login:{once}", organization_id, LOGIN_SECONDS)
    token = _signer(wired).dumps({"once": once, "organization": organization_id, "role": role, "user": None})
    return f"/login/{token}"


@entrance.get("/login/<token>")
@describe("Sign a browser in with a one-time link.", {302: (None, "Signed in.")}, problems=(403, 503))
def login(token: str) -> BaseResponse:
    refused = Forbidden("This login link was used already or is too old. Ask for a fresh one.", code="login_link_spent")
    try:
        kept = _signer(deps()).loads(token, max_age=LOGIN_SECONDS)
        taken = deps().bus.take_once(f"login:{kept['once']}")
    except BadSignature:
        raise refused from None
    if taken != kept["organization"]:
        raise refused
    session.clear()
    session["identity"] = {"organization": kept["organization"], "role": kept["role"], "user": kept["user"]}
    return redirect(url_for("pages.home"))


@blueprint.get("/")
def home() -> BaseResponse:
    return redirect(url_for("catalog_pages.show"))
