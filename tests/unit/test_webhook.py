"""What a receiver is sent, and how it knows that it was us: by others' code, and by the example of docs/api.md."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from schema import backoff
from schema.clock import utc_now
from schema.errors import Invalid
from schema.events import Event
from schema.fields import load
from schema.webhook import (
    EVENTS,
    NewWebhookSchema,
    WebhookChangesSchema,
    secret_of,
    signed_headers,
    written,
)
from storage.notices.outbox import noticed, noticing

API = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
JOB = {"jobId": "j", "courseId": "sums", "error": None, "status": "done"}
AT = datetime(2026, 11, 21, 10, 39, 24, 273_000, tzinfo=UTC)


class TestSigning:
    @given(
        st.binary(min_size=24, max_size=64), st.binary(max_size=500), st.text("abcdef0123-", min_size=1, max_size=40)
    )
    def test_others_find_the_signature_right(self, key: bytes, content: bytes, name: str) -> None:
        body = json.dumps({"content": base64.b64encode(content).decode()}).encode()
        headers = signed_headers(secret_of(key), name, utc_now(), body)
        assert Webhook(secret_of(key)).verify(body, headers) == json.loads(body)

    def test_what_is_signed_is_the_second(self) -> None:
        assert signed_headers(secret_of(b"k" * 32), "an-id", AT, b"{}") == {
            "webhook-id": "an-id",
            "webhook-timestamp": "1795257564",
            "webhook-signature": "v1," + Webhook(b"k" * 32).sign("an-id", AT, "{}").partition(",")[2],
        }

    def test_the_example_in_the_documentation_takes_ours_and_nothing_else(self) -> None:
        section = API.partition("### Check that it was us")[2]
        [code] = re.findall(r"```python\n(.*?)```", section.partition("\n### ")[0], re.DOTALL)
        names: dict[str, Any] = {}
        exec(code, names)  # noqa: S102 - our own documentation
        verify, secret, body = names["verify"], secret_of(b"s" * 32), written("i", EVENTS[0], AT, JOB, None)
        now = utc_now()
        good = signed_headers(secret, "i", now, body)
        assert verify(secret, good, body) == json.loads(body)
        old, early = now - timedelta(minutes=6), now + timedelta(minutes=6)
        for bad_secret, headers, sent in (
            (secret, good, body + b" "),
            (secret_of(b"t" * 32), good, body),
            (secret, {**good, "webhook-id": "another"}, body),
            (secret, {**good, "webhook-timestamp": str(int(good["webhook-timestamp"]) + 1)}, body),
            (secret, signed_headers(secret, "i", old, body), body),
            (secret, signed_headers(secret, "i", early, body), body),
        ):
            with pytest.raises(ValueError, match=r"\w"):
                verify(bad_secret, headers, sent)


class TestBody:
    def test_links_are_whole_where_the_address_is_known(self) -> None:
        body = json.loads(written("an-id", "job.completed", AT, JOB, "https://c.example"))
        assert (body["id"], body["event"], body["createdAt"]) == ("an-id", "job.completed", "2026-11-21T10:39:24.273Z")
        assert body["job"] == JOB | {
            "links": {"job": "https://c.example/api/jobs/j", "course": "https://c.example/api/courses/sums"}
        }

    def test_else_they_are_paths_and_a_job_without_a_course_has_none(self) -> None:
        body = json.loads(written("an-id", "job.failed", AT, {**JOB, "courseId": None}, None))
        assert body["job"]["links"] == {"job": "/api/jobs/j", "course": None}

    def test_the_documentation_shows_what_is_sent(self) -> None:
        section = API.partition("### What is sent")[2].partition("\n### ")[0]
        [shown] = re.findall(r"```json\n(.*?)```", section, re.DOTALL)
        body = json.loads(shown)
        sent = json.loads(written("i", "job.completed", AT, dict.fromkeys(_told_of_a_job()) | JOB, None))
        assert body.keys() == sent.keys()
        assert body["job"].keys() == sent["job"].keys() and body["job"]["links"].keys() == sent["job"]["links"].keys()


def _told_of_a_job() -> list[str]:
    return re.findall(r"'(\w+)', ended\.", noticed([Event("job_completed", {})]).partition("SELECT gen_random")[2])


def test_only_the_end_of_a_job_writes_to_the_outbox() -> None:
    for type_ in ("job_created", "step_started", "step_completed", "job_retrying", "media_settled", "media_failed"):
        events = [Event(type_, {"deadLetter": False})]
        assert (noticed(events), noticing(events)) == ("", {})
    started = Event("step_completed", {})
    for event, name in (
        (Event("job_completed", {}), "completed"),
        (Event("job_cancelled", {}), "cancelled"),
        (Event("job_failed", {"deadLetter": False}), "failed"),
        (Event("job_failed", {"deadLetter": True}), "dead_letter"),
    ):
        given_ = noticing([started, event])
        assert (given_["ended_at"], given_["ended_as"]) == (2, name)
        assert f"job.{name}" in EVENTS
        assert all(f":{parameter}" in noticed([event]) for parameter in given_)


class TestBodiesTaken:
    def test_the_least(self) -> None:
        loaded = load(NewWebhookSchema(), {"url": "https://example.org/x"})
        assert loaded == {"url": "https://example.org/x", "events": list(EVENTS), "description": "", "paused": False}
        assert load(WebhookChangesSchema(), {"paused": True}) == {"paused": True}

    @pytest.mark.parametrize(
        ("body", "path"),
        [
            ({}, "url"),
            ({"url": "http//x"}, "url"),
            ({"url": 5}, "url"),
            ({"url": "https://a.org", "events": []}, "events"),
            ({"url": "https://a.org", "events": ["job.completed", "job.completed"]}, "events"),
            ({"url": "https://a.org", "events": ["job.started"]}, "events.0"),
            ({"url": "https://a.org", "events": "job.completed"}, "events"),
            ({"url": "https://a.org", "description": "two\nlines"}, "description"),
            ({"url": "https://a.org", "description": "x" * 201}, "description"),
            ({"url": "https://a.org", "paused": "no"}, "paused"),
            ({"url": "https://a.org", "secret": "mine"}, "secret"),
        ],
    )
    def test_what_is_refused_is_named(self, body: dict[str, Any], path: str) -> None:
        with pytest.raises(Invalid) as refused:
            load(NewWebhookSchema(), body)
        assert [error.path for error in refused.value.errors] == [path]


class TestBackoff:
    def test_it_goes_on_for_a_day(self) -> None:
        pauses = [backoff.pause_after(attempts, 0.5) for attempts in range(1, 9)]
        assert pauses == list(backoff.PAUSES)
        assert sum(backoff.PAUSES) == 86_400
        assert backoff.pause_after(9, 0.5) is None

    @given(st.integers(1, 8), st.floats(0, 1), st.none() | st.floats(0, 1e9))
    def test_luck_and_wishes_stay_within_bounds(self, attempts: int, luck: float, wished: float | None) -> None:
        pause = backoff.pause_after(attempts, luck, wished)
        usual = backoff.PAUSES[attempts - 1]
        assert pause is not None
        assert usual * 0.9 - 1e-6 <= pause <= max(usual * 1.1, backoff.LONGEST_WISH) + 1e-6
        if wished is not None and wished <= backoff.LONGEST_WISH:
            assert pause >= wished
