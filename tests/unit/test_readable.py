from __future__ import annotations

import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tasks.clients.readable import READ, Lanes, Reader

SETTINGS = settings(database=None, deadline=None, max_examples=100)
texts = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=20)
names = st.sampled_from([*sorted(READ), "number", "hint", "items"])
values = st.recursive(
    texts | st.integers() | st.booleans(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4),
    max_leaves=12,
)
answers = st.dictionaries(names, values, min_size=1, max_size=4)


class Clock:
    """Each look at it is so many seconds later."""

    def __init__(self, step: float) -> None:
        self.at, self.step = 0.0, step

    def __call__(self) -> float:
        self.at += self.step
        return self.at


def words_of(value: Any) -> list[str]:
    """What people read of a whole answer, in its order."""
    if isinstance(value, dict):
        return [
            word
            for name, part in value.items()
            for word in ([part] if isinstance(part, str) and name in READ and part.strip() else words_of(part))
        ]
    return [word for part in value for word in words_of(part)] if isinstance(value, list) else []


def read_out(pieces: list[str], step: float = 1.0) -> list[str]:
    said: list[str] = []
    reader = Reader(said.append, Clock(step))
    for piece in pieces:
        reader.hear(piece)
    reader.end()
    return said


class TestReader:
    @SETTINGS
    @given(answers, st.integers(1, 7), st.sampled_from([0.0, 0.1, 1.0]), st.booleans())
    def test_every_word_once_and_in_order_however_it_is_cut(
        self, answer: dict[str, Any], size: int, step: float, ascii_only: bool
    ) -> None:
        written = json.dumps(answer, ensure_ascii=ascii_only)
        pieces = [written[at : at + size] for at in range(0, len(written), size)]
        # A text that is blank so far is not begun yet, so only that may move.
        assert "".join(read_out(pieces, step)).split() == "\n\n".join(words_of(answer)).split()

    def test_words_are_said_before_the_answer_ends(self) -> None:
        assert read_out(['{"items": [{"number": 1, "question": "Why is'])[0] == "Why is"

    def test_fences_and_words_around_it_are_no_answer(self) -> None:
        assert read_out(["Here it is:\n```json\n", '{"title": "Rivers"', "}\n``` Tell me {more}."]) == ["Rivers"]

    def test_what_people_do_not_read_is_not_said(self) -> None:
        answer = {"number": 1, "correct_answer": "Rome", "distractors": [{"text": "Paris"}], "hint": "A hill"}
        assert read_out([json.dumps(answer)]) == []

    def test_what_is_no_json_is_not_said(self) -> None:
        for words in ("", "Sorry.", "{sorry}", '["title"]', "{" * 5000):
            assert read_out([words]) == []

    def test_it_speaks_four_times_a_second_at_most(self) -> None:
        written = json.dumps({"body": "x" * 1000})
        assert len(read_out(list(written), step=0.01)) <= 2 + len(written) * 2 * 0.01 / 0.25


class TestLanes:
    def test_answers_side_by_side_are_read_one_after_the_other(self) -> None:
        said: list[str] = []
        lanes = Lanes(said.append)
        with lanes.lane() as first:
            first("a1 ")
            with lanes.lane() as second:
                second("b1 ")
                first("a2 ")
                second("b2")
            with lanes.lane() as third:
                third("c1 ")
                first("a3")
                assert said == ["a1 ", "a2 ", "a3"]
        assert "".join(said).split() == ["a1", "a2", "a3", "b1", "b2", "c1"]

    def test_one_that_is_given_up_does_not_hold_up_the_next(self) -> None:
        said: list[str] = []
        lanes = Lanes(said.append)
        try:
            with lanes.lane() as say:
                say("half")
                raise TimeoutError
        except TimeoutError:
            pass
        with lanes.lane() as say:
            say("whole")
        assert "".join(said).split() == ["half", "whole"]
