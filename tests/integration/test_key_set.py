"""A provider's keys over real HTTP: rotated, withheld, far too many, and away."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from schema.errors import Unavailable
from schema.identity_settings import UserTokenSettings
from tasks.deps import Deps
from tests.conftest import eventually
from tests.fakes.identity_provider import AUDIENCE, ISSUER, Provider, SigningKey, claims
from web.doctor.people import user_tokens
from web.identity import key_set
from web.identity.key_set import KeySet, Pace
from web.identity.user_tokens import UserTokens

FIRST, SECOND = SigningKey("first", "ES256"), SigningKey("second", "EdDSA")
#: Asks again at once.
EAGER = Pace(again=0.0)


@pytest.fixture
def provider() -> Iterator[Provider]:
    with Provider(FIRST) as running:
        yield running


class Clock:
    """A time that passes when told."""

    def __init__(self) -> None:
        self.now = datetime(2026, 11, 21, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    def forward(self, **span: float) -> None:
        self.now += timedelta(**span)


@pytest.fixture
def clock() -> Clock:
    return Clock()


def keys_of(provider: Provider, folder: Path, pace: Pace = EAGER, **more: Any) -> KeySet:
    return KeySet(provider.url, folder / "run" / "signing-keys.json", pace, **more)


def test_a_key_is_fetched_once_and_verifies(provider: Provider, tmp_path: Path) -> None:
    settings = UserTokenSettings((), provider.url, AUDIENCE, ISSUER)
    tokens = UserTokens(settings, keys_of(provider, tmp_path))
    for user in ("ada", "bob", "eve"):
        assert tokens.read(FIRST.sign(claims(user))).user == user
    assert provider.asked == 1


def test_a_new_key_is_picked_up_and_a_retired_one_is_dropped(provider: Provider, tmp_path: Path, clock: Clock) -> None:
    keys = keys_of(provider, tmp_path, now=clock)
    assert keys.find("first") is not None
    provider.keys = [FIRST, SECOND]
    found = keys.find("second")
    assert found is not None and found.algorithm == "EdDSA"
    assert provider.asked == 2
    provider.keys = [SECOND]
    assert keys.find("first") is not None, "known, and looked at again only when it is old"
    clock.forward(minutes=11)
    keys.find("first")  # is answered from what is known, and has the keys looked at in the background
    eventually(lambda: provider.asked == 3, 10)
    eventually(lambda: keys.find("first") is None, 10)


def test_a_key_that_was_withdrawn_while_nobody_came_opens_nothing_once_more(
    provider: Provider, tmp_path: Path, clock: Clock
) -> None:
    keys = keys_of(provider, tmp_path, now=clock)
    assert keys.find("first") is not None
    provider.keys = [SECOND]
    clock.forward(hours=8)
    assert keys.find("first") is None
    assert keys_of(provider, tmp_path, now=clock).find("first") is None, "nor by the file"


def test_only_the_first_waits_for_a_provider_that_is_away(provider: Provider, tmp_path: Path, clock: Clock) -> None:
    keys = keys_of(provider, tmp_path, Pace(again=0.0, longest=2.0), now=clock)
    assert keys.find("first") is not None
    provider.pause = 3
    clock.forward(hours=8)
    spent = []
    for _ in range(3):
        began = time.monotonic()
        assert keys.find("first") is not None
        spent.append(time.monotonic() - began)
    assert spent[0] > 0.9 > max(spent[1:])


def test_keys_nobody_has_are_asked_for_now_and_then_at_the_most(provider: Provider, tmp_path: Path) -> None:
    keys = keys_of(provider, tmp_path, Pace(again=60))
    assert [keys.find(f"made-up-{number}") for number in range(50)] == [None] * 50
    assert provider.asked == 1


def test_of_many_who_want_a_key_at_once_one_asks(provider: Provider, tmp_path: Path) -> None:
    provider.pause = 0.3
    keys = keys_of(provider, tmp_path, Pace(again=60))
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(keys.find("first"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len(found) == 8 and None not in found
    assert provider.asked == 1


def test_keys_outlive_their_provider(provider: Provider, tmp_path: Path, clock: Clock) -> None:
    assert keys_of(provider, tmp_path, now=clock).find("first") is not None
    kept = tmp_path / "run" / "signing-keys.json"
    assert kept.stat().st_mode & 0o077 == 0
    provider.close()
    again = keys_of(provider, tmp_path, now=clock)
    clock.forward(hours=23)
    assert again.find("first") is not None, "from the file"
    for unknown in (again, keys_of(provider, tmp_path / "elsewhere")):
        with pytest.raises(Unavailable) as caught:
            unknown.find("second")
        assert caught.value.code == "identity_provider_away"
    clock.forward(hours=2)
    with pytest.raises(Unavailable):
        again.find("first")
    assert list(kept.parent.iterdir()) == [kept], "nothing is left beside it"


@pytest.mark.parametrize("written", ["", "{}", "[]", '{"url": 1, "keys": 2}'])
def test_a_file_that_is_broken_is_no_file(provider: Provider, tmp_path: Path, written: str) -> None:
    kept = tmp_path / "run" / "signing-keys.json"
    kept.parent.mkdir()
    kept.write_text(written)
    assert keys_of(provider, tmp_path).find("first") is not None
    assert json.loads(kept.read_text())["url"] == provider.url


def test_keys_of_another_address_are_not_taken(provider: Provider, tmp_path: Path) -> None:
    assert keys_of(provider, tmp_path).find("first") is not None
    with Provider(SECOND) as other:
        assert keys_of(other, tmp_path).find("first") is None


def test_who_cannot_keep_them_goes_on(provider: Provider, tmp_path: Path) -> None:
    (tmp_path / "run").write_text("a file where a folder should be")
    assert keys_of(provider, tmp_path).find("first") is not None


@pytest.mark.parametrize(
    "answer",
    [
        {"status": 500},
        {"status": 404},
        {"body": b"<html>"},
        {"body": b'{"keys": []}'},
        {"body": b'{"keys": [' + b" " * key_set.LARGEST_BYTES + b"]}"},
    ],
    ids=["500", "404", "html", "empty", "large"],
)
def test_an_answer_without_keys_changes_nothing(provider: Provider, tmp_path: Path, answer: dict[str, Any]) -> None:
    keys = keys_of(provider, tmp_path)
    assert keys.find("first") is not None
    for name, value in answer.items():
        setattr(provider, name, value)
    with pytest.raises(Unavailable):
        keys.find("second")
    assert keys.find("first") is not None


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_leads_to_nobodys_keys(provider: Provider, tmp_path: Path, status: int) -> None:
    """Keys are those of the address that was set. Where https is asked of it, a redirect could lead out of that."""
    with Provider(SECOND) as elsewhere:
        provider.status, provider.headers = status, {"Location": elsewhere.url}
        with pytest.raises(Unavailable):
            keys_of(provider, tmp_path).find("second")
        assert (provider.asked, elsewhere.asked) == (1, 0)


def test_a_provider_that_is_slow_is_not_waited_for(provider: Provider, tmp_path: Path) -> None:
    provider.pause = 3
    began = time.monotonic()
    with pytest.raises(Unavailable):
        keys_of(provider, tmp_path, Pace(longest=0.4)).find("first")
    assert time.monotonic() - began < 2.5


def test_the_doctor_says_how_users_are_known(deps: Deps, provider: Provider, tmp_path: Path) -> None:
    def found(users: UserTokenSettings | None) -> tuple[str, str]:
        identity = replace(deps.settings.identity, users=users)
        seen = user_tokens(replace(deps, settings=replace(deps.settings, home=tmp_path, identity=identity)))
        return seen.state, seen.message

    assert found(None) == ("ok", "Not accepted: neither JWT_SECRET nor JWT_JWKS_URL is set.")
    assert found(UserTokenSettings(("s" * 32, "t" * 32))) == ("ok", "Verified by JWT_SECRET, and 1 before it.")
    provider.keys = [FIRST, SECOND]
    by_provider = UserTokenSettings((), provider.url, AUDIENCE, ISSUER)
    assert found(by_provider) == ("ok", "Verified by 2 of the provider's keys (ES256, EdDSA).")
    provider.status = 404
    assert found(by_provider) == ("fault", "The keys at JWT_JWKS_URL can't be had: The answer was 404.")
    provider.close()
    state, words = found(by_provider)
    assert state == "fault" and "Nobody answers" in words
