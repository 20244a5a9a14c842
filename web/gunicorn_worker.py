"""gunicorn's threaded worker: it lets go of connections that become streams, refuses what it can't read as HTTP the way
the app refuses everything else, and waits for nobody who has nothing to say when it stops."""

from __future__ import annotations

import json
import socket
from http import HTTPStatus
from typing import Any

from gunicorn import util
from gunicorn.http import errors
from gunicorn.workers.gthread import ThreadWorker

from schema.clock import new_id
from web.streams import loop
from web.streams.handover import App, HandedOver, offering

#: What goes wrong before a request reaches the app, by the caller's fault: status, code and words. The first that fits.
_REFUSALS: tuple[tuple[type[Exception], HTTPStatus, str, str], ...] = (
    (errors.LimitRequestLine, HTTPStatus.REQUEST_URI_TOO_LONG, "http_error", "The address is too long."),
    (errors.LimitRequestHeaders, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "http_error", "The headers are too long."),
    (errors.ParseException, HTTPStatus.BAD_REQUEST, "bad_request", "This can't be read as HTTP."),
)
#: Faults of ours that gunicorn counts among those of the caller.
_OURS = (errors.ConfigurationProblem, errors.InvalidResponseHeader, errors.InvalidResponseHeaderName)
#: How long the last words of streams may take. Of gunicorn's grace (``web/gunicorn_settings.py``) it is a part.
_FAREWELL_SECONDS = 2.0


class Worker(ThreadWorker):  # type: ignore[misc]
    """Named by ``web/gunicorn_settings.py``."""

    def load_wsgi(self) -> None:
        super().load_wsgi()
        self.wsgi: App = offering(self.wsgi)

    def handle_request(self, req: Any, conn: Any) -> bool:
        """Answer a request. Its connection may belong to a stream afterwards."""
        try:
            return bool(super().handle_request(req, conn))
        except HandedOver as handed:
            conn.handed_over = True
            # A second descriptor of the same connection: gunicorn closes its own.
            loop.streams().take(conn.sock.dup(), handed.head, handed.start)
            return False

    def finish_request(self, conn: Any, fs: Any) -> None:
        """What gunicorn does when a request is answered. It would end both directions of a connection first, of a
        stream's too, so that one is only forgotten."""
        if getattr(conn, "handed_over", False):
            self.nr_conns -= 1
            conn.close()
        else:
            super().finish_request(conn, fs)

    def handle_exit(self, sig: Any, frame: Any) -> None:
        """Begin to stop: streams end at once."""
        super().handle_exit(sig, frame)
        loop.stop()

    def run(self) -> None:
        """Serve until told to stop, or until the master is gone."""
        super().run()
        loop.stop()
        loop.wait(_FAREWELL_SECONDS)

    def murder_pending(self) -> None:
        """Close connections that never said a word when their time is up; all of them once we stop, because browsers
        open some in advance, and gunicorn would wait its whole grace for each."""
        if not self.alive:
            for conn in self.pending_conns:
                conn.timeout = 0.0
        super().murder_pending()

    def handle_error(self, req: Any, client: socket.socket, addr: Any, exc: Exception) -> None:
        """Answer with a problem document; faults of ours are left to gunicorn, which logs them and answers 500."""
        found = next((refusal for refusal in _REFUSALS if isinstance(exc, refusal[0])), None)
        if found is None or isinstance(exc, _OURS):
            super().handle_error(req, client, addr, exc)
            return
        self.log.warning("Invalid request from ip=%s: %s", addr[0] if addr else "", exc)
        try:
            util.write_nonblock(client, refusal(*found[1:]))
        except OSError:
            self.log.debug("The refusal could not be sent.")


def refusal(status: HTTPStatus, code: str, detail: str) -> bytes:
    """A whole HTTP answer that holds a problem document and ends the connection."""
    request_id = str(new_id())
    shown = {
        "type": f"/docs/errors#{code}",
        "title": status.phrase,
        "status": status.value,
        "detail": detail,
        "code": code,
        "requestId": request_id,
    }
    body = json.dumps(shown).encode()
    head = (
        f"HTTP/1.1 {status.value} {status.phrase}",
        "Connection: close",
        "Content-Type: application/problem+json",
        "Cache-Control: no-store",
        "X-Content-Type-Options: nosniff",
        "Content-Security-Policy: default-src 'none'; frame-ancestors 'none'",
        f"X-Request-Id: {request_id}",
        f"Content-Length: {len(body)}",
    )
    return "\r\n".join(head).encode() + b"\r\n\r\n" + body
