"""The scripted model's HTTP door: OpenAI's paths, and the paths by which tests script it and look at its calls."""

from __future__ import annotations

import json
import select
import socket
import threading
import time
from dataclasses import asdict
from http.server import BaseHTTPRequestHandler
from typing import Any, Protocol, cast

from tests.fakes.model_answers import PURPOSES, answer
from tests.fakes.model_faults import (
    PAGE,
    STATUS,
    Call,
    Fault,
    error_body,
    message_of,
    pause,
    picture_answer,
    usage_of,
)


class Attending(Protocol):
    """Whoever stands behind the door."""

    closing: threading.Event
    connections: int
    pace: float
    releases: int

    def script(self, faults: list[str | dict[str, Any]]) -> None: ...
    def scripted(self) -> list[Fault]: ...
    def calls(self, purpose: str | None = None) -> list[Call]: ...
    def forget(self, *, faults: bool = False, calls: bool = False) -> None: ...
    def begin(self, call: Call) -> Fault | None: ...
    def thinking(self, call: Call) -> float: ...
    def end(self, call: Call) -> None: ...


class Door(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    connection: socket.socket

    @property
    def _ours(self) -> Attending:
        return cast(Attending, self.server.model_server)  # type: ignore[attr-defined]

    def setup(self) -> None:
        super().setup()
        self._ours.connections += 1

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: tests read ``calls``."""

    def do_GET(self) -> None:
        if self.path == "/calls":
            self._json(200, [asdict(call) for call in self._ours.calls()])
        elif self.path == "/script":
            self._json(200, [asdict(fault) for fault in self._ours.scripted()])
        elif self.path == "/v1/models":
            self._json(200, {"object": "list", "data": [{"id": "scripted", "object": "model", "created": 0}]})
        else:
            self._json(404, error_body(404, "invalid_request_error", "unknown_url"))

    def do_DELETE(self) -> None:
        self._ours.forget(faults=self.path == "/script", calls=self.path == "/calls")
        self._json(200, {})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("Content-Length", 0))) or b"null")
        if self.path == "/script":
            self._take_script(body)
        elif self.path in ("/v1/chat/completions", "/v1/images/generations"):
            self._take_call(body)
        else:
            self._json(404, error_body(404, "invalid_request_error", "unknown_url"))

    def _take_script(self, body: Any) -> None:
        try:
            self._ours.script(body if isinstance(body, list) else [body])
        except (TypeError, ValueError) as error:
            self._json(422, {"error": {"message": str(error)}})
        else:
            self._json(200, {"scripted": len(self._ours.scripted())})

    def _take_call(self, body: dict[str, Any]) -> None:
        shape = (body.get("response_format") or {}).get("json_schema") if self.path.endswith("completions") else None
        name = (shape or {}).get("name", "")
        messages = body.get("messages", [])
        call = Call(
            number=0,
            at=time.time(),
            path=self.path,
            purpose="picture" if self.path.endswith("generations") else PURPOSES.get(name, name or "words"),
            schemaName=name,
            model=body.get("model", ""),
            apiKey=self.headers.get("Authorization", "").removeprefix("Bearer "),
            question=body.get("prompt") or (messages[-1]["content"] if messages else ""),
            streamed=bool(body.get("stream")),
            inFlight=0,
            body={key: value for key, value in body.items() if key not in ("messages", "prompt")},
        )
        fault = self._ours.begin(call) or Fault("", seconds=self._ours.thinking(call))
        try:
            self._answer(call, fault, shape)
        except (BrokenPipeError, ConnectionResetError):
            self._hung_up(call)
        finally:
            self._ours.end(call)

    def _answer(self, call: Call, fault: Fault, shape: dict[str, Any] | None) -> None:
        if fault.fault in STATUS:
            status, kind, code = STATUS[fault.fault]
            call.status = status
            after = {} if fault.retryAfter is None else {"Retry-After": str(fault.retryAfter)}
            self._json(status, error_body(status, kind, code), after)
        elif fault.fault == "refuses_streams" and call.streamed:
            call.status = 400
            self._json(400, {"error": {"message": "Unknown parameter.", "param": "stream_options", "code": None}})
        elif fault.fault == "html":
            call.status = 200
            self._send(200, PAGE.encode(), "text/html")
        elif fault.fault == "hang":
            self._client_goes_within(call, 30.0 if fault.seconds is None else fault.seconds)
            self.close_connection = True
        elif not self._client_goes_within(call, pause(fault)):
            call.status = 200
            self._ours.end(call)  # before the answer is out, or the next call could seem to overlap
            if call.purpose == "picture":
                self._sealed(picture_answer(call, fault), fault)
            else:
                self._words(call, fault, shape)

    def _words(self, call: Call, fault: Fault, shape: dict[str, Any] | None) -> None:
        value = answer(shape["name"], shape["schema"], call.question) if shape else "Some words."
        message, reason = message_of(value, fault)
        whole = {
            "id": f"chatcmpl-{call.number}",
            "object": "chat.completion",
            "created": int(call.at),
            "model": call.model,
            "choices": [{"index": 0, "message": message, "finish_reason": reason}],
            "usage": usage_of(call.question, message["content"] or ""),
        }
        if call.streamed and fault.fault != "unstreamed":
            self._stream(call, whole, message, reason, fault)
        else:
            self._sealed(whole, fault)

    def _sealed(self, whole: dict[str, Any], fault: Fault) -> None:
        """The answer as one body, or half of it."""
        written = json.dumps(whole).encode()
        if fault.fault == "broken_body":
            written = written[: len(written) // 2]
        if fault.fault == "cut":
            self._head(200, "application/json", {"Content-Length": str(len(written))})
            self.wfile.write(written[: len(written) // 2])
            self.close_connection = True
        else:
            self._send(200, written, "application/json")

    def _stream(self, call: Call, whole: dict[str, Any], message: dict[str, Any], reason: str, fault: Fault) -> None:
        """The answer as server-sent events of 40 characters each; the tokens in one of their own when asked for."""
        self._head(200, "text/event-stream", {"Transfer-Encoding": "chunked"})
        content = message["content"] or ""
        pieces = [content[at : at + 40] for at in range(0, len(content), 40)]
        broken = fault.fault in ("cut", "broken_body", "stalls", "stream_error", "ends_early")
        if broken:
            pieces = pieces[: len(pieces) // 2]
        base = {key: whole[key] for key in ("id", "created", "model")} | {"object": "chat.completion.chunk"}
        said = [{"role": "assistant", "content": piece} for piece in pieces]
        said += [{"refusal": message["refusal"]}] if message["refusal"] else []
        for delta in said:
            self._event(json.dumps(base | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]}))
            if self._ours.pace and self._client_goes_within(call, self._ours.pace):
                return
        if broken:
            self._break_off(call, fault)
            return
        last: list[dict[str, Any]] = [base | {"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}]
        if fault.fault != "no_usage" and (call.body.get("stream_options") or {}).get("include_usage"):
            last.append(base | {"choices": [], "usage": whole["usage"]})
        for chunk in last:
            self._event(json.dumps(chunk))
        self._event("[DONE]")
        self._chunk(b"")

    def _break_off(self, call: Call, fault: Fault) -> None:
        if fault.fault == "stalls":
            self._client_goes_within(call, 30.0 if fault.seconds is None else fault.seconds)
        elif fault.fault == "stream_error":
            self._event(json.dumps({"error": {"message": "sk-quoted-by-vendor", "type": "server_error", "code": None}}))
        elif fault.fault == "broken_body":
            self._event('{"choices": [{"index": 0, "delta"')
        elif fault.fault == "ends_early":
            self._chunk(b"")
        self.close_connection = True

    def _event(self, words: str) -> None:
        self._chunk(f"data: {words}\n\n".encode())

    def _chunk(self, raw: bytes) -> None:
        self.wfile.write(b"%x\r\n%b\r\n" % (len(raw), raw))
        self.wfile.flush()

    def _client_goes_within(self, call: Call, seconds: float) -> bool:
        """Wait; says whether the client hung up (or the server closes) before the time was over, or was cut short."""
        until, releases = time.monotonic() + seconds, self._ours.releases
        while (left := until - time.monotonic()) > 0 and not self._ours.closing.is_set():
            if self._ours.releases != releases:
                break
            readable, _, _ = select.select([self.connection], [], [], min(left, 0.05))
            if readable and self.connection.recv(1, socket.MSG_PEEK) == b"":
                self._hung_up(call)
                return True
        return self._ours.closing.is_set()

    def _hung_up(self, call: Call) -> None:
        call.hungUp, call.hungUpAt = True, time.time()
        self.close_connection = True

    def _json(self, status: int, value: Any, more: dict[str, str] | None = None) -> None:
        self._send(status, json.dumps(value).encode(), "application/json", more)

    def _send(self, status: int, body: bytes, kind: str, more: dict[str, str] | None = None) -> None:
        self._head(status, kind, {"Content-Length": str(len(body)), **(more or {})})
        self.wfile.write(body)

    def _head(self, status: int, kind: str, headers: dict[str, str]) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
