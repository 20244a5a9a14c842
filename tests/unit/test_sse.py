from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from web import sse

JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=3))


@given(value=JSON, number=st.none() | st.integers(1))
def test_whatever_is_in_an_event_it_is_one_block_that_reads_the_same(value: object, number: int | None) -> None:
    event = {"type": "step_progress", "value": value}
    text = sse.frame(event, number).decode()
    assert text.endswith("\n\n") and "\n\n" not in text[:-2] and "\r" not in text
    fields = dict(line.split(": ", 1) for line in text.strip("\n").split("\n"))
    assert json.loads(fields.pop("data")) == event
    assert fields == {"event": "step_progress"} | ({"id": str(number)} if number else {})


def test_what_is_no_event_carries_no_data() -> None:
    assert (sse.retry(2000), sse.seen(9), sse.HEARTBEAT) == (b"retry: 2000\n\n", b"id: 9\n\n", b": heartbeat\n\n")
