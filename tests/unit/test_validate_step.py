from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast
from uuid import UUID

import pytest

from schema.course import Course
from schema.job import CourseRequest, load_new_job
from schema.problem import Problem
from schema.rules import Limits, check
from schema.skeleton import Skeleton
from storage.engine.leases import Lease
from storage.steps import Claimed
from tasks.deps import Deps
from tasks.packs import pack_named
from tasks.pipeline import PIPELINES
from tasks.steps.validate import assemble, by_place, failing_parts, limits_of, sentence_on
from tasks.strategies import packs
from tasks.watch import Held
from tasks.work import Work
from tests.factories import course, option_item, study_text

JOB, ORG = UUID(int=1), UUID(int=2)


def fault(path: str, code: str = "unfilled_text", severity: Any = "error") -> Problem:
    return Problem(path, code, "It is not right. Mend it.", severity)


def drawn() -> Course:
    """Items 0 and 1 in one group, 2 in another; two study texts."""
    items = [option_item(number, groupId="group-2" if number == 2 else "group-1") for number in range(3)]
    groups = [{"id": "group-1", "name": "One"}, {"id": "group-2", "name": "Two"}]
    return cast(Course, course(items=items, groups=groups, studyTexts=[study_text(0), study_text(1, id="text-2")]))


class TestByPlace:
    def test_faults_are_gathered_at_the_item_or_text_they_are_about(self) -> None:
        faults = [
            fault("items.2.options.0"),
            fault("studyTexts.1.content"),
            fault("items.0.text"),
            fault("items.2.text", "key_not_verified"),
            fault("items.2"),
        ]
        items, texts = by_place(drawn(), faults)
        assert items == {0: [faults[2]], 2: [faults[0], faults[3], faults[4]]}
        assert texts == {1: [faults[1]]}
        assert list(items) == [0, 2], "in the course's order, whatever the order of the faults"

    def test_places_of_two_digits_are_not_mixed_up_with_those_of_one(self) -> None:
        long = cast(Course, course(items=[option_item(number) for number in range(13)]))
        assert list(by_place(long, [fault("items.12.text"), fault("items.1.text")])[0]) == [1, 12]

    def test_a_fault_of_all_items_together_counts_for_each(self) -> None:
        level = fault("items", "reading_level")
        assert by_place(drawn(), [level]) == ({0: [level], 1: [level], 2: [level]}, {})

    @pytest.mark.parametrize("path", ["title", "levels.0", "groups.1.name", "course", "itemsOf.1", "objectives.0.text"])
    def test_a_fault_elsewhere_belongs_to_no_item_and_no_text(self, path: str) -> None:
        assert by_place(drawn(), [fault(path)]) == ({}, {})

    def test_no_faults_no_places(self) -> None:
        assert by_place(drawn(), []) == ({}, {})


class TestFailingParts:
    def test_they_are_the_groups_and_texts_the_faults_came_from(self) -> None:
        assert failing_parts(drawn(), [fault("items.2.text"), fault("items.2.hint")]) == ["group:group-2"]
        assert failing_parts(drawn(), [fault("studyTexts.1.content"), fault("items.1.text")]) == [
            "group:group-1",
            "text:text-2",
        ]

    def test_a_fault_of_all_items_comes_from_every_group(self) -> None:
        assert failing_parts(drawn(), [fault("items", "reading_level")]) == ["group:group-1", "group:group-2"]

    def test_a_fault_of_the_plan_comes_from_no_part(self) -> None:
        assert failing_parts(drawn(), [fault("title")]) == []


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (1, "1 problem is left after checking and mending: It is not right. Mend it."),
        (2, "2 problems are left after checking and mending; the first: It is not right. Mend it."),
    ],
)
def test_problems_are_counted_as_people_do(count: int, said: str) -> None:
    assert sentence_on([fault("items.0.text")] * count) == said


def work_with(request: CourseRequest, checkpoints: dict[tuple[str, str], Any]) -> Work:
    """A step at work on checkpoints alone: nothing here reaches outside."""
    lease = Lease(JOB, ORG, 1, 1)
    claimed = Claimed(
        lease=lease,
        job_type="course",
        payload=cast(dict[str, Any], request),
        course_id="water-abc234",
        parent_job_id=None,
        created_by=None,
        started_at=datetime(2026, 1, 1, tzinfo=UTC),
        worked_seconds=0,
        retry_count=0,
        max_retries=3,
        checkpoints=checkpoints,
        formats=frozenset({1}),
    )
    return Work(cast(Deps, None), Held(lease), PIPELINES["course"], "validate", claimed, checkpoints)


class TestAssembling:
    def request(self, **changes: Any) -> CourseRequest:
        water = {"subject": "The water cycle", "gradeBand": "3-5", "mode": "options", "language": "en"}
        payload = water | {"itemsPerGroup": 3} | changes
        return cast(CourseRequest, load_new_job({"jobType": "course", "payload": payload}).payload)

    def assembled(self, request: CourseRequest) -> tuple[Skeleton, dict[str, Any], Course]:
        pack = pack_named("water-cycle-g4")
        plan = packs.skeleton(pack, request, 7)
        groups = [packs.fill_group(pack, plan, group["id"], "water-abc234") for group in plan["groups"]]
        filled = {
            "items": [item for items in groups for item in items],
            "studyTexts": [packs.fill_text(pack, slot) for slot in plan["textSlots"]],
        }
        return plan, filled, assemble(work_with(request, {("fill", ""): filled}), plan)

    def test_each_part_comes_from_the_request_the_plan_or_what_filled_it(self) -> None:
        request = self.request(grade="4", tags=["water"], visibility="public", language="en-GB")
        plan, filled, course = self.assembled(request)
        assert course["id"] == "water-abc234"
        shown = cast(dict[str, Any], course)
        asked = ("subject", "gradeBand", "grade", "language", "visibility", "tags")
        assert [shown[name] for name in asked] == ["The water cycle", "3-5", "4", "en-GB", "public", ["water"]]
        for name in ("title", "description", "objectives", "groups", "levels", "provenance"):
            assert shown[name] == cast(dict[str, Any], plan)[name]
        assert course["items"] == filled["items"]
        assert course["studyTexts"] == filled["studyTexts"]
        assert course["topics"] == []

    def test_without_a_grade_it_has_none(self) -> None:
        assert self.assembled(self.request())[2]["grade"] is None

    def test_it_is_sound_but_for_what_is_in_its_content(self) -> None:
        plan, _, course = self.assembled(self.request())
        assert check(cast(dict[str, Any], course), limits_of(plan)) == []


def test_a_course_of_no_pack_has_no_limits_of_its_own() -> None:
    for provenance in ({}, {"packId": None}, {"source": "llm"}):
        assert limits_of(cast(Skeleton, {"provenance": provenance})) == Limits()
