"""Users' tokens (JWT, RFC 7519), verified as RFC 8725 advises: one way to verify, chosen by us and not by the token."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, cast

import jwt

from schema.access import ROLES, Role
from schema.errors import Unauthenticated
from schema.identity_settings import UserTokenSettings
from schema.member import is_user_id
from web.identity.key_set import KeySet

#: The longest token that is looked at, in characters.
LONGEST = 8192
#: How far the clocks of who signs and who verifies may be apart.
LEEWAY_SECONDS = 30
#: Would have us take the key from the token itself, or from where the token says.
_KEYS_OF_ITS_OWN = ("jwk", "jku", "x5u", "x5c")
#: What a token may call itself: other kinds, such as a logout token, are signed with the same keys.
_TYPES = {"jwt", "at+jwt", "application/jwt", "application/at+jwt"}
_MOMENTS = ("exp", "nbf", "iat")
#: An id, or a short name.
_ORGANIZATION = re.compile(r"[A-Za-z0-9-]{1,100}")

_WORDS: dict[type[jwt.PyJWTError], str] = {
    jwt.ExpiredSignatureError: "It has expired.",
    jwt.ImmatureSignatureError: "It is not valid yet.",
    jwt.InvalidAudienceError: "It is for another audience.",
    jwt.InvalidIssuerError: "It is by another issuer.",
    jwt.exceptions.InvalidSubjectError: "Its sub must be a text.",
    jwt.InvalidSignatureError: "Its signature is wrong.",
}


@dataclass(frozen=True)
class Claims:
    """What a token says that was verified. ``organization`` is an id or a slug; ``role`` counts only with it."""

    user: str
    organization: str | None
    role: Role | None
    expires_at: datetime


def refused(why: str, **details: bool) -> Unauthenticated:
    """A token that opens nothing."""
    return Unauthenticated(f"This user token is not valid here. {why}", code="invalid_token", details=details)


class UserTokens:
    """Verifies users' tokens. ``keys`` are those of ``jwks_url``; without, secrets verify."""

    def __init__(self, settings: UserTokenSettings, keys: KeySet | None = None) -> None:
        self._settings, self._keys = settings, keys

    def read(self, token: str) -> Claims:
        """What a token says. Raises ``Unauthenticated`` (``invalid_token``), and ``Unavailable`` when its key can't be
        had just now."""
        if len(token) > LONGEST or not token.isascii():
            raise refused(f"A token is at most {LONGEST} plain characters.")
        header = _header(token)
        _check_header(header)
        return _claims(self._verified(token, header))

    def _verified(self, token: str, header: Mapping[str, Any]) -> dict[str, Any]:
        algorithm, keys = self._ways(header)
        if header.get("alg") != algorithm:
            raise refused(f"It must be signed with {algorithm}.")
        for number, key in enumerate(keys, 1):
            try:
                return self._decoded(token, key, algorithm)
            except jwt.InvalidSignatureError as error:
                if number == len(keys):
                    raise refused(_WORDS[type(error)]) from None
            except jwt.ExpiredSignatureError as error:
                # It was right once: whoever sends it doesn't try to guess one.
                raise refused(_WORDS[type(error)], expired=True) from None
            except jwt.MissingRequiredClaimError as error:
                raise refused(f"It has no {error.claim}.") from None
            except jwt.PyJWTError as error:
                raise refused(_WORDS.get(type(error), "It is malformed.")) from None
            except (ValueError, TypeError, OverflowError, RecursionError):
                raise refused("It is malformed.") from None
        raise refused("No key verifies it.")

    def _ways(self, header: Mapping[str, Any]) -> tuple[str, list[Any]]:
        """The algorithm that counts, and the keys to try."""
        if self._keys is None:
            return "HS256", list(self._settings.secrets)
        key_id = header.get("kid")
        found = self._keys.find(key_id) if isinstance(key_id, str) and key_id else None
        if found is None:
            raise refused("Its kid names no key of its issuer.")
        return found.algorithm, [found.key]

    def _decoded(self, token: str, key: Any, algorithm: str) -> dict[str, Any]:
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=self._settings.audience,
            issuer=self._settings.issuer,
            leeway=LEEWAY_SECONDS,
            options={"require": ["exp", "sub"]},
        )


def _header(token: str) -> Mapping[str, Any]:
    try:
        return jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError, TypeError, RecursionError):
        raise refused("It is malformed.") from None


def _check_header(header: Mapping[str, Any]) -> None:
    """Refuse what would have us verify in another way than ours."""
    if "crit" in header or "b64" in header:
        raise refused("It asks for extensions nobody here knows.")
    if any(name in header for name in _KEYS_OF_ITS_OWN):
        raise refused("It brings a key of its own.")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower() not in _TYPES:
        raise refused("It is a token of another kind.")


def _claims(given: Mapping[str, Any]) -> Claims:
    moments = [given[name] for name in _MOMENTS if name in given]
    if any(isinstance(moment, bool) or not isinstance(moment, int | float) for moment in moments):
        raise refused("Its times must be numbers.")
    if "iat" in given and given["iat"] >= given["exp"]:
        raise refused("It was made after it ended.")
    user, organization, role = given["sub"], given.get("org"), given.get("role")
    if not is_user_id(user):
        raise refused("Its sub must be 1 to 255 printable characters, without a / before them or .. between.")
    if organization is not None and not (isinstance(organization, str) and _ORGANIZATION.fullmatch(organization)):
        raise refused("Its org must be an organization's id or short name.")
    if role is not None and role not in ROLES:
        raise refused(f"Its role must be one of {', '.join(ROLES)}.")
    try:
        expires_at = datetime.fromtimestamp(given["exp"], UTC)
    except (OverflowError, ValueError, OSError, TypeError):
        raise refused("Its exp is no time.") from None
    return Claims(user, organization, cast("Role | None", role), expires_at)
