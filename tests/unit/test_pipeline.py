from __future__ import annotations

import itertools
from importlib import import_module

import pytest

from tasks.pipeline import CONTROL_QUEUE, COURSE_QUEUE, MEDIA_QUEUE, PIPELINES, Pipeline, first_with, task_name
from tasks.steps import STEPS

each = pytest.mark.parametrize("pipeline", PIPELINES.values(), ids=PIPELINES.keys())


def test_a_course_goes_the_whole_way_and_a_picture_its_own() -> None:
    names = {kind: [step.name for step in pipeline.steps] for kind, pipeline in PIPELINES.items()}
    assert names == {
        "course": ["skeleton", "fill", "validate", "persist", "catalog", "media"],
        "exam_course": ["settings", "questions", "topics", "lessons", "validate", "persist", "catalog"],
        "media": ["picture", "attach"],
    }


def test_every_step_of_every_kind_can_be_done() -> None:
    assert {kind: [step.name for step in pipeline.steps] for kind, pipeline in PIPELINES.items()} == {
        kind: list(steps) for kind, steps in STEPS.items()
    }
    for place in {place for steps in STEPS.values() for place in steps.values()}:
        assert callable(import_module(place).run)


def test_a_step_is_told_by_the_kind_of_its_job_where_several_have_its_name() -> None:
    names = [step.name for pipeline in PIPELINES.values() for step in pipeline.steps]
    assert names.count("validate") > 1
    for kind, pipeline in PIPELINES.items():
        for step in pipeline.steps:
            assert first_with(step.name, kind) == (pipeline, step)
    with pytest.raises(KeyError):
        first_with("media", "exam_course")


def test_no_message_means_the_steps_of_two_kinds() -> None:
    named = [task_name(kind, step.name) for kind, pipeline in PIPELINES.items() for step in pipeline.steps]
    assert len(set(named)) == len(named)
    # What workers of older releases read must stay.
    assert {"coursewright.skeleton", "coursewright.validate", "coursewright.picture"} <= set(named)
    assert "coursewright.exam_course.validate" in named


def test_what_fails_its_checks_names_steps_it_has() -> None:
    for kind in ("course", "exam_course"):
        pipeline = PIPELINES[kind]
        order = [step.name for step in pipeline.steps]
        from_where = [order.index(name) for name in (*pipeline.plans, pipeline.fills)]
        assert from_where == sorted(from_where)
        assert from_where[-1] < order.index("validate")


def test_no_job_waits_in_the_queue_of_the_clock_and_courses_not_behind_pictures() -> None:
    queues = {kind: pipeline.queue for kind, pipeline in PIPELINES.items()}
    assert CONTROL_QUEUE not in queues.values()
    assert queues == {"course": COURSE_QUEUE, "exam_course": COURSE_QUEUE, "media": MEDIA_QUEUE}


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
