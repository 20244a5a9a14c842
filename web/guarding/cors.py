"""Which pages of other sites may read answers: those of ``CORS_ORIGINS``. Streams with a token in their address and our
scripts are everybody's; their views say so themselves."""

from __future__ import annotations

from flask import Flask, Response, request

_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_HEADERS = ", ".join(
    (
        *("Authorization", "Content-Type", "Idempotency-Key", "If-Match", "If-None-Match", "Last-Event-ID"),
        *("X-Agent-Token", "X-CSRF-Token", "X-Organization-Id", "X-Request-Id", "X-User-Id"),
    )
)
_EXPOSED = "ETag, Location, RateLimit-Limit, RateLimit-Remaining, RateLimit-Reset, Retry-After, X-Request-Id"
#: For how many seconds a browser need not ask again what it may send.
_REMEMBERED = "600"
_EVERYBODY = frozenset({"*"})


def register(app: Flask, origins: frozenset[str]) -> None:
    """Answer what browsers ask before they send a request, and say with each answer who may read it. Only named origins
    may send cookies along."""

    @app.before_request
    def _asked_before() -> Response | None:
        # It has no credentials and gets no view: nobody needs to say who they are.
        return Response(status=204) if _is_preflight() else None

    @app.after_request
    def _say_who_may_read(response: Response) -> Response:
        if not origins or "Access-Control-Allow-Origin" in response.headers:
            return response
        origin = request.headers.get("Origin", "")
        if origins == _EVERYBODY:
            response.headers["Access-Control-Allow-Origin"] = "*"
        else:
            response.vary.add("Origin")
            if origin not in origins:
                return response
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Credentials"] = "true"
        response.headers["Access-Control-Expose-Headers"] = _EXPOSED
        if _is_preflight():
            response.headers["Access-Control-Allow-Methods"] = _METHODS
            response.headers["Access-Control-Allow-Headers"] = _HEADERS
            response.headers["Access-Control-Max-Age"] = _REMEMBERED
        return response


def _is_preflight() -> bool:
    asks = "Origin" in request.headers and "Access-Control-Request-Method" in request.headers
    return request.method == "OPTIONS" and asks
