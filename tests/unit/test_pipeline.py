from __future__ import annotations

import itertools

import pytest

from tasks.pipeline import CONTROL_QUEUE, PIPELINES, Pipeline
from tasks.steps import STEPS

each = pytest.mark.parametrize("pipeline", PIPELINES.values(), ids=PIPELINES.keys())


def test_a_course_goes_the_whole_way_and_a_picture_its_own() -> None:
    names = {kind: [step.name for step in pipeline.steps] for kind, pipeline in PIPELINES.items()}
    assert names == {
        "course": ["skeleton", "fill", "validate", "persist", "catalog", "media"],
        "media": ["picture", "attach"],
    }


def test_every_step_can_be_done_and_belongs_to_one_kind_of_job() -> None:
    named = [step.name for pipeline in PIPELINES.values() for step in pipeline.steps]
    assert sorted(named) == sorted(STEPS)


def test_no_job_waits_in_the_queue_of_the_clock_or_in_anothers() -> None:
    queues = [pipeline.queue for pipeline in PIPELINES.values()]
    assert CONTROL_QUEUE not in queues
    assert len(set(queues)) == len(queues)


@each
class TestProgress:
    def test_the_shares_are_the_whole_way(self, pipeline: Pipeline) -> None:
        assert sum(step.share for step in pipeline.steps) == 100
        assert all(step.share > 0 for step in pipeline.steps)

    def test_it_starts_at_nothing_and_ends_at_everything(self, pipeline: Pipeline) -> None:
        assert pipeline.at(pipeline.steps[0].name, 0) == 0
        assert pipeline.at(pipeline.steps[-1].name, 1) == 100

    def test_it_never_goes_back(self, pipeline: Pipeline) -> None:
        way = [pipeline.at(step.name, tenth / 10) for step in pipeline.steps for tenth in range(11)]
        assert all(later >= earlier for earlier, later in itertools.pairwise(way))
        assert len(set(way)) > len(pipeline.steps) * 9

    def test_a_step_begins_where_the_one_before_ended(self, pipeline: Pipeline) -> None:
        for before, after in itertools.pairwise(pipeline.steps):
            assert pipeline.at(before.name, 1) == pipeline.at(after.name, 0)

    @pytest.mark.parametrize(("fraction", "taken_as"), [(-1, 0), (1.5, 1), (float("inf"), 1)])
    def test_a_fraction_beyond_the_step_stays_within_it(
        self, pipeline: Pipeline, fraction: float, taken_as: float
    ) -> None:
        for step in pipeline.steps:
            assert pipeline.at(step.name, fraction) == pipeline.at(step.name, taken_as)


@each
class TestOrder:
    def test_each_step_is_followed_by_the_next(self, pipeline: Pipeline) -> None:
        for before, after in itertools.pairwise(pipeline.steps):
            assert pipeline.following(before.name) == after
        assert pipeline.following(pipeline.steps[-1].name) is None

    def test_a_job_goes_on_at_its_first_step_without_a_checkpoint(self, pipeline: Pipeline) -> None:
        names = [step.name for step in pipeline.steps]
        for done in range(len(names)):
            assert pipeline.first_without(set(names[:done])).name == names[done]
        # A hole is filled first, whatever was kept of later steps.
        assert pipeline.first_without(set(names[1:])).name == names[0]
        assert pipeline.first_without(set(names)).name == names[-1]

    def test_a_step_of_another_kind_of_job_is_no_step_of_this(self, pipeline: Pipeline) -> None:
        with pytest.raises(KeyError):
            pipeline.index("essay")
        with pytest.raises(KeyError):
            pipeline.at("", 0)

    def test_people_read_what_is_done_and_what_was(self, pipeline: Pipeline) -> None:
        for step in pipeline.steps:
            assert step.doing and step.done and step.doing != step.done
