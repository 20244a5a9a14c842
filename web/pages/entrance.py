"""The way in and out for people: a login link, a token pasted into a form, and the button to leave."""

from __future__ import annotations

from flask import Blueprint, g, redirect, request, url_for
from itsdangerous import BadSignature, URLSafeTimedSerializer
from werkzeug.wrappers import Response as BaseResponse

from schema.clock import short_code
from schema.errors import Forbidden
from storage import wall
from storage.people.grounds import from_json
from tasks import sessions
from tasks.deps import Deps
from web.auditing import unaudited
from web.describe import describe
from web.identity import PUBLIC, cookies, forgery, maybe, needs, signing_in
from web.pages.layout import open_page
from web.pages.ways_back import way_back
from web.wiring import deps

blueprint = needs(Blueprint("entrance", __name__), PUBLIC)

LOGIN_SECONDS = 15 * 60


def _signer(wired: Deps) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(wired.settings.signing_keys, salt="login-link")


def make_login_path(wired: Deps, organization_id: str, role: str) -> str:
    """A path that signs in whoever opens it first, within 15 minutes."""
    once = short_code(24)
    wired.bus.keep_once(f"login:{once}", organization_id, LOGIN_SECONDS)
    token = _signer(wired).dumps({"once": once, "organization": organization_id, "role": role})
    return f"/login/{token}"


@blueprint.get("/login/<token>")
@describe("Sign a browser in with a one-time link.", {302: (None, "Signed in.")}, problems=(403, 503))
def by_link(token: str) -> BaseResponse:
    if request.method == "HEAD":  # a program that looks where a link leads, in a mail for instance
        return redirect(url_for("entrance.ask"))
    refused = Forbidden("This login link was used already or is too old. Ask for a fresh one.", code="login_link_spent")
    try:
        kept = _signer(deps()).loads(token, max_age=LOGIN_SECONDS)
        taken = deps().bus.take_once(f"login:{kept['once']}")
    except BadSignature:
        raise refused from None
    if taken != kept["organization"]:
        raise refused
    grounds = from_json({"o": kept["organization"]})
    signing_in.end_before()
    wall.enter(grounds.organization_id)
    response = redirect(url_for("pages.home"))
    cookies.give(response, sessions.start(deps(), grounds, role=kept["role"], user=None))
    return response


@blueprint.get("/login")
def ask() -> BaseResponse:
    return open_page("sign_in.html", next=way_back(request.args.get("next")))


@blueprint.post("/login")
@unaudited("noted where the session is begun")
def by_form() -> BaseResponse:
    """Sign in with a token that was pasted. From our own form only, so that nobody is signed in as somebody else by
    another site."""
    forgery.check_origin()
    g.way_back = way_back(request.form.get("next"))  # what is refused leads to the form again
    identity = signing_in.by_token(request.form.get("token", "").strip(), request.form.get("organization", ""))
    response = redirect(g.way_back, 303)
    signing_in.start(response, identity)
    return response


@blueprint.post("/logout")
@unaudited("noted where the session is ended")
def leave() -> BaseResponse:
    response = redirect(url_for("entrance.ask"), 303)
    signing_in.end(response, maybe(), everywhere=request.form.get("everywhere") == "yes")
    return response
