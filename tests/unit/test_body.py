from __future__ import annotations

import base64
import io
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import BadRequest, Invalid
from tests.unit.strategies import SETTINGS
from web.body import discard_body, json_body, only_arguments, read_cursor, whole_argument, write_cursor

app = Flask("test")


def read(raw: bytes, content_type: str | None = "application/json") -> Any:
    with app.test_request_context("/", method="POST", data=raw, content_type=content_type):
        return json_body()


def refused(raw: bytes, content_type: str | None = "application/json") -> tuple[str, str]:
    with pytest.raises(BadRequest) as caught:
        read(raw, content_type)
    assert caught.value.status == 400
    return caught.value.code, caught.value.message


class TestBody:
    @pytest.mark.parametrize(
        ("raw", "value"),
        [
            (b"{}", {}),
            (b' {"a": [1, 2.5, null, true, "\xc3\xa4"]}\n', {"a": [1, 2.5, None, True, "ä"]}),
            (b'"text"', "text"),
            (b"null", None),
            (b'{"a": {"a": 1}, "b": {"a": 1}}', {"a": {"a": 1}, "b": {"a": 1}}),
            (b'"\\ud800"', "\ud800"),  # whether it can be kept is judged with its field
        ],
    )
    def test_json_is_read(self, raw: bytes, value: Any) -> None:
        assert read(raw) == value

    @pytest.mark.parametrize(
        "raw",
        [
            b"",
            b"{",
            b"{'a': 1}",
            b'{"a": 1,}',
            b"[1] [2]",
            b"\xef\xbb\xbf{}",
            b'{"a": "\xff"}',
            b'{"a": "\xed\xa0\x80"}',
            b'{"a": 01}',
            b'{"a": "line\nbreak"}',
            b"// words\n{}",
            b"9" * 5000,
            '{"a": 1}'.encode("utf-16"),
        ],
        ids=lambda raw: repr(raw[:20]),
    )
    def test_anything_else_is_refused(self, raw: bytes) -> None:
        assert refused(raw)[0] == "malformed_json"

    @pytest.mark.parametrize("constant", ["NaN", "Infinity", "-Infinity"])
    def test_constants_json_does_not_know_are_refused_by_name(self, constant: str) -> None:
        code, message = refused(f'{{"a": [{constant}]}}'.encode())
        assert code == "malformed_json"
        assert constant in message

    @pytest.mark.parametrize(
        "raw", [b'{"a": 1, "a": 1}', b'{"x": [{"a": 1, "b": 2, "a": 3}]}', b'{"a": 1, "\\u0061": 2}']
    )
    def test_a_key_twice_is_refused_at_any_depth(self, raw: bytes) -> None:
        code, message = refused(raw)
        assert code == "malformed_json"
        assert "twice" in message

    @pytest.mark.parametrize("content_type", [None, "text/plain", "application/x-www-form-urlencoded"])
    def test_another_content_type_is_refused(self, content_type: str | None) -> None:
        assert refused(b"{}", content_type)[0] == "not_json"

    @pytest.mark.parametrize("content_type", ["application/json; charset=utf-8", "application/merge-patch+json"])
    def test_every_way_to_say_json_is_taken(self, content_type: str) -> None:
        assert read(b"{}", content_type) == {}

    def test_the_refusal_repeats_nothing_of_the_body(self) -> None:
        assert "hunter2" not in refused(b'{"password": hunter2}')[1]

    @SETTINGS
    @given(st.binary(max_size=60))
    def test_any_bytes_are_read_or_refused(self, raw: bytes) -> None:
        try:
            read(raw)
        except BadRequest as error:
            assert error.code == "malformed_json"


def argument(query: str) -> int:
    with app.test_request_context("/", query_string=query):
        return whole_argument("limit", 50, 1, 200)


class TestWholeArgument:
    @pytest.mark.parametrize(("query", "value"), [("", 50), ("limit=1", 1), ("limit=200", 200), ("limit=007", 7)])
    def test_it_is_read(self, query: str, value: int) -> None:
        assert argument(query) == value

    @pytest.mark.parametrize(
        "raw", ["", "0", "201", "-1", "+5", "1.0", "1e1", " 5", "five", "%D9%A5", "%C2%B2", "5%00", "9" * 5000, "0x10"]
    )
    def test_anything_else_is_refused_by_name_and_with_its_limits(self, raw: str) -> None:
        with pytest.raises(Invalid) as caught:
            argument(f"limit={raw}")
        assert [error.path for error in caught.value.errors] == ["limit"]
        assert "1 to 200" in caught.value.errors[0].message


