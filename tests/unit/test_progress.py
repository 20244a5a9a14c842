"""Progress never goes back within a run, in whatever order a step tells it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, Self, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schema.clock import new_id
from schema.events import Event
from storage.engine.leases import Lease
from storage.steps import Claimed, Topic
from tasks.deps import Deps
from tasks.pipeline import PIPELINES, Pipeline
from tasks.watch import Held
from tasks.work import Work

COURSE = PIPELINES["course"]
weights = st.lists(st.integers(1, 1000), min_size=6, max_size=6).map(
    lambda parts: [100 * part / sum(parts) for part in parts]
)
fractions = st.floats(-0.5, 1.5)


class _Outside:
    """A database that takes everything and remembers what progress it was told, and a bus nobody listens to."""

    def __init__(self) -> None:
        self.seen: list[float] = []
        self.db = self.bus = self

    @contextmanager
    def statement(self) -> Iterator[Self]:
        yield self

    def run(self, _statement: str, values: dict[str, Any]) -> Self:
        self.seen += [event["body"]["progress"] for event in json.loads(values["events"])]
        self.seen.append(values["progress"])
        return self

    def one_or_none(self) -> int:
        return 1

    def wake(self, _: object) -> None:
        """Nobody listens."""


def at_work(outside: _Outside, pipeline: Pipeline, step: str, progress: float) -> Work:
    lease = Lease(new_id(), new_id(), 1, 1)
    claimed = Claimed(
        lease=lease,
        job_type="course",
        payload={},
        course_id="c",
        parent_job_id=None,
        created_by=None,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        worked_seconds=0,
        retry_count=0,
        max_retries=3,
        checkpoints={},
        formats=frozenset(),
        progress=progress,
    )
    return Work(cast(Deps, outside), Held(lease), pipeline, step, claimed, {})


@settings(database=None, deadline=None, max_examples=60)
@given(weights, st.lists(st.tuples(fractions, fractions, st.booleans()), max_size=12), st.floats(0, 100))
def test_neither_the_row_nor_any_event_ever_says_less(
    shares: list[float], told: list[tuple[float, float, bool]], before: float
) -> None:
    pipeline, outside = COURSE.weighed(shares), _Outside()
    outside.seen.append(before)
    for step in pipeline.steps:
        work = at_work(outside, pipeline, step.name, outside.seen[-1])
        for fraction, other, keeps in told:
            event = Event("topic_completed", {"progress": pipeline.at(step.name, other)})
            if keeps:
                work.keep("part", {}, 0.1, fraction, "", event, Topic("t", 1, 2))
            else:
                work.tell(fraction, "", [event] if other > 0.5 else [])
        outside.seen.append(work.reach(1))
    assert all(earlier <= later for earlier, later in pairwise(outside.seen))
    assert outside.seen[-1] == 100


class TestWeighed:
    def test_a_jobs_own_shares_are_its_way(self) -> None:
        pipeline = COURSE.weighed([50, 10, 10, 10, 10, 10])
        assert (pipeline.at("skeleton", 1), pipeline.at("fill", 0.5), pipeline.at("media", 1)) == (50, 55, 100)
        assert pipeline.shares == (50, 10, 10, 10, 10, 10)

    @pytest.mark.parametrize("shares", [None, [100.0], [20.0] * 5])
    def test_shares_that_are_missing_or_of_other_steps_are_the_built_in_ones(self, shares: list[float] | None) -> None:
        assert COURSE.weighed(shares) == COURSE

    @settings(database=None, deadline=None)
    @given(weights)
    def test_it_ends_at_all_of_it_whatever_the_shares(self, shares: list[float]) -> None:
        assert COURSE.weighed(shares).at(COURSE.steps[-1].name, 1) == 100
