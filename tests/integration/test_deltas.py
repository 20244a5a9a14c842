"""What a model writes goes out word by word to those who follow the job, part by part."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import Any

import pytest
from redis import Redis

from schema.events import UNNUMBERED_TYPES
from storage.bus import DELTA_CHANNEL
from tasks import once
from tasks.commands import Asker
from tasks.deps import Deps
from tests.conftest import eventually
from tests.fakes.model_server import ModelServer
from tests.integration.stage import job, start
from tests.integration.test_course_job import FISH, course_of

pytestmark = pytest.mark.usefixtures("empty_store")


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_every_part_is_read_out_while_it_is_written(model_deps: Deps, asker: Asker, model: ModelServer) -> None:
    listener = Redis.from_url(model_deps.settings.redis_url).pubsub(ignore_subscribe_messages=True)
    listener.subscribe(DELTA_CHANNEL)
    listener.get_message(ignore_subscribe_messages=False, timeout=5)
    # A group of more than six is written by two calls side by side.
    job_id = start(model_deps, asker, **{**FISH, "itemsPerGroup": 8})
    once.run_due(model_deps)
    assert job(model_deps, job_id).status == "done"
    course = course_of(model_deps, job_id).content

    heard: list[dict[str, Any]] = []
    texts: dict[str, str] = defaultdict(str)

    def all_heard() -> bool:
        while (message := listener.get_message(timeout=0.05)) is not None:
            whose, _, body = message["data"].decode().partition(" ")
            assert whose == str(job_id)
            heard.append(json.loads(body))
            texts[heard[-1]["part"]] += heard[-1]["text"]
        return set(texts) == {"group:group-1", "group:group-2", "text:text-1"} and all(
            squeezed(item["text"]).split("[blank]")[0].strip() in squeezed(texts[f"group:{item['groupId']}"])
            for item in course["items"]
        )

    eventually(all_heard, within=20, what="every item read out")
    listener.close()
    for delta in heard:
        assert UNNUMBERED_TYPES["content_delta"]().validate(delta) == {}
        assert delta["step"] == "fill"
        assert '":' not in delta["text"], "words, not JSON"
    streamed = {call.purpose for call in model.calls() if call.streamed}
    assert streamed == {"items", "study_text"}, "nobody reads plans and blind answers"


def test_without_redis_a_course_is_made_all_the_same(model_deps: Deps, asker: Asker, model: ModelServer) -> None:
    model_deps.bus.client.close()
    model_deps.bus.client = Redis.from_url("redis://127.0.0.1:1/0", socket_connect_timeout=0.2)
    job_id = start(model_deps, asker, **FISH)
    once.run_due(model_deps)
    assert job(model_deps, job_id).status == "done"
