"""The settings of identity: what they need, and what would be unsafe."""

from __future__ import annotations

from datetime import timedelta

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


def test_a_browser_stays_signed_in_for_a_week_and_half_a_day_unused() -> None:
    assert (read().session_longest, read().session_idle) == (timedelta(days=7), timedelta(hours=12))
    given = read(SESSION_HOURS="12", SESSION_IDLE_MINUTES="30")
    assert (given.session_longest, given.session_idle) == (timedelta(hours=12), timedelta(minutes=30))


@pytest.mark.parametrize(
    ("name", "wrong", "needs"),
    [
        ("SESSION_IDLE_MINUTES", ("4", "43201", "-30", "1.5", "12h", "inf"), "number from 5 to 43200"),
        ("SESSION_HOURS", ("0", "721", "-1", "0.5", "7d", "nan"), "number from 1 to 720"),
    ],
)
def test_how_long_is_within_bounds(name: str, wrong: tuple[str, ...], needs: str) -> None:
    for value in wrong:
        said = faults(**{name: value})
        assert said.startswith(f"{name} is {value!r}. It needs a ") and said.endswith(f"{needs}.")
