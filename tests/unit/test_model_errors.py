from __future__ import annotations

from datetime import UTC, datetime

import pytest

from schema.clock import new_id
from storage.calls import Beginning
from tasks.clients.prices import cost_usd
from tasks.clients.record import CallRecord, recorded
from tasks.clients.translate import retry_after

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
