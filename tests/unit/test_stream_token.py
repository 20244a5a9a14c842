from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from itsdangerous import URLSafeSerializer

from schema.clock import new_id
from schema.errors import Unauthenticated
from web.streams import token

NOW = datetime(2026, 11, 21, tzinfo=UTC)


def test_what_was_put_in_comes_out() -> None:
    organization, job = new_id(), new_id()
    assert token.read("key", token.make("key", organization, job)) == token.Pass(str(job), organization)


def test_what_another_key_or_another_purpose_signed_is_refused() -> None:
    given = [str(new_id()), str(new_id())]
    for made in (
        token.make("other", new_id(), new_id()),
        URLSafeSerializer("key", salt="itsdangerous").dumps(given),
        URLSafeSerializer("key").dumps(given),
        token.make("key", new_id(), new_id())[:-1],
        "",
        "ä.ö",
    ):
        with pytest.raises(Unauthenticated) as caught:
            token.read("key", made)
        assert caught.value.code == "invalid_stream_token"


def test_it_is_good_for_a_day_after_the_end() -> None:
    token.check_age(None, NOW)
    token.check_age(NOW - timedelta(hours=23, minutes=59), NOW)
    with pytest.raises(Unauthenticated) as caught:
        token.check_age(NOW - timedelta(hours=24, minutes=1), NOW)
    assert caught.value.code == "stream_token_expired"
