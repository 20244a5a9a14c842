"""The object store: headers, absence, and keys whose content has a number."""

from __future__ import annotations

import random
import socket
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from minio.error import S3Error
from minio.lifecycleconfig import LifecycleConfig

from schema.clock import new_id
from schema.errors import Transient
from storage.objects import ObjectStore, Stored
from storage.processes import free_port
from tasks.deps import Deps
from tests.integration.stage import at_once, together


@pytest.fixture
def store(deps: Deps) -> ObjectStore:
    return deps.objects


@pytest.fixture
def bucket(deps: Deps) -> str:
    return deps.settings.s3.courses_bucket


@pytest.fixture
def key() -> str:
    return f"tests/{new_id()}/course.json"


@pytest.fixture
def nowhere(deps: Deps) -> ObjectStore:
    """A store that isn't there."""
    return ObjectStore(replace(deps.settings.s3, endpoint_url=f"http://127.0.0.1:{free_port()}"))


def test_what_is_put_can_be_read_with_its_headers(store: ObjectStore, bucket: str, key: str) -> None:
    store.put(bucket, key, "ü".encode(), "text/plain; charset=utf-8", "private, no-store")
    assert store.read(bucket, key) == "ü".encode()
    found = store.client.stat_object(bucket, key)
    assert (found.content_type, found.size) == ("text/plain; charset=utf-8", 2)
    assert found.metadata is not None
    assert found.metadata["Cache-Control"] == "private, no-store"


def test_what_is_not_there_is_none_and_no_error(store: ObjectStore, bucket: str, key: str) -> None:
    assert store.read(bucket, key) is None
    assert store.stored(bucket, key) is None
    assert store.read("no-such-bucket", key) is None
    assert store.stored("no-such-bucket", key) is None


def test_making_the_buckets_again_changes_nothing(store: ObjectStore, bucket: str, key: str) -> None:
    store.put(bucket, key, b"kept", "text/plain", "no-cache")
    assert at_once(4, store.ensure_buckets) == [None] * 4
    assert store.read(bucket, key) == b"kept"


# --- numbered ---------------------------------------------------------------------------------------------------


def test_a_newer_number_replaces_an_older_one_and_never_the_other_way_round(
    store: ObjectStore, bucket: str, key: str
) -> None:
    assert store.put_current(bucket, key, b"two", 2, "no-cache")
    for number in (1, 2):
        assert not store.put_current(bucket, key, b"late", number, "no-cache")
    assert store.read(bucket, key) == b"two"
    assert store.put_current(bucket, key, b"three", 3, "no-cache")
    stored = store.stored(bucket, key)
    assert isinstance(stored, Stored)
    assert (store.read(bucket, key), stored.number) == (b"three", 3)


def test_an_object_without_a_number_is_older_than_any(store: ObjectStore, bucket: str, key: str) -> None:
    store.put(bucket, key, b"by hand", "application/json", "no-cache")
    assert store.put_current(bucket, key, b"one", 1, "no-cache")
    assert store.read(bucket, key) == b"one"


@pytest.mark.parametrize("key", ["a b/ü&?.json", "a+b/c%20d.json"])
def test_keys_with_unusual_letters_are_signed_rightly(store: ObjectStore, bucket: str, key: str) -> None:
    own = f"tests/{new_id()}/{key}"
    assert store.put_current(bucket, own, b"one", 1, "no-cache")
    assert store.read(bucket, own) == b"one"


def test_of_many_writers_at_once_the_newest_stays(store: ObjectStore, bucket: str, key: str) -> None:
    numbers = [1, 2, 3, 4, 6, 6]
    random.Random(5).shuffle(numbers)

    def put(number: int) -> Callable[[], bool]:
        return lambda: store.put_current(bucket, key, str(number).encode() * 2000, number, "no-cache")

    answers = together([put(number) for number in numbers])
    assert [answer for answer in answers if not isinstance(answer, bool)] == []
    assert store.read(bucket, key) == b"6" * 2000
    wrote = [number for number, answer in zip(numbers, answers, strict=True) if answer is True]
    assert wrote.count(6) == 1
    assert len(wrote) == len(set(wrote)), "no number is written twice"


