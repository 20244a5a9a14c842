"""The object store: headers, absence, and keys whose content has a number."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace

import pytest

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


# --- away -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("deed", ["put", "read", "stored", "put_current", "ensure_buckets"])
def test_a_store_that_is_away_is_transient(nowhere: ObjectStore, deed: str) -> None:
    deeds: dict[str, Callable[[], object]] = {
        "put": lambda: nowhere.put("courses", "key", b"", "text/plain", "no-cache"),
        "read": lambda: nowhere.read("courses", "key"),
        "stored": lambda: nowhere.stored("courses", "key"),
        "put_current": lambda: nowhere.put_current("courses", "key", b"", 1, "no-cache"),
        "ensure_buckets": nowhere.ensure_buckets,
    }
    with pytest.raises(Transient) as caught:
        deeds[deed]()
    assert caught.value.code == "store_away"
    assert not nowhere.alive()


def test_wrong_keys_are_transient_and_told_nowhere(deps: Deps, bucket: str, key: str) -> None:
    stranger = ObjectStore(replace(deps.settings.s3, secret_key="not-the-secret"))
    for deed in (
        lambda: stranger.read(bucket, key),
        lambda: stranger.put(bucket, key, b"", "text/plain", "no-cache"),
        lambda: stranger.put_current(bucket, key, b"", 1, "no-cache"),
    ):
        with pytest.raises(Transient) as caught:
            deed()
        assert caught.value.code == "store_away"
        assert "not-the-secret" not in str(caught.value.as_json())
    assert not stranger.alive()
