"""Checks every request against what its blueprint declares, before any view runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from flask import Flask, current_app, g, request

from schema.access import allows, reaches
from schema.errors import CoursewrightError, Forbidden, Unauthenticated
from storage import wall
from web.identity import agents, cookies, forgery, privacy, users
from web.identity.identity import Identity
from web.identity.need import Need, need_of
from web.identity.stream import from_stream_token
from web.wiring import deps

_READING = {"GET", "HEAD", "OPTIONS"}


def register(app: Flask) -> None:
    """Have every request of the app checked. Raises ``LookupError`` for a blueprint that declares nothing."""
    for name in app.blueprints:
        need_of(app, name)
    users.register(app, deps())

    @app.before_request
    def _identify() -> None:
        # Nobody's, until it is known whose: what is read for the request is read for that organization alone.
        g.entered = wall.enter(None)
        if request.blueprint is None:
            return  # no such address: the 404 needs nobody
        need = need_of(current_app, request.blueprint)
        if need.public:
            return
        g.identity = (_by_stream_token() if need.by_token else None) or anybody()
        if g.identity is None:
            raise Unauthenticated("Say who you are: send a token, or sign in at /login.")
        check(g.identity, need)

    @app.teardown_request
    def _leave(_error: BaseException | None) -> None:
        if "entered" in g:
            wall.leave(g.pop("entered"))


def maybe() -> Identity | None:
    """Who asks, for a public view that shows more to some. Raises when credentials are given and wrong."""
    identity = anybody()
    if identity is not None and identity.way == "cookie" and is_writing():
        forgery.check_token(identity)
    return identity


def anybody() -> Identity | None:
    """Who asks. What is sent on purpose goes before what a browser sends by itself."""
    with _nobody_unless_known():
        identity = agents.from_agent() or users.from_user()
    if identity is not None:
        return identity
    with _nobody_unless_known():
        identity = cookies.from_cookie()
    if identity is None:
        wall.enter(None)
    elif is_writing():
        g.in_whose_name = identity  # for the audit log, should another site have sent it
        forgery.check_origin()
    return identity


def _by_stream_token() -> Identity | None:
    with _nobody_unless_known():
        return from_stream_token()


@contextmanager
def _nobody_unless_known() -> Iterator[None]:
    """To find out who somebody is, their organization is entered. Whoever is refused is let out of it again."""
    try:
        yield
    except CoursewrightError:
        wall.enter(None)
        raise


def is_writing() -> bool:
    return request.method not in _READING


def check(identity: Identity, need: Need) -> None:
    """Raise ``Forbidden`` when an identity may not do what is asked, and ``NotFound`` when it doesn't see it."""
    writing = is_writing()
    wanted = need.write if writing else need.read
    if wanted is None or not reaches(identity.role, wanted):
        raise Forbidden(f"This needs the role {wanted or 'of nobody'}; yours is {identity.role}.")
    if need.scope is not None and not allows(identity.scopes, need.scope, writing=writing):
        scope = f"{need.scope}:{'write' if writing else 'read'}"
        raise Forbidden(f"This needs the scope {scope}, which your token doesn't have.", code="scope_missing")
    if writing and identity.way == "cookie":
        forgery.check_token(identity)
    privacy.check(identity)
