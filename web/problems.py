"""Errors as the API shows them: RFC 9457 ``application/problem+json``, always with a code and what to do."""

from __future__ import annotations

import math
from typing import Any

import structlog
from flask import Flask, Response, g, json, request
from werkzeug.exceptions import HTTPException

from schema.errors import BadRequest, CoursewrightError, Forbidden, Invalid, TooMany, Transient, Unauthenticated
from web.body import discard_body
from web.guarding.rates import judged
from web.pages.layout import open_page
from web.pages.ways_back import way_back

log = structlog.get_logger(__name__)

#: Headers of a library's own errors that tell the caller what would be right.
_TELLING = {"allow", "content-range", "retry-after"}
_CODES = {400: "bad_request", 404: "not_found", 405: "method_not_allowed", 413: "body_too_large", 415: "not_json"}
_SENTENCES = {
    404: "There is nothing at this address. /docs lists what there is.",
    405: "This address doesn't take that method. /docs lists what it takes.",
    413: "The request body is larger than this server takes.",
}


def problem(status: int, code: str, title: str, detail: str, **more: Any) -> Response:
    """A problem document as a response; a page for somebody in a browser."""
    g.problem_code = code
    if request.content_length or status == 413:
        discard_body()
    if _is_for_a_person():
        return open_page("error.html", status, code=code, title=title, detail=detail)
    body = {
        "type": f"/docs/errors#{code}",
        "title": title,
        "status": status,
        "detail": detail,
        "code": code,
        "requestId": g.get("request_id"),
        **more,
    }
    # Escaped to ASCII: a path may repeat a key of the caller's that no encoding can carry, half a surrogate pair say.
    response = Response(json.dumps(body, ensure_ascii=True), status, content_type="application/problem+json")
    response.headers["Cache-Control"] = "no-store"
    return response


def _is_for_a_person() -> bool:
    """Whether a page was asked for, by somebody who would rather read HTML than JSON."""
    offered = ["application/problem+json", "application/json", "text/html"]
    is_api = f"{request.path}/".startswith("/api/")
    return not is_api and request.accept_mimetypes.best_match(offered) == "text/html"


def _ours(error: CoursewrightError) -> Response:
    error = judged(error)
    if isinstance(error, Unauthenticated | BadRequest | Forbidden) and _is_for_a_person() and _leads_to_sign_in(error):
        return _marked(open_page("sign_in.html", error.status, next=_way_back(), refused=error), error)
    status = 503 if isinstance(error, Transient) else error.status
    more: dict[str, Any] = {}
    if isinstance(error, Invalid):
        more["errors"] = [fault.as_json() for fault in error.errors]
    elif error.details and status != 500:
        more["details"] = error.details
    response = _marked(problem(status, error.code, error.title, error.message, **more), error)
    if status == 503:
        response.headers["Retry-After"] = "2"
    elif isinstance(error, TooMany):
        response.headers["Retry-After"] = str(math.ceil(error.retry_after))
    return response


def _leads_to_sign_in(error: CoursewrightError) -> bool:
    return isinstance(error, Unauthenticated) or "way_back" in g


def _way_back() -> str:
    """Where somebody goes on who is asked to sign in: to what they wanted to see."""
    here = request.full_path if request.query_string else request.path
    return way_back(g.get("way_back", here if request.method == "GET" else None))


def _marked(response: Response, error: CoursewrightError) -> Response:
    """What a 401 says of the ways in (RFC 6750, 3)."""
    if isinstance(error, Unauthenticated):
        wrong = ', error="invalid_token"' if error.code == "invalid_token" else ""
        response.headers["WWW-Authenticate"] = f'Bearer realm="coursewright"{wrong}'
    return response


def _http(error: HTTPException) -> Response:
    status = error.code or 500
    detail = _SENTENCES.get(status, error.description or error.name)
    response = problem(status, _CODES.get(status, "http_error"), error.name, detail)
    for name, value in error.get_headers():
        if name.lower() in _TELLING:
            response.headers[name] = value
    return response


def _unexpected(error: Exception) -> Response:
    # The other outer door: nobody gets to see a trace, and the log has all of it.
    log.exception("request_crashed", error=type(error).__name__)
    words = "Something went wrong on our side. Quote the requestId when you tell us."
    return problem(500, "internal_error", "Internal error", words)


def register(app: Flask) -> None:
    """Make every error of the app a problem document."""
    app.register_error_handler(CoursewrightError, _ours)
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)
