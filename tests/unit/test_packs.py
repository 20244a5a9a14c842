"""Every pack on the shelf, and compiling courses of them."""

from __future__ import annotations

import copy
import dataclasses
from collections import Counter
from functools import cache
from typing import Any, cast

import pytest

from schema.course import Course
from schema.job import CourseRequest, load_new_job
from schema.markers import image_markers
from schema.normalize import normalize_course
from schema.pack import Pack, wrong_answers
from schema.problem import Problem
from schema.rules import check
from schema.skeleton import Skeleton
from tasks.packs import pack_named, shelf
from tasks.pictures import draw
from tasks.steps.validate import limits_of
from tasks.strategies import packs
from tasks.strategies.packs import find_pack

each_pack = pytest.mark.parametrize("pack", shelf(), ids=lambda pack: pack["id"])


def request_for(pack: Pack, **changes: Any) -> CourseRequest:
    usual = {"subject": pack["topic"], "gradeBand": pack["gradeBand"], "mode": "options", "language": "en"}
    payload = usual | changes
    return cast(CourseRequest, load_new_job({"jobType": "course", "payload": payload}).payload)


def compiled(pack: Pack, seed: int = 7, course_id: str = "course-abc234", **changes: Any) -> tuple[Skeleton, Course]:
    """The plan and the course of it, put together as the validating step does."""
    request = request_for(pack, **changes)
    plan = packs.skeleton(pack, request, seed)
    items = [item for group in plan["groups"] for item in packs.fill_group(pack, plan, group["id"], course_id)]
    course: Course = {
        "id": course_id,
        "title": plan["title"],
        "description": plan["description"],
        "subject": request["subject"],
        "gradeBand": request["gradeBand"],
        "grade": request.get("grade"),
        "language": request["language"],
        "visibility": "org",
        "tags": [],
        "contentVersion": "v1",
        "objectives": plan["objectives"],
        "groups": plan["groups"],
        "levels": plan["levels"],
        "items": items,
        "studyTexts": [packs.fill_text(pack, slot) for slot in plan["textSlots"]],
        "topics": [],
        "provenance": plan["provenance"],
    }
    return plan, course


class TestShelf:
    def test_at_least_eight_packs_stand_there_each_with_an_id_of_its_own(self) -> None:
        ids = [pack["id"] for pack in shelf()]
        assert len(set(ids)) == len(ids) >= 8

    def test_a_pack_is_found_by_its_id_and_no_other_way(self) -> None:
        for pack in shelf():
            assert pack_named(pack["id"]) is pack
        with pytest.raises(KeyError):
            pack_named("nowhere")

    @each_pack
    def test_every_fact_and_source_of_a_pack_is_used(self, pack: Pack) -> None:
        assert {template["fact"] for template in pack["templates"]} == {fact["id"] for fact in pack["facts"]}
        cited = {source for fact in pack["facts"] for source in fact["sources"]}
        assert cited == {source["id"] for source in pack["sources"]}

    @each_pack
    def test_every_goal_is_practised_and_read_about(self, pack: Pack) -> None:
        goals = {goal["id"] for goal in pack["goals"]}
        assert {template["goal"] for template in pack["templates"]} == goals
        assert {goal for section in pack["sections"] for goal in section["goals"]} == goals

    @each_pack
    def test_every_diagram_can_be_drawn(self, pack: Pack) -> None:
        # Drawing all of them takes long; tests/unit/test_pictures.py looks at the drawings themselves.
        drawn = draw(pack["diagrams"][0])
        assert drawn.png.startswith(b"\x89PNG")
        assert min(drawn.width, drawn.height) > 100


