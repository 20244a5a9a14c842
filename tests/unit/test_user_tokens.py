"""Users' tokens: what is let in, and every known way to have a token that isn't good taken for one."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import time
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import CoursewrightError, Unauthenticated
from schema.identity_settings import UserTokenSettings
from tests.fakes.identity_provider import AUDIENCE, ISSUER, SigningKey, claims
from web.identity.key_set import VerifyingKey, read_keys
from web.identity.user_tokens import LONGEST, UserTokens

SECRET, OLDER = "s" * 32, "o" * 40
BY_SECRET = UserTokens(UserTokenSettings((SECRET, OLDER), None, AUDIENCE, ISSUER))


class Keys:
    """A provider's keys that are known already."""

    def __init__(self, *keys: SigningKey) -> None:
        self._known = read_keys(json.dumps({"keys": [key.public for key in keys]}).encode())

    def find(self, key_id: str) -> VerifyingKey | None:
        return self._known.get(key_id)


@pytest.fixture(scope="module")
def keys() -> dict[str, SigningKey]:
    return {algorithm: SigningKey(f"key-{algorithm}", algorithm) for algorithm in ("RS256", "ES256", "EdDSA")}


@pytest.fixture(scope="module")
def by_keys(keys: dict[str, SigningKey]) -> UserTokens:
    settings = UserTokenSettings((), "https://login.example.org/jwks.json", AUDIENCE, ISSUER)
    return UserTokens(settings, Keys(*keys.values()))  # type: ignore[arg-type]


def signed(given: dict[str, Any], secret: str = SECRET, **headers: Any) -> str:
    return jwt.encode(given, secret, "HS256", headers or None)


def by_hand(header: Any, given: Any, secret: bytes = SECRET.encode()) -> str:
    """A token whose parts are just what they are, with a signature that is right for HS256."""
    parts = [part if isinstance(part, bytes) else json.dumps(part).encode() for part in (header, given)]
    signing = b".".join(base64.urlsafe_b64encode(part).rstrip(b"=") for part in parts)
    mac = base64.urlsafe_b64encode(hmac.new(secret, signing, hashlib.sha256).digest()).rstrip(b"=")
    return (signing + b"." + mac).decode()


def refused(tokens: UserTokens, token: str) -> str:
    """Why a token is refused."""
    with pytest.raises(Unauthenticated) as caught:
        tokens.read(token)
    assert caught.value.code == "invalid_token"
    return caught.value.message


class TestGoodOnes:
    @pytest.mark.parametrize("secret", [SECRET, OLDER])
    def test_by_either_secret_while_one_replaces_the_other(self, secret: str) -> None:
        read = BY_SECRET.read(signed(claims(org="demo-school", role="author"), secret))
        assert (read.user, read.organization, read.role) == ("ada", "demo-school", "author")
        assert 290 < read.expires_at.timestamp() - time.time() <= 300

    @pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
    def test_by_the_key_of_its_id(self, keys: dict[str, SigningKey], by_keys: UserTokens, algorithm: str) -> None:
        read = by_keys.read(keys[algorithm].sign(claims(), {"typ": "at+jwt"}))
        assert (read.user, read.organization, read.role) == ("ada", None, None)

    def test_clocks_may_be_half_a_minute_apart(self) -> None:
        now = int(time.time())
        BY_SECRET.read(signed(claims(exp=now - 25, iat=now - 100)))
        BY_SECRET.read(signed(claims(nbf=now + 25, iat=now + 25)))
        assert "expired" in refused(BY_SECRET, signed(claims(exp=now - 35, iat=now - 100)))
        assert "not valid yet" in refused(BY_SECRET, signed(claims(nbf=now + 35)))
        assert "not valid yet" in refused(BY_SECRET, signed(claims(iat=now + 35)))

    def test_one_of_several_audiences_is_enough(self) -> None:
        assert BY_SECRET.read(signed(claims(aud=["other", AUDIENCE]))).user == "ada"


