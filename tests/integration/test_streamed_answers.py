"""Answers that come as a stream, because somebody reads along: everything the text client promises holds as well."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from dataclasses import replace
from typing import Any

import pytest

from schema.errors import CoursewrightError, Permanent, Transient
from tasks.clients import loop
from tests.fakes.model_server import ModelServer
from tests.integration.model_client import ASK, KEY, Asked

LESSON = {
    "type": "object",
    "properties": {
        "number": {"type": "integer"},
        "sections": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"title": {"type": "string"}, "body": {"type": "string"}},
                "required": ["title", "body"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["number", "sections"],
    "additionalProperties": False,
}
STUDY = replace(ASK, schema_name="study_text", schema=LESSON, user='```json\n{"title": "Rivers"}\n```')
WORD = {"word": "some words", "count": 1}


def reading(model: ModelServer, **changed: Any) -> Asked:
    return Asked(model, reads=True, **changed)


#: Any answer will do: what is read is looked at before its shape is judged.
ANY = replace(STUDY, schema={})


def test_every_word_that_people_read_is_said_once_and_in_order(model: ModelServer) -> None:
    asked = reading(model)
    answer = asked.once(ANY)
    words = [text for section in answer["sections"] for text in (section["title"], section["body"])]
    assert "".join(asked.read) == "\n\n".join(words) + ""
    [call] = model.calls()
    assert call.streamed and call.body["stream_options"] == {"include_usage": True}
    [record] = asked.records
    assert record.input_tokens == len(call.question) // 4 + 1
    assert record.output_tokens and record.conversation and record.conversation.answer == answer


def test_words_are_said_while_the_answer_is_still_written(model: ModelServer) -> None:
    model.script(["stalls"])
    asked = reading(model)
    unwanted = threading.Event()
    ended: list[float] = []

    def wait() -> None:
        with pytest.raises(loop.Abandoned):
            loop.run(asked.client.complete(ANY, asked.say), unwanted)
        ended.append(time.monotonic())

    waiting = threading.Thread(target=wait)
    waiting.start()
    until = time.monotonic() + 20
    while not asked.read and time.monotonic() < until:
        time.sleep(0.01)
    assert asked.read, "nothing was said before the end"
    unwanted.set()
    gave_up = time.monotonic()
    waiting.join(20)
    assert ended[0] - gave_up < 1
    assert model.wait_for(lambda calls: calls[0].hungUp)
    assert asked.outcomes == [("abandoned", None)]


@pytest.mark.parametrize(
    ("fault", "code", "outcome"),
    [
        ("401", "model_unauthorized", "failed"),
        ("400", "model_request_invalid", "failed"),
        ("quota", "model_quota_exhausted", "rate_limited"),
        ("refusal", "model_refused", "refused"),
        ("content_filter", "model_refused", "refused"),
    ],
)
def test_what_a_person_must_mend_is_permanent(model: ModelServer, fault: str, code: str, outcome: str) -> None:
    model.script([fault])
    asked = reading(model)
    with pytest.raises(Permanent) as caught:
        asked.once()
    assert (caught.value.code, asked.outcomes) == (code, [(outcome, code)])
    assert len(model.calls()) == 1


@pytest.mark.parametrize(
    ("fault", "code", "outcome"),
    [
        ("429", "model_rate_limited", "rate_limited"),
        ("503", "model_unavailable", "failed"),
        ("cut", "model_unavailable", "failed"),
        ("ends_early", "model_unavailable", "failed"),
        ("stream_error", "model_unavailable", "failed"),
        ("html", "model_answer_unreadable", "unreadable"),
    ],
)
def test_what_may_pass_is_transient(model: ModelServer, fault: str, code: str, outcome: str) -> None:
    model.script([fault])
    asked = reading(model)
    with pytest.raises(Transient) as caught:
        asked.once()
    assert (caught.value.code, asked.outcomes) == (code, [(outcome, code)])
    assert len(model.calls()) == 1


@pytest.mark.parametrize("fault", ["truncated", "length", "misshaped", "empty", "broken_body"])
def test_an_answer_that_can_t_be_used_is_asked_for_again(model: ModelServer, fault: str) -> None:
    model.script([fault])
    asked = reading(model)
    assert asked.once() == WORD
    assert asked.outcomes == [("unreadable", "model_answer_unreadable"), ("ok", None)]


@pytest.mark.parametrize("fault", ["fenced", "unstreamed", "no_usage"])
def test_servers_with_ways_of_their_own_are_understood(model: ModelServer, fault: str) -> None:
    model.script([fault])
    asked = reading(model)
    said = asked.once(ANY)["sections"][0]["title"]
    assert said in "".join(asked.read)
    assert asked.outcomes == [("ok", None)]
    assert (asked.records[0].input_tokens is None) is (fault == "no_usage")


@pytest.mark.parametrize("fault", ["broken_body", "cut"])
def test_an_answer_in_one_piece_may_break_off_too(model: ModelServer, fault: str) -> None:
    """The server doesn't stream, and what it sends breaks off."""
    asked = reading(model)
    original = model.begin

    def begin(call: Any) -> Any:
        found = original(call)
        call.streamed = False
        return found

    model.begin = begin  # type: ignore[method-assign]
    model.script([{"fault": fault, "times": 3}])
    with pytest.raises(Transient) as caught:
        asked.once()
    assert caught.value.code == {"broken_body": "model_answer_unreadable", "cut": "model_unavailable"}[fault]


