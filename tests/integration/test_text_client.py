"""The text and image clients against a real HTTP server on loopback, fault by fault."""

from __future__ import annotations

import asyncio
import io
import threading

import pytest
from PIL import Image

from schema.errors import ModelNotConfigured, Permanent, Transient
from tasks.clients import loop
from tasks.clients.connection import close_connections
from tasks.clients.images import ImageClient, clean_picture
from tasks.clients.record import CallRecord, Conversation
from tasks.clients.text import ASK_TIMES, Ask, TextClient
from tests.fakes.model_server import ModelServer
from tests.fakes.open_gate import OpenGate
from tests.fakes.receiver import Receiver, Reply
from tests.integration.model_client import ASK, KEY, SHAPE, Asked, settings_for

pytestmark = pytest.mark.usefixtures("model_loop")


def test_an_answer_is_read_and_its_call_recorded(model: ModelServer) -> None:
    asked = Asked(model)
    assert asked.once() == {"word": "some words", "count": 1}
    [record] = asked.records
    assert (record.purpose, record.prompt_version, record.model) == ("words", "words/1", "gpt-5.2")
    assert (record.outcome, record.error_code) == ("ok", None)
    assert record.input_tokens and record.output_tokens and record.seconds > 0
    assert record.cost_usd is None, "this endpoint is not the vendor's, whatever its model is called"
    said = Conversation(ASK.system, ASK.user, {"word": "some words", "count": 1})
    assert record.conversation == said
    [call] = model.calls()
    assert call.apiKey == KEY
    assert call.body["response_format"]["json_schema"] == {"name": "words", "schema": SHAPE, "strict": True}
    assert "temperature" not in call.body


def test_a_temperature_is_sent_only_when_asked_for(model: ModelServer) -> None:
    Asked(model).once(Ask("words", "words", "words/1", "s", "u", "words", SHAPE, temperature=0.2))
    assert model.calls()[0].body["temperature"] == 0.2


def test_a_server_without_keys_gets_a_placeholder(model: ModelServer) -> None:
    asked = Asked(model, api_key=None, text_model="local-7b")
    asked.once()
    assert model.calls()[0].apiKey == "none"


def test_without_key_and_address_nothing_is_asked() -> None:
    with pytest.raises(ModelNotConfigured):
        loop.run(TextClient(settings_for(None, api_key=None), print, OpenGate()).complete(ASK))


@pytest.mark.parametrize(
    ("fault", "code", "outcome"),
    [
        ("401", "model_unauthorized", "failed"),
        ("403", "model_unauthorized", "failed"),
        ("400", "model_request_invalid", "failed"),
        ("404", "model_request_invalid", "failed"),
        ("422", "model_request_invalid", "failed"),
        ("quota", "model_quota_exhausted", "rate_limited"),
        ("refusal", "model_refused", "refused"),
        ("content_filter", "model_refused", "refused"),
    ],
)
def test_what_a_person_must_mend_is_permanent_and_asked_once(
    model: ModelServer, fault: str, code: str, outcome: str
) -> None:
    model.script([fault])
    asked = Asked(model)
    with pytest.raises(Permanent) as caught:
        asked.once()
    assert caught.value.code == code
    assert asked.outcomes == [(outcome, code)]
    assert len(model.calls()) == 1


@pytest.mark.parametrize(
    ("fault", "code", "outcome"),
    [
        ("429", "model_rate_limited", "rate_limited"),
        ("500", "model_unavailable", "failed"),
        ("503", "model_unavailable", "failed"),
        ("cut", "model_unavailable", "failed"),
        ("html", "model_answer_unreadable", "unreadable"),
    ],
)
def test_what_may_pass_is_transient_and_left_to_the_jobs_own_retry(
    model: ModelServer, fault: str, code: str, outcome: str
) -> None:
    model.script([fault])
    asked = Asked(model)
    with pytest.raises(Transient) as caught:
        asked.once()
    assert caught.value.code == code
    assert asked.outcomes == [(outcome, code)]
    assert len(model.calls()) == 1


def test_a_server_that_is_not_there_is_transient() -> None:
    with ModelServer() as gone:
        url = gone.url
    records: list[CallRecord] = []
    with pytest.raises(Transient) as caught:
        loop.run(TextClient(settings_for(url), records.append, OpenGate()).complete(ASK))
    loop.run(close_connections())
    assert caught.value.code == "model_unavailable"
    assert [record.outcome for record in records] == ["failed"]