class TestClaims:
    @pytest.mark.parametrize(
        ("wrong", "why"),
        [
            ({"exp": None}, "has no exp"),
            ({"sub": None}, "has no sub"),
            ({"exp": "tomorrow"}, "malformed"),
            ({"exp": [1]}, "malformed"),
            ({"exp": True}, "expired"),
            ({"exp": 1e300}, "no time"),
            ({"nbf": True}, "must be numbers"),
            ({"iat": "1"}, "must be numbers"),
            ({"iat": 10**12, "exp": 10**12 + 1}, "not valid yet"),
            ({"aud": "other"}, "another audience"),
            ({"aud": None}, "has no aud"),
            ({"iss": "https://evil.example/"}, "another issuer"),
            ({"iss": None}, "has no iss"),
            ({"org": 7}, "org must be"),
            ({"org": "a b"}, "org must be"),
            ({"org": "x\x00"}, "org must be"),
            ({"role": "owner"}, "role must be"),
            ({"role": ["admin"]}, "role must be"),
        ],
        ids=lambda value: str(value)[:40] if isinstance(value, str) else "-".join(value),
    )
    def test_wrong_ones(self, wrong: dict[str, Any], why: str) -> None:
        assert why in refused(BY_SECRET, signed(claims(**wrong)))

    def test_one_that_was_made_after_it_ended(self) -> None:
        now = int(time.time())
        assert "after it ended" in refused(BY_SECRET, signed(claims(iat=now + 10, exp=now - 10)))

    @pytest.mark.parametrize("user", ["", " ", "a\nb", "a\u202eb", "x" * 256, " ada"])
    def test_a_user_that_is_no_name(self, user: str) -> None:
        assert "printable" in refused(BY_SECRET, signed(claims(sub=user)))

    @pytest.mark.parametrize("user", [7, None, ["ada"], {"name": "ada"}, True])
    def test_a_user_that_is_no_text(self, user: Any) -> None:
        header = {"alg": "HS256", "typ": "JWT"}
        assert "sub" in refused(BY_SECRET, by_hand(header, {**claims(), "sub": user}))

    @pytest.mark.parametrize(
        "body", [b"[]", b'"x"', b"{", b"\xff\xfe", b"[" * 3000, b'{"exp": NaN, "sub": "ada"}'], ids=range(6)
    )
    def test_no_claims_at_all(self, body: bytes) -> None:
        assert "not valid here" in refused(BY_SECRET, by_hand({"alg": "HS256"}, body))


class TestAttacks:
    @pytest.mark.parametrize("name", ["none", "None", "NONE", "nOnE", ""])
    def test_no_signature(self, by_keys: UserTokens, name: str) -> None:
        for token in (by_hand({"alg": name}, claims()), by_hand({"alg": name}, claims()).rpartition(".")[0] + "."):
            assert "signed with HS256" in refused(BY_SECRET, token)
            refused(by_keys, token)

    @pytest.mark.parametrize("form", ["PEM", "PKCS1", "DER", "JWK"])
    def test_a_public_key_as_a_secret(self, keys: dict[str, SigningKey], by_keys: UserTokens, form: str) -> None:
        public = keys["RS256"].private.public_key()
        pem, spki = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        written = {
            "PEM": public.public_bytes(pem, spki),
            "PKCS1": public.public_bytes(pem, serialization.PublicFormat.PKCS1),
            "DER": public.public_bytes(serialization.Encoding.DER, spki),
            "JWK": json.dumps(keys["RS256"].public).encode(),
        }[form]
        token = by_hand({"alg": "HS256", "kid": "key-RS256"}, claims(), written)
        assert "signed with RS256" in refused(by_keys, token)

    @pytest.mark.parametrize("algorithm", ["RS384", "RS512", "PS256", "HS256", "ES256", "EdDSA", "rs256"])
    def test_another_algorithm_than_the_keys(
        self, keys: dict[str, SigningKey], by_keys: UserTokens, algorithm: str
    ) -> None:
        if algorithm in {"RS384", "RS512", "PS256"}:
            token = jwt.encode(claims(), keys["RS256"].private, algorithm, {"kid": "key-RS256"})
        else:
            token = by_hand({"alg": algorithm, "kid": "key-RS256"}, claims())
        assert "signed with RS256" in refused(by_keys, token)

    @pytest.mark.parametrize("algorithm", ["HS384", "HS512", "RS256"])
    def test_another_algorithm_than_that_of_secrets(self, keys: dict[str, SigningKey], algorithm: str) -> None:
        key: Any = keys["RS256"].private if algorithm == "RS256" else "x" * 64
        assert "signed with HS256" in refused(BY_SECRET, jwt.encode(claims(), key, algorithm))

    @pytest.mark.parametrize("key_id", [None, "", "unknown", "../key-RS256", 7, ["key-RS256"]])
    def test_a_key_that_is_not_there(self, keys: dict[str, SigningKey], by_keys: UserTokens, key_id: Any) -> None:
        header = {"alg": "RS256"} if key_id is None else {"alg": "RS256", "kid": key_id}
        assert "not valid here" in refused(by_keys, by_hand(header, claims()))

    def test_a_key_under_the_id_of_another(self, keys: dict[str, SigningKey], by_keys: UserTokens) -> None:
        thief = SigningKey("key-RS256", "RS256")
        assert "signature is wrong" in refused(by_keys, thief.sign(claims()))
        assert "signature is wrong" in refused(BY_SECRET, signed(claims(), "t" * 32))

    @pytest.mark.parametrize("name", ["jwk", "jku", "x5u", "x5c"])
    def test_a_key_it_brings_along(self, by_keys: UserTokens, name: str) -> None:
        thief = SigningKey("key-RS256", "RS256")
        brought = {"jwk": thief.public, "x5c": ["MIIB"]}.get(name, "https://evil.example/jwks.json")
        for tokens, token in (
            (by_keys, thief.sign(claims(), {name: brought})),
            (BY_SECRET, signed(claims(), **{name: brought})),
        ):
            assert "key of its own" in refused(tokens, token)

    @pytest.mark.parametrize(
        "header", [{"crit": ["exp"]}, {"crit": []}, {"b64": False, "crit": ["b64"]}, {"b64": True}]
    )
    def test_extensions(self, header: dict[str, Any]) -> None:
        token = by_hand({"alg": "HS256", **header}, claims())
        assert "not valid here" in refused(BY_SECRET, token)

    @pytest.mark.parametrize("kind", ["logout+jwt", "dpop+jwt", "secevent+jwt", "JOSE", 7])
    def test_a_token_of_another_kind(self, kind: Any) -> None:
        assert "another kind" in refused(BY_SECRET, by_hand({"alg": "HS256", "typ": kind}, claims()))

    def test_a_changed_one(self) -> None:
        head, _, signature = signed(claims()).split(".")
        other = signed(claims("eve"), "t" * 32).split(".")[1]
        assert "signature is wrong" in refused(BY_SECRET, f"{head}.{other}.{signature}")
        assert "signature is wrong" in refused(BY_SECRET, f"{head}.{other}.")

    @pytest.mark.parametrize("token", ["", ".", "..", "a.b", "a.b.c", "a.b.c.d.e", "\u00e9.b.c", "ey" * LONGEST])
    def test_rubbish(self, by_keys: UserTokens, token: str) -> None:
        assert "not valid here" in refused(BY_SECRET, token)
        refused(by_keys, token)

    def test_a_huge_one(self) -> None:
        assert "at most" in refused(BY_SECRET, signed(claims(more="x" * LONGEST)))

    def test_without_an_audience_one_that_names_one_is_refused(self) -> None:
        tokens = UserTokens(UserTokenSettings((SECRET,)))
        assert "another audience" in refused(tokens, signed(claims()))
        assert tokens.read(signed(claims(aud=None))).user == "ada"