def test_an_endpoint_that_refuses_streams_is_asked_without_from_then_on(model: ModelServer) -> None:
    model.script([{"fault": "refuses_streams", "times": 1}])
    asked = reading(model)
    assert asked.once() == asked.once() == WORD
    assert [call.streamed for call in model.calls()] == [True, False, False]
    assert asked.outcomes == [("ok", None)] * 2


def test_a_request_that_is_wrong_either_way_ends_no_streams(model: ModelServer) -> None:
    model.script(["refuses_streams", "400"])
    asked = reading(model)
    with pytest.raises(Permanent):
        asked.once()
    assert asked.once() == WORD
    assert [call.streamed for call in model.calls()] == [True, False, True]


@pytest.mark.parametrize("fault", ["hang", "stalls"])
def test_the_time_limit_is_for_the_whole_call(model: ModelServer, fault: str) -> None:
    model.script([fault])
    asked = reading(model, timeout_seconds=0.3)
    with pytest.raises(Transient) as caught:
        asked.once(ANY)
    assert caught.value.code == "model_timeout"
    assert asked.outcomes == [("timeout", "model_timeout")]
    assert model.wait_for(lambda calls: calls[0].hungUp)


def test_an_answer_that_drips_is_ended_at_the_limit_as_well(model: ModelServer) -> None:
    model.pace = 0.05  # every piece comes in time, all together don't
    asked = reading(model, timeout_seconds=0.4)
    with pytest.raises(Transient) as caught:
        asked.once(ANY)
    assert caught.value.code == "model_timeout"


def test_a_connection_is_used_again_after_a_stream(model: ModelServer) -> None:
    asked = reading(model)

    async def three() -> list[Any]:
        return [await asked.client.complete(ASK, asked.say) for _ in range(3)]

    assert loop.run(three()) == [WORD] * 3
    assert model.connections == 1


def test_no_error_within_a_stream_tells_a_key_or_what_the_vendor_wrote(model: ModelServer) -> None:
    model.script(["stream_error", "cut", "ends_early"])
    asked = reading(model)

    async def each() -> list[Any]:
        return await asyncio.gather(*(asked.client.complete(ASK, asked.say) for _ in range(3)), return_exceptions=True)

    for error in loop.run(each()):
        assert isinstance(error, CoursewrightError)
        said = f"{error.message} {json.dumps(error.as_json())} {error!r}"
        assert not [secret for secret in (KEY, "sk-quoted-by-vendor", "swordfish") if secret in said]
