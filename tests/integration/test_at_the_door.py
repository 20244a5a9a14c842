"""The guards where callers meet them: before gunicorn's own processes, with and without a proxy in between."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
import urllib3

from schema.clock import new_id
from schema.errors import TooMany, Unavailable
from storage.processes import free_port
from storage.shares.quick_redis import QuickRedis
from storage.shares.seats import Seats
from tests.conftest import Databases, Servers, eventually
from tests.integration.web_process import AGENT, Web, serving
from tests.sse_client import Listener
from web.streams.room import Guest, check_room

PUBLIC = "/api/public/catalog"
#: Of a person; a program may have ten times as many.
STREAMS = 2


@contextmanager
def guarded(servers: Servers, databases: Databases, folder: Path, **changes: str) -> Iterator[Web]:
    """The web as two processes that count together."""
    counting = {"WEB_CONCURRENCY": "2", "STREAMS_PER_IDENTITY": str(STREAMS)}
    with serving(servers, databases, folder, **counting, **changes) as made:
        yield made


@pytest.fixture(scope="module")
def web(servers: Servers, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """Nobody stands before it, though its surroundings would have gunicorn believe anybody."""
    with guarded(servers, databases, tmp_path_factory.mktemp("open"), FORWARDED_ALLOW_IPS="*") as made:
        yield made


@pytest.fixture(scope="module")
def behind(servers: Servers, databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    """One proxy stands before it."""
    with guarded(
        servers, databases, tmp_path_factory.mktemp("behind"), TRUSTED_PROXIES="1", RATE_LIMIT_PER_MINUTE="2"
    ) as made:
        yield made


def get(web: Web, path: str = PUBLIC, **headers: str) -> urllib3.BaseHTTPResponse:
    return urllib3.request("GET", web.url + path, headers={"Connection": "close", **headers}, retries=False)


def test_what_somebody_says_about_a_proxy_is_not_believed(web: Web) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Ssl": "on", "X-Forwarded-For": "198.51.100.1"}
    answer = get(web, **forwarded)
    assert answer.status == 200 and "Strict-Transport-Security" not in answer.headers
    # To gunicorn these would contradict each other, if it believed them.
    assert get(web, **{**forwarded, "X-Forwarded-Ssl": "off"}).status == 200
    assert get(web, SCRIPT_NAME="/evil").status == 200


def test_behind_a_proxy_its_words_are_the_callers_address_and_scheme(behind: Web) -> None:
    def asked(address: str, scheme: str = "https") -> urllib3.BaseHTTPResponse:
        return get(behind, **{"X-Forwarded-For": f"203.0.113.1, {address}", "X-Forwarded-Proto": scheme})

    answers = [asked("192.0.2.1"), asked("192.0.2.1"), asked("192.0.2.1"), asked("192.0.2.2", "http")]
    assert [answer.status for answer in answers] == [200, 200, 429, 200], "both processes count together"
    assert ["Strict-Transport-Security" in answer.headers for answer in answers] == [True, True, True, False]


def test_every_answer_carries_what_browsers_need_to_know(web: Web) -> None:
    for path in ("/docs", PUBLIC, "/static/js/nav.js", "/nowhere", "/healthz"):
        headers = get(web, path).headers
        assert (
            headers["X-Content-Type-Options"] == "nosniff" and "frame-ancestors" in headers["Content-Security-Policy"]
        )
    refused = get(web, "/" + "a" * 5000)
    assert refused.status == 414 and refused.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("headers", "status"),
    [({"X-Long": "a" * 8300}, 431), ({f"X-{number}": "1" for number in range(110)}, 431)],
    ids=["a long header", "many headers"],
)
def test_headers_have_an_end(web: Web, headers: dict[str, str], status: int) -> None:
    assert get(web, **headers).status == status


def test_a_request_line_with_a_long_query_is_refused(web: Web) -> None:
    assert get(web, f"/api/courses?q={'a' * 4200}", **AGENT).status == 414
    assert get(web, f"/api/courses?q={'a' * 3000}", **AGENT).status == 200


def opened(stack: ExitStack, web: Web, path: str, headers: dict[str, str]) -> Listener:
    return stack.enter_context(web.listen(path, headers))


@pytest.mark.parametrize(
    ("path", "headers", "most"),
    [("/api/public/catalog/stream", {}, STREAMS), ("/api/catalog/stream", AGENT, 10 * STREAMS)],
    ids=["an address", "a program"],
)
def test_streams_are_counted_over_all_processes(web: Web, path: str, headers: dict[str, str], most: int) -> None:
    with ExitStack() as stack:
        listeners = [opened(stack, web, path, headers) for _ in range(most)]
        assert [listener.status for listener in listeners] == [200] * most
        for _ in range(5):
            refused = opened(stack, web, path, headers)
            assert refused.status == 429 and int(refused.headers["retry-after"]) > 0
        assert get(web, path, **headers).json()["code"] == "too_many_streams"
        listeners[0].socket.close()
        eventually(lambda: opened(stack, web, path, headers).status == 200, what="room for one more")
    # All are gone, and so are their seats.
    eventually(lambda: not web.deps.quick_redis.client.keys("coursewright:seats:[ap]*:*"), what="every seat given back")


class TestRoom:
    """One process's own account."""

    def test_streams_of_the_public_leave_half_of_a_process_to_others(self) -> None:
        redis = QuickRedis(f"redis://127.0.0.1:{free_port()}/0")
        seats = Seats(redis)
        public = [Guest(f"address:192.0.2.{number}", str(number), 100, public=True) for number in range(5)]
        check_room(public[3], public[:3], 8, seats)
        with pytest.raises(Unavailable) as full:
            check_room(public[4], public[:4], 8, seats)
        assert full.value.code == "too_many_streams"
        check_room(Guest("person:ada", "1", 100), public[:4], 8, seats)
        redis.close()

    def test_without_redis_a_guest_has_so_many_in_each_process(self) -> None:
        redis = QuickRedis(f"redis://127.0.0.1:{free_port()}/0")
        mine = [Guest("person:ada", str(new_id()), 2) for _ in range(3)]
        check_room(mine[1], [mine[0], None, Guest("person:bea", "1", 2)], 100, Seats(redis))
        with pytest.raises(TooMany) as enough:
            check_room(mine[2], [*mine[:2], None], 100, Seats(redis))
        assert (enough.value.code, enough.value.status) == ("too_many_streams", 429)
        redis.close()
