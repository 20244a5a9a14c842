"""What Sentry and an OpenTelemetry collector are to a process: a place that takes whatever is posted to it."""

from __future__ import annotations

import gzip
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest


class Sink:
    """Takes events and spans on 127.0.0.1 and keeps them. ``raw`` is all of it as text, to see what is not in it."""

    def __enter__(self) -> Sink:
        self.events: list[dict[str, Any]] = []
        self.spans: list[dict[str, Any]] = []
        self.raw: list[str] = []
        sink = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                sink.take(self.path, body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(5)

    @property
    def dsn(self) -> str:
        return f"http://key@127.0.0.1:{self._server.server_port}/1"

    @property
    def collector(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}"

    def take(self, path: str, body: bytes) -> None:
        self.raw.append(body.decode("utf-8", "replace"))
        if path == "/v1/traces":
            self._take_spans(ExportTraceServiceRequest.FromString(body))
        elif path == "/api/1/envelope/":
            for line in body.splitlines():
                item = json.loads(line)
                if "exception" in item:
                    self.events.append(item)

    def _take_spans(self, sent: Any) -> None:
        for of_resource in sent.resource_spans:
            about = {pair.key: pair.value.string_value for pair in of_resource.resource.attributes}
            for of_scope in of_resource.scope_spans:
                for span in of_scope.spans:
                    more = {pair.key: pair.value.string_value for pair in span.attributes}
                    self.spans.append(
                        {"name": span.name, "service": about["service.name"], "trace": span.trace_id, "more": more}
                        | {"root": not span.parent_span_id}
                    )