def test_a_slow_writer_does_not_land_on_what_came_meanwhile(store: ObjectStore, bucket: str, key: str) -> None:
    """Between its look and its write another one writes: it looks again, and finds itself outdated."""

    class Overtaken(ObjectStore):
        looks = 0

        def stored(self, bucket: str, key: str) -> Stored | None:
            found = super().stored(bucket, key)
            self.looks += 1
            if self.looks == 1:
                assert store.put_current(bucket, key, b"newer", 7, "no-cache")
            return found

    slow = Overtaken(store.settings)
    assert not slow.put_current(bucket, key, b"older", 6, "no-cache")
    assert (slow.looks, store.read(bucket, key)) == (2, b"newer")


# --- going through ------------------------------------------------------------------------------------------------


@pytest.fixture
def own(store: ObjectStore) -> Iterator[str]:
    """A bucket of this test alone."""
    name = f"of-a-test-{new_id().hex[:12]}"
    store.client.make_bucket(name)
    yield name
    store.delete(name, [found.key for found in store.list(name)])
    store.client.remove_bucket(name)


def test_a_listing_can_go_on_from_any_key_and_misses_none(store: ObjectStore, own: str) -> None:
    """Names that sort differently as keys and as folders, and letters that addresses need to spell out."""
    keys = {f"{name}/{file}" for name in ("a", "a-b", "a b", "ä&ö", "b") for file in ("course.json", "x/1.json", "x.")}
    for key in keys:
        store.put(own, key, b"x", "text/plain", "no-cache")
    for limit in (1, 2, 4, 100):
        seen: list[str] = []
        while page := store.list(own, seen[-1] if seen else "", limit):
            assert len(page) <= limit
            seen += [found.key for found in page]
        assert len(seen) == len(keys)
        assert set(seen) == keys


def test_a_listing_reaches_beyond_what_the_store_tells_at_once(store: ObjectStore, own: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda n: store.put(own, f"{n:04}", b"", "text/plain", "no-cache"), range(1003)))
    assert [found.key for found in store.list(own, limit=1002)] == [f"{n:04}" for n in range(1002)]
    assert [found.key for found in store.list(own, "0999")] == ["1000", "1001", "1002"]
    store.delete(own, [f"{n:04}" for n in range(1000)])
    assert len(store.list(own)) == 3


def test_an_objects_age_is_told_by_the_stores_clock(store: ObjectStore, bucket: str, key: str) -> None:
    before = store.clock()
    store.put(bucket, key, b"x", "text/plain", "no-cache")
    stored = store.stored(bucket, key)
    assert stored is not None and stored.written_at is not None
    [listed] = [found for found in store.list(bucket, key.removesuffix("course.json"), 1) if found.key == key]
    for written_at in (stored.written_at, listed.written_at):
        assert before - timedelta(seconds=1) <= written_at <= store.clock() + timedelta(seconds=1)


def test_what_is_deleted_is_gone_and_the_rest_stays(store: ObjectStore, bucket: str, key: str) -> None:
    for name in (key, key + "2"):
        store.put(bucket, name, b"x", "text/plain", "no-cache")
    store.delete(bucket, [key, "never/there"])
    store.delete(bucket, [key])
    store.delete(bucket, [])
    assert (store.read(bucket, key), store.read(bucket, key + "2")) == (None, b"x")


def test_there_is_nothing_in_a_bucket_that_is_not_there(store: ObjectStore) -> None:
    assert list(store.list("no-such-bucket")) == []