@given(
    st.text(max_size=200) | st.binary(max_size=200).map(lambda raw: base64.urlsafe_b64encode(raw).decode() + ".e30.x")
)
def test_no_text_is_more_than_refused(token: str) -> None:
    refused(BY_SECRET, token)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_NAMES = st.sampled_from(["exp", "nbf", "iat", "sub", "aud", "iss", "org", "role", "jti"])


@given(st.dictionaries(_NAMES, _JSON))
def test_no_claims_are_more_than_refused(given_: dict[str, Any]) -> None:
    body = json.dumps({**claims(), **given_}).encode()
    try:
        assert BY_SECRET.read(by_hand({"alg": "HS256"}, body)).user.isprintable()
    except CoursewrightError as error:
        assert error.code == "invalid_token"


class TestKeys:
    def test_only_what_verifies_counts(self, keys: dict[str, SigningKey]) -> None:
        good = keys["RS256"].public
        weak = SigningKey("weak", "RS256", _weak()).public
        given_ = [
            {**good, "kid": "other-use", "use": "enc"},
            {**good, "kid": "other-algorithm", "alg": "PS256"},
            {**good, "kid": "other-deed", "key_ops": ["encrypt"]},
            *({**good, "kid": "no-list", "key_ops": deeds} for deeds in (7, True, None, 1.5, "verify", {"verify": 1})),
            {name: value for name, value in good.items() if name != "kid"},
            {**good, "kid": 7},
            {**good, "kid": "broken", "n": "!!"},
            {"kty": "oct", "kid": "secret", "k": "c2VjcmV0"},
            {**keys["ES256"].public, "kid": "other-curve", "crv": "P-384"},
            {"kty": ["RSA"], "kid": "list"},
            weak,
            "rubbish",
            good,
            {**keys["ES256"].public, "kid": good["kid"]},
        ]
        found = read_keys(json.dumps({"keys": given_}).encode())
        assert {name: key.algorithm for name, key in found.items()} == {"key-RS256": "RS256"}

    @pytest.mark.parametrize(
        "text", [b"", b"{}", b"[]", b'{"keys": 1}', b'{"keys": []}', b"[" * 100_000, b"\xff"], ids=range(7)
    )
    def test_what_is_no_set_of_keys(self, text: bytes) -> None:
        with pytest.raises(Exception, match="It "):
            read_keys(text)


def _weak() -> Any:
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(public_exponent=65537, key_size=1024)  # noqa: S505 - that is what is refused
