"""What every answer tells a browser: that a page runs our own files and nothing else, who may show it in a frame, that
types are not to be guessed, and who may load it from another site."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Flask, Response, current_app, request

from web.guarding.proxies import is_https
from web.identity import need_of

#: A page runs our own files and nothing else: no script or style written into it, nothing of other hosts.
_PAGE = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "form-action 'self'",
    "base-uri 'none'",
)
#: What is no page runs nothing, should a browser take it for one.
_NO_PAGE = "default-src 'none'; frame-ancestors 'none'"
_NOTHING_OF_THE_DEVICE = "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()"
_A_YEAR = "max-age=31536000"
#: The older header knows only these.
_FRAMES = {"'self'": "SAMEORIGIN", "'none'": "DENY"}


def policy(frame_ancestors: Sequence[str]) -> str:
    """The content security policy of a page."""
    return "; ".join((*_PAGE, f"frame-ancestors {' '.join(frame_ancestors)}"))


def register(app: Flask, frame_ancestors: Sequence[str]) -> None:
    """Tell it with every answer."""
    of_pages = policy(frame_ancestors)
    older = _FRAMES.get(" ".join(frame_ancestors))

    @app.after_request
    def _tell(response: Response) -> Response:
        headers = response.headers
        is_page = response.mimetype == "text/html"
        headers["X-Content-Type-Options"] = "nosniff"
        headers.setdefault("Content-Security-Policy", of_pages if is_page else _NO_PAGE)
        headers.setdefault("Referrer-Policy", "same-origin")
        # A page is its reader's, also one that is open: its frame names who is signed in.
        shared = not is_page and _is_everybodys(response)
        headers["Cross-Origin-Resource-Policy"] = "cross-origin" if shared else "same-origin"
        if is_page:
            headers["Cross-Origin-Opener-Policy"] = "same-origin"
            headers["Permissions-Policy"] = _NOTHING_OF_THE_DEVICE
            if older is not None:
                headers["X-Frame-Options"] = older
        if is_https():  # said over http, browsers don't listen
            headers["Strict-Transport-Security"] = _A_YEAR
        # What only some may see is kept nowhere, unless a view says otherwise.
        if "Cache-Control" not in headers and not _is_public():
            headers["Cache-Control"] = "no-store"
        return response


def _is_everybodys(response: Response) -> bool:
    """Whether other sites may show it as their own: our scripts, and what is public of courses and catalogs."""
    if "Access-Control-Allow-Origin" in response.headers:
        return response.headers["Access-Control-Allow-Origin"] == "*"
    return _is_public() and response.status_code < 400 and not response.cache_control.private


def _is_public() -> bool:
    if request.endpoint == "static":
        return True
    return request.blueprint is not None and need_of(current_app, request.blueprint).public
