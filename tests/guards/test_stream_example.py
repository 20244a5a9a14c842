"""The stream shown in docs/api.md is one, letter by letter: the head our own answers have, and blocks as they are
framed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from schema.events import EVENT_TYPES
from schema.fields import load
from web import sse
from web.streams.connection import RETRY_MILLISECONDS

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
SECTION = TEXT.partition("### Follow one as a stream")[2]
HEAD, _, BODY = SECTION.partition("```console\n")[2].partition("\n```")[0].partition("\n\n")
BLOCKS = [f"{block}\n\n".encode() for block in BODY.split("\n\n")]
EVENTS = [block for block in BLOCKS if b"data: " in block]


def data(block: bytes) -> dict[str, object]:
    found: dict[str, object] = json.loads(re.findall(rb"^data: (.*)$", block, re.MULTILINE)[0])
    return found


def test_the_head_is_ours() -> None:
    asked, status, *lines = HEAD.splitlines()
    assert (asked.split()[:2], status) == (["$", "curl"], "HTTP/1.1 200 OK")
    shown = dict(line.split(": ", 1) for line in lines)
    assert sse.HEADERS.items() <= shown.items()


def test_it_begins_with_when_to_come_back_and_shows_a_heartbeat() -> None:
    assert BLOCKS[0] == sse.retry(RETRY_MILLISECONDS)
    assert sse.HEARTBEAT in BLOCKS
    assert len(BLOCKS) == len(EVENTS) + 2


@pytest.mark.parametrize("place", range(len(EVENTS)))
def test_a_block_is_framed_as_ours_and_its_event_has_its_shape(place: int) -> None:
    event = data(EVENTS[place])
    assert event["seq"] == place + 1
    assert sse.frame(event, place + 1) == EVENTS[place]
    body = {name: value for name, value in event.items() if name not in ("type", "jobId", "seq", "timestamp")}
    load(EVENT_TYPES[str(event["type"])](), body)


def test_events_without_an_id_are_told_of() -> None:
    assert sse.frame({"type": "content_delta"}) == b'event: content_delta\ndata: {"type": "content_delta"}\n\n'
    assert sse.seen(7) == b"id: 7\n\n"
    for type_ in ("content_delta", "job_snapshot"):
        assert f"`{type_}`" in SECTION.partition("\n### ")[0]
