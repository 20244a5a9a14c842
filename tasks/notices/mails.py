"""Sending mails about ended jobs, one at a time, to the mail server of ``SMTP_URL``."""

from __future__ import annotations

import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import structlog

from schema import backoff
from schema.mail import MailSettings
from storage import wall
from storage.notices import mails
from storage.notices.mails import Taken
from tasks.deps import Deps
from tasks.notices.letter import letter

log = structlog.get_logger(__name__)

#: How long the mail server may take for each thing it is told.
STEP_SECONDS = 10.0


class Unprotected(OSError):
    """A password would have to be sent in the clear."""


def send_next(deps: Deps, found: threading.Event | None = None) -> bool:
    """Send the mail that has been due for longest. False when none is due. ``found`` is set as soon as one was taken.
    Raises ``Unavailable``."""
    taken = mails.take(deps.db)
    if taken is None:
        return False
    if found is not None:
        found.set()
    with wall.within(taken.organization_id):
        _send(deps, taken)
    return True


def _send(deps: Deps, taken: Taken) -> None:
    settings = deps.settings.notices
    if settings.mail is None:
        _give_up(deps, taken, "No mail server is set (SMTP_URL and MAIL_FROM).")
        return
    try:
        with connected(settings.mail) as server:
            server.send_message(letter(taken, settings.mail.sender, settings.public_url))
    except (OSError, smtplib.SMTPException, UnicodeError) as error:
        _not_sent(deps, taken, words_for(error), final=_is_final(error))
    except Exception:
        # An outer door: a mail that can't be written, to an address nobody foresaw, would be due again for ever.
        log.exception("mail_crashed", mail=str(taken.mail_id))
        _not_sent(deps, taken, "Something went wrong on our side.", final=False)
    else:
        mails.sent(deps.db, taken)


def _not_sent(deps: Deps, taken: Taken, words: str, *, final: bool) -> None:
    pause = None if final else backoff.pause_after(taken.attempts, deps.luck())
    if pause is None:
        _give_up(deps, taken, words)
    else:
        mails.put_off(deps.db, taken, words, pause)


def _give_up(deps: Deps, taken: Taken, words: str) -> None:
    mails.give_up(deps.db, taken, words)
    log.warning("mail_given_up", mail=str(taken.mail_id), job=taken.job["jobId"], error=words, attempts=taken.attempts)


@contextmanager
def connected(settings: MailSettings) -> Iterator[smtplib.SMTP]:
    """A session with the mail server, signed in when there is a password. Raises ``OSError`` and ``SMTPException``.

    With a password the connection is encrypted, and the server's certificate must be valid. Without one it is encrypted
    where the server offers that, whatever its certificate: whoever can change the traffic could take the offer away."""
    us = socket.gethostname()
    if settings.tls:
        server: smtplib.SMTP = smtplib.SMTP_SSL(
            settings.host, settings.port, local_hostname=us, timeout=STEP_SECONDS, context=ssl.create_default_context()
        )
    else:
        server = smtplib.SMTP(settings.host, settings.port, local_hostname=us, timeout=STEP_SECONDS)
    try:
        if not settings.tls:
            _encrypt(server, settings)
        if settings.user is not None and settings.password is not None:
            server.login(settings.user, settings.password)
        yield server
    finally:
        with suppress(OSError, smtplib.SMTPException):
            server.quit()


def _encrypt(server: smtplib.SMTP, settings: MailSettings) -> None:
    server.ehlo_or_helo_if_needed()
    if server.has_extn("starttls"):
        context = ssl.create_default_context()
        if settings.user is None:
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        server.starttls(context=context)
    elif settings.user is not None:
        raise Unprotected("The mail server offers no encryption, and the password is not sent without.")


def _is_final(error: Exception) -> bool:
    """Whether the mail server will never take this mail: it knows the recipient or has read the mail and refuses, or
    can't write to such an address."""
    match error:
        case smtplib.SMTPRecipientsRefused():
            return all(500 <= code < 600 for code, _ in error.recipients.values())
        case smtplib.SMTPDataError():
            return 500 <= error.smtp_code < 600
        case smtplib.SMTPNotSupportedError() | UnicodeError():
            return True
    return False


def words_for(error: Exception) -> str:
    """What went wrong, without what was sent."""
    match error:
        case Unprotected():
            return str(error)
        case smtplib.SMTPRecipientsRefused():
            return "The mail server refuses the recipient."
        case smtplib.SMTPAuthenticationError():
            return "The mail server refuses the user or the password of SMTP_URL."
        case smtplib.SMTPResponseException():
            return f"The mail server answered {error.smtp_code}."
        case smtplib.SMTPNotSupportedError() | UnicodeError():
            return "The mail server can't write to this address."
        case TimeoutError():
            return "The mail server did not answer in time."
        case ssl.SSLError():
            return "The encrypted connection to the mail server could not be made."
    return f"The mail server can't be reached ({type(error).__name__})."
