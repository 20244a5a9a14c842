"""What guards the web: how much one asker may have, and which other sites and proxies it trusts."""

from __future__ import annotations

import re
from dataclasses import dataclass

#: A host as it stands in an origin: a name, or an IPv6 address in brackets.
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])"
_ORIGIN = re.compile(rf"https?://{_HOST}(?::\d{{1,5}})?")
_ANCESTOR = re.compile(rf"https?:|https?://(?:\*\.)?{_HOST}(?::(?:\d{{1,5}}|\*))?")
#: Origins leave out the port their scheme has anyway.
_USUAL_PORT = re.compile(r"\A(?:(http://.*):80|(https://.*):443)\Z")
_SELF = "'self'"


@dataclass(frozen=True)
class GuardSettings:
    """``rate_per_minute`` requests and ``streams_per_identity`` open streams are what one asker may have.
    ``trusted_proxies`` is how many proxies stand before the web. ``cors_origins`` may read answers in a browser, ``*``
    alone being everybody. ``frame_ancestors`` are the sites that may show our pages in a frame, as a content security
    policy names them."""

    rate_per_minute: int = 600
    streams_per_identity: int = 100
    trusted_proxies: int = 0
    cors_origins: frozenset[str] = frozenset()
    frame_ancestors: tuple[str, ...] = (_SELF,)


def read_origins(text: str) -> frozenset[str]:
    """Origins with commas or spaces between, or ``*``, as browsers write them. Raises ``ValueError``."""
    entries = _entries(text)
    if entries == ["*"]:
        return frozenset(entries)
    origins = [entry.lower().removesuffix("/") for entry in entries]
    if not all(_ORIGIN.fullmatch(origin) for origin in origins):
        raise ValueError("not an origin")
    return frozenset(_USUAL_PORT.sub(lambda found: found[1] or found[2], origin) for origin in origins)


def read_frame_ancestors(text: str) -> tuple[str, ...]:
    """What stands behind ``frame-ancestors``: ``self``, ``none``, ``*``, schemes and sites. Raises ``ValueError``."""
    words = {"self": _SELF, _SELF: _SELF, "none": "'none'", "'none'": "'none'", "*": "*"}
    found = tuple(words.get(entry.lower(), entry) for entry in _entries(text))
    if not found or ("'none'" in found and len(found) > 1):
        raise ValueError("none stands alone")
    if not all(entry in words.values() or _ANCESTOR.fullmatch(entry) for entry in found):
        raise ValueError("not a site")
    return found


def _entries(text: str) -> list[str]:
    return [entry for entry in re.split(r"[\s,]+", text) if entry]
