"""Every type of event that is told is a known one, and every known one is told somewhere."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from schema.events import EVENT_TYPES
from tasks.pipeline import PIPELINES, Pipeline
from tasks.step import _place, _started
from tasks.steps import fill

ROOT = Path(__file__).parents[2]

#: Known to clients already, and told by nobody yet.
NOT_YET_TOLD = {"topic_progress": "a topic is finished in one go; steps tell progress between topics"}


def tellings() -> Iterator[tuple[str, ast.Call]]:
    """Every place that makes an event, with its file."""
    for floor in ("schema", "storage", "tasks", "web"):
        for path in sorted((ROOT / floor).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Event":
                    yield path.relative_to(ROOT).as_posix(), node


def type_of(call: ast.Call, place: str) -> str:
    first = call.args[0] if call.args else None
    assert isinstance(first, ast.Constant) and isinstance(first.value, str), f"{place}: name the type where it is told"
    return first.value


def test_every_type_told_is_a_known_one() -> None:
    told = [(place, type_of(call, place)) for place, call in tellings()]
    assert len(told) > 10
    assert not [one for one in told if one[1] not in EVENT_TYPES]


def test_every_known_type_is_told_or_known_not_to_be() -> None:
    told = {type_of(call, place) for place, call in tellings()}
    assert EVENT_TYPES.keys() - told == NOT_YET_TOLD.keys()


def test_events_are_told_by_deeds_alone() -> None:
    assert {place.partition("/")[0] for place, _ in tellings()} == {"tasks"}


def test_a_body_written_out_has_the_fields_of_its_type() -> None:
    looked_at = 0
    for place, call in tellings():
        type_ = type_of(call, place)
        fields = EVENT_TYPES[type_]().fields
        required = {name for name, field in fields.items() if field.required}
        body = call.args[1] if len(call.args) > 1 else None
        if not isinstance(body, ast.Dict):
            continue
        names = {key.value for key in body.keys if isinstance(key, ast.Constant)}
        assert names <= fields.keys(), f"{place}: {type_}"
        if None not in body.keys:  # no ``**more`` in it
            assert names >= required, f"{place}: {type_}"
        looked_at += 1
    assert looked_at >= 5


@pytest.mark.parametrize("pipeline", PIPELINES.values(), ids=PIPELINES.keys())
class TestBodiesMadeElsewhere:
    def test_of_a_step_that_starts(self, pipeline: Pipeline) -> None:
        for step in pipeline.steps:
            event = _started(pipeline, step)
            assert event.type == "step_started"
            assert EVENT_TYPES[event.type]().validate(event.body) == {}

    def test_of_a_step_at_work_and_done(self, pipeline: Pipeline) -> None:
        for step in pipeline.steps:
            body = _place(pipeline, step, "Half way", 50.0)
            assert EVENT_TYPES["step_progress"]().validate(body) == {}
            assert EVENT_TYPES["step_completed"]().validate(body | {"duration": 0.25}) == {}

    def test_of_a_topic_that_is_done(self, pipeline: Pipeline) -> None:
        for part in (fill._Part("group:g", "Rivers", 1, True), fill._Part("text:t", "A text", 2, False)):
            event = fill._completed(part, 2, [{}, {}], pipeline.at(pipeline.steps[0].name, 0.5), 0.25)
            assert EVENT_TYPES[event.type]().validate(event.body) == {}
            assert event.body["itemsGenerated"] == (2 if part.is_group else 0)