@pytest.mark.parametrize("status", [307, 308])
@pytest.mark.parametrize("reads", [False, True])
def test_a_redirect_takes_no_prompt_elsewhere(model: ModelServer, status: int, reads: bool) -> None:
    with Receiver() as moved:
        moved.replies.append(Reply(status, {"Location": f"{model.url}/chat/completions"}))
        asked = Asked(model, reads=reads, base_url=f"http://127.0.0.1:{moved.port}/v1")
        with pytest.raises(Permanent) as caught:
            asked.once()
        assert len(moved.received) == 1 and model.calls() == []
    assert caught.value.code == "model_request_invalid" and "OPENAI_BASE_URL" in caught.value.message


@pytest.mark.parametrize("after", [7, "7"])
def test_the_wait_the_endpoint_asks_for_is_passed_on(model: ModelServer, after: float | str) -> None:
    model.script([{"fault": "429", "retryAfter": after}])
    with pytest.raises(Transient) as caught:
        Asked(model).once()
    assert caught.value.retry_after == 7


@pytest.mark.parametrize("fault", ["truncated", "length", "misshaped", "empty", "broken_body"])
def test_an_answer_that_can_t_be_used_is_asked_for_again_with_the_reason(model: ModelServer, fault: str) -> None:
    model.script([fault])
    asked = Asked(model)
    assert asked.once() == {"word": "some words", "count": 1}
    assert asked.outcomes == [("unreadable", "model_answer_unreadable"), ("ok", None)]
    first, second = (call.question for call in model.calls())
    assert second.startswith(first)
    assert "could not be used" in second
    said = [record.conversation for record in asked.records if record.conversation]
    assert [(one.system, one.user) for one in said] == [(ASK.system, first), (ASK.system, second)]
    assert said[0].answer != said[1].answer == {"word": "some words", "count": 1}


def test_after_three_such_answers_it_is_given_up_for_now(model: ModelServer) -> None:
    model.script([{"fault": "truncated", "times": 5}])
    asked = Asked(model)
    with pytest.raises(Transient) as caught:
        asked.once()
    assert caught.value.code == "model_answer_unreadable"
    assert len(model.calls()) == len(asked.records) == ASK_TIMES == 3


def test_a_fenced_answer_among_words_is_read(model: ModelServer) -> None:
    model.script(["fenced"])
    assert Asked(model).once() == {"word": "some words", "count": 1}


def test_a_call_that_takes_too_long_is_ended_at_the_server_too(model: ModelServer) -> None:
    model.script(["hang"])
    asked = Asked(model, timeout_seconds=0.2)
    with pytest.raises(Transient) as caught:
        asked.once()
    assert caught.value.code == "model_timeout"
    assert asked.outcomes == [("timeout", "model_timeout")]
    assert model.wait_for(lambda calls: calls[0].hungUp)


def test_abandoning_closes_every_open_call_and_records_it(model: ModelServer) -> None:
    model.script([{"fault": "hang", "times": 3}])
    asked = Asked(model)
    unwanted = threading.Event()

    async def three() -> None:
        await asyncio.gather(*(asked.client.complete(ASK) for _ in range(3)))

    def cancel_when_all_hang() -> None:
        model.wait_for(lambda calls: len(calls) == 3)
        unwanted.set()

    canceller = threading.Thread(target=cancel_when_all_hang)
    canceller.start()
    with pytest.raises(loop.Abandoned):
        loop.run(three(), unwanted)
    canceller.join()
    assert model.wait_for(lambda calls: all(call.hungUp for call in calls))
    assert asked.outcomes == [("abandoned", None)] * 3


def test_no_more_calls_are_open_than_there_are_places_whoever_asks(model: ModelServer) -> None:
    model.script([{"fault": "slow", "seconds": 0.05, "times": 6}])
    one, other = Asked(model, concurrency=2), Asked(model, concurrency=2)

    async def six() -> None:
        await asyncio.gather(*(side.client.complete(ASK) for side in (one, other) for _ in range(3)))

    loop.run(six())
    assert len(model.calls()) == 6
    assert max(call.inFlight for call in model.calls()) == 2


