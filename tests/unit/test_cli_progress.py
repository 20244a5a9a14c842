from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from schema.event_samples import SAMPLES, UNNUMBERED_SAMPLES
from web.cli.progress import Screen, duration, words_on
from web.client import Following, frames
from web.sse import frame

EVERY = {**SAMPLES, **UNNUMBERED_SAMPLES}
EVERY["job_snapshot"] = {
    **UNNUMBERED_SAMPLES["job_snapshot"],
    "job": {**UNNUMBERED_SAMPLES["job_snapshot"]["job"], "progressMessage": "The course is ready"},
}


def drawn(*events: dict[str, Any], terminal: bool, left: float | None = None, state: str = "live") -> str:
    """What stands on a screen in the end."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=terminal, width=100, highlight=False, color_system=None)
    following = Following("", {}, dict, lambda _: [], state=state)
    screen = Screen(console, following, "Job 72062cdf")
    with screen:
        for event in events:
            screen.show(event)
        screen.tell_left({"estimatedSecondsLeft": left})
        if terminal:
            console.print(screen._drawn())
    return out.getvalue()


class TestOnATerminal:
    def test_bar_step_topic_message_and_time_left_are_there(self) -> None:
        seen = drawn(SAMPLES["step_started"], SAMPLES["topic_started"], terminal=True, left=25)
        for words in (
            "Job 72062cdf",
            "12%",
            "step 1 of 6",
            "Generating: The journey of water (1/6)",
            "about 25 s left",
        ):
            assert words in seen

    def test_what_is_being_written_grows(self) -> None:
        delta = UNNUMBERED_SAMPLES["content_delta"]
        assert "Gravity makes the water in a river flow" in drawn(delta, {**delta, "text": " flow"}, terminal=True)
        assert "Gravity" not in drawn(delta, SAMPLES["topic_completed"], terminal=True).splitlines()[-1]

    @pytest.mark.parametrize("terminal", [True, False])
    def test_nothing_a_model_wrote_steers_the_terminal(self, terminal: bool) -> None:
        order = "\x1b]0;Mine\x07 \x9b2J Rivers\r\n"
        topic = {**SAMPLES["topic_started"], "topicName": order}
        seen = drawn(topic, {**UNNUMBERED_SAMPLES["content_delta"], "text": order}, terminal=terminal)
        assert "Rivers" in seen
        assert not [left for left in ("\x1b]", "\x07", "\x9b") if left in seen]

    def test_who_has_lost_the_stream_is_told(self) -> None:
        assert "connecting again" in drawn(terminal=True, state="polling")
        assert "connecting again" not in drawn(terminal=True)


@pytest.mark.parametrize("type_", sorted(EVERY))
def test_every_type_is_drawn_and_all_but_the_first_and_the_last_words_are_said(type_: str) -> None:
    drawn(EVERY[type_], terminal=True)
    said = drawn(EVERY[type_], terminal=False)
    assert (
        bool(said) is bool(words_on(EVERY[type_])) is (type_ not in {"job_created", "media_settled", "content_delta"})
    )
    assert said.count("\n") <= 1, "a line for each thing that happens"


def test_a_person_who_retries_sees_no_error() -> None:
    assert words_on({**SAMPLES["job_retrying"], "error": None}) == "It is taken up again"


@pytest.mark.parametrize(("seconds", "said"), [(0, "about 0 s"), (89.4, "about 89 s"), (150, "about 2 min")])
def test_time_is_said_as_people_do(seconds: float, said: str) -> None:
    assert duration(seconds) == said


class TestFrames:
    @settings(database=None, deadline=None, max_examples=60)
    @given(
        st.lists(st.sampled_from([*SAMPLES.values(), *UNNUMBERED_SAMPLES.values(), None]), max_size=8),
        st.integers(1, 50),
    )
    def test_what_the_server_frames_is_read_however_it_is_cut(self, sent: list[Any], size: int) -> None:
        raw = b"retry: 2000\n\n"
        for event in sent:
            raw += b": heartbeat\n\n" if event is None else frame(event, event.get("seq"))
        chunks = [raw[at : at + size] for at in range(0, len(raw), size)]
        assert list(frames(chunks)) == [(event.get("seq"), event) for event in sent if event is not None]

    def test_a_number_alone_is_no_event(self) -> None:
        assert list(frames([b"id: 40\n\n"])) == [(40, None)]
        assert list(frames([b"id: 40\n"])) == []
