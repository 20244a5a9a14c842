"""A real SMTP server on this machine that keeps what it is given."""

from __future__ import annotations

import ssl
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, Session

USER, PASSWORD = "courses", "p@ss word/1"


class _AnyPort(Controller):
    """Listens on whatever port is free, which its parent class does not foresee."""

    def _trigger_server(self) -> None:
        assert self.server is not None
        self.port = self.server.sockets[0].getsockname()[1]  # type: ignore[attr-defined]
        super()._trigger_server()


class MailServer:
    """``refusals`` are answers to the next recipients, in order, ``refusals_of_mails`` to the next mails. With ``tls``
    it offers STARTTLS, with ``signed_in`` it takes mail only after ``USER`` and ``PASSWORD``."""

    def __init__(self, tls: ssl.SSLContext | None = None, *, signed_in: bool = False) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[str] = []
        self.encrypted: list[bool] = []
        self.refusals: list[str] = []
        self.refusals_of_mails: list[str] = []
        options: dict[str, Any] = {"tls_context": tls} if tls else {}
        if signed_in:
            options |= {"authenticator": self._authenticate, "auth_required": True}
        self._controller = _AnyPort(self, hostname="127.0.0.1", port=0, ready_timeout=30, **options)

    @staticmethod
    def _authenticate(_: SMTP, __: Session, ___: Envelope, mechanism: str, data: Any) -> AuthResult:
        right = (data.login, data.password) == (USER.encode(), PASSWORD.encode())
        return AuthResult(success=right, handled=False)  # the refusal is left to the server

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if self.refusals:
            return self.refusals.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.refusals_of_mails:
            return self.refusals_of_mails.pop(0)
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.mails.append(message)
        self.recipients += envelope.rcpt_tos
        self.encrypted.append(session.ssl is not None)
        return "250 OK"

    @property
    def port(self) -> int:
        return int(self._controller.port)

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._controller.stop()
