"""Who signs users' tokens: real keys, and a server on this machine that publishes the public halves."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER, AUDIENCE = "https://login.example.org/", "coursewright"


class SigningKey:
    """A key pair under an id. ``algorithm`` is RS256, ES256 or EdDSA."""

    def __init__(self, key_id: str, algorithm: str, private: Any = None) -> None:
        self.key_id, self.algorithm = key_id, algorithm
        self.private = private or _MAKERS[algorithm]()

    @property
    def public(self) -> dict[str, Any]:
        """What is published of it."""
        written = _WRITERS[self.algorithm].to_jwk(self.private.public_key(), as_dict=True)
        return {**written, "kid": self.key_id, "use": "sig", "alg": self.algorithm}

    def sign(self, claims: Mapping[str, Any], headers: Mapping[str, Any] | None = None) -> str:
        return jwt.encode(dict(claims), self.private, self.algorithm, {"kid": self.key_id, **(headers or {})})


_MAKERS: dict[str, Callable[[], Any]] = {
    "RS256": lambda: rsa.generate_private_key(public_exponent=65537, key_size=2048),
    "ES256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "EdDSA": ed25519.Ed25519PrivateKey.generate,
}
_WRITERS: dict[str, Any] = {"RS256": RSAAlgorithm, "ES256": ECAlgorithm, "EdDSA": OKPAlgorithm}


def claims(user: str = "ada", **more: Any) -> dict[str, Any]:
    """What a good token says. None takes a claim out."""
    now = int(time.time())
    usual = {"sub": user, "iss": ISSUER, "aud": AUDIENCE, "iat": now, "nbf": now, "exp": now + 300}
    return {name: value for name, value in {**usual, **more}.items() if value is not None}


class Provider:
    """Publishes ``keys``, or answers with ``body``, ``status``, ``headers`` and after ``pause`` seconds, as told.
    ``asked`` counts."""

    def __init__(self, *keys: SigningKey) -> None:
        self.keys = list(keys)
        self.body: bytes | None = None
        self.status, self.pause, self.asked = 200, 0.0, 0
        self.headers: dict[str, str] = {}
        provider = self

        class _Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                provider._answer(self)

            def log_message(self, *_: Any) -> None:
                """Nobody reads it."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/jwks.json"

    def _answer(self, to: BaseHTTPRequestHandler) -> None:
        self.asked += 1
        time.sleep(self.pause)
        body = self.body
        if body is None:
            body = json.dumps({"keys": [key.public for key in self.keys]}).encode()
        to.send_response(self.status)
        usual = {"Content-Type": "application/json", "Content-Length": str(len(body))}
        for name, value in {**usual, **self.headers}.items():
            to.send_header(name, value)
        to.end_headers()
        with suppress(OSError):  # nobody waits any more
            to.wfile.write(body)

    def __enter__(self) -> Provider:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Answer nobody from now on."""
        self._server.shutdown()
        self._server.server_close()
