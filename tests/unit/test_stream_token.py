from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from itsdangerous import URLSafeSerializer

from schema.clock import new_id
from schema.errors import Unauthenticated
from storage.people.grounds import Grounds
from web.streams import token

NOW = datetime(2026, 11, 21, tzinfo=UTC)


@pytest.mark.parametrize(
    "ground",
    [{"session": new_id()}, {"token": new_id()}, {"user": "ada", "claimed": True}],
    ids=["session", "token", "user"],
)
def test_what_was_put_in_comes_out(ground: dict[str, Any]) -> None:
    grounds, job = Grounds(new_id(), **ground), new_id()
    assert token.read(["key"], token.make(["key"], grounds, job)) == token.Pass(str(job), grounds)


def test_it_outlives_the_token_of_the_user_who_got_it() -> None:
    grounds = Grounds(new_id(), user="ada")
    made = token.make(["key"], replace(grounds, until=NOW), new_id())
    assert token.read(["key"], made).grounds == grounds


def test_a_key_that_was_replaced_is_good_as_long_as_it_is_named() -> None:
    made = token.make(["old"], Grounds(new_id()), new_id())
    assert token.read(["older", "old", "new"], made).job_id
    with pytest.raises(Unauthenticated):
        token.read(["new"], made)
    again = token.make(["old", "new"], Grounds(new_id()), new_id())
    assert token.read(["new"], again).job_id, "the newest signs"


def test_what_another_key_or_another_purpose_signed_is_refused() -> None:
    given = [str(new_id()), {"o": str(new_id())}]
    ours = URLSafeSerializer("key", salt="coursewright.stream")
    for made in (
        token.make(["other"], Grounds(new_id()), new_id()),
        URLSafeSerializer("key", salt="itsdangerous").dumps(given),
        URLSafeSerializer("key").dumps(given),
        ours.dumps([str(new_id()), str(new_id())]),
        ours.dumps([str(new_id()), {"o": "x"}]),
        ours.dumps([str(new_id()), {"o": str(new_id()), "s": 7}]),
        ours.dumps({}),
        ours.dumps(7),
        token.make(["key"], Grounds(new_id()), new_id())[:-1],
        "",
        "ä.ö",
    ):
        with pytest.raises(Unauthenticated) as caught:
            token.read(["key"], made)
        assert caught.value.code == "invalid_stream_token"


def test_it_is_good_for_a_day_after_the_end() -> None:
    token.check_age(None, NOW)
    token.check_age(NOW - timedelta(hours=23, minutes=59), NOW)
    with pytest.raises(Unauthenticated) as caught:
        token.check_age(NOW - timedelta(hours=24, minutes=1), NOW)
    assert caught.value.code == "stream_token_expired"