class TestCompiling:
    @each_pack
    def test_the_same_seed_gives_the_same_course(self, pack: Pack) -> None:
        before = copy.deepcopy(pack)
        assert compiled(pack, seed=11) == compiled(pack, seed=11)
        assert pack == before, "compiling leaves the pack as it was"

    @each_pack
    def test_another_seed_gives_another_course(self, pack: Pack) -> None:
        courses = [compiled(pack, seed=seed)[1] for seed in range(5)]
        texts = {tuple(item["text"] for item in course["items"]) for course in courses}
        assert len(texts) == 5

    @each_pack
    def test_another_course_id_shuffles_the_options_and_nothing_else(self, pack: Pack) -> None:
        _, one = compiled(pack, course_id="one")
        _, two = compiled(pack, course_id="two")
        keys = [[item["options"][item["correctIndex"]] for item in course["items"]] for course in (one, two)]
        assert keys[0] == keys[1]
        assert [item["correctIndex"] for item in one["items"]] != [item["correctIndex"] for item in two["items"]]

    @each_pack
    @pytest.mark.parametrize("wanted", [1, 5, 12, 100])
    def test_a_course_of_any_size_keeps_every_rule(self, pack: Pack, wanted: int) -> None:
        plan, course = compiled(pack, itemsPerGroup=wanted, studyTextsCount=12)
        assert problems_of(plan, course) == []
        offered = Counter(template["group"] for template in pack["templates"])
        given = Counter(item["groupId"] for item in course["items"])
        assert given == {group: min(wanted, count) for group, count in offered.items()}

    @each_pack
    @pytest.mark.parametrize("wanted", range(1, 13))
    def test_as_many_study_texts_as_there_are_in_the_packs_order(self, pack: Pack, wanted: int) -> None:
        plan, course = compiled(pack, itemsPerGroup=2, studyTextsCount=wanted)
        given = min(wanted, len(pack["sections"]))
        assert [text["id"] for text in course["studyTexts"]] == [section["id"] for section in pack["sections"][:given]]
        assert [text["order"] for text in course["studyTexts"]] == list(range(given))
        assert errors(problems_of(plan, course)) == []

    @each_pack
    def test_many_seeds_keep_every_rule(self, pack: Pack) -> None:
        for seed in range(20, 32):
            plan, course = compiled(pack, seed=seed, course_id=f"course-{seed}", itemsPerGroup=6)
            assert errors(problems_of(plan, course)) == [], seed

    @each_pack
    def test_a_compiled_course_is_in_its_proper_form_already(self, pack: Pack) -> None:
        _, course = compiled(pack, itemsPerGroup=100)
        assert normalize_course(cast(dict[str, Any], course)) == course

    @each_pack
    def test_less_than_asked_for_is_told_as_an_info(self, pack: Pack) -> None:
        plan, _ = compiled(pack, itemsPerGroup=100, studyTextsCount=12)
        told = [(info["path"], info["code"], info["severity"]) for info in plan["infos"]]
        fewer = [(f"groups.{group['id']}", "fewer_items", "info") for group in pack["groups"]]
        assert told == [*fewer, ("studyTexts", "fewer_study_texts", "info")]
        assert "100 were asked for" in plan["infos"][0]["message"]

    @each_pack
    def test_what_is_promised_is_given_without_remarks(self, pack: Pack) -> None:
        plan, course = compiled(pack, itemsPerGroup=12, studyTextsCount=1)
        assert plan["infos"] == []
        assert Counter(item["groupId"] for item in course["items"]) == {group["id"]: 12 for group in pack["groups"]}

    @each_pack
    @pytest.mark.parametrize("levels", [1, 3, 10])
    def test_levels_split_the_items_evenly(self, pack: Pack, levels: int) -> None:
        _, course = compiled(pack, itemsPerGroup=5, levelsCount=levels)
        sizes = [level["end"] - level["start"] + 1 for level in course["levels"]]
        assert len(sizes) == levels
        assert sum(sizes) == len(course["items"])
        assert max(sizes) - min(sizes) <= 1

    @each_pack
    def test_items_carry_what_the_pack_says_of_them(self, pack: Pack) -> None:
        plan, course = compiled(pack, itemsPerGroup=100)
        templates = {template["id"]: template for template in pack["templates"]}
        facts = {fact["id"]: fact["text"] for fact in pack["facts"]}
        for slot, item in zip(plan["slots"], course["items"], strict=True):
            template = templates[slot["ref"]]
            options = item["options"]
            key = options[item["correctIndex"]]
            assert (item["text"], key) == (template["text"], template["answer"])
            assert len(options) == pack["blueprint"]["optionsPerItem"]
            assert set(options) - {key} <= set(wrong_answers(pack, template))
            assert item["explain"] == template.get("explain", facts[template["fact"]])
            assert item["learningObjectiveId"] == template["goal"]
            assert set(item.get("wrongExplanations", {})) <= set(options) - {key}

    @each_pack
    def test_a_cluster_holds_variants_of_one_fact(self, pack: Pack) -> None:
        plan, course = compiled(pack, itemsPerGroup=100)
        facts = {template["id"]: template["fact"] for template in pack["templates"]}
        clusters: dict[str, list[int]] = {}
        for item in course["items"]:
            clusters.setdefault(item["clusterId"], []).append(item["id"])
        for members in clusters.values():
            assert len({facts[plan["slots"][member]["ref"]] for member in members}) == 1
            assert [course["items"][member]["variant"] for member in members] == ["1", "2", "3"][: len(members)]
            assert len(members) <= pack["blueprint"]["variantsPerFact"]

    @each_pack
    def test_a_small_course_touches_many_facts(self, pack: Pack) -> None:
        plan, _ = compiled(pack, itemsPerGroup=4)
        facts = {template["id"]: template["fact"] for template in pack["templates"]}
        for group in pack["groups"]:
            refs = [slot["ref"] for slot in plan["slots"] if slot["groupId"] == group["id"]]
            offered = {template["fact"] for template in pack["templates"] if template["group"] == group["id"]}
            assert len({facts[ref] for ref in refs}) == min(4, len(offered))

    @each_pack
    def test_provenance_says_which_pack_and_which_sources(self, pack: Pack) -> None:
        plan, _ = compiled(pack, seed=3)
        provenance = plan["provenance"]
        assert (provenance["source"], provenance["packId"], provenance["packVersion"], provenance["seed"]) == (
            "pack",
            pack["id"],
            pack["version"],
            3,
        )
        assert [source["url"] for source in provenance["sources"]] == [source["url"] for source in pack["sources"]]

    @each_pack
    def test_every_marker_of_a_text_has_its_diagram(self, pack: Pack) -> None:
        _, course = compiled(pack, studyTextsCount=12)
        shown = {marker for text in course["studyTexts"] for marker in image_markers(text["content"])}
        assert shown == {diagram["shows"] for diagram in pack["diagrams"]}

    def test_a_title_asked_for_is_the_title(self) -> None:
        assert compiled(shelf()[0], title="Our own title")[1]["title"] == "Our own title"
        assert compiled(shelf()[0])[1]["title"] == shelf()[0]["title"]


