"""The public keys of who signs the users' tokens (RFC 7517), fetched now and then and kept for when nobody answers.

Which algorithm a key is for follows from what the key is, never from what a token says: else a token could have itself
verified with a public key as if that were a secret.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jwt
import structlog
import urllib3
from urllib3.exceptions import HTTPError

from schema.clock import utc_now
from schema.errors import Unavailable

log = structlog.get_logger(__name__)

#: A set of keys is a few kilobytes.
LARGEST_BYTES = 256_000
_CHUNK = 16_384
#: The smallest RSA key that is taken, in bits (NIST SP 800-131A).
_LEAST_RSA_BITS = 2048
_ALGORITHMS = {("RSA", None): "RS256", ("EC", "P-256"): "ES256", ("OKP", "Ed25519"): "EdDSA"}


@dataclass(frozen=True)
class VerifyingKey:
    """A public key and the one algorithm it verifies."""

    algorithm: str
    key: Any


@dataclass(frozen=True)
class Pace:
    """In seconds: how old keys may be before they are looked at again, and before somebody waits for that; how often
    somebody asks at the most, how long keys are good that the provider hasn't confirmed (its tokens are older than that
    by then), and how long one answer is waited for."""

    fresh: float = 600.0
    late: float = 1200.0
    again: float = 10.0
    good: float = 86_400.0
    longest: float = 4.0


_PACE = Pace()


@dataclass(frozen=True)
class _Known:
    keys: Mapping[str, VerifyingKey]
    fetched_at: datetime


class NoKeys(Exception):
    """No keys could be had; the message says why."""


class KeySet:
    """The keys at an address. May be asked from any thread. ``kept_at`` is the file that they are kept in."""

    def __init__(self, url: str, kept_at: Path, pace: Pace = _PACE, now: Callable[[], datetime] = utc_now) -> None:
        self._url, self._kept_at, self._pace, self._now = url, kept_at, pace, now
        self._http = urllib3.PoolManager(retries=False)
        self._lock = threading.Lock()
        self._known: _Known | None = None
        self._looked = False
        self._tried: float | None = None
        self._away = False

    def find(self, key_id: str) -> VerifyingKey | None:
        """The key of this id; none when the provider has no such key. A key that is not known may be a new one, so it
        is asked for. Raises ``Unavailable`` (``identity_provider_away``) when nobody answers who would know."""
        known = self._usable()
        if known is not None and not self._away and self._age(known) > self._pace.late:
            # Nobody came for a while. A key that was withdrawn meanwhile must not open anything once more.
            self._refresh()
            known = self._usable()
        if known is not None and key_id in known.keys:
            if self._age(known) > self._pace.fresh:
                threading.Thread(target=self._refresh, args=(False,), name="keys", daemon=True).start()
            return known.keys[key_id]
        self._refresh()
        known = self._usable()
        found = known.keys.get(key_id) if known is not None else None
        if found is None and (known is None or self._away):
            words = "Who signs the users' tokens can't be asked for their keys just now. Try again in a moment."
            raise Unavailable(words, code="identity_provider_away")
        return found

    def _age(self, known: _Known) -> float:
        return (self._now() - known.fetched_at).total_seconds()

    def _usable(self) -> _Known | None:
        if not self._looked:
            self._known, self._looked = self._known or self._kept(), True
        known = self._known
        return known if known is not None and self._age(known) <= self._pace.good else None

    def _refresh(self, wait: bool = True) -> None:
        """Fetch the keys, unless that was tried just now. Of several who want it one does it, the others wait for
        it."""
        if not self._lock.acquire(blocking=wait):
            return
        try:
            if self._tried is not None and time.monotonic() - self._tried < self._pace.again:
                return
            try:
                self.fetched()
            except NoKeys as error:
                self._away = True
                log.warning("signing_keys_not_fetched", reason=str(error))
            finally:
                self._tried = time.monotonic()
        finally:
            self._lock.release()

    def fetched(self) -> Mapping[str, VerifyingKey]:
        """The keys as the provider has them now. Raises ``NoKeys``."""
        try:
            text = self._fetch()
        except (HTTPError, OSError) as error:
            raise NoKeys(f"Nobody answers ({type(error).__name__}).") from error
        self._known = _Known(read_keys(text), self._now())
        self._away = False
        self._keep(text)
        return self._known.keys

    def _fetch(self) -> bytes:
        until = time.monotonic() + self._pace.longest
        timeout = urllib3.Timeout(connect=self._pace.longest / 2, read=self._pace.longest / 2)
        headers = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "coursewright"}
        answer = self._http.request(
            "GET", self._url, headers=headers, preload_content=False, redirect=False, timeout=timeout
        )
        try:
            if answer.status != 200:
                raise NoKeys(f"The answer was {answer.status}.")
            body = bytearray()
            while chunk := answer.read1(_CHUNK, decode_content=False):
                body += chunk
                if len(body) > LARGEST_BYTES:
                    raise NoKeys(f"It is larger than {LARGEST_BYTES} bytes.")
                if time.monotonic() > until:
                    raise NoKeys(f"It took longer than {self._pace.longest} seconds.")
            return bytes(body)
        finally:
            answer.close()

    # --- the file ---------------------------------------------------------------------------------------------------

    def _keep(self, text: bytes) -> None:
        """So that a process that starts while the provider is away knows them. One that can't keep them goes on."""
        kept = {"url": self._url, "fetchedAt": self._now().isoformat(), "keys": text.decode("utf-8", "replace")}
        beside = self._kept_at.with_name(f"{self._kept_at.name}.{os.getpid()}")
        try:
            self._kept_at.parent.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
                json.dump(kept, file)
            beside.replace(self._kept_at)
        except OSError as error:
            log.warning("signing_keys_not_kept", error=type(error).__name__)

    def _kept(self) -> _Known | None:
        try:
            kept = json.loads(self._kept_at.read_text("utf-8"))
            if kept["url"] != self._url:
                return None
            return _Known(read_keys(kept["keys"].encode()), datetime.fromisoformat(kept["fetchedAt"]))
        except (OSError, ValueError, KeyError, TypeError, AttributeError, NoKeys):
            return None


