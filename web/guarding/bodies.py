"""Bodies come as they are. Packed ones would have to be unpacked before anybody knows how large they are."""

from __future__ import annotations

from flask import Flask, request

from schema.errors import BadRequest

_PLAIN = {"", "identity"}


def register(app: Flask) -> None:
    """Refuse a body with another encoding."""

    @app.before_request
    def _refuse_packed() -> None:
        if request.headers.get("Content-Encoding", "").strip().lower() not in _PLAIN:
            raise BadRequest("The body is packed. Send it as it is, without Content-Encoding.", code="encoded_body")
