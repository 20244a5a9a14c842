from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schema.errors import Invalid
from schema.job import (
    ACTIVE,
    COURSE_ID,
    MOVES,
    OLDER_JOB_TYPES,
    RETRYABLE,
    STATUSES,
    CourseRequestSchema,
    NewJob,
    Status,
    course_slug,
    is_id,
    load_new_job,
    sources_of,
    wishes_pictures,
)
from tests.unit.strategies import SETTINGS, json_values

ID = "3f2b8c1e-9a4d-4e6f-8b7a-0c5d1e2f3a4b"
GOOD = {"subject": "The water cycle", "gradeBand": "3-5", "mode": "options"}


def ask(**changes: Any) -> NewJob:
    return load_new_job({"jobType": "course", "payload": GOOD | changes})


def faults(body: Any) -> list[tuple[str, str]]:
    with pytest.raises(Invalid) as caught:
        load_new_job(body)
    return [(error.path, error.code) for error in caught.value.errors]


def faults_of(**changes: Any) -> list[tuple[str, str]]:
    return faults({"jobType": "course", "payload": GOOD | changes})


class TestStatus:
    # Public contract 2.3, line by line.
    ALLOWED = {
        *itertools.product(["pending"], ["processing", "cancelled"]),
        *itertools.product(["processing"], ["done", "failed", "pending", "dead_letter", "cancelled", "stale"]),
        *itertools.product(["stale"], ["pending", "done", "dead_letter", "cancelled"]),
        *itertools.product(["failed", "cancelled", "dead_letter"], ["pending"]),
        ("failed", "dead_letter"),
    }

    @pytest.mark.parametrize(("before", "after"), list(itertools.product(STATUSES, STATUSES)))
    def test_a_move_is_allowed_exactly_where_the_contract_says(self, before: Status, after: Status) -> None:
        allowed = (before, after) in self.ALLOWED
        assert (after in MOVES[before]) is allowed
        assert (before in sources_of(after)) is allowed

    def test_every_status_stands_in_the_table(self) -> None:
        assert set(MOVES) == set(STATUSES)
        assert {status for pair in self.ALLOWED for status in pair} == set(STATUSES)

    def test_what_is_done_stays_done(self) -> None:
        assert MOVES["done"] == frozenset()

    def test_what_can_be_retried_can_go_back_to_pending(self) -> None:
        assert set(RETRYABLE) == {"failed", "cancelled", "stale", "dead_letter"}
        assert set(sources_of("pending")) >= RETRYABLE

    def test_an_active_job_can_be_cancelled_and_no_other(self) -> None:
        assert set(sources_of("cancelled")) == set(ACTIVE)


class TestCoursePayload:
    def test_what_is_left_out_gets_its_default(self) -> None:
        assert ask() == NewJob(
            "course",
            GOOD
            | {
                "itemsPerGroup": 12,
                "levelsCount": 3,
                "studyTextsCount": 2,
                "notes": "",
                "visibility": "org",
                "tags": [],
                "generateStudyTextImages": False,
            },
        )

    def test_defaults_are_not_shared_between_requests(self) -> None:
        ask().payload["tags"].append("mine")
        assert ask().payload["tags"] == []

    def test_snake_case_means_the_same(self) -> None:
        payload = {
            "subject": "The water cycle",
            "grade_band": "3-5",
            "mode": "options",
            "course_id": "water-1",
            "items_per_group": 3,
            "levels_count": 2,
            "study_texts_count": 4,
            "generate_study_text_images": True,
        }
        assert load_new_job({"job_type": "course", "payload": payload}) == ask(
            courseId="water-1", itemsPerGroup=3, levelsCount=2, studyTextsCount=4, generateStudyTextImages=True
        )

    @pytest.mark.parametrize(
        ("field", "within", "beyond"),
        [
            ("itemsPerGroup", (1, 100), (0, 101, -1, 10**400)),
            ("levelsCount", (1, 10), (0, 11)),
            ("studyTextsCount", (1, 12), (0, 13)),
            ("subject", ("x", "x" * 200), ("", " ", "\n\t", "x" * 201)),
            ("title", ("x", "x" * 120), ("", "  ", "x" * 121)),
            ("gradeBand", ("x", "x" * 50), ("", " ", "x" * 51)),
            ("grade", ("x", "x" * 50), ("", " ", "x" * 51)),
            ("notes", ("", "x" * 5000), ("x" * 5001,)),
            ("courseId", ("a", "A-9", "x" * 64, "-"), ("", "x" * 65, "../x", "a b", "a_b", "a\n", "ä", "a/b", "a.b")),
            ("mode", ("options", "numeric"), ("essay", "", "OPTIONS", "options ")),
            ("visibility", ("private", "org", "public"), ("secret", "")),
            ("language", ("en", "pt-BR", "zh-Hant-TW", "gsw"), ("", "e", "english", "en_US", "en-", "en\n", "e1")),
            ("tags", ([], ["x" * 50] * 20), (["x"] * 21, ["x" * 51], [""], [" "])),
        ],
    )
    def test_each_limit_from_both_sides(self, field: str, within: tuple[Any, ...], beyond: tuple[Any, ...]) -> None:
        for value in within:
            assert ask(**{field: value}).payload[field] == value
        for value in beyond:
            found = faults_of(**{field: value})
            assert [code for _, code in found] == ["invalid_value"], value
            assert found[0][0].removesuffix(".0") == f"payload.{field}"

    @pytest.mark.parametrize("field", ["subject", "gradeBand", "mode"])
    def test_what_must_be_given(self, field: str) -> None:
        payload = {key: value for key, value in GOOD.items() if key != field}
        assert faults({"jobType": "course", "payload": payload}) == [(f"payload.{field}", "required")]
        assert faults_of(**{field: None})[0][0] == f"payload.{field}"

    @pytest.mark.parametrize("field", sorted(CourseRequestSchema().fields))
    def test_no_field_takes_null_or_an_object(self, field: str) -> None:
        for value in (None, {}, {"a": 1}):
            assert [path for path, _ in faults_of(**{field: value})] == [f"payload.{field}"]

    @pytest.mark.parametrize("text", ["a\x00", "\ud800"])
    @pytest.mark.parametrize("field", ["subject", "title", "gradeBand", "grade", "notes"])
    def test_no_text_may_hold_what_can_not_be_kept(self, field: str, text: str) -> None:
        assert faults_of(**{field: text}) == [(f"payload.{field}", "invalid_value")]

    def test_every_fault_is_named(self) -> None:
        found = faults({"jobType": "course", "payload": {"mode": "essay", "levelsCount": 0, "colour": 1}})
        assert {path for path, _ in found} == {
            "payload.subject",
            "payload.gradeBand",
            "payload.mode",
            "payload.levelsCount",
            "payload.colour",
        }


