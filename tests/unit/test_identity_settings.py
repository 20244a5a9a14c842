"""The settings of identity: what they need, and what would be unsafe."""

from __future__ import annotations

import pytest

from schema.environment import Reader
from schema.identity_settings import IdentitySettings, UserTokenSettings, read_identity

SECRET = "s" * 32
PROVIDER = {
    "JWT_JWKS_URL": "https://login.example.org/jwks.json",
    "JWT_AUDIENCE": "coursewright",
    "JWT_ISSUER": "https://login.example.org/",
}


def read(**environ: str) -> IdentitySettings:
    reader = Reader(environ)
    found = read_identity(reader)
    assert reader.faults == []
    return found


def faults(**environ: str) -> str:
    reader = Reader(environ)
    read_identity(reader)
    return " ".join(reader.faults)


def test_nothing_set_lets_nobody_in() -> None:
    assert read() == IdentitySettings()


def test_by_secret() -> None:
    given = read(JWT_SECRET=SECRET, JWT_AUDIENCE="a", JWT_ISSUER="i")
    assert given.users == UserTokenSettings((SECRET,), None, "a", "i")


def test_by_a_providers_keys() -> None:
    users = read(**PROVIDER).users
    assert users == UserTokenSettings((), PROVIDER["JWT_JWKS_URL"], "coursewright", "https://login.example.org/")


def test_what_is_replaced_is_good_besides() -> None:
    given = read(
        JWT_SECRET=SECRET,
        JWT_SECRET_OLD=f"{'a' * 32}, {'b' * 32}",
        AGENT_TOKEN="new",
        AGENT_TOKEN_OLD="old",
        SECRET_KEY_OLD="k1,k2,",
    )
    assert given.users is not None and given.users.secrets == (SECRET, "a" * 32, "b" * 32)
    assert given.agent_tokens == ("new", "old")
    assert given.older_keys == ("k1", "k2")
    assert not any(hidden in repr(given) for hidden in (SECRET, "old", "k1"))


@pytest.mark.parametrize(
    ("environ", "named"),
    [
        ({"JWT_SECRET": "s" * 31}, "JWT_SECRET is too short"),
        ({"JWT_SECRET": SECRET, "JWT_SECRET_OLD": "short"}, "JWT_SECRET_OLD is too short"),
        ({"JWT_SECRET": "-----BEGIN PUBLIC KEY-----" + "x" * 40}, "JWT_SECRET is a key pair's"),
        ({"JWT_SECRET": SECRET, **PROVIDER}, "both set"),
        ({**PROVIDER, "JWT_AUDIENCE": ""}, "JWT_AUDIENCE is not set"),
        ({**PROVIDER, "JWT_ISSUER": ""}, "JWT_ISSUER is not set"),
        ({**PROVIDER, "JWT_JWKS_URL": "ftp://login.example.org"}, "JWT_JWKS_URL is malformed"),
        ({**PROVIDER, "JWT_JWKS_URL": "http://login.example.org/k"}, "It needs https"),
        ({**PROVIDER, "JWT_JWKS_URL": "http://127.0.0.1.example.org/k"}, "It needs https"),
        ({"JWT_AUDIENCE": "a"}, "JWT_AUDIENCE is set, but"),
        ({"JWT_ISSUER": "a"}, "JWT_ISSUER is set, but"),
        ({"JWT_SECRET_OLD": SECRET}, "JWT_SECRET_OLD is set, but"),
        ({"AGENT_TOKEN_OLD": "old"}, "AGENT_TOKEN_OLD is set, but"),
    ],
    ids=range(13),
)
def test_what_is_unsafe_stops_the_start(environ: dict[str, str], named: str) -> None:
    said = faults(**environ)
    assert named in said
    assert "s" * 31 not in said, "a fault never shows a secret"


@pytest.mark.parametrize("host", ["localhost:9", "127.0.0.1:9", "[::1]:9"])
def test_on_this_machine_http_will_do(host: str) -> None:
    assert read(**{**PROVIDER, "JWT_JWKS_URL": f"http://{host}/jwks.json"}).users is not None