def test_a_bucket_made_here_has_its_rules_and_one_that_was_there_keeps_its_own(deps: Deps) -> None:
    names = {"courses_bucket": f"rules-{new_id().hex[:12]}", "media_bucket": f"rules-{new_id().hex[:12]}"}
    store = ObjectStore(replace(deps.settings.s3, **names))
    store.client.make_bucket(names["media_bucket"])
    store.ensure_buckets()
    try:
        rules = store.client.get_bucket_lifecycle(names["courses_bucket"])
        assert rules is not None
        assert {(rule.rule_id, rule.expiration.days if rule.expiration else None) for rule in rules.rules} == {
            ("unfinished-uploads", None),
            ("debug", 365),
        }
        assert store.client.get_bucket_lifecycle(names["media_bucket"]) is None
        store.put(names["courses_bucket"], "debug/x.json", b"x" * 300_000, "application/json", "no-cache")
        assert store.read(names["courses_bucket"], "debug/x.json") == b"x" * 300_000
        store.delete(names["courses_bucket"], ["debug/x.json"])
    finally:
        for name in names.values():
            store.client.remove_bucket(name)


@pytest.mark.parametrize(
    ("takes", "asked_for"),
    [
        ({"debug", "unfinished-uploads"}, [{"debug", "unfinished-uploads"}, {"unfinished-uploads"}]),
        ({"debug"}, [{"debug", "unfinished-uploads"}, {"debug"}, {"unfinished-uploads"}]),
        (set(), [{"debug", "unfinished-uploads"}, {"debug"}, {"unfinished-uploads"}]),
    ],
)
def test_rules_a_store_does_not_take_are_no_reason_not_to_start(
    deps: Deps, monkeypatch: pytest.MonkeyPatch, takes: set[str], asked_for: list[set[str]]
) -> None:
    names = {"courses_bucket": f"rules-{new_id().hex[:12]}", "media_bucket": f"rules-{new_id().hex[:12]}"}
    store = ObjectStore(replace(deps.settings.s3, **names))
    asked = []

    def take(bucket: str, config: LifecycleConfig) -> None:
        rules = {str(rule.rule_id) for rule in config.rules}
        asked.append(rules)
        if not rules <= takes:
            response: Any = None
            raise S3Error(response, "MalformedXML", "Not well-formed.", bucket, "1", None)

    monkeypatch.setattr(store.client, "set_bucket_lifecycle", take)
    store.ensure_buckets()
    assert asked == asked_for
    for name in names.values():
        assert store.client.bucket_exists(name)
        store.client.remove_bucket(name)


# --- away -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deed", ["put", "read", "stored", "put_current", "ensure_buckets", "list", "delete", "clock"])
def test_a_store_that_is_away_is_transient(nowhere: ObjectStore, deed: str) -> None:
    deeds: dict[str, Callable[[], object]] = {
        "put": lambda: nowhere.put("courses", "key", b"", "text/plain", "no-cache"),
        "read": lambda: nowhere.read("courses", "key"),
        "stored": lambda: nowhere.stored("courses", "key"),
        "put_current": lambda: nowhere.put_current("courses", "key", b"", 1, "no-cache"),
        "ensure_buckets": nowhere.ensure_buckets,
        "list": lambda: nowhere.list("courses"),
        "delete": lambda: nowhere.delete("courses", ["key"]),
        "clock": nowhere.clock,
    }
    with pytest.raises(Transient) as caught:
        deeds[deed]()
    assert caught.value.code == "store_away"
    assert not nowhere.alive()


def test_a_store_that_hangs_keeps_nobody_who_asks_whether_it_lives(deps: Deps) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings = replace(deps.settings.s3, endpoint_url=f"http://127.0.0.1:{silent.getsockname()[1]}")
        began = time.monotonic()
        assert not ObjectStore(settings).alive()
        assert time.monotonic() - began < 20


def test_wrong_keys_are_transient_and_told_nowhere(deps: Deps, bucket: str, key: str) -> None:
    stranger = ObjectStore(replace(deps.settings.s3, secret_key="not-the-secret"))
    for deed in (
        lambda: stranger.read(bucket, key),
        lambda: stranger.list(bucket),
        lambda: stranger.delete(bucket, [key]),
        lambda: stranger.put(bucket, key, b"", "text/plain", "no-cache"),
        lambda: stranger.put_current(bucket, key, b"", 1, "no-cache"),
    ):
        with pytest.raises(Transient) as caught:
            deed()
        assert caught.value.code == "store_away"
        assert "not-the-secret" not in str(caught.value.as_json())
    assert not stranger.alive()