class TestNewJob:
    def test_older_clients_call_it_otherwise(self) -> None:
        assert load_new_job({"job_type": "ai_course_generate", "payload": GOOD}) == ask()
        assert OLDER_JOB_TYPES == {"ai_course_generate": "course", "ai_media_generate": "media"}

    @pytest.mark.parametrize("job_type", ["opera", "", "Course", "media", "ai_media_generate", "course "])
    def test_a_kind_nobody_can_ask_for_is_refused(self, job_type: str) -> None:
        assert faults({"jobType": job_type, "payload": GOOD}) == [("jobType", "invalid_value")]

    @pytest.mark.parametrize(
        ("body", "paths"),
        [
            ({}, ["jobType", "payload"]),
            ([], ["body"]),
            (None, ["body"]),
            ("course", ["body"]),
            ({"jobType": "course"}, ["payload"]),
            ({"jobType": ["course"], "payload": GOOD}, ["jobType"]),
            ({"jobType": "course", "payload": []}, ["payload"]),
            ({"jobType": "course", "payload": None}, ["payload"]),
            ({"jobType": "course", "payload": GOOD, "priority": 1}, ["priority"]),
            ({"jobType": "course", "job_type": "course", "payload": GOOD}, ["jobType"]),
        ],
    )
    def test_a_body_of_another_shape_is_refused(self, body: Any, paths: list[str]) -> None:
        assert sorted(path for path, _ in faults(body)) == paths

    @SETTINGS
    @given(json_values)
    def test_any_json_is_refused_or_understood_and_never_more(self, body: Any) -> None:
        assert judged(body)

    @SETTINGS
    @given(
        st.dictionaries(st.sampled_from([*sorted(CourseRequestSchema().fields), "grade_band", "x"]), json_values),
        st.sampled_from(["course", "ai_course_generate", "media"]),
    )
    def test_any_payload_is_refused_or_understood_and_never_more(self, payload: Any, job_type: str) -> None:
        assert judged({"jobType": job_type, "payload": payload})
        assert judged({"jobType": job_type, "payload": GOOD | payload})


def judged(body: Any) -> bool:
    """Whether loading gives a job whose payload loads to itself, or every fault with a path and words."""
    try:
        new = load_new_job(body)
    except Invalid as invalid:
        return bool(invalid.errors) and all(error.path and error.message for error in invalid.errors)
    return load_new_job({"jobType": new.job_type, "payload": new.payload}) == new


