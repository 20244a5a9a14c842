"""Taking secrets out of texts that leave the process: lines of the log above all.

Two nets. What a secret of this process is, is known by its value, however it got into a text. What a secret of others
looks like (a bearer token, a signed address, a password in a URL) is known by its shape.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from urllib.parse import quote

HIDDEN = "[secret]"
#: A shorter value is found in texts that have nothing to do with it.
SHORTEST = 6

#: Each with what is kept of it.
_SHAPES: tuple[tuple[str, str], ...] = (
    (r"\b(Bearer|Basic) +[A-Za-z0-9._~+/=-]{6,}", rf"\1 {HIDDEN}"),
    # A JSON Web Token, and what itsdangerous signs.
    (r"\beyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]{4,}\.[A-Za-z0-9_-]*", HIDDEN),
    # Keys of model services, and an organization's agent token, whose prefix names it.
    (r"\bsk-[A-Za-z0-9_-]{20,}", HIDDEN),
    (r"\b(cw_[a-z0-9]{8}_)[A-Za-z0-9_-]{20,}", rf"\1{HIDDEN}"),
    (r"\bwhsec_[A-Za-z0-9+/=_-]{8,}", HIDDEN),
    (r"(?<=/login/)[A-Za-z0-9._~-]{8,}", HIDDEN),
    (
        r"([?&](?:token|access_token|code|key|api_key|signature|sig|X-Amz-(?:Signature|Credential|Security-Token))=)"
        r"[^&\s\"'<>]+",
        rf"\1{HIDDEN}",
    ),
    # user:password@ of an address. A password may hold all but a quote or a space, and ends at the last @. Each part
    # has an end, or a long line of the right signs would take seconds.
    (r"(\b[A-Za-z][A-Za-z0-9+.-]{0,30}://[^\s\"'/:@]{0,200}:)[^\s\"']{1,1000}(?=@)", rf"\1{HIDDEN}"),
    (r"(?i)(\b(?:password|passwd|pwd|secret_key|access_key|api_key)=)[^\s&\"',;]+", rf"\1{HIDDEN}"),
    (r"(?i)(\b(?:x-agent-token|cookie|set-cookie|authorization)[\"']?: *[\"']?)[^\"'\r\n]{6,}", rf"\1{HIDDEN}"),
)
_PATTERNS = tuple((re.compile(shape), kept) for shape, kept in _SHAPES)

#: Names under which nothing but a secret is written.
SECRET_NAMES = frozenset(
    {
        *("authorization", "cookie", "password", "secret", "secret_key", "token", "agent_token", "api_key", "jwt"),
        *("access_key", "session", "x-agent-token", "set-cookie", "dsn", "credentials"),
    }
)


class Known:
    """Values that must never be written, in every spelling a text may have them in."""

    def __init__(self) -> None:
        self._values: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None

    def add(self, values: Iterable[str | None]) -> None:
        """Keep these secret from now on."""
        fresh = {spelt for value in values if value and len(value) >= SHORTEST for spelt in _spellings(value)}
        if fresh <= self._values:
            return
        self._values |= fresh
        longest_first = sorted(self._values, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first)))

    def out_of(self, text: str) -> str:
        return self._pattern.sub(HIDDEN, text) if self._pattern else text


def _spellings(value: str) -> set[str]:
    """As it is, within JSON, and within an address."""
    within = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    return {value, quote(value, safe=""), quote(value)} | within


#: The secrets of this process. Whoever reads the settings adds them.
KNOWN = Known()


def redacted(text: str) -> str:
    """The text without secrets."""
    text = KNOWN.out_of(text)
    for pattern, kept in _PATTERNS:
        text = pattern.sub(kept, text)
    return text