def read_keys(text: bytes) -> dict[str, VerifyingKey]:
    """The keys of a set that may verify a token, by their ids; others are left out. Raises ``NoKeys`` when there is
    none."""
    try:
        given = json.loads(text)["keys"]
    except (ValueError, RecursionError, KeyError, TypeError):
        raise NoKeys("It is no JSON Web Key Set.") from None
    found: dict[str, VerifyingKey] = {}
    for one in given if isinstance(given, list) else []:
        key = _verifying(one)
        if key is not None:
            found.setdefault(one["kid"], key)
    if not found:
        raise NoKeys("It has no key that verifies RS256, ES256 or EdDSA.")
    return found


def _verifying(given: Any) -> VerifyingKey | None:
    if not isinstance(given, dict) or not isinstance(given.get("kid"), str) or given.get("use", "sig") != "sig":
        return None
    operations = given.get("key_ops", ["verify"])
    algorithm = _algorithm_of(given)
    verifies = isinstance(operations, list) and "verify" in operations
    if algorithm is None or given.get("alg", algorithm) != algorithm or not verifies:
        return None
    try:
        # Without its private part, should the provider have published that.
        key = jwt.PyJWK({name: value for name, value in given.items() if name != "d"}, algorithm).key
    except (jwt.PyJWTError, ValueError, TypeError):
        return None
    if algorithm == "RS256" and key.key_size < _LEAST_RSA_BITS:
        return None
    return VerifyingKey(algorithm, key)


def _algorithm_of(given: Mapping[str, Any]) -> str | None:
    kind, curve = given.get("kty"), given.get("crv")
    return _ALGORITHMS.get((kind, curve)) if isinstance(kind, str) and isinstance(curve, str | None) else None
