"""How often one may ask: each identity by itself, and each address for what has no identity. Programs may ask ten times
as often as people. Wrong credentials that differ are counted besides, more strictly: nobody finds one by trying."""

from __future__ import annotations

import hashlib
import math
from contextlib import suppress

from flask import Flask, Response, g, request

from schema.errors import CoursewrightError, TooMany, Unauthenticated
from storage.shares.rates import WINDOW_SECONDS, Count
from web.guarding.proxies import caller
from web.identity import Identity, maybe
from web.wiring import deps

#: Files that are everybody's, and what load balancers and operators look at.
UNCOUNTED = frozenset({"static", "docs.asset", "system.healthz", "system.readyz", "system.metrics"})
#: So much more often than a person a program may ask.
PROGRAMS = 10
#: So many different wrong credentials may come from an address a minute: one for every two requests. Tokens are too
#: long to be found at any pace, and behind one address there may be a school whose other programs are right.
_WRONG = 2
_NO_LIMIT = 2**53
_SPENT_LINK = "login_link_spent"


def register(app: Flask) -> None:
    """Count every request, and refuse those that are too many."""

    @app.before_request
    def _count() -> None:
        if request.endpoint not in UNCOUNTED:
            _hit(*_share(_asking()))

    @app.after_request
    def _tell(response: Response) -> Response:
        count: Count | None = g.get("rate")
        if count is not None:
            response.headers["RateLimit-Limit"] = str(count.limit)
            response.headers["RateLimit-Remaining"] = str(count.remaining)
            response.headers["RateLimit-Reset"] = str(math.ceil(count.resets_in))
            response.headers["RateLimit-Policy"] = f"{count.limit};w={WINDOW_SECONDS}"
        return response


def watch_guesses(app: Flask) -> None:
    """Look at no credentials from where too many wrong ones came, be they right or not: the one that is right must not
    look different from the others."""

    @app.before_request
    def _look_away() -> None:
        shown = _credential()
        if shown is not None and deps().rates.is_spent(_guesses(shown)):
            raise _no_more_guesses(deps().rates.resets_in(_guesses(shown)))


def judged(error: CoursewrightError) -> CoursewrightError:
    """What a refused request is told: what it did wrong, or that it is one too many. Requests that were refused before
    anybody counted them are counted here."""
    if error.status >= 500 or isinstance(error, TooMany) or request.endpoint in UNCOUNTED:
        return error
    try:
        if "rate" not in g:
            _hit(*_share(g.get("identity")))
    except TooMany as too_many:
        return too_many
    shown = _credential()
    if shown is None or not _is_guess(error):
        return error
    guesses = _guesses(shown)
    if deps().rates.hit(f"{guesses}:{_mark(shown)}", _NO_LIMIT).used > 1:
        return error  # the same again: whoever sends it is mistaken, and finds out nothing
    count = deps().rates.hit(guesses, max(1, _limit() // _WRONG))
    if not count.is_over:
        return error
    g.rate = count
    return _no_more_guesses(count.resets_in)


def _hit(name: str, limit: int) -> None:
    count = g.rate = deps().rates.hit(name, limit)
    if count.is_over:
        seconds = math.ceil(count.resets_in)
        words = f"You may send {limit} requests a minute, and this is one more. Ask again in {seconds} seconds."
        raise TooMany(words, code="rate_limited", retry_after=seconds)


def _limit() -> int:
    return deps().settings.guards.rate_per_minute


def _asking() -> Identity | None:
    """Who asks. Pictures are everybody's in part, and are read by those who are signed in most of all: a school behind
    one address shall not run out of them."""
    identity: Identity | None = g.get("identity")
    if identity is None and request.blueprint == "public_content":
        with suppress(CoursewrightError):  # the view says what is wrong
            identity = maybe()
    return identity


def _share(identity: Identity | None) -> tuple[str, int]:
    """Under which name a request is counted, and how many there may be a minute."""
    if identity is None:
        return f"address:{caller()}", _limit()
    whose = identity.organization_id
    if identity.way in {"agent", "token"}:
        return f"program:{whose}:{identity.credential or ''}", _limit() * PROGRAMS
    if identity.way == "stream":  # whoever was given the address of a stream
        return f"stream:{whose}:{caller()}", _limit()
    return f"person:{whose}:{identity.user or identity.credential or ''}", _limit()


# --- wrong credentials --------------------------------------------------------------------------------------------


def _credential() -> tuple[str, str] | None:
    """The credential a request carries that somebody could try to guess: its kind, and itself. A browser's cookie is
    none; old ones are sent in good faith."""
    for kind, name in (("agent", "X-Agent-Token"), ("bearer", "Authorization")):
        if name in request.headers:
            return kind, request.headers[name]
    if request.endpoint == "entrance.by_link":
        return "login", request.path
    if request.endpoint == "entrance.by_form":
        return "login", request.form.get("token", "")
    return ("stream", request.args["token"]) if "token" in request.args else None


def _is_guess(error: CoursewrightError) -> bool:
    """Whether it was refused for a wrong credential. One that was right once is no guess."""
    wrong = isinstance(error, Unauthenticated) and error.code != Unauthenticated.code
    return error.code == _SPENT_LINK or (
        wrong and not error.code.endswith("expired") and "expired" not in error.details
    )


def _guesses(shown: tuple[str, str]) -> str:
    """Under which name wrong credentials of this kind, from this address, are counted."""
    return f"guess:{shown[0]}:{caller()}"


def _mark(shown: tuple[str, str]) -> str:
    """By which a credential is known again, and not found out."""
    return hashlib.blake2b(shown[1].encode("utf-8", "replace"), digest_size=8).hexdigest()


def _no_more_guesses(seconds: float) -> TooMany:
    g.guesses = True  # the audit log counts them, too
    words = "Too many wrong credentials came from your address. Check yours, and try again in"
    return TooMany(f"{words} {math.ceil(seconds)} seconds.", code="rate_limited", retry_after=seconds)