def test_no_error_tells_a_key_or_a_prompt(model: ModelServer) -> None:
    faults = ["400", "401", "403", "404", "422", "429", "quota", "500", "503", "cut", "html", "refusal"]
    model.script([*faults, *(["truncated"] * 3), *(["misshaped"] * 3), *(["broken_body"] * 3)])
    asked = Asked(model)
    said = []
    for _ in range(len(faults) + 3):
        with pytest.raises((Permanent, Transient)) as caught:
            asked.once()
        assert caught.value.__cause__ is None
        said.append(f"{caught.value.message} {caught.value.as_json()} {caught.value!r}")
    assert model.scripted() == []
    for secret in (KEY, "sk-quoted-by-vendor", "swordfish"):
        assert not [words for words in said if secret in words]


def picture_client(model: ModelServer, records: list[CallRecord], name: str = "gpt-image-2") -> ImageClient:
    return ImageClient(settings_for(model.url, image_model=name), records.append, OpenGate())


def test_a_picture_comes_as_a_png_with_nothing_but_pixels(model: ModelServer) -> None:
    records: list[CallRecord] = []
    picture = loop.run(picture_client(model, records).make("A heart, drawn plainly"))
    with Image.open(io.BytesIO(picture.png)) as found:
        assert found.format == "PNG"
        assert found.size == (picture.width, picture.height) == (1536, 1024)
        assert found.info == {}
    assert [(record.purpose, record.outcome, record.output_tokens) for record in records] == [("picture", "ok", 196)]
    assert "response_format" not in model.calls()[0].body


def test_servers_that_would_send_a_link_are_told_to_send_the_picture(model: ModelServer) -> None:
    loop.run(picture_client(model, [], name="sdxl-local").make("A heart"))
    assert model.calls()[0].body["response_format"] == "b64_json"


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ("401", Permanent, "model_unauthorized"),
        ("quota", Permanent, "model_quota_exhausted"),
        ("500", Transient, "model_unavailable"),
        ("html", Transient, "model_answer_unreadable"),
        ("no_picture", Transient, "model_answer_unreadable"),
    ],
)
def test_pictures_fail_as_texts_do(model: ModelServer, fault: str, kind: type[Exception], code: str) -> None:
    model.script([{"fault": fault, "purpose": "picture"}])
    records: list[CallRecord] = []
    with pytest.raises(kind) as caught:
        loop.run(picture_client(model, records).make("A heart"))
    assert getattr(caught.value, "code", None) == code
    assert [record.error_code for record in records] == [code]


def test_a_larger_or_turned_picture_is_made_small_and_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was turned a quarter
    exif[0x010F] = "Maker of the camera"
    written = io.BytesIO()
    Image.new("RGB", (2000, 1000), "red").save(written, "JPEG", exif=exif)
    picture = clean_picture(written.getvalue())
    assert (picture.width, picture.height) == (768, 1536)
    assert b"Maker" not in picture.png


def test_a_picture_with_too_many_pixels_is_refused_before_it_is_unpacked() -> None:
    written = io.BytesIO()
    Image.new("1", (20_000, 2_000)).save(written, "PNG")
    with pytest.raises(Transient):
        clean_picture(written.getvalue())


def test_streamed_answers_of_the_scripted_server_are_whole(model: ModelServer) -> None:
    import openai

    async def streamed() -> str:
        async with openai.AsyncOpenAI(api_key="k", base_url=model.url, max_retries=0) as client:
            chunks = await client.chat.completions.create(
                model="m", messages=[{"role": "user", "content": "Hello"}], stream=True
            )
            return "".join([chunk.choices[0].delta.content or "" async for chunk in chunks])

    assert loop.run(streamed()) == "Some words."


def test_the_scripted_server_is_scripted_and_looked_at_over_http(model: ModelServer) -> None:
    import httpx2

    home = model.url.removesuffix("/v1")
    with httpx2.Client() as http:
        assert http.post(f"{home}/script", json=["429", {"fault": "500", "purpose": "plan"}]).json() == {"scripted": 2}
        assert http.post(f"{home}/script", json=["earthquake"]).status_code == 422
        with pytest.raises(Transient):
            Asked(model).once()
        [call] = http.get(f"{home}/calls").json()
        assert (call["purpose"], call["fault"], call["status"], call["hungUp"]) == ("words", "429", 429, False)
        assert [fault["fault"] for fault in http.get(f"{home}/script").json()] == ["500"]
        http.request("DELETE", f"{home}/script")
        assert http.get(f"{home}/script").json() == []
