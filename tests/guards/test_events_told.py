"""Every type of event that is told is a known one, and every known one is told somewhere."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from schema.event_samples import SAMPLES, UNNUMBERED_SAMPLES
from schema.events import EVENT_TYPES, UNNUMBERED_TYPES
from tasks.pipeline import PIPELINES, Pipeline
from tasks.step import _place, _started
from tasks.steps import fill
from tests.sources import parsed

ROOT = Path(__file__).parents[2]

#: Known to clients already, and told by nobody yet.
NOT_YET_TOLD: dict[str, str] = {}


def tellings() -> Iterator[tuple[str, ast.Call]]:
    """Every place that makes an event, with its file."""
    for floor in ("schema", "storage", "tasks", "web"):
        for path in sorted((ROOT / floor).rglob("*.py")):
            for node in ast.walk(parsed(path)):
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


def test_every_known_type_is_told() -> None:
    assert EVENT_TYPES.keys() == {type_of(call, place) for place, call in tellings()}


def sent_without_a_number() -> set[str]:
    """Types of the events that the code writes out whole: ``{"type": "content_delta", ...}``."""
    found = set()
    for floor in ("storage", "tasks", "web"):
        for path in sorted((ROOT / floor).rglob("*.py")):
            for node in ast.walk(parsed(path)):
                if isinstance(node, ast.Dict):
                    written = dict(zip((getattr(key, "value", None) for key in node.keys), node.values, strict=True))
                    if "jobId" in written and isinstance(type_ := written.get("type"), ast.Constant):
                        found.add(str(type_.value))
    return found


def test_what_streams_send_without_a_number_is_known_and_sent() -> None:
    assert sent_without_a_number() == UNNUMBERED_TYPES.keys()


class TestTheDocumentation:
    page = (ROOT / "docs/api.md").read_text("utf-8")

    def test_its_table_has_every_type(self) -> None:
        _, _, table = self.page.partition("| type | carries, beside")
        rows = [line.split("|")[1] for line in table.partition("\n\n")[0].splitlines()[2:]]
        named = [name for row in rows for name in re.findall(r"`(\w+)`", row)]
        assert sorted(named) == sorted([*EVENT_TYPES, *UNNUMBERED_TYPES])

    def test_it_shows_the_sample_of_each(self) -> None:
        [shown] = re.findall(r"```jsonl\n(.*?)\n```", self.page, re.DOTALL)
        samples = [*SAMPLES.values(), *UNNUMBERED_SAMPLES.values()]
        assert [json.loads(line) for line in shown.splitlines()] == samples


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
            assert event.body["progress"] is None, "that of the job's row, which storage.events puts in"
            assert EVENT_TYPES[event.type]().validate(event.body | {"progress": 0}) == {}

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
