"""Which of the settings are secrets, by their values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import unquote

if TYPE_CHECKING:
    from schema.settings import Settings


def secrets_of(settings: Settings) -> frozenset[str]:
    """Every secret value there is in the settings, and the passwords in their addresses as they are meant and as they
    are written there."""
    return frozenset(value for value in _values(settings) if value)


def _values(settings: Settings) -> Iterator[str | None]:
    yield settings.secret_key
    yield from settings.identity.older_keys
    yield settings.agent_token
    yield from settings.identity.agent_tokens
    yield from settings.identity.users.secrets if settings.identity.users else ()
    yield settings.s3.access_key
    yield settings.s3.secret_key
    yield settings.model.api_key
    yield (settings.flower_basic_auth or "").partition(":")[2]
    yield settings.notices.mail.password if settings.notices.mail else None
    addresses = (settings.database_url, settings.web_database_url, settings.worker_database_url, settings.redis_url)
    for address in (*addresses, settings.model.base_url, settings.otel_endpoint):
        yield from _passwords(address or "")
    # A DSN's user is its key, and it may have a password as well.
    key = (settings.sentry_dsn or "").partition("://")[2].rpartition("@")[0]
    yield key.partition(":")[0]
    yield key.partition(":")[2]


def _passwords(address: str) -> Iterator[str]:
    """What stands behind the first colon of ``user:password@``, which may contain anything."""
    written = address.partition("://")[2].rpartition("@")[0].partition(":")[2]
    yield written
    yield unquote(written)
