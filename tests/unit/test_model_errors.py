from __future__ import annotations

from datetime import UTC, datetime

import httpx2
import openai
import pytest

from schema.clock import new_id
from schema.errors import CoursewrightError, Permanent
from storage.spending.calls import Beginning
from tasks.clients.prices import cost_usd
from tasks.clients.record import CallRecord, recorded
from tasks.clients.translate import refuses_streams, retry_after, translated

NOW = datetime(2026, 11, 21, 10, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "Sat, 21 Nov 2026 10:01:30 GMT"}, 90.0),
        ({"retry-after": "Sat, 21 Nov 2026 09:00:00 GMT"}, 0.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "later"}, None),
        ({"retry-after": "Sat, 21 Nov 2026 10:01:30 -0000"}, None),
        ({}, None),
    ],
)
def test_the_wait_is_read_in_every_form_the_standard_and_the_vendors_know(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers, NOW) == seconds


def test_a_call_costs_what_its_tokens_cost() -> None:
    assert cost_usd("gpt-5.2", None, 1_000_000, 500_000) == pytest.approx(8.75)
    snapshot = cost_usd("gpt-5.2-2025-12-11", None, 2000, 100)
    assert snapshot == cost_usd("gpt-5.2", None, 2000, 100) == pytest.approx(0.0049)


def test_what_is_not_known_has_no_cost() -> None:
    assert cost_usd("some-local-model", None, 10, 10) is None
    assert cost_usd("gpt-5.2-pro", None, 10, 10) is None
    assert cost_usd("gpt-5.2", None, None, 10) is None
    assert cost_usd("gpt-5.2", None, 10, None) is None


@pytest.mark.parametrize(
    ("base_url", "known"),
    [
        (None, True),
        ("https://api.openai.com/v1", True),
        ("https://API.OpenAI.com:443/v1/", True),
        ("http://127.0.0.1:8080/v1", False),
        ("https://models.example.org/api.openai.com/v1", False),
        ("https://api.openai.com.example.org/v1", False),
        ("https://api.openai.com@example.org/v1", False),
        ("https://[half", False),
    ],
)
def test_only_the_vendors_own_endpoint_has_the_vendors_prices(base_url: str | None, known: bool) -> None:
    records: list[CallRecord] = []
    call = Beginning(new_id(), "plan", "plan/1", "gpt-5.2")
    with recorded(records.append, call, base_url=base_url) as usage:
        usage.input_tokens = usage.output_tokens = 1_000_000
    assert [record.cost_usd for record in records] == [pytest.approx(15.75) if known else None]


REQUEST = httpx2.Request("POST", "http://127.0.0.1/v1/chat/completions")


def translation_of(error: Exception) -> CoursewrightError:
    with pytest.raises(CoursewrightError) as caught, translated("m", 9):
        raise error
    assert caught.value.__cause__ is None and "secret" not in repr(caught.value.as_json())
    return caught.value


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"type": "server_error", "code": None}, "model_unavailable"),
        ({}, "model_unavailable"),
        ("overloaded", "model_unavailable"),
        ({"type": "requests", "code": "rate_limit_exceeded"}, "model_rate_limited"),
        ({"code": 429}, "model_rate_limited"),
        ({"type": "insufficient_quota", "code": "insufficient_quota"}, "model_quota_exhausted"),
        ({"code": "content_filter"}, "model_refused"),
    ],
)
def test_an_error_in_the_middle_of_a_stream_has_no_status_and_is_told_by_its_code(body: object, code: str) -> None:
    found = translation_of(openai.APIError("the secret words of the vendor", REQUEST, body=body))
    assert found.code == code
    assert isinstance(found, Permanent) is (code in {"model_quota_exhausted", "model_refused"})


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (httpx2.ReadError("secret"), "model_unavailable"),
        (httpx2.RemoteProtocolError("secret"), "model_unavailable"),
        (httpx2.ReadTimeout("secret"), "model_timeout"),
    ],
)
def test_a_body_that_breaks_off_while_it_is_read_is_a_broken_connection(error: Exception, code: str) -> None:
    assert translation_of(error).code == code


@pytest.mark.parametrize(
    ("status", "body", "refused"),
    [
        (400, {"param": "stream_options", "message": "Unknown parameter."}, True),
        (422, {"message": "extra inputs are not permitted: stream_options"}, True),
        (400, {"param": "messages", "message": "Too long."}, False),
        (400, {"message": "The upstream server says: too long."}, False),
        (401, {"param": "stream", "message": "No."}, False),
        (503, {"message": "upstream is away"}, False),
    ],
)
def test_only_who_names_the_stream_refuses_it(status: int, body: dict[str, str], refused: bool) -> None:
    answer = httpx2.Response(status, request=REQUEST)
    assert refuses_streams(openai.APIStatusError(body["message"], response=answer, body=body)) is refused
