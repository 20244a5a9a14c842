"""What the web's guards are told, and how a body may be built."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import BadRequest
from schema.guarding import read_frame_ancestors, read_origins
from tests.unit.strategies import SETTINGS
from web.body import strict_json
from web.guarding.headers import policy
from web.guarding.shapes import DEEPEST, MOST_KEYS, MOST_OPENED


def refused(raw: bytes) -> str:
    with pytest.raises(BadRequest) as caught:
        strict_json(raw)
    return caught.value.code


def nested(depth: int, opening: str = "[", closing: str = "]") -> bytes:
    return (opening * depth + closing * depth).encode()


class TestShapes:
    def test_it_may_nest_so_deep_and_no_deeper(self) -> None:
        assert strict_json(nested(DEEPEST)) is not None
        assert refused(nested(DEEPEST + 1)) == "body_too_complex"

    def test_objects_and_lists_count_alike_wherever_they_stand(self) -> None:
        half = DEEPEST // 2
        assert strict_json(b'{"a":[' * half + b"1" + b"]}" * half)
        assert refused(b'[1, {"b": 2}, ' + b'{"a":[' * half + b"1" + b"]}" * half + b"]") == "body_too_complex"

    @pytest.mark.parametrize(
        "raw",
        [
            nested(500_000),
            nested(90_000),
            nested(900),
            b"[" * 1_000_000,
            b'{"a":' * 200_000,
            b'{"a":[' * 45_000 + b"]}" * 45_000,
            b"[" + b"[]," * 330_000 + b"1]",
            b"[" + b",".join([nested(31)] * 15_000) + b"]",
        ],
        ids=["lists", "fewer lists", "few lists", "open lists", "open objects", "both", "wide", "wide and deep"],
    )
    def test_a_bomb_is_refused_in_no_time(self, raw: bytes) -> None:
        assert len(raw) < 1_000_001
        began = time.process_time()
        assert refused(raw) == "body_too_complex"
        assert time.process_time() - began < 0.2

    def test_there_may_be_so_many_keys(self) -> None:
        def keys(count: int) -> bytes:
            return json.dumps(
                [{f"k{n}": n for n in range(start, min(start + 100, count))} for start in range(0, count, 100)]
            ).encode()

        assert strict_json(keys(MOST_KEYS))
        assert refused(keys(MOST_KEYS + 1)) == "body_too_complex"

    def test_brackets_in_texts_are_only_counted_when_there_are_very_many(self) -> None:
        assert strict_json(json.dumps({"text": "[" * 1000}).encode())
        assert refused(json.dumps({"text": "[" * (MOST_OPENED + 1)}).encode()) == "body_too_complex"

    @SETTINGS
    @given(
        st.recursive(
            st.none() | st.integers() | st.text(max_size=5),
            lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3), inner),
        )
    )
    def test_what_is_sound_is_read_as_ever(self, value: Any) -> None:
        raw = json.dumps(value).encode()
        try:
            assert strict_json(raw) == value
        except BadRequest as error:
            assert error.code == "body_too_complex" and raw.count(b"[") + raw.count(b"{") > DEEPEST


class TestOrigins:
    @pytest.mark.parametrize(
        ("text", "origins"),
        [
            ("https://app.example.org", {"https://app.example.org"}),
            ("https://App.example.org/, http://localhost:3000", {"https://app.example.org", "http://localhost:3000"}),
            ("https://a.example:443 http://b.example:80", {"https://a.example", "http://b.example"}),
            ("http://a.example:443", {"http://a.example:443"}),
            ("http://[::1]:3000", {"http://[::1]:3000"}),
            ("*", {"*"}),
        ],
    )
    def test_they_are_as_browsers_write_them(self, text: str, origins: set[str]) -> None:
        assert read_origins(text) == origins

    @pytest.mark.parametrize("text", ["a.example", "https://", "https://a.example/path", "https://*.a.example", "null"])
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match="not an origin"):
            read_origins(text)

    def test_everybody_stands_alone(self) -> None:
        with pytest.raises(ValueError, match="not an origin"):
            read_origins("*, https://a.example")


class TestFrames:
    @pytest.mark.parametrize(
        ("text", "ancestors"),
        [
            ("self", ("'self'",)),
            ("'self' https://*.preview.example:*", ("'self'", "https://*.preview.example:*")),
            ("none", ("'none'",)),
            ("*", ("*",)),
            ("https:", ("https:",)),
        ],
    )
    def test_they_are_as_a_policy_names_them(self, text: str, ancestors: tuple[str, ...]) -> None:
        assert read_frame_ancestors(text) == ancestors

    @pytest.mark.parametrize(
        "text", ["none, self", ",", "https://a.example/x", "a.example", "'unsafe'", "self;script-src *"]
    )
    def test_anything_else_is_refused(self, text: str) -> None:
        with pytest.raises(ValueError, match=r"not a site|stands alone"):
            read_frame_ancestors(text)

    def test_a_policy_names_nothing_unsafe_and_no_other_host(self) -> None:
        made = policy(("'self'", "https://a.example"))
        assert made.endswith("; frame-ancestors 'self' https://a.example")
        rest = made.partition("frame-ancestors")[0]
        assert "default-src 'none'" in rest and "unsafe" not in rest and "http" not in rest and "*" not in rest