class TestKeyPosition:
    def test_over_many_courses_the_key_has_no_favourite_place(self) -> None:
        places: Counter[int] = Counter()
        for number in range(60):
            _, course = compiled(shelf()[number % len(shelf())], seed=number, course_id=f"course-{number}")
            places.update(item["correctIndex"] for item in course["items"])
        assert set(places) == {0, 1, 2, 3}
        total = places.total()
        assert total > 2500
        assert all(0.22 < count / total < 0.28 for count in places.values()), places

    @each_pack
    def test_within_one_course_every_place_is_used(self, pack: Pack) -> None:
        _, course = compiled(pack, itemsPerGroup=12)
        assert {item["correctIndex"] for item in course["items"]} == {0, 1, 2, 3}


class TestFinding:
    @each_pack
    def test_a_pack_is_found_by_its_topic_and_every_alias(self, pack: Pack) -> None:
        for name in (pack["topic"], *pack["aliases"]):
            assert found(name, grade=str(pack["grades"]["lowest"])) == pack["id"], name
            assert found(name, grade=str(pack["grades"]["highest"])) == pack["id"], name

    @each_pack
    def test_its_own_grade_band_leads_to_it(self, pack: Pack) -> None:
        assert found(pack["topic"], gradeBand=pack["gradeBand"]) == pack["id"]

    @pytest.mark.parametrize(
        "subject", ["the water cycle", "THE WATER CYCLE", "  The   water-cycle!", "«Water» cycle", "The_water_cycle?"]
    )
    def test_case_punctuation_and_spaces_do_not_count(self, subject: str) -> None:
        assert found(subject) == "water-cycle-g4"

    @pytest.mark.parametrize("subject", ["The water cycles", "water", "The water cycle in winter", "水循環", "!?"])
    def test_another_subject_is_another_subject(self, subject: str) -> None:
        assert found(subject) is None

    @pytest.mark.parametrize(
        ("grade", "band", "fits"),
        [
            ("3", "Any", True),
            ("5", "Any", True),
            ("2", "3-5", False),
            ("6", "3-5", False),
            ("Grade 4", "Any", True),
            ("4th", "9-12", True),
            ("Adults", "3-5", True),
            ("Adults", "9-12", False),
            (None, "3-5", True),
            (None, "Grades 3 to 5", True),
            (None, "6-8", False),
            (None, "Primary school", True),
        ],
    )
    def test_the_first_number_in_grade_or_else_in_the_band_decides(
        self, grade: str | None, band: str, fits: bool
    ) -> None:
        given = {"grade": grade} if grade else {}
        assert (found("The water cycle", gradeBand=band, **given) is not None) is fits

    @pytest.mark.parametrize(
        ("language", "fits"), [("en", True), ("en-GB", True), ("EN", True), ("fr", False), ("eng", False)]
    )
    def test_the_language_must_be_the_packs(self, language: str, fits: bool) -> None:
        assert (found("The water cycle", language=language) is not None) is fits

    def test_packs_give_options_not_numbers(self) -> None:
        assert found("The water cycle", mode="numeric") is None

    def test_of_two_that_fit_the_one_for_fewer_grades_is_taken(self) -> None:
        water = pack_named("water-cycle-g4")
        wider = cast(Pack, {**water, "id": "a-wider-one", "grades": {"lowest": 1, "highest": 9}})
        twin = cast(Pack, {**water, "id": "a-twin"})
        request = request_for(water)
        assert find_pack((wider, water), request) is water
        assert find_pack((water, twin), request) is twin, "and of two alike the first by id"
        assert find_pack((), request) is None


def found(subject: str, **changes: Any) -> str | None:
    payload = {"subject": subject, "gradeBand": "Any", "mode": "options", "language": "en"} | changes
    request = cast(CourseRequest, load_new_job({"jobType": "course", "payload": payload}).payload)
    pack = find_pack(shelf(), request)
    return pack["id"] if pack else None


@cache
def _limits(pack_id: str) -> Any:
    return limits_of(cast(Skeleton, {"provenance": {"packId": pack_id}}))


def problems_of(plan: Skeleton, course: Course) -> list[Problem]:
    return check(cast(dict[str, Any], course), _limits(str(plan["provenance"]["packId"])))


def errors(problems: list[Problem]) -> list[Problem]:
    return [problem for problem in problems if problem.severity == "error"]


def test_the_limits_of_a_pack_are_those_it_names() -> None:
    for pack in shelf():
        limits = dataclasses.asdict(_limits(pack["id"]))
        assert limits["max_reading_level"] == pack["maxReadingLevel"]
        assert set(limits["banned"]) == set(pack["vocabulary"]["banned"])
        assert limits["allowed_hard_words"] == set(pack["vocabulary"]["allowed"])
