"""How those who ask are known: the environment's agent token, user tokens, and keys that were replaced.

Whatever signs or opens may be two values for a while: the new one, and those before it, which are accepted and no
longer made. So each can be replaced while everything runs."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit

from schema.environment import Reader

#: RFC 7518, 3.2: a key of HS256 has at least as many bits as its hash.
LEAST_SECRET_BYTES = 32


@dataclass(frozen=True)
class UserTokenSettings:
    """How a user's token is verified: by one of ``secrets``, the newest first, or by the keys at ``jwks_url``. Without
    an ``audience`` a token that names one is refused."""

    secrets: tuple[str, ...] = field(default=(), repr=False)
    jwks_url: str | None = None
    audience: str | None = None
    issuer: str | None = None


@dataclass(frozen=True)
class IdentitySettings:
    """``agent_tokens`` are those of the environment, the newest first; ``older_keys`` verify what an earlier
    ``SECRET_KEY`` signed. ``users`` is none where user tokens are refused. A browser stays signed in for
    ``session_longest`` at the most, and for ``session_idle`` without being used."""

    agent_tokens: tuple[str, ...] = field(default=(), repr=False)
    older_keys: tuple[str, ...] = field(default=(), repr=False)
    users: UserTokenSettings | None = None
    session_longest: timedelta = timedelta(hours=168)
    session_idle: timedelta = timedelta(minutes=720)


def read_identity(read: Reader) -> IdentitySettings:
    """Read what is about identity. Faults are told to ``read``."""
    token, older = read.optional("AGENT_TOKEN"), _several(read, "AGENT_TOKEN_OLD")
    if older and token is None:
        read.faults.append("AGENT_TOKEN_OLD is set, but AGENT_TOKEN is not. Set the new one too, or neither.")
    return IdentitySettings(
        agent_tokens=(token, *older) if token else (),
        older_keys=_several(read, "SECRET_KEY_OLD"),
        users=_read_users(read),
        session_longest=timedelta(hours=read.whole("SESSION_HOURS", 168, 1, 720)),
        # Use is noted once a minute: what is shorter than a few of them would end under somebody's hands.
        session_idle=timedelta(minutes=read.whole("SESSION_IDLE_MINUTES", 720, 5, 43_200)),
    )


def _several(read: Reader, name: str) -> tuple[str, ...]:
    """Values with commas between."""
    return tuple(part for part in map(str.strip, (read.optional(name) or "").split(",")) if part)


def _read_users(read: Reader) -> UserTokenSettings | None:
    secret, older = read.optional("JWT_SECRET"), _several(read, "JWT_SECRET_OLD")
    url = read.shaped("JWT_JWKS_URL", r"https?://[^/?#\s]+[^\s]*\Z", "a URL like https://login.example.org/jwks.json")
    audience, issuer = read.optional("JWT_AUDIENCE"), read.optional("JWT_ISSUER")
    if secret is None and url is None:
        lonely = {"JWT_AUDIENCE": audience, "JWT_ISSUER": issuer, "JWT_SECRET_OLD": older}
        for name in [name for name, value in lonely.items() if value]:
            read.faults.append(f"{name} is set, but neither JWT_SECRET nor JWT_JWKS_URL is. Set one of them, or none.")
        return None
    if secret is not None and url is not None:
        read.faults.append("JWT_SECRET and JWT_JWKS_URL are both set. User tokens are verified in one way: set one.")
    _check_secrets(read, {"JWT_SECRET": (secret,) if secret else (), "JWT_SECRET_OLD": older})
    if url is not None:
        _check_url(read, url, audience, issuer)
    return UserTokenSettings((secret, *older) if secret else (), url, audience, issuer)


def _check_secrets(read: Reader, given: dict[str, tuple[str, ...]]) -> None:
    for name, secrets in given.items():
        if any(len(secret.encode()) < LEAST_SECRET_BYTES for secret in secrets):
            read.faults.append(f"{name} is too short. It needs {LEAST_SECRET_BYTES} bytes or more of random text.")
        if any("-----BEGIN" in secret for secret in secrets):
            read.faults.append(f"{name} is a key pair's. It needs random text; public keys come by JWT_JWKS_URL.")


def _check_url(read: Reader, url: str, audience: str | None, issuer: str | None) -> None:
    """A provider signs for many. Without an audience a token for any other service would open this one."""
    for name, value in (("JWT_AUDIENCE", audience), ("JWT_ISSUER", issuer)):
        if value is None:
            read.faults.append(f"{name} is not set, but JWT_JWKS_URL is. It needs what the provider's tokens carry.")
    if url.startswith("http://") and not _is_this_machine(urlsplit(url).hostname or ""):
        read.faults.append(
            "JWT_JWKS_URL is http. It needs https: who can change the keys on their way lets anybody in."
        )


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