class TestExamCourse:
    EXAM = "5B0F7A0E-6d0b-4c39-9a51-0f3f0b7d2c11"

    def test_everything_but_the_exam_has_a_default(self) -> None:
        new = load_new_job({"jobType": "exam_course", "payload": {"exam_id": self.EXAM}})
        assert (new.job_type, new.payload) == ("exam_course", {"examId": self.EXAM.lower(), "lessonsPerTopic": 3})
        assert judged({"jobType": "exam_course", "payload": new.payload})

    @pytest.mark.parametrize(
        ("changes", "fault"),
        [
            ({"examId": None}, ("payload.examId", "invalid_value")),
            ({"examId": 7}, ("payload.examId", "wrong_type")),
            ({"examId": "q1"}, ("payload.examId", "invalid_value")),
            ({"examId": EXAM + "\n"}, ("payload.examId", "invalid_value")),
            ({"lessonsPerTopic": 0}, ("payload.lessonsPerTopic", "invalid_value")),
            ({"lessonsPerTopic": 11}, ("payload.lessonsPerTopic", "invalid_value")),
            ({"lessonsPerTopic": "3"}, ("payload.lessonsPerTopic", "wrong_type")),
            ({"courseId": "a/b"}, ("payload.courseId", "invalid_value")),
            ({"subject": "Fish"}, ("payload.subject", "unknown_field")),
        ],
    )
    def test_every_fault_is_named(self, changes: dict[str, Any], fault: tuple[str, str]) -> None:
        assert faults({"jobType": "exam_course", "payload": {"examId": self.EXAM} | changes}) == [fault]

    @SETTINGS
    @given(st.dictionaries(st.sampled_from(["examId", "exam_id", "courseId", "lessonsPerTopic", "x"]), json_values))
    def test_any_payload_is_refused_or_understood_and_never_more(self, payload: Any) -> None:
        assert judged({"jobType": "exam_course", "payload": payload})
        assert judged({"jobType": "exam_course", "payload": {"examId": self.EXAM} | payload})


class TestWishForPictures:
    @pytest.mark.parametrize(
        "notes",
        [
            "With diagrams please.",
            "Add a picture of a leaf",
            "illustrated, for visual learners",
            "Photos of planets, no text-heavy pages.",
            "IMAGES!",
            "No diagrams, but a photograph of the moon.",
        ],
    )
    def test_it_is_heard(self, notes: str) -> None:
        assert wishes_pictures(notes)
        assert ask(notes=notes).payload["generateStudyTextImages"] is True

    @pytest.mark.parametrize(
        "notes",
        [
            "",
            "Use examples from Iceland.",
            "Focus on photosynthesis and photons.",
            "Imagine picturesque villages.",
            "No pictures, please.",
            "No pictures or diagrams please.",
            "No drawings, photos and images",
            "Without any illustrations.",
            "Don't add images",
            "Don’t include the diagrams",
            "Do not use pictures.",
            "Avoid using images.",
            "Skip the photos.",
        ],
    )
    def test_what_is_none_is_not_taken_for_one(self, notes: str) -> None:
        assert not wishes_pictures(notes)
        assert ask(notes=notes).payload["generateStudyTextImages"] is False

    def test_asking_in_the_proper_field_needs_no_words(self) -> None:
        assert ask(generateStudyTextImages=True, notes="no pictures").payload["generateStudyTextImages"] is True

    def test_long_notes_are_read_in_no_time(self) -> None:
        for filler in ("no " * 1600, "pictures, " * 500, "don't " * 800, "pictures and " * 380):
            wishes_pictures(filler[:5000])


class TestCourseSlug:
    @pytest.mark.parametrize(
        ("subject", "slug"),
        [
            ("The Water Cycle!", "the-water-cycle-abc234"),
            ("  ÷ and × ", "and-x-abc234"),
            ("Größe", "grosse-abc234"),
            ("水", "shui-abc234"),
            ("...", "course-abc234"),
            ("x" * 200, "x" * 57 + "-abc234"),
            ("word " * 40, "word-" * 11 + "abc234"),
            ("y" * 60 + " and z", "y" * 57 + "-abc234"),
        ],
    )
    def test_it_can_be_read(self, subject: str, slug: str) -> None:
        assert course_slug(subject, "abc234") == slug

    @SETTINGS
    @given(st.text(max_size=200))
    def test_it_is_always_a_course_id(self, subject: str) -> None:
        slug = course_slug(subject, "abc234")
        assert COURSE_ID.match(slug)
        assert slug.endswith("-abc234")
        assert not slug.startswith("-")


class TestJobId:
    def test_an_id_is_a_uuid_in_its_usual_form(self) -> None:
        assert is_id(ID) and is_id(ID.upper())

    @pytest.mark.parametrize("text", ["", "1", "x" * 36, ID.replace("-", ""), f"{{{ID}}}", f"{ID}\n", f"urn:{ID}"])
    def test_anything_else_is_none(self, text: str) -> None:
        assert not is_id(text)
