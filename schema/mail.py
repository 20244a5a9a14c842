"""How mails leave: the server of ``SMTP_URL`` and the sender of ``MAIL_FROM``."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from email.headerregistry import Address
from urllib.parse import unquote, urlsplit


@dataclass(frozen=True)
class MailSettings:
    """A mail server and who writes. ``tls``: the connection is encrypted from its first byte (``smtps://``)."""

    host: str
    port: int
    tls: bool
    user: str | None
    password: str | None = field(repr=False)
    sender: Address = field(repr=False)


def read_mail_settings(url: str, sender: str) -> MailSettings:
    """Take the two settings apart. Raises ``ValueError`` naming the one that is malformed, without its value: it may
    carry a password."""
    needs = "SMTP_URL is malformed. It needs a URL like smtp://user:password@mail.example.org:587 or smtps://..."
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise ValueError(needs) from None
    bare = not (parts.path.strip("/") or parts.query or parts.fragment)
    if parts.scheme not in ("smtp", "smtps") or not host or port == 0 or not bare:
        raise ValueError(needs)
    if (parts.username is None) != (parts.password is None):
        raise ValueError(needs)
    tls = parts.scheme == "smtps"
    return MailSettings(
        host=host,
        port=port or (465 if tls else 587),
        tls=tls,
        user=unquote(parts.username) if parts.username is not None else None,
        password=unquote(parts.password) if parts.password is not None else None,
        sender=_address(sender),
    )


#: A name and an address in angle brackets, or an address alone.
_SENDER = re.compile(r"""(?:"?(?P<name>[^"<>]*?)"?\s*<(?P<named>[^<>]+)>|(?P<bare>[^<>]+))\Z""")
_ADDRESS = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]+@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)*\Z")


def _address(text: str) -> Address:
    found = _SENDER.match(text)
    address = (found["named"] or found["bare"] or "") if found else ""
    name = (found["name"] or "") if found else ""
    if not _ADDRESS.match(address) or not name.isprintable():
        raise ValueError("MAIL_FROM is malformed. It needs an address like Coursewright <courses@example.org>.")
    return Address(display_name=name, addr_spec=address)
