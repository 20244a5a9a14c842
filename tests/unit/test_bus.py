from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import fakeredis
import pytest
from kombu.exceptions import OperationalError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeout

from schema.clock import new_id
from schema.errors import Unavailable
from storage.bus import Bus, reaching_redis
from storage.engine.queue import Sending
from tasks.dispatch import _reach_broker


@pytest.fixture
def server() -> fakeredis.FakeServer:
    return fakeredis.FakeServer()


@pytest.fixture
def bus(server: fakeredis.FakeServer) -> Iterator[Bus]:
    made = Bus("redis://127.0.0.1:1/0")
    made.client = fakeredis.FakeRedis(server=server)
    yield made
    made.close()


class TestKeepingOnce:
    def test_a_value_is_taken_out_once(self, bus: Bus) -> None:
        bus.keep_once("login:abc", "school", 60)
        assert bus.take_once("login:abc") == "school"
        assert bus.take_once("login:abc") is None
        assert bus.take_once("never") is None

    def test_it_lives_as_long_as_was_said(self, bus: Bus) -> None:
        bus.keep_once("login:abc", "school", 60)
        assert 0 < bus.client.ttl("coursewright:once:login:abc") <= 60

    def test_without_redis_both_ways_say_so_in_our_words(self, bus: Bus, server: fakeredis.FakeServer) -> None:
        server.connected = False
        with pytest.raises(Unavailable) as keeping:
            bus.keep_once("a", "b", 60)
        with pytest.raises(Unavailable) as taking:
            bus.take_once("a")
        for caught in (keeping, taking):
            assert (caught.value.code, caught.value.status) == ("redis_away", 503)


def test_whether_redis_lives_is_told_and_never_raised(bus: Bus, server: fakeredis.FakeServer) -> None:
    assert bus.alive()
    server.connected = False
    assert not bus.alive()


@pytest.mark.parametrize(
    "error", [RedisError(), RedisConnectionError(), RedisTimeout()], ids=lambda e: type(e).__name__
)
def test_whatever_redis_raises_becomes_ours_with_its_cause(error: RedisError) -> None:
    with pytest.raises(Unavailable) as caught, reaching_redis():
        raise error
    assert caught.value.__cause__ is error


def test_what_is_not_of_redis_passes_through() -> None:
    with pytest.raises(KeyError), reaching_redis():
        raise KeyError("x")


class TestReachingTheBroker:
    def test_a_message_goes_out(self) -> None:
        sent: list[Sending] = []
        sending = Sending(new_id(), 1, "course", "skeleton")
        _reach_broker(partial(sent.append, sending))
        assert sent == [sending]

    @pytest.mark.parametrize(
        ("error", "code"),
        [
            (OperationalError("x"), "broker_away"),
            (ConnectionRefusedError(), "broker_away"),
            (TimeoutError(), "broker_away"),
            (RedisConnectionError(), "redis_away"),
            (RedisTimeout(), "redis_away"),
        ],
        ids=lambda value: type(value).__name__,
    )
    def test_a_broker_that_is_away_is_unavailable_whoever_noticed(self, error: Exception, code: str) -> None:
        def send() -> None:
            raise error

        with pytest.raises(Unavailable) as caught:
            _reach_broker(send)
        assert (caught.value.code, caught.value.__cause__) == (code, error)
