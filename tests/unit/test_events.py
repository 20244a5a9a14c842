from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from schema.event_samples import SAMPLES, UNNUMBERED_SAMPLES
from schema.events import EVENT_TYPES, UNNUMBERED_TYPES, Event, EventSchema, as_shown, error_body

STEP = {"step": "fill", "stepIndex": 1, "totalSteps": 6, "message": "Writing", "progress": 12.5}
TOPIC = {"topicName": "Rivers", "topicIndex": 1, "totalTopics": 4, "progress": 20.0}
ERROR = {"code": "model_timeout", "message": "It took too long."}
TARGET = {"type": "study_text", "id": "t1", "marker": "a river"}
MEDIA = {"mediaJobId": "8b3e", "targetRef": TARGET}

#: One proper body of each type (public contract 3).
BODIES: dict[str, dict[str, Any]] = {
    "job_created": {"estimatedDuration": None},
    "step_started": STEP,
    "step_progress": STEP,
    "step_completed": STEP | {"duration": 0.25},
    "topic_started": TOPIC,
    "topic_progress": TOPIC,
    "topic_completed": TOPIC | {"itemsGenerated": 12, "duration": 1.5},
    "media_completed": MEDIA | {"url": "/content/media/ab.png", "revision": 2},
    "media_failed": MEDIA | {"error": ERROR},
    "media_settled": {"completed": 2, "failed": 1},
    "job_retrying": {"step": "fill", "attempt": 2, "nextRunAt": "2026-11-21T10:00:00.000Z", "error": ERROR},
    "job_completed": {"courseId": "water-1", "totalDuration": 3.5, "mediaPending": 2},
    "job_failed": {"error": ERROR, "failedStep": "fill", "canResume": True, "deadLetter": False},
    "job_cancelled": {"reason": "", "cancelledAt": "2026-11-21T10:00:00.000Z"},
}
#: Fields that may be left out.
OPTIONAL = {"itemsGenerated", "lessonsGenerated", "courseId", "lectureId"}
EACH = sorted(EVENT_TYPES)


def test_there_are_the_types_of_the_contract_and_no_other() -> None:
    assert set(EVENT_TYPES) == set(BODIES)


@pytest.mark.parametrize("type_", EACH)
class TestBody:
    def test_a_proper_one_is_taken(self, type_: str) -> None:
        assert EVENT_TYPES[type_]().validate(BODIES[type_]) == {}

    def test_each_field_must_be_there(self, type_: str) -> None:
        for name in BODIES[type_].keys() - OPTIONAL:
            body = {key: value for key, value in BODIES[type_].items() if key != name}
            assert list(EVENT_TYPES[type_]().validate(body)) == [name]

    def test_another_field_is_refused(self, type_: str) -> None:
        assert list(EVENT_TYPES[type_]().validate(BODIES[type_] | {"colour": "blue"})) == ["colour"]

    def test_no_field_hides_what_every_event_carries(self, type_: str) -> None:
        assert not EVENT_TYPES[type_]().fields.keys() & EventSchema().fields.keys()


def test_there_is_a_sample_of_each_type_and_each_is_a_proper_event() -> None:
    assert SAMPLES.keys() == EVENT_TYPES.keys()
    for type_, sample in SAMPLES.items():
        body = {name: value for name, value in sample.items() if name not in EventSchema().fields}
        assert EVENT_TYPES[type_]().validate(body) == {}, type_
        assert EventSchema().validate({name: sample[name] for name in EventSchema().fields}) == {}
        assert sample["type"] == type_


def test_so_there_is_of_what_streams_send_without_a_number() -> None:
    assert UNNUMBERED_SAMPLES.keys() == UNNUMBERED_TYPES.keys()
    for type_, sample in UNNUMBERED_SAMPLES.items():
        assert UNNUMBERED_TYPES[type_]().validate(sample) == {}, type_
        assert "seq" not in sample and sample["type"] == type_


class TestShown:
    def test_number_and_time_stand_beside_the_body(self) -> None:
        shown = as_shown("8b3e", 7, datetime(2026, 11, 21, 10, 0, 0, 123456, UTC), "media_settled", {"completed": 1})
        assert shown == {
            "type": "media_settled",
            "jobId": "8b3e",
            "seq": 7,
            "timestamp": "2026-11-21T10:00:00.123Z",
            "completed": 1,
        }

    def test_times_are_shown_in_utc_wherever_the_database_stands(self) -> None:
        at = datetime(2026, 11, 21, 12, 0, tzinfo=timezone(timedelta(hours=2)))
        assert as_shown("8b3e", 1, at, "job_created", {})["timestamp"] == "2026-11-21T10:00:00.000Z"

    def test_of_an_error_only_code_and_words_are_told(self) -> None:
        assert error_body({**ERROR, "details": {"status": 500}, "step": "fill"}) == ERROR


def test_events_of_the_same_type_do_not_share_their_body() -> None:
    first = Event("job_created")
    first.body["estimatedDuration"] = 1
    assert Event("job_created").body == {}