class TestOnlyArguments:
    @pytest.mark.parametrize("query", ["", "limit=1", "limit=1&status=done", "limit=x"])
    def test_known_ones_pass_whatever_their_value(self, query: str) -> None:
        with app.test_request_context("/", query_string=query):
            only_arguments(["status", "limit"])

    def test_each_unknown_one_is_named_beside_those_there_are(self) -> None:
        with (
            app.test_request_context("/", query_string="state=done&limit=1&Limit=2&"),
            pytest.raises(Invalid) as caught,
        ):
            only_arguments(["status", "limit"])
        assert [(error.path, error.code) for error in caught.value.errors] == [
            ("Limit", "unknown_field"),
            ("state", "unknown_field"),
        ]
        assert "limit, status" in caught.value.errors[0].message

    def test_one_that_is_given_twice_is_named_once(self) -> None:
        with (
            app.test_request_context("/", query_string="status=done&limit=1&status=failed&status=done&state=x&state=y"),
            pytest.raises(Invalid) as caught,
        ):
            only_arguments(["status", "limit"])
        assert [(error.path, error.code) for error in caught.value.errors] == [
            ("state", "unknown_field"),
            ("status", "invalid_value"),
        ]


class Connection:
    """A socket on which so much arrives, and nothing more."""

    def __init__(self, arrived: int) -> None:
        self.left = arrived
        self.patience: float | None = None
        self.longest = 0.0

    def gettimeout(self) -> float | None:
        return self.patience

    def settimeout(self, seconds: float | None) -> None:
        self.patience = seconds
        self.longest = max(self.longest, seconds or 0)

    def read(self, size: int) -> bytes:
        if self.left == 0:
            raise TimeoutError
        read = min(size, self.left)
        self.left -= read
        return b"x" * read


class TestDiscarding:
    def discard(self, arrived: int) -> Connection:
        connection = Connection(arrived)
        environ = {"gunicorn.socket": connection, "wsgi.input": connection}
        with app.test_request_context("/", method="POST", environ_overrides=environ):
            discard_body()
        return connection

    def test_what_arrived_is_read_and_what_stalls_is_left(self) -> None:
        connection = self.discard(3_000_000)
        assert connection.left == 0
        assert 0 < connection.longest <= 2
        assert connection.patience is None, "as it was found"

    def test_there_is_an_end_to_it(self) -> None:
        assert self.discard(20_000_000).left == 4_000_000

    def test_a_body_without_a_socket_is_read_to_its_end(self) -> None:
        raw = io.BytesIO(b"x" * 200_000)
        with app.test_request_context("/", method="POST", input_stream=raw):
            discard_body()
        assert raw.read() == b""


def cursor(text: str | None) -> Any:
    with app.test_request_context("/", query_string={} if text is None else {"cursor": text}):
        return read_cursor()


def packed(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


ID = UUID("3f2b8c1e-9a4d-4e6f-8b7a-0c5d1e2f3a4b")


class TestCursor:
    def test_none_is_the_beginning(self) -> None:
        assert cursor(None) is None

    @SETTINGS
    @given(st.datetimes(timezones=st.just(UTC)), st.uuids())
    def test_what_was_written_is_read_again(self, moment: datetime, job_id: UUID) -> None:
        text = write_cursor((moment, job_id))
        assert text.isascii()
        assert not set(text) & set("=+/?&#% "), "it goes into an address as it is"
        assert cursor(text) == (moment, job_id)

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "rubbish",
            "ä",
            "=",
            "A",
            packed("no bar"),
            packed(f"2026-01-01T00:00:00|{ID}"),
            packed(f"yesterday|{ID}"),
            packed("2026-01-01T00:00:00+00:00|not-an-id"),
            packed(f"2026-01-01T00:00:00+00:00|{ID}|more"),
            packed(f"2026-13-01T00:00:00+00:00|{ID}"),
            packed(f"0001-01-01T00:00:00+23:59|{ID}"),
            packed(f"9999-12-31T23:59:59-00:01|{ID}"),
        ],
    )
    def test_anything_else_is_refused_by_name(self, text: str) -> None:
        with pytest.raises(Invalid) as caught:
            cursor(text)
        assert [error.path for error in caught.value.errors] == ["cursor"]

    def test_a_time_of_elsewhere_is_read_as_the_same_moment(self) -> None:
        moment, _ = cursor(packed(f"2026-01-01T01:30:00+01:30|{ID}"))
        assert (moment.isoformat(), moment.tzinfo) == ("2026-01-01T00:00:00+00:00", UTC)

    @SETTINGS
    @given(st.text(max_size=60) | st.binary(max_size=60).map(lambda raw: base64.urlsafe_b64encode(raw).decode()))
    def test_any_text_is_a_place_or_refused(self, text: str) -> None:
        try:
            place = cursor(text)
        except Invalid:
            return
        assert isinstance(place[0], datetime) and place[0].tzinfo is UTC
