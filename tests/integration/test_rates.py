"""Requests a minute: counted together in Redis, alone without it, and never the cause of an error or a long wait."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator

import pytest
from redis import Redis
from structlog.testing import capture_logs

from storage import embedded
from storage.embedded import read_secrets
from storage.processes import free_port, start, stop, wait_ready
from storage.shares import quick_redis
from storage.shares.quick_redis import QuickRedis
from storage.shares.rates import WINDOW_SECONDS, Rates
from storage.shares.seats import Seats
from tests.conftest import Servers, eventually


class Clock:
    """A clock that stands still."""

    def __init__(self) -> None:
        self.at = 1_800_000_000.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def redis(servers: Servers) -> Iterator[QuickRedis]:
    Redis.from_url(servers.environ["REDIS_URL"]).flushdb()
    made = QuickRedis(servers.environ["REDIS_URL"])
    yield made
    made.close()


@pytest.fixture
def nowhere() -> Iterator[QuickRedis]:
    made = QuickRedis(f"redis://127.0.0.1:{free_port()}/0")
    yield made
    made.close()


class TestTogether:
    def test_processes_count_together_and_names_apart(self, redis: QuickRedis, servers: Servers, clock: Clock) -> None:
        other = QuickRedis(servers.environ["REDIS_URL"])
        one, two = Rates(redis, clock), Rates(other, clock)
        assert [rates.hit("a", 3).used for rates in (one, two, one, two)] == [1, 2, 3, 4]
        assert one.hit("b", 3).used == 1
        other.close()

    def test_a_count_tells_what_is_left_and_for_how_long(self, redis: QuickRedis, clock: Clock) -> None:
        rates = Rates(redis, clock)
        found = [rates.hit("a", 2) for _ in range(3)]
        assert [(one.remaining, one.is_over) for one in found] == [(1, False), (0, False), (0, True)]
        assert all(0 < one.resets_in <= WINDOW_SECONDS for one in found)
        assert rates.is_spent("a") and not rates.is_spent("b")
        clock.at += found[0].resets_in - 0.01
        assert rates.hit("a", 2).is_over, "the window is not over"
        clock.at += 0.02
        assert not rates.is_spent("a")
        assert rates.hit("a", 2).remaining == 1

    def test_windows_of_names_do_not_end_together(self, nowhere: QuickRedis, clock: Clock) -> None:
        ends = {round(Rates(nowhere, clock).resets_in(f"name {number}")) for number in range(100)}
        assert len(ends) > 20

    def test_who_is_known_to_have_had_enough_is_asked_about_no_more(self, redis: QuickRedis, clock: Clock) -> None:
        rates = Rates(redis, clock)
        while not rates.hit("a", 1).is_over:
            pass
        keys = redis.client.keys("*rate:a:*")
        before = [redis.client.get(key) for key in keys]
        assert rates.hit("a", 1).is_over
        assert len(keys) == 1 and [redis.client.get(key) for key in keys] == before

    def test_what_was_counted_is_forgotten(self, redis: QuickRedis, clock: Clock) -> None:
        Rates(redis, clock).hit("a", 1)
        [key] = redis.client.keys("*rate:a:*")
        assert 0 < redis.client.ttl(key) <= WINDOW_SECONDS


class TestAlone:
    def test_without_redis_each_process_counts_for_itself(self, nowhere: QuickRedis, clock: Clock) -> None:
        one, two = Rates(nowhere, clock), Rates(nowhere, clock)
        assert [one.hit("a", 2).is_over for _ in range(3)] == [False, False, True]
        assert not two.hit("a", 2).is_over

    def test_a_redis_that_says_nothing_costs_one_request_a_moment(self, clock: Clock) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            redis = QuickRedis(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
            rates = Rates(redis, clock)
            with capture_logs() as lines:
                began = time.monotonic()
                assert not rates.hit("a", 100).is_over
                first = time.monotonic() - began
                began = time.monotonic()
                assert [rates.hit("a", 100).used for _ in range(50)] == list(range(2, 52))
                others = time.monotonic() - began
            redis.close()
        assert first < 2 and others < 0.5
        assert [(line["event"], line["log_level"]) for line in lines] == [("shares_counted_alone", "warning")]

    def test_when_the_pause_is_over_one_tries_and_the_others_go_on(
        self, nowhere: QuickRedis, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        asked: list[int] = []

        def question() -> int:
            asked.append(1)
            return len(asked)

        assert nowhere.ask(lambda: nowhere.client.ping()) is None
        assert nowhere.ask(question) is None and asked == []
        nowhere._away_until = time.monotonic() - 1
        assert nowhere._may_try()
        assert nowhere.ask(question) is None, "somebody else is trying"
        nowhere._away_until = time.monotonic() - 1
        assert nowhere.ask(question) == 1 and nowhere.ask(question) == 2

    def test_redis_goes_and_comes_back(
        self, tmp_path_factory: pytest.TempPathFactory, clock: Clock, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(quick_redis, "_PAUSE_SECONDS", 0.1)
        home = tmp_path_factory.mktemp("valkey")
        home.chmod(0o755)
        keys = read_secrets(home)
        spec, url = embedded.valkey(home, keys)
        child = start(spec)
        try:
            wait_ready(spec, child)
            redis = QuickRedis(url)
            rates = Rates(redis, clock)
            assert rates.hit("a", 100).used == 1
            stop(spec, child)
            with capture_logs() as lines:
                assert rates.hit("a", 100).used == 1, "counted alone, from the beginning"
                child = start(spec)
                wait_ready(spec, child)
                eventually(lambda: rates.hit("a", 100) and [one for one in lines if "together" in one["event"]])
            assert [line["event"] for line in lines] == ["shares_counted_alone", "shares_counted_together"]
            redis.close()
        finally:
            stop(spec, child)


class TestSeats:
    def test_so_many_and_no_more_whichever_process_asks(self, redis: QuickRedis, servers: Servers) -> None:
        other = QuickRedis(servers.environ["REDIS_URL"])
        one, two = Seats(redis), Seats(other)
        assert one.take("ada", "1", 2) and two.take("ada", "2", 2)
        assert one.take("ada", "3", 2) is False and two.take("bea", "1", 2) is True
        assert two.take("ada", "1", 2) is True, "it has this one already"
        two.give_back([("ada", "1"), ("ada", "unknown")])
        assert one.take("ada", "3", 2) is True
        other.close()

    def test_a_seat_nobody_renews_is_free_again(self, redis: QuickRedis) -> None:
        seats = Seats(redis)
        assert seats.take("ada", "1", 1) and seats.take("bea", "1", 1)
        for name in ("ada", "bea"):
            redis.client.zadd(f"coursewright:seats:{name}", {"1": time.time() - 1})
        seats.renew([("bea", "1")])
        assert seats.take("ada", "2", 1) is True
        assert seats.take("bea", "2", 1) is False

    def test_what_redis_has_forgotten_is_renewed(self, redis: QuickRedis) -> None:
        seats = Seats(redis)
        redis.client.flushdb()
        seats.renew([("ada", "1"), ("ada", "2")])
        assert seats.take("ada", "3", 2) is False

    def test_without_redis_nobody_can_tell(self, nowhere: QuickRedis) -> None:
        seats = Seats(nowhere)
        assert seats.take("ada", "1", 1) is None
        seats.renew([("ada", "1")])
        seats.give_back([("ada", "1")])
